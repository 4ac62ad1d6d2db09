//! arm, disarm and the timer: what goes back by itself, and what does not.

use std::time::{Duration, Instant};

use super::*;

/// Longer than any test: nothing goes back by itself meanwhile.
const LONG: u64 = 100 * 3600;

/// More than a timer needs on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let bound = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < bound, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Site {
    /// Generation 1 is current, 2 and 3 are prepared: the way forward and the way back.
    fn shifting() -> Site {
        let site = Site::new();
        site.prepare(&[(1, None)]).done();
        site.commit(1, None).done();
        site.prepare(&[(2, Some(5)), (3, None)]).done();
        site
    }

    fn hash(&self, n: u64, green: Option<u32>) -> String {
        hash(&tree(&mut tar::Builder::new(Vec::new()), n, OURS, green))
    }

    fn arm_command(&self, n: u64, green: Option<u32>, after: u64) -> Command {
        let (sum, hash) = (sha256(script::REVERT.text), self.hash(n + 1, green));
        let (n, after) = (n.to_string(), after.to_string());
        let mut command = command(script::ARM, &[self.path(), &n, OURS, &hash, "5", &after, &sum]);
        // Only what every host has: no systemd, no at.
        command.env("PATH", self.tools(&[]));
        command
    }

    fn arm(&self, after: u64) -> Ran {
        finish(self.arm_command(2, None, after), script::REVERT.text.as_bytes())
    }

    /// A PATH with the tools of every host, and these programs of the test's own before them.
    fn tools(&self, own: &[(&str, &str)]) -> String {
        let dir = self.temp.path().join("tools");
        std::fs::create_dir_all(&dir).unwrap();
        let absent = ["systemd-run", "loginctl", "busctl", "at", "atrm", "atq"];
        for name in absent {
            let text = own.iter().find(|(own, _)| *own == name).map_or("exit 127", |(_, text)| text);
            write_program(&dir.join(name), &format!("#!/bin/sh\n{text}\n")).unwrap();
        }
        format!("{}:{}", dir.display(), std::env::var("PATH").unwrap())
    }

    fn commit_armed(&self) -> Ran {
        let mut args = self.commit_args(OURS, 2, Some(5));
        args[5] = "yes".to_owned();
        run(script::COMMIT, &args.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    }

    fn disarm(&self) -> String {
        run(script::DISARM, &[self.path(), "2", OURS, "5"], b"").done().get("state").unwrap().to_owned()
    }

    fn left(&self) -> Vec<String> {
        names(&self.live(".revert"))
    }

    /// Runs the timer of the order that stands, as a second one or after a reboot.
    fn timer(&self, token: &str) -> std::process::ExitStatus {
        let mut command = command(script::REVERT, &[self.path(), "2", token]);
        command.spawn().unwrap().wait().unwrap()
    }

    /// Its time is up now.
    fn expire(&self) {
        let order = std::fs::read_to_string(self.live(".revert/2")).unwrap();
        let mut words: Vec<&str> = order.trim().split(' ').collect();
        words[5] = "1";
        std::fs::write(self.live(".revert/.order"), words.join(" ") + "\n").unwrap();
        std::fs::rename(self.live(".revert/.order"), self.live(".revert/2")).unwrap();
    }

    /// As a reboot does.
    fn kill_timer(&self) {
        let script = format!("run-2-{}/script", self.token());
        let found = Command::new("pgrep").args(["-f", &script]).output().unwrap();
        for pid in String::from_utf8(found.stdout).unwrap().split_whitespace() {
            let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
            // What it began for a moment has its arguments, too, and may be gone by now.
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
        }
        until("the end of the timer", || self.look().get("armed").is_some_and(|armed| armed.ends_with(" none")));
    }

    fn token(&self) -> String {
        let order = std::fs::read_to_string(self.live(".revert/2")).unwrap();
        order.split(' ').nth(3).unwrap().to_owned()
    }
}

#[test]
fn when_its_time_is_up_it_goes_back_by_itself_and_leaves_only_a_record() {
    let site = Site::shifting();
    assert_eq!(site.arm(LONG).done().get("how"), Some("process"));
    site.commit_armed().done();
    assert_eq!(site.current(), "gen/2");
    let look = site.look();
    assert!(look.get("armed").unwrap().starts_with("2 ") && look.get("armed").unwrap().ends_with(" timer"), "{look:?}");
    site.expire();
    until("the way back", || site.current() == "gen/3");
    until("what it leaves", || site.left() == ["reverted-2"]);
    let look = site.look();
    assert!(look.get("reverted").unwrap().starts_with("2 ") && look.get("armed").is_none(), "{look:?}");
    assert_eq!(site.disarm().split(' ').next(), Some("reverted"));
    site.prepare(&[(4, Some(5)), (5, None)]).done();
    site.commit(4, Some(5)).done();
    assert_eq!(site.left(), Vec::<String>::new(), "the record goes with the next shift");
}

#[test]
fn what_is_disarmed_stays_and_its_timer_ends() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    let run = site.live(".revert").join(format!("run-2-{}", site.token()));
    assert_eq!((site.disarm().as_str(), site.disarm().as_str()), ("disarmed", "already"));
    assert_eq!(site.left(), Vec::<String>::new());
    let lives = || Command::new("pgrep").args(["-f", &run.display().to_string()]).output().unwrap().status.success();
    until("the end of the timer", || !lives());
    assert_eq!((site.current().as_str(), site.look().get("armed")), ("gen/2", None));
}

#[test]
fn what_is_overtaken_does_not_go_back() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    site.prepare(&[(4, Some(9)), (5, Some(5))]).done();
    assert!(site.live(".revert/2").exists(), "not before the later one is committed");
    let token = site.token();
    site.commit(4, Some(9)).done();
    assert_eq!(site.left(), Vec::<String>::new());
    assert!(site.timer(&token).success());
    assert_eq!((site.current().as_str(), site.disarm().as_str()), ("gen/4", "superseded 4"));
}

#[test]
fn what_is_put_back_or_never_committed_leaves_nothing_armed() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    site.commit(3, None).done();
    assert_eq!((site.current().as_str(), site.left()), ("gen/3", Vec::new()));

    let site = Site::shifting();
    site.arm(LONG).done();
    site.expire();
    until("the end of what was never committed", || site.left().is_empty());
    assert_eq!(site.current(), "gen/1");
    assert_eq!(site.commit_armed().refused(), Some("unarmed 2"), "a late commit would never go back");
    assert_eq!(site.current(), "gen/1");
}

#[test]
fn what_runs_already_is_never_armed() {
    let site = Site::shifting();
    site.commit(2, Some(5)).done();
    assert_eq!(site.arm(LONG).refused(), Some("fenced 2"));
    assert_eq!(site.left(), Vec::<String>::new());
}

#[test]
fn arming_twice_begins_the_time_anew_and_leaves_one_timer() {
    let site = Site::shifting();
    site.arm(LONG).done();
    let first = site.token();
    site.arm(LONG).done();
    assert_ne!(site.token(), first);
    site.commit_armed().done();
    assert!(site.timer(&first).success());
    assert_eq!((site.current().as_str(), site.left().len()), ("gen/2", 2));
    site.disarm();
}

#[test]
fn two_timers_of_one_order_do_not_hurt() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    let token = site.token();
    assert!(site.timer(&token).success(), "one is enough");
    site.expire();
    until("the way back", || site.current() == "gen/3");
    assert!(site.timer(&token).success());
    assert_eq!(site.current(), "gen/3");
}

#[test]
fn a_timer_killed_between_rename_and_record_is_finished_by_the_next() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    site.kill_timer();
    std::fs::remove_file(site.live("current")).unwrap();
    std::os::unix::fs::symlink("gen/3", site.live("current")).unwrap();
    site.expire();
    assert!(site.timer(&site.token()).success());
    assert_eq!((site.current().as_str(), site.left()), ("gen/3", vec!["reverted-2".to_owned()]));
}

#[test]
fn a_way_back_that_was_changed_by_hand_is_never_taken() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    std::fs::write(site.live("gen/3/extra"), "").unwrap();
    site.expire();
    let armed = site.look().get("armed").unwrap().to_owned();
    assert!(armed.starts_with("2 -"), "overdue: {armed}");
    // It is tried again and again.
    assert!(site.timer(&site.token()).success());
    assert_eq!(site.current(), "gen/2");
    std::fs::remove_file(site.live("gen/3/extra")).unwrap();
    until("the way back, once it is whole again", || site.current() == "gen/3");
}

#[test]
fn without_its_timer_it_is_overdue_and_can_be_disarmed_still() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    site.kill_timer();
    site.expire();
    let armed = site.look().get("armed").unwrap().to_owned();
    assert!(armed.starts_with("2 -") && armed.ends_with(" none"), "{armed}");
    assert_eq!((site.current().as_str(), site.disarm().as_str()), ("gen/2", "disarmed"));
}

#[test]
fn the_order_is_kept_from_pruning() {
    let site = Site::shifting();
    site.arm(LONG).done();
    site.commit_armed().done();
    for n in (4..30).step_by(2) {
        site.prepare(&[(n, None), (n + 1, None)]).done();
    }
    assert!(site.gens().contains(&3), "{:?}", site.gens());
    site.disarm();
}

#[test]
fn what_keeps_the_time_is_the_first_that_really_does() {
    let site = Site::shifting();
    let arm = |own: &[(&str, &str)]| {
        let mut command = site.arm_command(2, None, LONG);
        command.env("PATH", site.tools(own));
        finish(command, script::REVERT.text.as_bytes())
    };
    // systemd-run that runs what it is given: after its own options.
    let works = r#"while [ "${1#--}" != "$1" ]; do shift; done; setsid "$@" </dev/null >/dev/null 2>&1 &"#;
    let lingers = ("loginctl", "echo Linger=yes");
    assert_eq!(arm(&[("systemd-run", works), lingers]).done().get("how"), Some("systemd"));
    assert_eq!(arm(&[("systemd-run", "exit 0"), lingers]).done().get("how"), Some("process"), "it never came up");
    let at = r#"cat >"${0%/*}/job"; echo "job 7 at Thu Jan  1 00:00:00 2099" >&2"#;
    assert_eq!(arm(&[("at", at), ("atrm", "exit 0")]).done().get("how"), Some("process at"));
    let job = std::fs::read_to_string(site.temp.path().join("tools/job")).unwrap();
    assert!(job.contains(&format!("run-2-{}/script' '", site.token())), "{job}");
    let removed = site.temp.path().join("tools/removed");
    for said in [
        "Can't open /run/atd.pid to signal atd. No atd running?",
        "Warning: at daemon not running",
        "Can't signal atd (permission denied)",
    ] {
        let idle = format!("echo 'job 7 at Thu Jan  1 00:00:00 2099' >&2; echo \"{said}\" >&2");
        let gone = ("atrm", r#"echo "$1" >"${0%/*}/removed""#);
        assert_eq!(arm(&[("at", idle.as_str()), gone]).done().get("how"), Some("process"), "{said}");
        assert_eq!(std::fs::read_to_string(&removed).unwrap(), "7\n", "{said}");
        std::fs::remove_file(&removed).unwrap();
    }
    site.disarm();
}
