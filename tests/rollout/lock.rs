//! The site's lock: the queue for it, held by hand, given way, lost.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use bg_playground::{Playground, Ran, Running, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::desk::{
    SOON, bg, events, journal, queue, replayed, small, start_until, start_waiting, status, untouched, world,
};

/// A site on v1 whose deploy of v2 is under way and stays there until the file that is returned is removed.
fn deploying(releases: &[&str]) -> (Playground, std::path::PathBuf, Running) {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    for label in releases {
        site.release(label).unwrap();
    }
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    // From the switch of the link on nothing changes on the hosts before the file is gone.
    let current = site.place("web2").root.join("current");
    let is_switched = || fs::read_link(&current).is_ok_and(|target| target.ends_with("v2"));
    until(SOON, "the restart", || is_switched().then_some(())).unwrap();
    (site, hold, deploy)
}

#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    // Broken lines are one text.
    let text = format!("{} {}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(text.contains(word), "{word}\n{ran}");
    }
    let is_final = |line: &str| line.starts_with("error:") || line.starts_with("hint:");
    assert!(ran.stderr.lines().all(|line| is_final(line) || line.chars().count() <= 80), "{ran}");
}

/// The commands of the journal, in the order in which they began.
fn began(site: &Playground) -> Vec<String> {
    let started = events(&journal(site)).into_iter().filter(|event| event["event"] == "command_started");
    started.map(|event| event["command"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn who_waits_is_served_in_order_and_who_does_not_is_refused() {
    let (site, hold, deploy) = deploying(&["v2"]);
    let pid = format!("(process {})", deploy.pid());
    let flip = start_waiting(&site, "flip --wait", 1);
    let restore = start_waiting(&site, "restore --wait 5m --json", 2);
    assert_eq!(queue(&site).0, ["deploy", "flip", "restore"]);

    let seen = status(&site);
    let lock = &seen["lock"];
    assert_eq!(
        (&lock["command"], &lock["manual"], &lock["why"]),
        (&json!("deploy"), &json!(false), &json!("deploy of v2"))
    );
    assert_eq!(lock["pid"], deploy.pid());
    assert_eq!(
        lock["waiting"].as_array().unwrap().iter().map(|it| &it["command"]).collect::<Vec<_>>(),
        ["flip", "restore"]
    );
    let text = bg(&site, "status", 0);
    says(&text, &["a command is under way: `deploy` of v2 by", "waiting for the lock: `flip` by", &pid]);

    let before = world(&site);
    let refused = bg(&site, "abort", 3);
    says(&refused, &["`deploy` of v2 by", &pid, "ago)", "2 more wait behind it", "Nothing was touched", "`--wait`"]);
    let late = bg(&site, "canary all=5% --wait 1s", 3);
    says(&late, &["did not become free within 1 s", "`deploy` of v2 by", "; before this command also `flip` by"]);
    let gone = start_waiting(&site, "abort --wait", 3);
    gone.signal(Signal::SIGINT);
    let gone = gone.wait(SOON).unwrap();
    says(gone.expect(130), &["leaving the queue", "Nothing was touched"]);
    let killed = start_waiting(&site, "abort --wait", 3);
    killed.signal(Signal::SIGKILL);
    killed.wait(SOON).unwrap();
    assert_eq!(queue(&site).0, ["deploy", "flip", "restore"]);
    untouched(&site, &before, &refused);

    fs::remove_file(hold).unwrap();
    deploy.wait(SOON).unwrap().expect(0);
    let flip = flip.wait(SOON).unwrap();
    says(flip.expect(0), &["waiting for the lock, up to 1 h: `deploy` of v2 by", "it is the turn of `flip`"]);
    says(&flip, &["it acts on v2, which green has now; when it was queued, green had no whole release"]);
    let restore = restore.wait(SOON).unwrap();
    says(restore.expect(0), &["`deploy` of v2 by", "before this command also `flip` by", "`flip` by"]);
    let document: Value = serde_json::from_str(&restore.stdout).unwrap();
    assert_eq!((&document["exit"], &document["stage"]), (&json!(0), &json!("balanced")));
    assert_eq!(began(&site), ["setup", "deploy", "flip", "restore"]);
    assert_eq!(status(&site)["lock"], Value::Null);
}

#[test]
fn a_site_that_is_held_by_hand_begins_nothing_new() {
    let (site, hold, deploy) = deploying(&["v2"]);
    let flip = start_waiting(&site, "flip --wait", 1);
    let locked = site.bg(["lock", "--why", "the yearly audit"]).unwrap();
    says(locked.expect(0), &["`deploy` of v2 by", "is under way and goes on to its end", "`bg unlock`"]);
    let flip = flip.wait(SOON).unwrap();
    says(flip.expect(3), &["held by hand by", "the yearly audit", "Nothing was touched", "`bg unlock`"]);
    fs::remove_file(hold).unwrap();
    deploy.wait(SOON).unwrap().expect(0);

    let before = world(&site);
    for words in ["deploy --release v2", "canary all=1%", "flip", "abort --wait", "sync", "resume", "lock --why again"]
    {
        let ran = bg(&site, words, 3);
        says(&ran, &["held by hand by", "the yearly audit", "ago)", "`bg unlock`"]);
        untouched(&site, &before, &ran);
    }
    bg(&site, "flip --dry-run", 0);
    bg(&site, "check --hosts", 0);
    bg(&site, "exec web -- true", 0);
    let seen = status(&site);
    assert_eq!((&seen["next"], &seen["under_way"]), (&json!([]), &Value::Null));
    let lock = &seen["lock"];
    assert_eq!(
        (&lock["why"], &lock["manual"], &lock["waiting"]),
        (&json!("the yearly audit"), &json!(true), &json!([]))
    );
    says(&bg(&site, "status", 0), &["held by hand by", "the yearly audit", "bg unlock"]);
    says(&bg(&site, "unlock", 0), &["was held by hand by", "the yearly audit"]);
    says(&bg(&site, "unlock", 0), &["not held by hand"]);
    bg(&site, "flip --wait", 0);
    assert_eq!(status(&site)["stage"], "flipped");
}

#[test]
fn only_the_newest_of_the_deploys_that_wait_is_carried_out() {
    let (site, hold, deploy) = deploying(&["v2", "v3", "v4", "v5"]);
    says(&bg(&site, "deploy --release v3 --skip-superseded", 2), &["--wait"]);
    says(&bg(&site, "deploy --release v9 --wait", 2), &["v9", "nothing was touched"]);
    let third = start_waiting(&site, "deploy --release v3 --wait --skip-superseded", 1);
    let fourth = start_waiting(&site, "deploy --release v4 --wait --skip-superseded", 2);
    let words = "deploy --release v5 --wait --skip-superseded".split_whitespace();
    let mut command = site.bg_command(words).unwrap();
    let mut fifth = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(fifth.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for the lock")));
    // Who waits has read it: what it brings is what lay there when it was started.
    let dist: Vec<_> = fs::read_dir(site.dir().join("dist")).unwrap().flatten().map(|entry| entry.path()).collect();
    for path in dist.iter().filter(|path| path.to_string_lossy().contains("v5")) {
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    fs::remove_file(hold).unwrap();
    deploy.wait(SOON).unwrap().expect(0);
    for overtaken in [third, fourth] {
        let ran = overtaken.wait(SOON).unwrap();
        says(ran.expect(3), &["gave way to a newer release: `deploy` of v5 by", "Nothing was touched"]);
    }
    let rest: Vec<String> = said.collect();
    assert!(fifth.wait().unwrap().success(), "{rest:#?}");
    assert_eq!(began(&site), ["setup", "deploy", "deploy"]);
    let state = replayed(&site).unwrap();
    assert_eq!(state.releases[&state.green.unwrap()].label, "v5");
}

#[test]
fn the_death_of_the_holder_lets_the_next_go_on_and_a_lost_lock_stops_before_the_next_step() {
    let (site, hold, deploy) = deploying(&["v2"]);
    let flip = start_waiting(&site, "flip --wait", 1);
    let resume = start_waiting(&site, "resume --wait", 2);
    deploy.signal(Signal::SIGKILL);
    deploy.wait(SOON).unwrap();
    let flip = flip.wait(SOON).unwrap();
    says(flip.expect(3), &["`deploy` was interrupted at the step `activate v2 on green`"]);

    // The lease is over while the resumed step is under way.
    let deadline = std::time::Instant::now() + SOON;
    while replayed(&site).unwrap().open.unwrap().step.unwrap().by.pid != resume.pid() as u32 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    for ticket in fs::read_dir(site.dir().join(".bg/shop/queue")).unwrap().flatten() {
        fs::remove_file(ticket.path()).unwrap();
    }
    fs::remove_file(hold).unwrap();
    let resume = resume.wait(SOON).unwrap();
    says(resume.expect(5), &["lost the lock", "Nothing more was done", "`bg status`", "`bg resume`"]);
    assert_eq!(status(&site)["interrupted"]["step"], "activate v2 on green");
    bg(&site, "resume", 0);
    assert_eq!(status(&site)["stage"], "staged");
}
