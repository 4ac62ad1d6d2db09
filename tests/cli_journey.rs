//! The shortest journey through every command, as a user sees it: what is printed, the JSON, the exit codes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use bg_playground::{Playground, Ran, Result};
use serde_json::{Value, json};

fn status(site: &Playground) -> Result<Value> {
    let ran = site.bg(["status", "--json"])?;
    Ok(serde_json::from_str(&ran.expect(0).stdout).unwrap())
}

fn document(ran: &Ran) -> Value {
    assert_eq!(ran.stdout.lines().count(), 1, "one document: {ran}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The exact keys and values of the contract; more keys may stand beside them.
fn expect_status(site: &Playground, stage: &str, rollout: Value, releases: [&str; 2], next: &[&str]) -> Result<Value> {
    let document = status(site)?;
    let wanted = json!({ "blue": releases[0], "green": releases[1] });
    assert_eq!(document["stage"], stage, "{document}");
    assert_eq!(document["rollout"], rollout, "{document}");
    assert_eq!(document["releases"], wanted, "{document}");
    assert_eq!(document["next"], json!(next), "{document}");
    assert_eq!(document["balancers"][0]["in_sync"], true, "{document}");
    assert_eq!(document["pools"]["web"]["green"][0]["healthy"], true, "{document}");
    assert_eq!(document["pools"]["web"]["green"][0]["release"], releases[1], "{document}");
    assert!(document["interrupted"].is_null() && document["lock"].is_null() && document["frozen"].is_null());
    Ok(document)
}

#[test]
fn a_short_rollout_goes_through_every_command() -> Result<()> {
    let mut site = Playground::options().small().start()?;
    let ran = site.setup("one")?;
    assert!(ran.expect(0).stdout.contains("/http.conf;"), "the lines to add are shown: {ran}");
    let found = site.bg(["check", "--hosts"])?;
    assert!(found.expect(0).stdout.contains("all is well on every host"), "{found}");
    let balanced = expect_status(&site, "balanced", Value::Null, ["v1", "v1"], &["deploy"])?;
    assert_eq!(balanced["traffic"], json!({ "mode": "both" }));

    site.release("two")?;
    let dry = site.bg(["deploy", "--release", "two", "--dry-run"])?;
    assert!(dry.expect(0).stdout.contains("nothing was touched"), "{dry}");
    expect_status(&site, "balanced", Value::Null, ["v1", "v1"], &["deploy"])?;
    let refused = site.bg(["flip", "--json"])?;
    let refusal = document(refused.expect(3));
    assert_eq!((&refusal["ok"], &refusal["exit"], &refusal["stage"]), (&json!(false), &json!(3), &json!("balanced")));

    let deployed = site.bg(["deploy", "--release", "two"])?;
    assert!(deployed.expect(0).stderr.contains("[1/") && deployed.stderr.contains("drain green"), "{deployed}");
    let all = ["deploy", "canary", "flip", "abort"];
    let staged = expect_status(&site, "staged", json!("r1"), ["v1", "v2"], &all)?;
    assert_eq!(
        staged["traffic"]["segments"].as_array().unwrap().last().unwrap(),
        &json!({"segment": "all", "green_percent": 0.0})
    );

    let canary = site.bg(["canary", "mobile=10%", "--json", "-q"])?;
    let done = document(canary.expect(0));
    assert_eq!((&done["ok"], &done["stage"], &done["rollout"]), (&json!(true), &json!("canary"), &json!("r1")));
    assert!(canary.stderr.is_empty(), "{canary}");
    let all = ["deploy", "canary", "canary off", "flip", "flip --back", "abort"];
    let split = expect_status(&site, "canary", json!("r1"), ["v1", "v2"], &all)?;
    assert_eq!(split["traffic"]["segments"][0], json!({ "segment": "mobile", "green_percent": 10.0 }));

    site.bg(["flip"])?.expect(0);
    expect_status(&site, "flipped", json!("r1"), ["v1", "v2"], &["flip --back", "restore", "abort"])?;
    site.bg(["flip", "--back"])?.expect(0);
    site.bg(["flip"])?.expect(0);
    let again = site.bg(["flip"])?;
    assert!(again.expect(0).stdout.contains("done already"), "{again}");
    site.bg(["restore"])?.expect(0);
    expect_status(&site, "balanced", Value::Null, ["v2", "v2"], &["deploy"])?;

    site.release("three")?;
    site.bg(["deploy", "--release", "three"])?.expect(0);
    site.bg(["abort"])?.expect(0);
    expect_status(&site, "balanced", Value::Null, ["v2", "v2"], &["deploy"])?;
    site.bg(["resume"])?.expect(3);
    site.bg(["sync"])?.expect(0);
    let text = site.bg(["status"])?;
    assert!(text.expect(0).stdout.lines().all(|line| line.chars().count() <= 80), "{text}");
    Ok(())
}
