//! The operator's process ends in the middle of a step: what is open is said, nothing else goes through, and both ways
//! on lead where they promise.

use bg_playground::{Playground, load::Load, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::desk::{
    SOON, bg, events, hold_restarts, journal, kill_at, start_until, status, two_balancers, untouched, world,
};

const DEPLOY: &str = "deploy --release v2 --canary mobile=10%";

/// The steps of a command, as its dry run lists them.
fn steps(site: &Playground, words: &str) -> Vec<String> {
    let shown = bg(site, &format!("{words} --dry-run"), 0).stdout;
    let numbered = shown.lines().filter_map(|line| line.trim_start().split_once(". "));
    let steps = numbered.filter(|(number, _)| number.parse::<u32>().is_ok());
    steps.map(|(_, step)| step.split("  →").next().unwrap_or_default().to_owned()).collect()
}

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

/// Half-made things on the hosts: what a killed step may leave must be gone once the command was finished or undone.
fn leftovers(site: &Playground) -> Vec<String> {
    let mut found: Vec<String> = crate::desk::world(site).into_keys().map(|path| path.display().to_string()).collect();
    found.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with(".tmp") || name.ends_with(".tmp") || name.starts_with(".v") || name.contains(".bg-")
    });
    found
}

#[track_caller]
fn says_what_is_open(site: &Playground, command: &str, step: &str) {
    let seen = status(site);
    let open = &seen["interrupted"];
    let said = (&open["command"], &open["step"], &open["next"]);
    assert_eq!(said, (&json!(command), &json!(step), &json!(["resume", "abort"])), "{seen:#}");
    assert_eq!(seen["under_way"], Value::Null);
    let allowed = seen["next"].as_array().unwrap();
    for other in ["deploy --release v2", "canary all=1%", "flip", "restore", "sync"] {
        let before = journal(site);
        let ran = bg(site, other, 3);
        assert!(ran.stderr.contains(&format!("`{command}`")) && ran.stderr.contains("`bg resume`"), "{ran}");
        assert_eq!(journal(site), before, "{ran}");
        assert!(!allowed.contains(&json!(other)), "{allowed:?}");
    }
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
fn killed_at_any_step_of_a_deploy_it_is_finished_by_resume_or_undone_by_abort() {
    let (mut site, load) = site();
    let steps = steps(&site, DEPLOY);
    assert!(steps.len() >= 8, "{steps:?}");
    // In turn finished and undone, and undone too before anything was switched.
    let points = (0..steps.len()).map(|index| (index, index % 2 == 0)).chain([(0, false)]);
    for (deploy, (index, is_resumed)) in points.enumerate() {
        // Every deploy makes a release of its own.
        let step = &steps[index].replace("v2", &format!("v{}", deploy + 2));
        kill_at(&site, DEPLOY, index);
        nothing_runs_on(&mut site);
        says_what_is_open(&site, "deploy", step);
        if is_resumed {
            bg(&site, "resume", 0);
            let seen = status(&site);
            assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!("canary"), &Value::Null), "{step}");
        }
        bg(&site, "abort", 0);
        let seen = status(&site);
        assert_eq!((&seen["stage"], &seen["rollout"]), (&json!("balanced"), &Value::Null), "{step}");
        assert_eq!(seen["releases"], json!({ "blue": "v1", "green": "v1" }), "{step}");
        assert_eq!(leftovers(&site), Vec::<String>::new(), "{step}");
    }
    load.stop().expect_none_failed();
}

#[test]
fn killed_in_the_middle_of_a_restart_or_a_switch_it_leaves_nothing_running() {
    let (mut site, load) = site();
    let hold = hold_restarts(&site);
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
    let was_quicker = flip.wait(SOON).unwrap().ok();
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

#[test]
fn killed_at_any_step_of_a_flip_it_is_finished_by_resume_or_led_back() {
    let (mut site, load) = site();
    bg(&site, "deploy --release v2", 0);
    let steps = steps(&site, "flip");
    for (index, step) in steps.iter().enumerate() {
        for way in ["resume", "flip --back", "abort"] {
            kill_at(&site, "flip", index);
            nothing_runs_on(&mut site);
            says_what_is_open(&site, "flip", step);
            // Before the first commit nothing was flipped, so there is nothing to lead back.
            let is_done = way == "flip --back" && index == 0;
            bg(&site, if is_done { "resume" } else { way }, 0);
            let seen = status(&site);
            assert_eq!(seen["interrupted"], Value::Null);
            match way {
                "abort" => {
                    assert_eq!(seen["releases"], json!({ "blue": "v1", "green": "v1" }));
                    bg(&site, "deploy --release v2", 0);
                }
                "resume" => assert_eq!(seen["stage"], "flipped"),
                _ => assert_eq!(seen["stage"], if is_done { "flipped" } else { "staged" }),
            }
            bg(&site, "flip --back", 0);
        }
    }
    let last = events(&journal(&site));
    assert_eq!(last.last().unwrap()["event"], "command_ended");
    load.stop().expect_none_failed();
}
