//! Ctrl-C, and what is said and done about a command that was interrupted or is still under way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use bg_playground::{Playground, Result, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

fn status(site: &Playground) -> Result<Value> {
    let ran = site.bg(["status", "--json"])?;
    Ok(serde_json::from_str(&ran.expect(0).stdout).unwrap())
}

#[test]
fn ctrl_c_finishes_the_step_and_leaves_the_command_open_for_resume() -> Result<()> {
    let mut site = Playground::options().small().start()?;
    site.setup("one")?.expect(0);
    site.release("two")?;
    // The restart takes as long as this file exists: time to look in, and to interrupt it.
    let hold = site.hold_restarts()?;
    let mut deploy = site.bg_command(["deploy", "--release", "two", "--canary", "mobile=10%"])?;
    deploy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut deploy = deploy.spawn().unwrap();
    let busy = until(SOON, "the deploy", || {
        let seen = status(&site).ok()?;
        (seen["stage"] == "isolated" && !seen["under_way"].is_null()).then_some(seen)
    })
    .unwrap();
    assert!(busy["under_way"].as_str().unwrap().contains("deploy"), "{busy}");
    assert_eq!(busy["next"], json!([]), "{busy}");
    let second = site.bg(["abort"]).unwrap();
    assert!(second.expect(3).stderr.contains("another bg is under way"), "{second}");

    kill(Pid::from_raw(i32::try_from(deploy.id()).unwrap()), Signal::SIGINT).unwrap();
    let mut said = BufReader::new(deploy.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    assert!(said.any(|line| line.contains("stopping after the step under way")));
    std::fs::remove_file(hold).unwrap();
    let said = said.collect::<Vec<_>>().join("\n");
    assert_eq!(deploy.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("`bg resume` finishes it"), "{said}");
    let open = status(&site)?;
    assert_eq!(open["interrupted"]["command"], "deploy", "{open}");
    assert_eq!(open["interrupted"]["next"], json!(["resume", "abort"]), "{open}");
    assert!(site.bg(["status"])?.stdout.contains("interrupted: `bg deploy` before the step"));
    site.bg(["flip"])?.expect(3);

    site.bg(["resume"])?.expect(0);
    let done = status(&site)?;
    assert_eq!((&done["stage"], &done["interrupted"]), (&json!("canary"), &Value::Null), "{done}");
    Ok(())
}

#[test]
fn ctrl_c_ends_what_exec_runs_on_every_host() -> Result<()> {
    let site = Playground::options().small().start()?;
    // A duration that nobody else sleeps.
    let seconds = format!("{}", 100_000 + std::process::id());
    let sleeps = || site.processes().iter().filter(|process| format!("{process:?}").contains(&seconds)).count();
    let exec = site.start_bg(["exec", "web", "--", "sleep", &seconds])?;
    until(SOON, "two sleeps", || (sleeps() >= 2).then_some(()))?;
    exec.signal(Signal::SIGINT);
    let ran = exec.wait(SOON)?;
    assert!(ran.expect(130).stderr.contains("on the hosts the command ends with its connection"), "{ran}");
    until(SOON, "the sleeps to end", || (sleeps() == 0).then_some(()))?;
    Ok(())
}

#[test]
fn a_watch_ends_with_ctrl_c_and_prints_one_document_a_line() -> Result<()> {
    let site = Playground::options().small().start()?;
    let mut command = site.bg_command(["status", "--watch", "--json"])?;
    let mut watch = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    for line in lines.by_ref().take(2) {
        let document: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(document["site"], "shop");
    }
    kill(Pid::from_raw(i32::try_from(watch.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = until(SOON, "the watch to end", || watch.try_wait().unwrap())?;
    assert_eq!(ended.code(), Some(0));
    Ok(())
}
