//! Commands of two operators, killed at any moment, for a given time: `$SOAK_SECONDS`, or a few. The seed decides which
//! command, whose, when it is killed and what comes after; when exactly a moment falls is the machine's.

use std::{
    collections::BTreeSet,
    env, thread,
    time::{Duration, Instant},
};

use bg_playground::Playground;
use bluegreen_core::rollout::{Stage, Verb};
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    clean::{leftovers, no_temporary_files, wait_clean},
    operator::Operator,
    site::Site,
    tally::{Tally, seed},
};
use crate::desk::{SOON, journal_file};

/// Long enough to meet some kills in a quick run.
const SECONDS: u64 = 8;
/// Longer than any command takes here: some end before they are killed.
const LONGEST_MS: u64 = 1500;

fn seconds() -> u64 {
    env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

/// A command that may go through now, or what goes on with an open one.
fn any(site: &Site, dice: &mut StdRng) -> String {
    let state = site.state();
    if state.open.is_some() && dice.random_bool(0.5) {
        return "resume".to_owned();
    }
    let next = state.next_commands();
    if next.is_empty() {
        return "resume".to_owned();
    }
    let new = site.labels().new;
    match next[dice.random_range(0..next.len())] {
        Verb::Deploy if dice.random_bool(0.5) => format!("deploy --release {new} --canary mobile=20%"),
        Verb::Deploy => format!("deploy --release {new}"),
        Verb::Canary => format!("canary all={}%", dice.random_range(1..100)),
        other => other.as_str().to_owned(),
    }
}

/// Ends whatever is open, and sees the site whole.
fn settle(site: &mut Site, dice: &mut StdRng, tally: &mut Tally) {
    if site.state().open.is_some() {
        let word = if dice.random_bool(0.5) { "resume" } else { "abort" };
        site.first.expect(&site.pg, word, 0);
        tally.add(if word == "resume" { "resumed" } else { "aborted" }, 1);
    }
    let seen = site.stands(&site.first, &site.labels());
    let places = seen["places"].as_array().unwrap();
    assert!(places.iter().all(|place| place[2] == true), "{seen:#}");
    assert!(seen["in_sync"].as_array().unwrap().iter().all(|it| it == true), "{seen:#}");
    assert!(seen["interrupted"].is_null() && seen["under_way"].is_null(), "{seen:#}");
    at_most_one_of_each(&site.pg);
    if seen["stage"] == Stage::Balanced.as_str() {
        assert_eq!(seen["releases"][0], seen["releases"][1], "{seen:#}");
    }
}

/// A script that did not end in its grace was killed, and leaves what it was just making: on a balancer one directory, until
/// the next shift there; on a server the next line of its fence or marker, until that is written again. So nothing grows.
fn at_most_one_of_each(pg: &Playground) {
    let (half_made, others): (Vec<_>, Vec<_>) = leftovers(pg).into_iter().partition(|path| {
        let path = path.display().to_string();
        path.contains("/live/gen/.tmp-") || path.ends_with("/.bg/fence.tmp") || path.ends_with("/.bg/marker.tmp")
    });
    let per_directory: BTreeSet<_> = half_made.iter().map(|path| path.parent().unwrap()).collect();
    assert!(others.is_empty() && half_made.len() == per_directory.len(), "{half_made:?} {others:?}");
}

/// Started by one of the two, killed some time later: the command itself, or first the ssh that it talks through.
fn killed(site: &Site, by: &Operator, words: &str, dice: &mut StdRng, tally: &mut Tally) {
    let running = by.start(&site.pg, words);
    thread::sleep(Duration::from_millis(dice.random_range(0..LONGEST_MS)));
    if dice.random_bool(0.2) {
        let masters: Vec<_> = site.pg.processes().into_iter().filter(|process| process.name == "ssh").collect();
        if !masters.is_empty() {
            let chosen = &masters[dice.random_range(0..masters.len())];
            bg_playground::process::signal(chosen.pid, Signal::SIGKILL);
            let ran = running.wait(SOON).unwrap();
            assert!(matches!(ran.code, Some(0 | 1 | 3 | 4 | 5)), "its ssh was killed: {ran}");
            tally.add("ssh_killed", 1);
            return;
        }
    }
    running.signal(Signal::SIGKILL);
    let ran = running.wait(SOON).unwrap();
    tally.add(if ran.code.is_none() { "killed" } else { "ended_before" }, 1);
    assert!(matches!(ran.code, None | Some(0 | 1 | 3 | 4)), "{ran}");
}

#[test]
fn killed_at_any_moment_for_a_time() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut dice = StdRng::seed_from_u64(seed);
    let mut site = Site::serving(2);
    let until = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < until {
        let words = any(&site, &mut dice);
        if dice.random_bool(0.3) {
            let second = Operator::second(&site.pg);
            killed(&site, &second, &words, &mut dice, &mut tally);
        } else {
            killed(&site, &site.first, &words, &mut dice, &mut tally);
        }
        tally.longest("all_ended_after_ms", wait_clean(&site.pg, &journal_file(&site.pg)));
        no_temporary_files(&site.pg);
        site.none_failed();
        // Sometimes the next one comes upon what is open.
        if dice.random_bool(0.6) {
            settle(&mut site, &mut dice, &mut tally);
        }
    }
    settle(&mut site, &mut dice, &mut tally);
    // A whole rollout writes everything once more.
    site.reach(Stage::Balanced);
    site.reach(Stage::Flipped);
    site.first.expect(&site.pg, "restore", 0);
    assert_eq!(leftovers(&site.pg), Vec::<std::path::PathBuf>::new());
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say("random", seed);
}
