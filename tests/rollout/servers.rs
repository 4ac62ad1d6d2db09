//! Bad luck with servers and releases: what is refused, what is quoted, what goes on serving, and both ways on from there.

mod apps;
mod artifacts;
mod commands;
mod down;
mod health;
mod places;
mod root;
mod setup;

use std::time::Duration;

use bg_playground::{Behaviour, Options, Playground, Running, until};
use bluegreen_core::rollout::State;
use serde_json::Value;

use crate::desk::{replayed, while_changed};

/// More than anything waited for here takes on two slow cores.
const SEEN: Duration = Duration::from_secs(60);
/// So many requests on every balancer show where all of them go.
const REQUESTS: usize = 8;

/// One balancer, one blue and one green server, impatient.
fn small() -> Options {
    hasty(Playground::options().small())
}

/// How long what never gets healthy is waited for, and how long what does: no slow machine may make it sick.
const SHORT: &str = "timeout = \"1s\"\nwithin = \"3s\"";
const LONG: &str = "timeout = \"31s\"\nwithin = \"61s\"";

/// What never gets healthy is known after three seconds.
fn hasty(options: Options) -> Options {
    options
        .bg(env!("CARGO_BIN_EXE_bg"))
        .each_pool(|pool| pool.health("interval", "\"50ms\"").health("timeout", "\"1s\"").health("within", "\"3s\""))
}

/// A site that serves v1.
fn started(options: Options) -> Playground {
    let mut site = options.start().unwrap();
    let setup = site.setup("v1").unwrap();
    println!("{setup}");
    setup.expect(0);
    site
}

/// Runs bg, which must end with `code`; returns everything that it said. Where all is to go well it is patient.
#[track_caller]
fn bg(site: &Playground, line: &str, code: i32) -> String {
    let patient = |text: &str| if code == 0 { text.replace(SHORT, LONG) } else { text.to_owned() };
    while_changed(site, patient, || ended(site.start_bg(line.split(' ')).unwrap(), code))
}

/// Waits for a bg that was started.
#[track_caller]
fn ended(running: Running, code: i32) -> String {
    let ran = running.wait(SEEN * 2).unwrap();
    println!("{ran}");
    ran.expect(code);
    format!("{}{}", ran.stdout, ran.stderr)
}

/// The release that `deploy --release LABEL` finds, for every pool.
fn release(site: &Playground, label: &str, behaviour: &Behaviour) {
    site.artifact("web", label, behaviour).unwrap();
}

/// Writes a release of the pool `web` and deploys it.
#[track_caller]
fn deploy(site: &Playground, label: &str, behaviour: &Behaviour, code: i32) -> String {
    release(site, label, behaviour);
    bg(site, &format!("deploy --release {label}"), code)
}

fn state(site: &Playground) -> State {
    replayed(site).unwrap()
}

/// The stage; nothing may be open.
#[track_caller]
fn stage(site: &Playground) -> &'static str {
    let state = state(site);
    assert!(state.open.is_none(), "{:?}", state.open);
    state.stage.map_or("none", |stage| stage.as_str())
}

/// Waits until the journal says that a step of this name is under way.
fn wait_step(site: &Playground, name: &str) {
    let under_way = || {
        let open = replayed(site)?.open?;
        let step = open.step.as_ref()?;
        (open.plan.steps[step.index].step.name() == name).then_some(())
    };
    until(SEEN, &format!("the step `{name}`"), under_way).unwrap();
}

/// Every request of every kind of client, on every balancer, is answered well, by this half and release; `"both"` stands
/// for either half.
#[track_caller]
fn serves(site: &Playground, half: &str, release: &str) {
    for balancer in site.balancers() {
        for number in 0..REQUESTS {
            let agent = if number % 2 == 0 { format!("Android {number}") } else { format!("X11 {number}") };
            let answer = site.get(&balancer.host.name, "/", &agent).unwrap();
            let seen = (answer.status, answer.release(), if half == "both" { "both" } else { answer.half() });
            assert_eq!(seen, (200, release, half), "on {}: {answer:?}", balancer.host.name);
        }
    }
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(text.contains(words), "not said: {words}\n{text}");
    }
}

fn status(site: &Playground) -> Value {
    let ran = site.bg(["status", "--json"]).unwrap();
    serde_json::from_str(&ran.expect(0).stdout).unwrap()
}
