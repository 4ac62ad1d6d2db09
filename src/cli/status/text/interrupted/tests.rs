use bluegreen_core::{
    half::Half,
    release::Version,
    rollout::{
        By, Command, Plan, Planned, State, Step, Verb,
        explain::{Explained, Found, ToDo},
        plan,
    },
    traffic::Traffic,
};
use insta::assert_snapshot;

use super::*;

fn by(user: &str) -> By {
    By { user: user.to_owned(), host: "desk".to_owned(), pid: 7 }
}

fn found(host: &str, what: &str) -> Found {
    Found { host: host.to_owned(), what: what.to_owned() }
}

fn steps(steps: impl IntoIterator<Item = Step>) -> Plan {
    let planned = |step| Planned { step, enters: None, reaches: None };
    Plan { steps: steps.into_iter().map(planned).collect(), ends_rollout: false }
}

fn activating() -> Plan {
    let (half, release) = (Half::Green, Version(42));
    steps([Step::Place { half, release }, Step::Activate { half, release }, Step::Check { half, release }])
}

fn explained() -> Explained {
    Explained {
        since: "2026-01-01T14:03:22Z".to_owned(),
        by: by("anna"),
        taken_up: None,
        number: 2,
        of: 3,
        is_begun: true,
        why: None,
        found: vec![
            found("web2", "v42 is activated; what answers is healthy"),
            found(
                "web4.example.net",
                "no answer, so what is there is not known: it is unreachable: Connection refused",
            ),
        ],
        resume: Way::Steps(1, activating()),
        abort: Way::Steps(0, activating()),
        also: Vec::new(),
        undo_failed: None,
        to_do: Vec::new(),
    }
}

fn shown(command: &str, step: &str, explained: Explained) -> String {
    let open = Interrupted::new(command, Some(step.to_owned()), &["resume", "abort"], explained);
    let [short, long] = ["bg", "bluegreen"].map(|called| block(&open, Screen::bare(called, false), &TimeZone::UTC));
    let wide = short.iter().chain(&long).find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    assert!(!long.iter().any(|line| line.contains("`bg ") || line.contains(" bg ")), "{long:#?}");
    short.join("\n")
}

#[test]
fn an_installation_that_was_killed() {
    let taken_up = Some((by("ben"), "2026-01-01T14:20:00Z".to_owned()));
    assert_snapshot!(shown("deploy", "activate v42 on green", Explained { taken_up, ..explained() }));
}

#[test]
fn a_command_that_was_stopped_between_two_steps() {
    let told = Explained { is_begun: false, abort: Way::AsResume, ..explained() };
    assert_snapshot!(shown("abort", "activate v42 on green", told));
}

#[test]
fn a_setup_has_nothing_to_go_back_to() {
    let abort = Way::Refused("there is nothing to go back to; `bg setup` again goes on too, or begins anew".to_owned());
    assert_snapshot!(shown("setup", "activate v42 on green", Explained { abort, ..explained() }));
}

#[test]
fn an_undoing_that_failed() {
    let refused = "`lb2.example.net` is unreachable: ssh: connect to host lb2.example.net port 22: Connection refused";
    let line = "cd /etc/nginx/bg/shop/live && ln -s gen/18 back && mv -T back current";
    let told = Explained {
        number: 2,
        of: 2,
        why: Some(format!("the switch to all traffic on green failed: {refused}")),
        found: vec![
            found("lb1.example.net", "put back: generation 18, all traffic on blue"),
            found("lb2.example.net", "switched: generation 17, all traffic on green"),
        ],
        resume: Way::PutBack(Traffic::on(Half::Blue, &[])),
        also: vec![Verb::FlipBack],
        undo_failed: Some(vec![("lb2.example.net".to_owned(), refused.to_owned())]),
        to_do: vec![
            ToDo { what: "bring `lb2.example.net` back, sshd and nginx".to_owned(), line: None },
            ToDo { what: "on the console of `lb2.example.net`".to_owned(), line: Some(line.to_owned()) },
        ],
        ..explained()
    };
    assert_snapshot!(shown("flip", "switch: all traffic on green", told));
}

#[test]
fn every_step_that_there_is_fits() {
    let segments: Vec<String> = (0..6).map(|number| format!("segment{number}")).collect();
    let share = |segment: &String| bluegreen_core::traffic::SegmentShare {
        segment: segment.clone(),
        green: bluegreen_core::traffic::Share::from_hundredths(1234).expect("a share"),
    };
    let state =
        State { stage: Some(bluegreen_core::rollout::Stage::Canary), green: Some(Version(42)), ..State::default() };
    let command = Command::Canary { shares: segments.iter().map(share).collect(), revert_after_ms: None };
    let plan = plan(&state, &segments, &command).expect("a plan");
    let told = Explained { resume: Way::Steps(0, plan), also: vec![Verb::CanaryOff, Verb::FlipBack], ..explained() };
    let text = shown("canary", "prepare: a very long sentence about who gets what, which goes on and on", told);
    assert!(text.contains("`bg canary off` and `bg flip --back` end it too"), "{text}");
}
