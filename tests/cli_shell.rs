//! The shells' own `bg` keeps its uses, and everything else runs the program: in real bash, zsh and fish.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "shell/terminal.rs"]
mod terminal;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bg_playground::write_program;
use terminal::Terminal;

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
    let text = "#!/bin/sh\nprintf 'program as %s:' \"${BLUEGREEN_CALLED-}\"\nprintf ' [%s]' \"$@\"\necho\nexit 3\n";
    write_program(&stand_in, text).unwrap();
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

/// A job that says so once the terminal is its own.
const JOB: &str = "while read -r _ _ _ _ group _ _ owner _ </proc/$$/stat && [ \"$group\" != \"$owner\" ]; do :; done\n\
                   echo the job has the terminal\nexec sleep 60\n";

/// How the three call a job that Ctrl-Z stopped.
const STOPPED: [&str; 3] = ["Stopped", "suspended", "stopped"];

/// Somebody types into the shell: Ctrl-Z, `bg` for the job in its ways, TAB, and the program.
fn typed(shell: &str, options: &str, start: &str) {
    let Some(program) = found(shell) else { return };
    let dir = tempfile::tempdir().unwrap();
    Command::new(BLUEGREEN).arg("init").current_dir(dir.path()).output().unwrap();
    let stand_in = dir.path().join("bluegreen");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != __complete ] || exec '{BLUEGREEN}' \"$@\"\nprintf 'program as %s:' \"${{BLUEGREEN_CALLED-}}\"\n\
         printf ' [%s]' \"$@\"\necho\n"
    );
    write_program(&stand_in, &script).unwrap();
    fs::write(dir.path().join("job"), JOB).unwrap();
    // What a share is not completed to.
    fs::write(dir.path().join("xylophone"), "").unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", dir.path().display());
    let printed = Command::new(BLUEGREEN).args(["shell", shell]).env("PATH", &path).output().unwrap();
    fs::write(dir.path().join("function"), printed.stdout).unwrap();

    let mut terminal = Terminal::start(&format!("{} {options}", program.display()), dir.path(), &path);
    terminal.types(&format!("stty cols 150; {start}; . ./function; echo begun $(expr 1 + 1)\n"));
    terminal.sees(&["begun 2"]);
    for (number, bg) in [(1, "bg"), (2, "bg %2"), (3, "bg 3")] {
        terminal.types("sh job\n");
        terminal.sees(&["the job has the terminal"]);
        terminal.types("\x1a");
        terminal.sees(&STOPPED);
        terminal.types(&format!("{bg}\n"));
        terminal.types(&format!("jobs; echo $(expr 70 + {number}) listed\n"));
        terminal.sees(&[&format!("7{number} listed")]);
        assert!(!terminal.has(&STOPPED), "`{bg}`: {}", terminal.text());
    }
    terminal.types("kill %1 %2 %3\n");
    for (keys, words) in [
        ("bg con\t", "[confirm]"),
        ("bg ex\tapi1\t-- upt", "[exec] [api1.example.net] [--] [upt]"),
        ("bg ex\tweb/g\t-- upt", "[exec] [web/green] [--] [upt]"),
        ("bg canary mob\t10%", "[canary] [mobile=10%]"),
        ("bg canary mobile=2\t", "[canary] [mobile=25%]"),
        ("bg canary mobile=7\toff", "[canary] [mobile=7%] [off]"),
        ("bg deploy --canary mobile=2\t", "[deploy] [--canary] [mobile=25%]"),
        // Not the file of that name.
        ("bg canary mobile=x\t", "[canary] [mobile=x]"),
        ("bg flip --revert-after=3\t", "[flip] [--revert-after=30m]"),
        ("bg journal co\tfile:.bg/p\tx", "[journal] [copy]"),
        ("bg lock --why 'a b'", "[lock] [--why] [a b]"),
        ("bg deploy --artifact web=\tnginx-t\t", "[deploy] [--artifact] [web=nginx-templates"),
        ("bg unl\t--dr\t", "[unlock] [--dry-run]"),
        ("bg -i pro\tsta\t--w\t", "[-i] [production] [status] [--watch]"),
        ("bluegreen fl\t--revert-after 1h", "[flip] [--revert-after] [1h]"),
    ] {
        terminal.types(&format!("{keys}\n"));
        let name = if keys.starts_with("bg") { "bg" } else { "" };
        terminal.sees(&[&format!("program as {name}: {words}")]);
    }
}

#[test]
fn what_is_typed_into_bash_is_understood() {
    typed("bash", "--norc --noprofile -i", "set -m");
}

#[test]
fn what_is_typed_into_zsh_is_understood() {
    typed("zsh", "-f -i", "autoload -Uz compinit; compinit -D -u");
}

#[test]
fn what_is_typed_into_fish_is_understood() {
    typed("fish", "--no-config -i", "status job-control full");
}

#[test]
fn the_program_is_named_by_its_path_where_path_does_not_have_it() {
    let output = Command::new(BLUEGREEN).args(["shell", "bash"]).env("PATH", "/nowhere").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("command '{BLUEGREEN}' \"$@\"")));
}

#[test]
fn the_program_completes_commands_options_and_names_of_the_inventory() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(BLUEGREEN);
        let output = command.args(words).current_dir(dir.path()).env_remove("BG_INVENTORY").output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["init"]);
    let complete = |line: &str| -> Vec<String> {
        // What stands behind the last blank is the word at the cursor, which may be empty.
        let words: Vec<&str> = ["__complete", "--"].into_iter().chain(line.split(' ')).collect();
        run(&words).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(complete("con"), ["confirm"]);
    assert_eq!(complete("exec web")[..3], ["web", "web/blue", "web/green"]);
    assert_eq!(complete("exec api1"), ["api1.example.net"]);
    assert_eq!(complete("exec web/green "), ["--"]);
    assert_eq!(complete("exec web/green -- upt"), [""; 0]);
    assert_eq!(complete("canary "), ["mobile=", "all=", "off"]);
    assert_eq!(complete("canary mobile=10% "), ["all="]);
    assert_eq!(complete("canary mobile="), ["mobile=5%", "mobile=10%", "mobile=25%", "mobile=50%"]);
    assert_eq!(complete("canary mobile=1"), ["mobile=10%"]);
    assert_eq!(complete("canary mobile=12"), ["mobile=12%"]);
    assert_eq!(complete("canary mobile ="), ["5%", "10%", "25%", "50%"]);
    assert_eq!(complete("canary mobile = 5"), ["5%", "50%"]);
    assert_eq!(complete("deploy --canary mobile=0.5"), ["mobile=0.5%"]);
    assert_eq!(complete("deploy --canary mobile ="), ["5%", "10%", "25%", "50%"]);
    assert_eq!(complete("deploy --artifact web="), [""; 0], "a path");
    assert_eq!(complete("deploy --artifact web ="), [""; 0], "a path");
    assert_eq!(complete("--inventory ="), ["production"]);
    assert_eq!(complete("canary mobile = 10% "), ["all="]);
    assert_eq!(complete("deploy --canary mobile=10% a"), ["all="]);
    assert_eq!(complete("deploy --canary mobile=10% --rel"), ["--release"]);
    assert_eq!(complete("deploy --artifact "), ["web=", "api="]);
    assert_eq!(complete("deploy --artifact web=x --art"), ["--artifact"]);
    assert_eq!(complete("deploy --wait --skip"), ["--skip-superseded"]);
    assert_eq!(complete("flip --revert-after 1"), ["10m", "1h"]);
    assert_eq!(
        complete("flip --back --"),
        ["--revert-after", "--dry-run", "--wait"].into_iter().chain(GLOBAL).collect::<Vec<_>>()
    );
    assert_eq!(complete("confirm --w"), ["--wait"]);
    assert_eq!(complete("lock --"), ["--why", "--dry-run"].into_iter().chain(GLOBAL).collect::<Vec<_>>());
    assert_eq!(complete("unlock --d"), ["--dry-run"]);
    assert_eq!(complete("journal copy "), ["file:.bg/production", "file:", "ssh:", "etcd:"]);
    assert_eq!(complete("journal copy file:.bg/production ssh:lb1:/x "), ["--dry-run", "--wait"]);
    assert_eq!(complete("status "), ["--watch", "--timeout"]);
    assert_eq!(complete("flip --back "), ["--revert-after", "--dry-run", "--wait"]);
    assert_eq!(complete("check x"), [""; 0]);
    assert_eq!(complete("sync lb1.example.net "), ["lb2.example.net"]);
    assert_eq!(complete("-i "), ["production"]);
    assert_eq!(complete("--inventory=pro"), ["--inventory=production"]);
    assert_eq!(complete("--inventory = pro"), ["production"]);
    assert_eq!(complete("check --color=n"), ["--color=never"]);
    assert_eq!(complete("-i nowhere exec "), ["balancers"; 0]);
    assert_eq!(complete("shell "), ["bash", "zsh", "fish"]);
    assert_eq!(complete("shell bash "), ["--completions"]);
}

/// The options of every command.
const GLOBAL: [&str; 6] = ["--inventory", "--json", "--verbose", "--quiet", "--color", "--help"];

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
    assert_eq!(complete(&["canary", "mobile", "="]), ["5%", "10%", "25%", "50%"]);
    assert_eq!(complete(&["sync", "--wait", "lb1"]), ["lb1.example.net"]);
}
