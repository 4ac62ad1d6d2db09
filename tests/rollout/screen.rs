//! What a person sees on a real terminal, and how long status takes when a host hangs.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bg_playground::{Behaviour, Pane, Playground, process::Process, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::desk::{SOON, bg, small};

/// `bg WORDS` on a terminal of 80 columns and 24 rows: everything that it wrote there.
fn on_a_terminal(site: &Playground, words: &str, name: &str) -> String {
    let bg = site.bg_command([""; 0]).unwrap();
    typed(site, &format!("exec {} {words}", bg.get_program().to_str().unwrap()), name)
}

/// The same of a line of the shell.
fn typed(site: &Playground, line: &str, name: &str) -> String {
    let output = terminal(site, line, name, Path::new("/dev/null")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The same, beside somebody who looks on: `meanwhile` gets what waits until such a text was written.
fn watched(site: &Playground, line: &str, meanwhile: impl FnOnce(&dyn Fn(&str))) -> String {
    let record = site.dir().join("written");
    let written = || fs::read(&record).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut terminal = terminal(site, line, "xterm-256color", &record);
    let output = thread::scope(|scope| {
        let output = scope.spawn(move || terminal.output().unwrap());
        meanwhile(&|text| {
            let seen = until(SOON, text, || written().contains(text).then_some(()));
            seen.unwrap_or_else(|error| panic!("{error}: {}", written()));
        });
        output.join().unwrap()
    });
    String::from_utf8(output.stdout).unwrap()
}

/// Set up on v1, with a v2 that is not healthy before the file that is returned is removed.
fn with_a_sick_release() -> (Playground, PathBuf) {
    let mut site = small().each_pool(|pool| pool.health("within", "\"60s\"")).start().unwrap();
    site.setup("v1").unwrap().expect(0);
    let sick = site.dir().join("sick");
    fs::write(&sick, "").unwrap();
    site.artifact("web", "v2", &Behaviour { unhealthy_while: Some(sick.clone()), ..Behaviour::default() }).unwrap();
    (site, sick)
}

/// What runs it, with a file that has at any time what was written until then.
fn terminal(site: &Playground, line: &str, name: &str, record: &Path) -> Command {
    let bg = site.bg_command([""; 0]).unwrap();
    let line = format!("stty cols 80 rows 24; {line}");
    let mut command = Command::new("timeout");
    command.args(["120", "script", "-qefc", &line]).arg(record).env_clear();
    command
        .envs(bg.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .env("TERM", name)
        .env("SHELL", "/bin/sh");
    command.current_dir(bg.get_current_dir().unwrap()).stdin(Stdio::null());
    command
}

/// What stands on the terminal, from the first row.
fn rows(written: &str) -> Vec<String> {
    let mut pane = Pane::new(80, 24);
    pane.write(written);
    pane.rows()
}

#[test]
fn on_a_terminal_a_deploy_is_drawn_in_place_and_leaves_a_record() {
    let (site, sick) = with_a_sick_release();
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let written = watched(&site, &format!("exec {bg} deploy --release v2 --canary mobile=10%"), |waits_for| {
        waits_for("answered 503");
        fs::remove_file(sick).unwrap();
    });
    assert!(written.contains("\x1b[1A"), "something was drawn in place: {written}");
    assert!(written.contains("healthy 0/") && written.contains("answered 503"), "what it waits for: {written}");
    assert!(written.contains(" more\x1b[0m"), "and how long at the most: {written}");
    assert!(!written.contains("\x1b[?"), "the terminal is left as it was: {written}");
    let rows = rows(&written);
    let wanted = ["prepare: all traffic on blue", "switch: all traffic on blue", "drain green", "place v2 on green"];
    for (number, what) in wanted.into_iter().enumerate() {
        assert!(rows[number].starts_with(&format!("✓ [{}/8] {what}  ", number + 1)), "{rows:#?}");
    }
    assert!(rows[5].starts_with("✓ [6/8] check green on v2  ") && rows[5].ends_with("  1 host"), "{rows:#?}");
    assert_eq!(rows[8], "`deploy` of v2 is done; the site is canary: mobile 10% on green, everyone else", "{rows:#?}");
    assert!(rows[9..].iter().any(|row| row.starts_with("next: `bg deploy`")), "{rows:#?}");
    assert!(rows.iter().all(|row| row.chars().count() < 80), "{rows:#?}");

    let dumb = on_a_terminal(&site, "flip", "dumb");
    assert!(dumb.contains("[2/2] switch: all traffic on green done in ") && !dumb.contains('\x1b'), "{dumb}");

    shows_ascii(&site);
}

/// In a locale without UTF-8, on a terminal or not; the site is flipped. Where no locale is set only a terminal is asked little.
fn shows_ascii(site: &Playground) {
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let lines = [
        "flip --back",
        "status",
        "deploy",
        "exec web -- echo here",
        "canary off --dry-run",
        "check --hosts",
        "-i x status",
    ];
    for (locale, to) in [("LC_ALL=C", ""), ("LC_ALL=POSIX", " 2>&1 | cat"), ("-u LANG", "")] {
        let line: Vec<String> = lines.iter().map(|words| format!("env {locale} NO_COLOR=1 {bg} {words}{to}")).collect();
        let written = typed(site, &line.join("; "), "xterm-256color");
        let other: Vec<&str> = written.lines().filter(|line| !line.is_ascii()).collect();
        assert!(other.is_empty(), "{locale}{to}: {other:#?}");
        for ascii in ["^ you are here", "web1 | here", "`bg flip` - `bg abort`"] {
            assert!(written.contains(ascii), "{locale}{to}: {ascii}: {written}");
        }
    }
    let piped = typed(site, &format!("env -u LANG {bg} status | cat"), "xterm-256color");
    assert!(piped.contains("▲ you are here"), "{piped}");
}

#[test]
fn ctrl_z_leaves_nothing_drawn_on_the_screen_and_fg_goes_on() {
    let (site, sick) = with_a_sick_release();
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let line = format!("set -m; {bg} deploy --release v2; echo stopped; fg; echo ended with $?");
    let written = watched(&site, &line, |waits_for| {
        let is_deploy = |process: &Process| process.name == "bg" && process.command.contains("deploy");
        // As Ctrl-Z does, while it waits for the new release.
        waits_for("healthy 0/");
        let deploy = site.processes().into_iter().find(is_deploy).unwrap();
        kill(Pid::from_raw(deploy.pid), Signal::SIGTSTP).unwrap();
        waits_for("stopped\r\n");
        fs::remove_file(sick).unwrap();
    });
    let rows = rows(&written);
    let stopped = rows.iter().position(|row| row.contains("stopped")).unwrap_or_else(|| panic!("{rows:#?}"));
    let is_record = |row: &String| row.starts_with("✓ ") || row.starts_with("      ") || row.is_empty();
    assert!(rows[..stopped].iter().filter(|row| !row.contains("Stopped")).all(is_record), "{rows:#?}");
    let checked: Vec<&String> = rows[stopped..].iter().filter(|row| row.contains("[6/6] check green on v2")).collect();
    assert!(matches!(checked[..], [once] if once.starts_with("✓ ")), "{rows:#?}");
    assert_eq!(rows.last().unwrap(), "ended with 0", "{rows:#?}");
}

#[test]
fn what_is_typed_meanwhile_draws_over_no_record_and_is_there_for_the_shell() {
    let (site, sick) = with_a_sick_release();
    let record = site.dir().join("written");
    let written = || fs::read_to_string(&record).unwrap_or_default();
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let line = format!("echo earlier; {bg} deploy --release v2; read -r ahead; echo \"then $ahead\"");
    let mut terminal = terminal(&site, &line, "xterm-256color", &record);
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let waits_for = |text: &str| until(SOON, text, || written().contains(text).then_some(())).unwrap();
    waits_for("healthy 0/");
    let mut keys = terminal.stdin.take().unwrap();
    // Ctrl-D after a word gives it to whoever reads, and leaves the cursor in its row; Enter moves it.
    for typed in ["ah\x04", "ea\x04", "d\n"] {
        let shown = written().len();
        keys.write_all(typed.as_bytes()).unwrap();
        // Drawn again, so that the next one is seen by itself.
        until(SOON, "a drawing", || (written().len() > shown + 200).then_some(())).unwrap();
    }
    fs::remove_file(sick).unwrap();
    waits_for("then ");
    drop(keys);
    assert!(terminal.wait().unwrap().success(), "{}", written());
    let rows = rows(&written());
    assert!(rows.iter().any(|row| row == "then ahead"), "{rows:#?}");
    assert!(rows.iter().any(|row| row.trim() == "earlier"), "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row.starts_with("✓ ") && row.contains("/6] ")).count(), 6, "{rows:#?}");
}

#[test]
fn a_host_that_freezes_while_a_drain_goes_on_is_named_until_it_answers() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    // The drain waits for this connection, longer than a host is frozen.
    site.edit_inventory(|text| text.replace("timeout = \"8s\"", "timeout = \"60s\"")).unwrap();
    let stranger = TcpStream::connect(site.place("web2").listen).unwrap();
    let record = site.dir().join("written");
    let written = || fs::read_to_string(&record).unwrap_or_default();
    let waits_for = |text: &str| {
        let waits = until(SOON, text, || rows(&written()).iter().any(|row| row.contains(text)).then_some(()));
        waits.unwrap_or_else(|error| panic!("{error}: {:#?}", rows(&written())));
    };
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let mut deploy = terminal(&site, &format!("{bg} deploy --release v2"), "xterm-256color", &record);
    let mut deploy = deploy.stdout(Stdio::null()).spawn().unwrap();

    for host in ["web2", "lb1"] {
        waits_for("web2  1 connection from 127.0.0.1");
        let sessions = site.sessions(host).unwrap().into_iter().filter(|process| process.name.starts_with("sshd"));
        let sessions: Vec<Pid> = sessions.map(|process| Pid::from_raw(process.pid)).collect();
        sessions.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
        waits_for(&format!("{host}{}  has not answered yet", if host == "lb1" { " " } else { "" }));
        sessions.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
        waits_for("lb1   nothing in flight");
    }
    drop(stranger);
    assert!(deploy.wait().unwrap().success(), "{:#?}", rows(&written()));
    assert!(rows(&written()).iter().any(|row| row.starts_with("`deploy` of v2 is done")), "{:#?}", rows(&written()));
}

#[test]
fn exec_names_the_hosts_that_it_waits_for_and_leaves_only_what_they_said() {
    let site = small().start().unwrap();
    // The first one goes through, the other one is waited for.
    let [first, hold] = ["first", "hold"].map(|name| site.dir().join(name));
    fs::write(&hold, "").unwrap();
    let hangs = format!("i=0; while [ -e {} ] && [ $i -lt 2400 ]; do sleep 0.05; i=$((i + 1)); done", hold.display());
    let bg = site.bg_command([""; 0]).unwrap().get_program().to_str().unwrap().to_owned();
    let line = format!("exec {bg} exec web -- 'echo begun; mkdir {} || {hangs}; echo ended'", first.display());
    let written = watched(&site, &line, |waits_for| {
        waits_for("waiting for 1 of 2 hosts, at most 1h each: web");
        fs::remove_file(hold).unwrap();
    });
    let waits = |host: &str| written.contains(&format!("waiting for 1 of 2 hosts, at most 1h each: {host}\x1b"));
    assert!(waits("web1") != waits("web2"), "{written}");
    let rows = rows(&written);
    for (text, times) in [("│ begun", 2), ("│ ended", 2), ("waiting for", 0), ("done on 2 hosts", 1)] {
        assert_eq!(rows.iter().filter(|row| row.contains(text)).count(), times, "{text}: {rows:#?}");
    }
    assert_eq!(rows.last().unwrap(), "done on 2 hosts", "{rows:#?}");

    let dumb = on_a_terminal(&site, "exec web -- echo here", "dumb");
    assert!(dumb.contains("web1 │ here\r\n") && !dumb.contains("waiting for"), "{dumb}");
}

#[test]
fn status_does_not_wait_for_a_host_that_hangs() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    let sshd = site.processes().into_iter().find(|process| process.command.contains("web2/sshd_config")).unwrap();
    kill(Pid::from_raw(sshd.pid), Signal::SIGSTOP).unwrap();
    let began = Instant::now();
    let ran = bg(&site, "status --timeout 2s --json", 0);
    let took = began.elapsed();
    kill(Pid::from_raw(sshd.pid), Signal::SIGCONT).unwrap();
    // On a machine that does much else, too; the playground's own bound for it is eight.
    assert!(took < Duration::from_secs(7), "{took:?}");
    let seen: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(seen["stage"], "balanced");
    let hangs = &seen["pools"]["web"]["green"][0];
    assert_eq!(hangs["release"], Value::Null, "{ran}");
    assert!(hangs["note"].as_str().unwrap().starts_with("`web2` did not answer within 2 s"), "{ran}");
}
