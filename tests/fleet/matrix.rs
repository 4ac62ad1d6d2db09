//! Every fault in every phase, and both ways on. For a soak: `cargo test --test fleet -- --ignored --nocapture`.

use std::time::Duration;

use bg_playground::{Behaviour, Fleet, fleet::Cut};

use crate::{
    case::{Case, DEPLOY, Fault},
    desk::bg,
    hosts::{big_release, fleet},
    phase::Phase,
    tally::{Tally, seed},
};

/// What leaves the way between clients and the balancer alone.
const SILENCES: [Fault; 3] = [Fault::Cut(Cut::Desk), Fault::Cut(Cut::Commands), Fault::Cut(Cut::Answers)];
/// What does not: its clients ask the other balancer.
const LOSSES: [Fault; 2] = [Fault::Cut(Cut::Link), Fault::Power];
const SHIFT: [Phase; 4] = [Phase::Before, Phase::Preparing, Phase::Prepared, Phase::Committing];

/// Each of these phases with each of these faults, finished and aborted in turn; says what it came to.
fn play_all(site: &mut Fleet, words: &'static str, phases: &[Phase], host: &'static str, faults: &[Fault]) {
    let through: &[&str] = if faults == LOSSES && host == "lb2" { &["lb1"] } else { &["lb1", "lb2"] };
    let load = site.load_on(through, 200).unwrap();
    let (mut longest, mut count) = (Duration::ZERO, 0);
    for phase in phases {
        for fault in faults {
            let case = Case::new(words, *phase, host).fault(*fault);
            longest = longest.max(case.play(site));
            count += 1;
            // Where nothing of a rollout has begun, there is nothing to be ended.
            if case.exit != 1 || words == "flip" {
                longest = longest.max(case.aborted().play(site));
                count += 1;
            }
        }
    }
    let seen = load.stop();
    let mut tally = Tally::default();
    tally.add("faults", count);
    tally.add("requests", seen.sent);
    tally.add("failed", seen.failed);
    tally.longest("longest_command_ms", longest);
    tally.say(&format!("fleet/{host} in {words}"), seed());
    seen.expect_none_failed();
}

/// A release that takes its time to become healthy.
fn slow_release(site: &Fleet) {
    site.artifact("web", "v2", &Behaviour { healthy_after_ms: 2_000, ..Behaviour::default() }).unwrap();
}

#[test]
#[ignore = "for a soak"]
fn every_silence_of_a_balancer_in_every_phase_of_a_deploy() {
    let Some(mut site) = fleet("silent balancers in a deploy") else { return };
    play_all(&mut site, DEPLOY, &SHIFT, "lb2", &SILENCES);
    play_all(&mut site, DEPLOY, &[Phase::Draining], "lb2", &SILENCES);
    slow_release(&site);
    play_all(&mut site, DEPLOY, &[Phase::Checking], "lb2", &SILENCES);
}

#[test]
#[ignore = "for a soak"]
fn every_loss_of_a_balancer_in_every_phase_of_a_deploy() {
    let Some(mut site) = fleet("lost balancers in a deploy") else { return };
    play_all(&mut site, DEPLOY, &SHIFT, "lb2", &LOSSES);
    play_all(&mut site, DEPLOY, &[Phase::Draining], "lb2", &LOSSES);
    slow_release(&site);
    play_all(&mut site, DEPLOY, &[Phase::Checking], "lb2", &LOSSES);
}

#[test]
#[ignore = "for a soak"]
fn every_fault_of_a_balancer_in_every_phase_of_a_flip() {
    let Some(mut site) = fleet("faults in a flip") else { return };
    play_all(&mut site, "flip", &SHIFT, "lb2", &SILENCES);
    play_all(&mut site, "flip", &SHIFT, "lb2", &LOSSES);
}

#[test]
#[ignore = "for a soak"]
fn every_fault_of_a_server_in_every_phase_of_a_deploy() {
    let Some(mut site) = fleet("faults of a server") else { return };
    for faults in [&SILENCES[..], &LOSSES] {
        big_release(&site, 8);
        play_all(&mut site, DEPLOY, &[Phase::Uploading], "web2", faults);
        site.release("v2").unwrap();
        play_all(&mut site, DEPLOY, &[Phase::Activating], "web2", faults);
    }
    // Health is asked by the balancers, so it is their way to the server that counts.
    slow_release(&site);
    play_all(&mut site, DEPLOY, &[Phase::Checking], "web2", &LOSSES);
}

#[test]
#[ignore = "for a soak: it takes the timeouts that a user has who sets none"]
fn with_the_default_timeouts_a_silent_balancer_holds_a_flip_up_for_half_a_minute() {
    let Some(mut site) = fleet("the default timeouts") else { return };
    site.edit_inventory(|text| text.replace("connect_timeout = \"2s\"\n", "")).unwrap();
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    for phase in SHIFT {
        let case = Case { bound: Duration::from_secs(60), ..Case::new("flip", phase, "lb2").cut(Cut::Answers) };
        println!("default timeouts: {phase:?} of a flip: {:.1} s", case.play(&mut site).as_secs_f64());
        bg(&site, "flip", 0);
        site.cut("lb2", Cut::Desk).unwrap();
        let back = bg(&site, "flip --back", 5);
        println!("default timeouts: flip --back: {:.1} s", back.took.as_secs_f64());
        site.heal().unwrap();
        bg(&site, "resume", 0);
    }
    load.stop().expect_none_failed();
}
