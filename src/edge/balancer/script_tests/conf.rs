//! http.conf and server.conf, with lines of the test's own in the place of nginx.

use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use super::*;

/// Files of one revision as they are sent.
pub(super) fn files(revision: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["http.conf", "server.conf", "nginx.conf"] {
        let text = format!("# {name} {revision}\n");
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn write(site: &Site, revision: &str, test: &str) -> Ran {
    run(script::WRITE_CONF, &[site.path(), "no", revision, "5", "true", test], &files(revision))
}

fn restore(site: &Site, revision: &str) -> Answer {
    run(script::RESTORE_CONF, &[site.path(), "no", revision, "5"], b"").done()
}

/// http.conf and server.conf as they stand.
fn standing(site: &Site) -> [String; 2] {
    ["http.conf", "server.conf"].map(|name| std::fs::read_to_string(site.dir.join(name)).unwrap_or_default())
}

fn of(revision: &str) -> [String; 2] {
    ["http.conf", "server.conf"].map(|name| format!("# {name} {revision}\n"))
}

#[test]
fn files_are_written_once_and_put_back_as_they_were() {
    let site = Site::new();
    assert_eq!(write(&site, "1", "true").done().get("written"), Some("changed"));
    assert_eq!(write(&site, "1", "true").done().get("written"), Some("same"));
    run(script::SETTLE_CONF, &[site.path(), "no", "5"], b"").done();
    assert_eq!(names(&site.dir).len(), 3, "{:?}", names(&site.dir));
    for _ in 0..2 {
        write(&site, "2", "true").done();
    }
    assert_eq!(standing(&site), of("2"));
    assert_eq!(restore(&site, "3").get("nothing"), Some(""), "another revision's files are not put back");
    for _ in 0..2 {
        assert_eq!(restore(&site, "2").get("restored"), Some("# http.conf 1"));
        assert_eq!(standing(&site), of("1"));
    }
}

#[test]
fn the_first_files_are_put_back_to_none() {
    let site = Site::new();
    write(&site, "1", "true").done();
    assert_eq!(restore(&site, "1").get("restored"), Some(""));
    assert!(!site.dir.join("http.conf").exists() && !site.dir.join("server.conf").exists());
}

#[test]
fn a_refusal_leaves_the_earlier_files_and_its_words() {
    let site = Site::new();
    write(&site, "1", "true").done();
    let only_old = format!("grep -q 1 {0}/http.conf || {{ echo emerg: no good; false; }}", site.path());
    let ran = write(&site, "2", &only_old);
    assert_eq!((ran.refused(), ran.stderr.trim()), (Some("test"), "emerg: no good"));
    assert_eq!(standing(&site), of("1"));
    assert_eq!(write(&site, "2", "false").refused(), Some("test_before"));
    let args = [site.path(), "no", "2", "5", "echo no >&2; false", "true"];
    assert_eq!(run(script::WRITE_CONF, &args, &files("2")).refused(), Some("trial"));
    assert_eq!(standing(&site), of("1"));
    assert_eq!(restore(&site, "2").get("nothing"), Some(""), "what was put back is not kept");
}

#[test]
fn a_hand_edit_is_what_is_put_back_after_mending_it_under_the_same_revision() {
    let site = Site::new();
    write(&site, "1", "true").done();
    write(&site, "2", "true").done();
    std::fs::write(site.dir.join("http.conf"), "# by hand\n").unwrap();
    write(&site, "2", "true").done();
    assert_eq!(standing(&site), of("2"));
    assert_eq!(restore(&site, "2").get("restored"), Some("# by hand"));
    assert_eq!(standing(&site), ["# by hand\n".to_owned(), of("2")[1].clone()]);
}

/// Starts a write whose test never ends, and returns once it has begun.
fn stuck(site: &Site) -> std::process::Child {
    let begun = site.dir.join("live/begun");
    let test = format!("touch {}; exec sleep 60", begun.display());
    let mut command = command(script::WRITE_CONF, &[site.path(), "no", "2", "5", "true", &test]);
    let mut child = command.process_group(0).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&files("2")).unwrap();
    let bound = Instant::now() + Duration::from_secs(10);
    while !begun.exists() {
        assert!(Instant::now() < bound, "the test line never ran");
        std::thread::yield_now();
    }
    child
}

fn kill_group(child: &std::process::Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_connection_that_is_lost_during_the_test_puts_the_earlier_files_back() {
    let site = Site::new();
    write(&site, "1", "true").done();
    let mut child = stuck(&site);
    assert_eq!(standing(&site), of("2"));
    kill_group(&child, nix::sys::signal::Signal::SIGTERM);
    assert!(!child.wait().unwrap().success());
    assert_eq!(standing(&site), of("1"));
}

#[test]
fn after_a_kill_during_the_test_the_next_run_still_knows_the_earlier_files() {
    let site = Site::new();
    write(&site, "1", "true").done();
    let mut child = stuck(&site);
    kill_group(&child, nix::sys::signal::Signal::SIGKILL);
    child.wait().unwrap();
    assert_eq!(write(&site, "2", "true").done().get("written"), Some("same"));
    assert_eq!(restore(&site, "2").get("restored"), Some("# http.conf 1"));
    assert_eq!(standing(&site), of("1"));
}

#[test]
fn one_nginx_is_changed_by_one_run_at_a_time() {
    let site = Site::new();
    let lock = std::fs::File::open(site.dir.parent().unwrap().join(".lock")).unwrap();
    lock.lock().unwrap();
    let ran = run(script::WRITE_CONF, &[site.path(), "no", "1", "0", "true", "true"], &files("1"));
    assert!(ran.refused().unwrap().starts_with("locked "), "{:?}", ran.refused());
    let ran = run(script::RELOAD, &[site.path(), "0", "1", "true"], b"");
    assert!(ran.refused().unwrap().starts_with("locked "));
}

#[test]
fn a_reload_that_starts_a_daemon_does_not_hand_it_the_lock() {
    let site = Site::new();
    let daemon = site.dir.join("live/daemon");
    let reload = format!("sleep 60 >/dev/null 2>&1 & echo $! >{}", daemon.display());
    run(script::RELOAD, &[site.path(), "5", "1", &reload], b"").done();
    let free = run(script::SETTLE_CONF, &[site.path(), "no", "0"], b"");
    let pid: i32 = std::fs::read_to_string(&daemon).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    free.done();
}

#[test]
fn a_pid_that_is_no_worker_of_nginx_is_not_believed() {
    let site = Site::new();
    let me = std::process::id().to_string();
    let answer = run(script::RELOAD, &[site.path(), "5", "1", "true", &me], b"").done();
    assert_eq!(answer.get("workers"), Some("unknown"));
    assert!(answer.get("began").is_some_and(|began| began.len() == 19));
    let failed = run(script::RELOAD, &[site.path(), "5", "1", "echo no >&2; false"], b"");
    assert_eq!((failed.refused(), failed.stderr.trim()), (Some("reload echo no >&2; false"), "no"));
}
