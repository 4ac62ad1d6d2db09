//! The operator's process ends in the middle of a step: what is open is said, nothing else goes through, and both ways
//! on lead where they promise.

use bg_playground::{Playground, load::Load, until};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::desk::{SOON, bg, kill_at, replayed, start_until, status, two_balancers, untouched, world};

/// Nothing that the killed command began goes on: no ssh of its, and nothing of its on any host.
fn nothing_runs_on(site: &mut Playground) {
    let hosts: Vec<String> = site.balancers().iter().map(|b| b.host.name.clone()).collect();
    let hosts: Vec<String> = hosts.into_iter().chain(site.places().iter().map(|p| p.host.name.clone())).collect();
    let left = |site: &mut Playground| {
        let sessions = hosts.iter().flat_map(|host| site.sessions(host).unwrap()).collect::<Vec<_>>();
        let masters = site.processes().into_iter().filter(|process| process.name == "ssh");
        sessions.into_iter().chain(masters).map(|process| process.command).collect::<Vec<_>>()
    };
    let gone = until(SOON, "the end of what the killed command began", || left(site).is_empty().then_some(()));
    assert!(gone.is_ok(), "{:#?}", left(site));
}

/// Set up, with another release at hand, under a light load.
fn site() -> (Playground, Load) {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let load = site.load().rate(200).slow(0, 100).start().unwrap();
    (site, load)
}

#[test]
fn killed_in_the_middle_of_a_restart_or_a_switch_it_leaves_nothing_running() {
    let (mut site, load) = site();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    let restart = || site.processes().iter().any(|process| process.command.contains("hold ]; do"));
    until(SOON, "the restart", || restart().then_some(())).unwrap();
    deploy.signal(Signal::SIGKILL);
    deploy.wait(SOON).unwrap();
    nothing_runs_on(&mut site);
    std::fs::remove_file(hold).unwrap();
    let rest = bg(&site, "resume --dry-run", 0).stdout;
    assert!(rest.contains("\n  5. activate v2 on green\n  6. check") && !rest.contains(" 1. "), "{rest}");
    bg(&site, "resume", 0);
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v2");

    // A balancer is switched, and the command does not know it yet, unless it was quicker than this.
    let current =
        || ["lb1", "lb2"].map(|host| std::fs::read_link(site.balancer(host).bg_dir.join("live/current")).unwrap());
    let before = current();
    let flip = start_until(&site, "flip", 1);
    until(SOON, "a switch", || (current() != before).then_some(())).unwrap();
    flip.signal(Signal::SIGKILL);
    let ran = flip.wait(SOON).unwrap();
    // It may have recorded its end and not come to say so.
    let was_quicker = replayed(&site).unwrap().open.is_none();
    assert!(was_quicker || !ran.ok(), "{ran}");
    let seen = status(&site);
    assert_eq!((&seen["stage"], seen["interrupted"].is_null()), (&json!("flipped"), was_quicker), "{seen:#}");
    let before = world(&site);
    for way_on in ["resume", "abort"].iter().filter(|_| !was_quicker) {
        let ran = bg(&site, &format!("{way_on} --dry-run"), 0);
        assert!(ran.stdout.contains("2. switch: ") && ran.stdout.contains("nothing was touched"), "{ran}");
        untouched(&site, &before, &ran);
    }
    bg(&site, "flip --back", 0);
    assert_eq!(status(&site)["stage"], "staged");
    load.stop().expect_none_failed();
}

/// The way back, where nothing was switched yet: the command is over, and all traffic is on blue.
#[track_caller]
fn is_led_back(site: &Playground, words: &str, stage: &str) {
    let seen = status(site);
    assert_eq!((&seen["stage"], &seen["interrupted"]["begun"]), (&json!(stage), &json!(true)), "{seen:#}");
    for way in ["canary off", "flip --back", "abort"] {
        assert!(seen["next"].as_array().unwrap().contains(&json!(way)), "{way}: {seen:#}");
    }
    assert!(bg(site, "status", 0).stdout.contains("`bg canary off` and `bg flip --back` end it too"));
    let before = world(site);
    let ran = bg(site, &format!("{words} --dry-run"), 0);
    assert!(ran.stdout.contains("2. switch: all traffic on blue"), "{ran}");
    untouched(site, &before, &ran);
    let ran = bg(site, words, 0);
    assert!(ran.stdout.contains(&format!("`{words}` is done; the site is {stage}: all traffic on blue")), "{ran}");
    let seen = status(site);
    assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!(stage), &serde_json::Value::Null), "{seen:#}");
    assert_eq!(seen["traffic"]["segments"][0]["green_percent"], 0.0, "{seen:#}");
    assert!(seen["balancers"].as_array().unwrap().iter().all(|it| it["in_sync"] == true), "{seen:#}");
    bg(site, "resume", 3);
    assert!(bg(site, words, 0).stdout.contains("was done already"));
}

#[test]
fn killed_before_anything_was_switched_it_is_ended_by_every_way_back() {
    let (site, load) = site();
    kill_at(&site, "deploy --release v2 --canary all=5%", 3);
    is_led_back(&site, "canary off", "isolated");
    bg(&site, "deploy --release v2", 0);
    kill_at(&site, "flip", 0);
    is_led_back(&site, "flip --back", "staged");
    kill_at(&site, "flip --revert-after 1h", 1);
    is_led_back(&site, "canary off", "staged");
    kill_at(&site, "canary all=5%", 0);
    is_led_back(&site, "flip --back", "staged");
    bg(&site, "flip", 0);
    bg(&site, "restore", 0);
    load.stop().expect_none_failed();
}
