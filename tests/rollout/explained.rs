//! What `status` says after a command was killed: what is where, and what `resume` and `abort` would do, which is what they
//! say themselves.

use bg_playground::{Playground, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::desk::{SOON, bg, kill_at, small, start_until, status};

/// The steps that a dry run lists.
fn dry_run(site: &Playground, words: &str) -> Vec<String> {
    let shown = bg(site, &format!("{words} --dry-run"), 0).stdout;
    let numbered = shown.lines().filter_map(|line| line.trim_start().split_once(". "));
    let steps = numbered.filter(|(number, _)| number.parse::<u32>().is_ok());
    steps.map(|(_, step)| step.split("  →").next().unwrap_or_default().to_owned()).collect()
}

/// What was found on each host: `host: what`.
fn found(open: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let found = open["found"].as_array().unwrap().iter();
    found.map(|found| format!("{}: {}", word(&found["host"]), word(&found["what"]))).collect()
}

#[track_caller]
fn says(found: &[String], all: &[&str]) {
    assert_eq!(found.len(), all.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(all) {
        assert!(found.starts_with(wanted), "{found:?}, not {wanted:?}");
    }
}

/// What `status` says of a command that was killed in the step at `index`.
#[track_caller]
fn interrupted(site: &Playground, index: usize) -> Value {
    let open = status(site)["interrupted"].clone();
    assert_eq!((&open["number"], &open["begun"]), (&json!(index + 1), &json!(true)), "{open:#}");
    assert!(open["by"].as_str().is_some_and(|by| by.contains('@')), "{open:#}");
    assert!(open["since"].as_str().is_some_and(|since| since.starts_with("20")), "{open:#}");
    assert_eq!((&open["why"], &open["undo_failed"], &open["to_do"]), (&Value::Null, &Value::Null, &json!([])));
    open
}

#[test]
fn what_a_killed_command_left_is_told_host_by_host() {
    let mut site = small().start().unwrap();
    site.release("v1").unwrap();
    kill_at(&site, "setup --release v1", 1);
    let open = interrupted(&site, 1);
    says(&found(&open), &["lb1: "]);
    assert!(open["abort"][0].as_str().unwrap().starts_with("refused: "), "{open:#}");
    assert!(bg(&site, "status", 0).stdout.contains("bg abort is refused: there is nothing to go back to"));
    bg(&site, "abort", 3);
    kill_at(&site, "setup --release v1", 8);
    let open = interrupted(&site, 8);
    says(&found(&open), &["lb1: files of revision 2, and nginx does not say what it runs: "]);
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();

    let expected: [&[&str]; 6] = [
        &["lb1: not switched: generation "],
        &["lb1: "],
        &["lb1: no request in flight to green", "web2: v1 runs; nobody but balancers is connected"],
        &["web2: "],
        &["web2: "],
        &["web2: v2 is activated; "],
    ];
    for (index, expected) in expected.into_iter().enumerate() {
        // Taken up again each time, and killed a step later.
        kill_at(&site, if index == 0 { "deploy --release v2" } else { "resume" }, index);
        let open = interrupted(&site, index);
        says(&found(&open), expected);
        assert_eq!(open["resume"], json!(dry_run(&site, "resume")), "step {index}");
        if index % 2 == 1 {
            assert_eq!(open["abort"], json!(dry_run(&site, "abort")), "step {index}");
        }
    }
    let ran = bg(&site, "status", 0);
    let wide = ran.stdout.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{ran}");
    assert!(ran.stdout.contains("(6 of 6)") && ran.stdout.contains("; taken up "), "{ran}");
}

#[test]
fn a_restart_that_was_cut_short_is_told_from_one_that_was_not_begun() {
    let mut site = small().each_pool(|pool| pool.health("release_header", "\"X-Release\"")).start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    // The restart's line stands among the script's arguments from the beginning: it runs once the link is switched.
    let current = site.places().iter().find(|place| place.host.name == "web2").unwrap().root.join("current");
    let restarts = || {
        let is_switched = std::fs::read_link(&current).is_ok_and(|target| target.ends_with("v2"));
        is_switched && site.processes().iter().any(|process| process.command.contains("hold ]; do"))
    };
    until(SOON, "the restart", || restarts().then_some(())).unwrap();
    deploy.signal(Signal::SIGKILL);
    deploy.wait(SOON).unwrap();
    let open = interrupted(&site, 4);
    // The old process answers still, and says so.
    says(
        &found(&open),
        &[
            "web2: the activation of v2 was begun and did not end, `current` is v2; healthy, and it is not v2 that answers",
        ],
    );
    std::fs::remove_file(hold).unwrap();
    bg(&site, "resume", 0);

    // A switch is led back by what status names.
    kill_at(&site, "flip", 1);
    let ran = bg(&site, "status", 0);
    assert!(ran.stdout.contains("`bg flip --back` ends it too"), "{ran}");
    site.stop_sshd("lb1").unwrap();
    says(&found(&status(&site)["interrupted"]), &["lb1: no answer, so what is there is not known: "]);
    site.start_sshd("lb1").unwrap();
    bg(&site, "flip --back", 0);
    assert_eq!(status(&site)["stage"], "staged");
}
