//! The shells' own `bg` keeps its uses, and everything else runs the program: in real bash, zsh and fish.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const BLUEGREEN: &str = env!("CARGO_BIN_EXE_bluegreen");

/// Where a shell is, or that the test is skipped.
fn found(shell: &str) -> Option<PathBuf> {
    let found =
        ["/bin", "/usr/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(shell)).find(|p| p.exists());
    if found.is_none() {
        // Past the test harness, which hides what is printed.
        let _ = writeln!(std::io::stderr(), "skipped (there is no {shell} here)");
    }
    found
}

/// Runs the shell's script with a program `bluegreen` that says how it was called. Under a terminal: zsh has no job
/// control without one.
fn session(shell: &str, options: &str, script: &str) -> Option<String> {
    let program = found(shell)?;
    let dir = tempfile::tempdir().unwrap();
    let stand_in = dir.path().join("bluegreen");
    fs::write(
        &stand_in,
        "#!/bin/sh\nprintf 'program as %s:' \"${BLUEGREEN_CALLED-}\"\nprintf ' [%s]' \"$@\"\necho\nexit 3\n",
    )
    .unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", dir.path().display());
    let printed = Command::new(BLUEGREEN).args(["shell", shell]).env("PATH", &path).output().unwrap();
    assert!(printed.status.success());
    let (function, body) = (dir.path().join("function"), dir.path().join("script"));
    fs::write(&function, printed.stdout).unwrap();
    fs::write(&body, script).unwrap();
    let line = format!("{} {options} {} {}", program.display(), body.display(), function.display());
    let output = Command::new("timeout")
        .args(["60", "script", "-qefc", &line, "/dev/null"])
        .env_clear()
        .env("PATH", &path)
        .env("HOME", dir.path())
        .env("TERM", "dumb")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(String::from_utf8_lossy(&output.stdout).replace('\r', ""))
}

fn expect(said: &str) {
    let counts: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("stopped: ")).collect();
    assert_eq!(counts, ["2", "1", "0", "1", "0", "2", "0", "1", "0"], "{said}");
    assert!(said.contains("program as bg: [deploy] [--canary] [a b] []\nstatus: 3\n"), "{said}");
    assert!(said.contains("program as bg: [--help]\n"), "{said}");
}

#[test]
fn bash_keeps_its_jobs_and_everything_else_runs_the_program() {
    if let Some(said) = session("bash", "--norc --noprofile", include_str!("shell/bash.sh")) {
        expect(&said);
    }
}

#[test]
fn zsh_keeps_its_jobs_and_everything_else_runs_the_program() {
    if let Some(said) = session("zsh", "-f -m", include_str!("shell/zsh.sh")) {
        expect(&said);
    }
}

#[test]
fn fish_keeps_its_jobs_and_everything_else_runs_the_program() {
    if let Some(said) = session("fish", "", include_str!("shell/fish.fish")) {
        expect(&said);
    }
}

#[test]
fn the_program_is_named_by_its_path_where_path_does_not_have_it() {
    let output = Command::new(BLUEGREEN).args(["shell", "bash"]).env("PATH", "/nowhere").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("command '{BLUEGREEN}' \"$@\"")));
}

#[test]
fn bash_completes_commands_options_and_names_of_the_inventory() {
    let Some(bash) = found("bash") else { return };
    let dir = tempfile::tempdir().unwrap();
    let init = Command::new(BLUEGREEN).arg("init").current_dir(dir.path()).output().unwrap();
    assert!(init.status.success());
    let complete = |words: &[&str]| {
        let script = format!(
            "eval \"$('{BLUEGREEN}' shell bash)\"\nCOMP_WORDS=(bg \"$@\"); COMP_CWORD=$#; _bluegreen; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut command = Command::new(&bash);
        command.args(["--norc", "-c", &script, "bash"]).args(words).current_dir(dir.path());
        let output = command.env_remove("BG_INVENTORY").output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["ini"]), ["init"]);
    assert_eq!(complete(&["exec", "web"])[..3], ["web", "web/blue", "web/green"]);
    assert_eq!(complete(&["-i", "pro"]), ["production"]);
    assert_eq!(complete(&["check", "--ho"]), ["--hosts"]);
    assert_eq!(complete(&["shell", ""]), ["bash", "zsh", "fish"]);
    assert_eq!(complete(&["journal", "c"]), ["copy"]);
    assert_eq!(complete(&["sync", "--wait", "lb1"]), ["lb1.example.net"]);
}
