//! A balancer that cannot be reached, or whose nginx is dead: before a shift, between its two phases, on the way back.

use std::{fs::File, process::Command, time::Instant};

use bg_playground::Running;
use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use super::*;
use crate::desk::{hold_health, journal, journal_file};

/// Long enough for what a script that has ended said to arrive.
const QUIET: Duration = Duration::from_secs(1);

/// Waits until no script has run on a host for a while: its answer is with whoever asked.
fn wait_answered(site: &mut Playground, host: &str) {
    let mut since = Instant::now();
    let mut answered = || {
        // What stays is the shell of the connection itself.
        let runs = site.sessions(host).unwrap().iter().filter(|process| process.name == "sh").count() > 1;
        if runs {
            since = Instant::now();
        }
        (since.elapsed() >= QUIET).then_some(())
    };
    until(SEEN, "the answer", &mut answered).unwrap();
}

fn finish(running: Running) -> Ran {
    let ran = running.wait(SEEN).unwrap();
    println!("{ran}");
    ran
}

#[test]
fn a_balancer_that_is_down_before_a_shift_stops_it_and_nothing_changes() {
    let mut site = set_up(two_balancers());
    let (before, processes) = (balancers(&site), pids(&site));
    site.stop_sshd("lb2").unwrap();
    let ran = run(&site, "deploy --release v2");
    ran.expect(1);
    assert_says(&ran, &["`lb2` is unreachable", "balanced"]);
    assert_stage(&site, "balanced");
    site.start_sshd("lb2").unwrap();
    assert_eq!((balancers(&site), pids(&site)), (before, processes));

    run(&site, "deploy --release v2").expect(0);
    let (before, processes) = (balancers(&site), pids(&site));
    site.stop_sshd("lb2").unwrap();
    for command in ["canary mobile=10%", "flip"] {
        let ran = run(&site, command);
        ran.expect(1);
        assert_says(&ran, &["`lb2` is unreachable", "No balancer was switched", "staged"]);
        assert_eq!(ran.stderr.matches("is unreachable").count(), 1, "said once:\n{ran}");
        assert_stage(&site, "staged");
    }
    assert_eq!((balancers(&site), pids(&site)), (before, processes));
    site.start_sshd("lb2").unwrap();
    run(&site, "flip").expect(0);
}

#[test]
fn a_balancer_that_dies_between_the_phases_leaves_the_flip_open_until_it_is_back() {
    let mut site = staged(two_balancers());
    let processes = pids(&site);
    // While health is asked the trees are prepared, and nothing is committed: between the two phases of the shift.
    let hold = hold_health(&site);
    let flip = site.start_bg(["flip"]).unwrap();
    wait_prepared(site.balancer("lb2"));
    wait_answered(&mut site, "lb2");
    site.stop_sshd("lb2").unwrap();
    fs::remove_file(hold).unwrap();
    let ran = finish(flip);
    ran.expect(5);
    let before = "what it had before (all traffic on blue)";
    assert_says(&ran, &["undo failed: `switch:", "`lb2` is unreachable", before, "resume", "abort"]);
    assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "blue"], "lb1 was put back");
    assert_eq!(in_sync(&site, "lb1").0, true, "it has what is wanted now");
    let by_hand = undo_failed_is_explained(&site);
    let outdated = journal(&site);

    // Still dead: it stays open, and says so again.
    run(&site, "resume").expect(5);
    undo_failed_is_explained(&site);
    // What status says can be done on its console is what bg would do.
    let console = Command::new("sh").args(["-c", &by_hand]).status().unwrap();
    assert!(console.success(), "{by_hand}");
    site.start_sshd("lb2").unwrap();
    let found = status(&site)["interrupted"]["found"].clone();
    assert!(found[1]["what"].as_str().unwrap().starts_with("put back: "), "{found}");
    let ran = run(&site, "resume");
    ran.expect(0);
    assert_says(&ran, &["the interrupted `flip` is undone", "staged"]);
    assert!(!ran.stdout.contains("is done"), "{ran}");
    assert_stage(&site, "staged");
    assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "blue"]);
    assert_eq!(in_sync(&site, "lb2").0, true);
    assert_eq!(pids(&site), processes, "no server was touched");
    run(&site, "flip").expect(0);

    // Somebody brings back a copy of the journal from before: what it holds to be open is over.
    std::fs::write(journal_file(&site), &outdated).unwrap();
    let ran = run(&site, "resume");
    ran.expect(3);
    assert_says(&ran, &["outdated copy", "Nothing was touched"]);
    assert_eq!(journal(&site), outdated, "no record more");
}

/// Status names the state, the balancer, what is where and what to do. Returns what is to be typed on `lb2` itself.
fn undo_failed_is_explained(site: &Playground) -> String {
    let ran = run(site, "status");
    assert_says(&ran, &["rollout r1; undo failed", "undo failed: `bg flip` failed", "`lb2` could not be put back"]);
    assert_says(&ran, &["`lb1`: put back: generation", "`lb2`: no answer", "1. bring `lb2` back", "2. `bg resume`"]);
    assert_says(&ran, &["bg resume would put every balancer back (all traffic on blue)", "bg abort would do:"]);
    let wide = ran.stdout.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{ran}");

    let status = status(site);
    let open = &status["interrupted"];
    assert_eq!((&open["command"], &open["number"], &open["of"]), (&json!("flip"), &json!(2), &json!(2)), "{open:#}");
    let failed = open["undo_failed"].as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["host"]), (1, &json!("lb2")), "{open:#}");
    assert!(failed[0]["said"].as_str().unwrap().contains("unreachable"), "{open:#}");
    // Cut off before its switch was sent or, where that took longer, in it.
    let why = open["why"].as_str().unwrap();
    assert!(why.starts_with("the switch to all traffic on green failed: `lb2`"), "{open:#}");
    assert_eq!(open["resume"], json!(["put every balancer back: all traffic on blue"]));
    assert_eq!(open["abort"][0], "prepare: all traffic on blue");
    let to_do = open["to_do"].as_array().unwrap();
    assert_eq!(to_do.len(), 4, "{open:#}");
    to_do[2]["line"].as_str().unwrap().to_owned()
}

#[test]
fn a_balancer_that_dies_while_it_commits_is_put_back_late_and_abort_ends_it_too() {
    let mut site = staged(two_balancers());
    let hold = hold_health(&site);
    let lock = File::create(site.balancer("lb2").bg_dir.join("live/.lock")).unwrap();
    let flip = site.start_bg(["flip"]).unwrap();
    let prepared = wait_prepared(site.balancer("lb2"));
    // Its commit waits for this lock while the other balancer is switched.
    let held = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    fs::remove_file(hold).unwrap();
    let switched = || fs::canonicalize(site.balancer("lb1").bg_dir.join("live/current")).unwrap();
    let name = prepared.file_name().unwrap().to_owned();
    until(SEEN, "lb1's switch", || (switched().file_name() == Some(&name)).then_some(())).unwrap();
    site.stop_sshd("lb2").unwrap();
    drop(held);
    let ran = finish(flip);
    ran.expect(5);
    assert_says(&ran, &["`lb2`"]);
    assert_eq!(half(&site, "lb1", PHONE), "blue", "put back");

    site.start_sshd("lb2").unwrap();
    run(&site, "abort").expect(0);
    assert_stage(&site, "balanced");
    assert_eq!([in_sync(&site, "lb1").0, in_sync(&site, "lb2").0], [true, true]);
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v1");
}

#[test]
fn a_generation_that_was_changed_between_the_phases_is_not_committed_and_all_are_put_back() {
    let site = staged(two_balancers());
    let hold = hold_health(&site);
    let flip = site.start_bg(["flip"]).unwrap();
    let prepared = wait_prepared(site.balancer("lb2"));
    fs::write(prepared.join("green/all/extra"), "").unwrap();
    fs::remove_file(hold).unwrap();
    let ran = finish(flip);
    ran.expect(1);
    assert_says(&ran, &["`lb2`", "is not what was prepared", "Every balancer was put back", "staged"]);
    assert_stage(&site, "staged");
    assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "blue"]);
    assert_eq!([in_sync(&site, "lb1").0, in_sync(&site, "lb2").0], [true, true]);
    run(&site, "flip").expect(0);
    assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["green", "green"]);
}

#[test]
fn the_way_back_goes_as_far_as_it_can_and_names_the_dead_balancer() {
    let mut site = staged(two_balancers());
    let processes = pids(&site);
    for (forward, back) in [("flip", "flip --back"), ("canary all=100%", "canary off")] {
        run(&site, forward).expect(0);
        let stage = status(&site)["stage"].clone();
        site.stop_sshd("lb2").unwrap();
        let ran = run(&site, back);
        ran.expect(5);
        assert_says(&ran, &["`lb2` is unreachable", "no server was touched", "not every balancer is known", "resume"]);
        assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "green"]);
        assert_eq!(status(&site)["stage"], stage, "a way back keeps its stage until it is done");
        assert_eq!(pids(&site), processes);

        site.start_sshd("lb2").unwrap();
        run(&site, "resume").expect(0);
        assert_stage(&site, "staged");
        assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "blue"]);
    }
    // The first part of an abort is a way back too.
    run(&site, "flip").expect(0);
    site.stop_sshd("lb2").unwrap();
    run(&site, "abort").expect(5);
    assert_eq!(half(&site, "lb1", PHONE), "blue");
    assert_eq!(pids(&site), processes, "no server is touched until all are settled");
    site.start_sshd("lb2").unwrap();
    run(&site, "abort").expect(0);
    assert_stage(&site, "balanced");
}

/// Status says of which balancers nginx answers, and why it does not; their trees are in sync all the same.
fn nginx_answers(site: &Playground, expected: &[Value], why: &str) {
    let status = status(site);
    let balancers = status["balancers"].as_array().unwrap();
    let answers: Vec<Value> = balancers.iter().map(|balancer| balancer["nginx_answers"].clone()).collect();
    assert_eq!(answers, expected, "{status:#}");
    for balancer in balancers {
        assert_eq!((&balancer["in_sync"], &balancer["reachable"]), (&json!(true), &json!(true)), "{status:#}");
        let note = balancer["note"].as_str().unwrap_or_default();
        let is_named = note.contains("probe port") && note.contains(why) && note.contains("clients of this balancer");
        assert_eq!(is_named, balancer["nginx_answers"] == false, "{note}");
    }
    let ran = run(site, "status");
    ran.expect(0);
    assert_eq!(ran.stdout.contains("nginx does not answer"), expected.contains(&Value::Bool(false)), "{ran}");
}

#[test]
fn a_dead_nginx_is_named_before_anything_is_switched_and_on_the_way_back() {
    let mut site = staged(two_balancers());
    let before = balancers(&site);
    nginx_answers(&site, &[Value::Bool(true), Value::Bool(true)], "");
    site.stop_workers("lb2").unwrap();
    nginx_answers(&site, &[Value::Bool(true), Value::Bool(false)], "no answer within");
    site.kill_nginx("lb2").unwrap();
    nginx_answers(&site, &[Value::Bool(true), Value::Bool(false)], "refused");
    let ran = run(&site, "flip");
    ran.expect(1);
    assert_says(&ran, &["`lb2`", "probe port", "No balancer was switched", "does nginx run on `lb2`", "staged"]);
    let current = |all: &[Vec<(PathBuf, String)>]| -> Vec<String> {
        all.iter().flatten().filter(|(path, _)| path.ends_with("live/current")).map(|it| it.1.clone()).collect()
    };
    assert_eq!(current(&balancers(&site)), current(&before));
    assert_eq!(half(&site, "lb1", PHONE), "blue");

    site.start_nginx("lb2").unwrap();
    run(&site, "flip").expect(0);
    site.kill_nginx("lb2").unwrap();
    let ran = run(&site, "flip --back");
    ran.expect(5);
    assert_says(&ran, &["`lb2`", "probe port"]);
    assert_eq!(half(&site, "lb1", PHONE), "blue");
    site.start_nginx("lb2").unwrap();
    run(&site, "resume").expect(0);
    assert_eq!([half(&site, "lb1", PHONE), half(&site, "lb2", PHONE)], ["blue", "blue"]);
    assert_stage(&site, "staged");
}
