//! Not the command dies but what it works through, in the steps of every plan: its ssh, the shell that it began on a
//! host, a balancer's nginx, a balancer's sshd. The command ends with a promised code; when the victim is back, going on
//! ends where the undisturbed command did. The seed chooses every third step, and who dies in it; `BG_MATRIX=whole`: all in
//! every step.

use std::env;

use bg_playground::{Running, process};
use bluegreen_core::rollout::Stage;
use nix::sys::signal::Signal;

use super::{
    clean::{leftovers, wait_clean},
    site::{Labels, Site},
    tally::{Tally, seed},
};
use crate::desk::{SOON, begins, journal, journal_file};

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    /// The command's ssh to one host.
    Master,
    /// A shell that it runs on a host.
    Shell,
    /// The nginx of a balancer, master and workers. Its clients lose their connections, whoever deploys: the load is on
    /// the other one.
    Nginx,
    /// The sshd of a balancer, with its sessions.
    Sshd,
}

const VICTIMS: [Victim; 4] = [Victim::Master, Victim::Shell, Victim::Nginx, Victim::Sshd];
/// Whose nginx and sshd die.
const BALANCER: &str = "lb2";

/// A command, and the stage in which it begins.
struct Case {
    start: Stage,
    words: &'static str,
}

impl Case {
    fn end(&self) -> Stage {
        match self.start {
            Stage::Balanced => Stage::Canary,
            Stage::Staged => Stage::Flipped,
            _ => Stage::Balanced,
        }
    }
}

const CASES: [Case; 4] = [
    Case { start: Stage::Balanced, words: "deploy --release NEW --canary mobile=10%" },
    Case { start: Stage::Staged, words: "flip" },
    Case { start: Stage::Flipped, words: "restore" },
    Case { start: Stage::Canary, words: "abort" },
];

/// Kills a process of the victim's kind as soon as there is one. `false`: the command ended before.
fn strike(site: &mut Site, victim: Victim, running: &mut Running) -> bool {
    let hosts: Vec<String> = site.pg.balancers().iter().map(|balancer| balancer.host.name.clone()).collect();
    let hosts: Vec<String> = hosts.into_iter().chain(site.pg.places().iter().map(|it| it.host.name.clone())).collect();
    loop {
        let found = match victim {
            Victim::Nginx => return site.pg.kill_nginx(BALANCER).is_ok(),
            Victim::Sshd => return site.pg.stop_sshd(BALANCER).is_ok(),
            Victim::Master => site.pg.processes().into_iter().find(|process| process.name == "ssh"),
            Victim::Shell => {
                let sessions = hosts.iter().flat_map(|host| site.pg.sessions(host).unwrap());
                let shells = sessions.filter(|process| process.name == "sh" || process.name == "dash");
                // The youngest: a script's where one runs, else the one that stands with the connection.
                shells.max_by_key(|process| process.pid)
            }
        };
        if let Some(process) = found {
            process::signal(process.pid, Signal::SIGKILL);
            return true;
        }
        if running.has_ended() {
            return false;
        }
    }
}

/// One step of a command disturbed by one victim's death, and the command brought to its end.
fn one(site: &mut Site, case: &Case, index: usize, victim: Victim, tally: &mut Tally) {
    site.reach(case.start);
    let labels = site.labels();
    let words = case.words.replace("NEW", &labels.new);
    let known = journal(&site.pg).len();
    let mut running = site.first.start(&site.pg, &words);
    let is_struck =
        begins(&site.pg, &mut running, known, index) && !running.has_ended() && strike(site, victim, &mut running);
    let ran = running.wait(SOON).unwrap();
    tally.add(if is_struck { "struck" } else { "ended_before" }, 1);
    let promised =
        if site.state().open.is_some() { ran.code == Some(5) } else { matches!(ran.code, Some(0 | 1 | 3 | 4 | 5)) };
    assert!(promised, "`{words}`, step {}, {victim:?}: {ran}", index + 1);
    assert!(ran.ok() || ran.stderr.contains("hint: "), "{ran}");
    site.none_failed();
    match victim {
        Victim::Nginx if is_struck => site.pg.start_nginx(BALANCER).unwrap(),
        Victim::Sshd if is_struck => site.pg.start_sshd(BALANCER).unwrap(),
        _ => {}
    }
    wait_clean(&site.pg, &journal_file(&site.pg));
    go_on(site, case, &words, &labels, tally);
    assert_eq!(leftovers(&site.pg), Vec::<std::path::PathBuf>::new(), "`{words}`, step {}, {victim:?}", index + 1);
}

/// To where the undisturbed command ends, with what a person would type.
fn go_on(site: &Site, case: &Case, words: &str, labels: &Labels, tally: &mut Tally) {
    if site.state().open.is_some() {
        site.first.expect(&site.pg, "resume", 0);
        tally.add("resumed", 1);
    }
    let end = case.end();
    let stage = site.state().stage.unwrap();
    if stage != end {
        // A shift that was put back is made again; the servers are as they were meant to be.
        let again = if case.start == Stage::Balanced && stage == Stage::Staged { "canary mobile=10%" } else { words };
        site.first.expect(&site.pg, again, 0);
        tally.add("repeated", 1);
    }
    let seen = site.stands(&site.first, labels);
    assert_eq!((&seen["stage"], &seen["interrupted"]), (&end.as_str().into(), &serde_json::Value::Null), "{seen:#}");
    assert!(seen["in_sync"].as_array().unwrap().iter().all(|it| it == true), "{seen:#}");
    assert!(seen["places"].as_array().unwrap().iter().all(|place| place[2] == true), "{seen:#}");
}

/// How many steps the command would have there.
fn steps(site: &mut Site, case: &Case) -> usize {
    site.reach(case.start);
    let words = case.words.replace("NEW", &site.labels().new);
    let shown = site.first.expect(&site.pg, &format!("{words} --dry-run"), 0).stdout;
    let numbers = shown.lines().filter_map(|line| line.split_once(". ")?.0.trim().parse::<usize>().ok());
    numbers.max().unwrap_or_else(|| panic!("{shown}"))
}

fn run(name: &str, cases: &[Case]) {
    let (seed, mut tally) = (seed(), Tally::default());
    let is_whole = env::var("BG_MATRIX").is_ok_and(|word| word == "whole");
    let mut site = Site::serving(2);
    site.load_only_on("lb1");
    for case in cases {
        for index in 0..steps(&mut site, case) {
            let turn = (seed as usize).wrapping_add(index);
            let victims = match is_whole {
                true => &VICTIMS[..],
                false if turn % 3 == 0 => &VICTIMS[turn / 3 % 4..][..1],
                false => &[],
            };
            for &victim in victims {
                one(&mut site, case, index, victim, &mut tally);
            }
        }
    }
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say(&format!("victims/{name}"), seed);
}

#[test]
fn what_a_deploy_works_through_dies() {
    run("deploy", &CASES[..1]);
}

#[test]
fn what_a_flip_and_a_restore_work_through_dies() {
    run("flip, restore", &CASES[1..3]);
}

#[test]
fn what_an_abort_works_through_dies() {
    run("abort", &CASES[3..]);
}
