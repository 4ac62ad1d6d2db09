//! Before a site is set up, while it is, and after.

use bg_playground::Behaviour;
use serde_json::{Value, json};

use crate::desk::{bg, impatient, journal, json, kill_at, small, status, untouched, world};

const NEED_A_SITE: [&str; 9] =
    ["deploy --release v1", "canary all=1%", "canary off", "flip", "flip --back", "restore", "abort", "resume", "sync"];

#[test]
fn before_setup_everything_that_needs_a_site_is_refused() {
    let site = small().start().unwrap();
    site.release("v1").unwrap();
    let before = world(&site);
    for words in NEED_A_SITE {
        let ran = bg(&site, words, 3);
        assert!(ran.stderr.contains("`bg setup`"), "{ran}");
        untouched(&site, &before, &ran);
        let said = json(&site, &format!("{words} --dry-run"), 3);
        assert_eq!((&said["stage"], &said["rollout"]), (&Value::Null, &Value::Null));
        untouched(&site, &before, &said);
    }
    let ran = bg(&site, "setup --release v1 --dry-run", 0);
    assert!(ran.stdout.contains("upstream shop_web_green") || ran.stdout.contains("lines more"), "{ran}");
    assert!(ran.stdout.contains("11. switch: ") && ran.stdout.contains("restart --root"), "{ran}");
    untouched(&site, &before, &ran);
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["traffic"], &seen["rollout"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(seen["next"], json!(["setup"]), "{seen:#}");
}

#[test]
fn an_interrupted_setup_goes_on_when_it_is_run_again() {
    let site = small().start().unwrap();
    site.release("v1").unwrap();
    for index in [0, 1, 3, 6, 9] {
        kill_at(&site, "setup --release v1", index);
        let seen = status(&site);
        assert_eq!((&seen["stage"], &seen["interrupted"]["command"]), (&Value::Null, &json!("setup")), "{seen:#}");
        for words in NEED_A_SITE.iter().filter(|words| **words != "resume") {
            let ran = bg(&site, words, 3);
            assert!(ran.stderr.contains("`bg setup`"), "{ran}");
        }
    }
    let pid = site.app_pid("web1");
    assert!(pid.is_some());
    bg(&site, "setup --release v1", 0);
    assert_eq!(site.app_pid("web1"), pid, "what runs the release already is not restarted");
    assert_eq!(status(&site)["releases"], json!({ "blue": "v1", "green": "v1" }));
    let before = journal(&site);
    let ran = bg(&site, "setup --release v1", 0);
    assert!(ran.stdout.contains("done already") && ran.stdout.contains("include "), "{ran}");
    assert_eq!(journal(&site), before);
}

#[test]
fn a_killed_setup_is_finished_by_resume_too() {
    let site = small().start().unwrap();
    site.release("v1").unwrap();
    kill_at(&site, "setup --release v1", 4);
    assert!(bg(&site, "resume", 0).stdout.contains("include "), "the lines to add");
    assert_eq!(status(&site)["stage"], "balanced");
}

#[test]
fn a_setup_that_failed_is_mended_and_run_again() {
    let mut site = small().start().unwrap();
    site.artifact("web", "sick", &Behaviour { unhealthy: true, ..Behaviour::default() }).unwrap();
    let said = impatient(&site, || json(&site, "setup --release sick", 4));
    assert!(said["message"].as_str().unwrap().contains("/healthz"), "{said}");
    assert_eq!(said["stage"], Value::Null, "{said}");
    assert_eq!(status(&site)["interrupted"], Value::Null);
    site.setup("v1").unwrap().expect(0);
    assert_eq!(site.ask("web2", "/").unwrap().header("X-Release"), "v1");
}

#[test]
fn what_serves_already_is_not_set_up() {
    let site = small().start().unwrap();
    site.release("v1").unwrap();
    site.start_app("web2", "old", &Behaviour::default()).unwrap();
    let before = world(&site);
    for words in ["setup --release v1", "setup --release v1 --dry-run"] {
        let ran = bg(&site, words, 3);
        assert!(ran.stderr.contains("`web2` (web/green) already serves"), "{ran}");
        untouched(&site, &before, &ran);
    }
    assert!(site.app_pid("web2").is_some());
}

#[test]
fn messages_are_under_the_name_that_was_called() {
    let site = small().bg(env!("CARGO_BIN_EXE_bluegreen")).start().unwrap();
    site.release("v1").unwrap();
    assert!(bg(&site, "flip", 3).stderr.contains("`bluegreen setup`"));
    assert_eq!(json(&site, "flip", 3)["hint"], "`bluegreen setup`");
    assert!(bg(&site, "status", 0).stdout.contains("\n  bluegreen setup"));
    let ran = bg(&site, "setup --release v1 --dry-run", 0);
    assert!(!format!("{ran}").contains("`bg "), "{ran}");
    assert!(bg(&site, "flipp", 2).stderr.contains("`bluegreen --help`"));
    assert!(bg(&site, "canary all=200%", 2).stderr.contains("`bluegreen canary mobile=10%`"));
}
