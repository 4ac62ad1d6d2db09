//! Commands that only read, on a playground: `exec`, `status`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use bg_playground::{Playground, Result};
use serde_json::Value;

#[test]
fn exec_labels_every_line_and_names_the_hosts_where_it_failed() -> Result<()> {
    let site = Playground::options().small().start()?;
    let ran = site.bg(["exec", "web", "--", "echo hello; echo oops >&2"])?;
    assert!(ran.expect(0).stdout.contains("web1 │ hello\n"), "{ran}");
    assert!(ran.stdout.contains("web2 │ hello\n") && ran.stderr.contains("web1 │ oops\n"), "{ran}");

    let ran = site.bg(["exec", "web/green", "--", "test", "-d", "x y"])?;
    let wanted = "error: failed: `web2` ended with 1\n";
    assert_eq!(ran.expect(1).stderr, wanted);

    let ran = site.bg(["exec", "--json", "lb1", "--", "printf", "%s", "a b"])?;
    let lines: Vec<Value> = ran.expect(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({"host": "lb1", "stream": "stdout", "line": "a b"}));
    assert_eq!(lines[1]["hosts"]["lb1"]["status"], 0);
    Ok(())
}

#[test]
fn exec_names_a_host_that_is_down_and_runs_on_the_others() -> Result<()> {
    let mut site = Playground::options().small().start()?;
    site.stop_sshd("web2")?;
    let ran = site.bg(["exec", "web", "--", "echo", "here"])?;
    assert!(ran.expect(1).stdout.contains("web1 │ here\n"), "{ran}");
    assert!(ran.stderr.contains("failed on 1 of 2 hosts: `web2` is unreachable"), "{ran}");
    Ok(())
}

#[test]
fn status_speaks_before_setup_and_calls_unknown_what_does_not_answer() -> Result<()> {
    let mut site = Playground::options().small().start()?;
    site.stop_sshd("web2")?;
    let ran = site.bg(["status", "--json"])?;
    let document: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(document["stage"], Value::Null);
    assert_eq!(document["next"], serde_json::json!(["setup"]));
    assert_eq!(document["balancers"][0]["reachable"], true);
    assert_eq!(document["pools"]["web"]["green"][0]["release"], Value::Null);

    let ran = site.bg(["status"])?;
    assert!(ran.expect(0).stdout.starts_with("shop (shop) is not set up yet\n"), "{ran}");
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{ran}");
    Ok(())
}

#[test]
fn check_hosts_says_of_a_fresh_site_what_is_missing_and_where() -> Result<()> {
    let mut site = Playground::options().small().start()?;
    let ran = site.bg(["check", "--hosts"])?;
    assert!(ran.expect(1).stdout.contains("`bg setup` makes it"), "{ran}");
    site.stop_sshd("web2")?;
    let ran = site.bg(["check", "--hosts", "--json"])?;
    let document: Value = serde_json::from_str(&ran.expect(1).stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["host"] == "web2" && f["role"] == "web/green"), "{ran}");
    Ok(())
}
