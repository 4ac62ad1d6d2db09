//! Hosts that are down before a command and during each of its steps, and hosts that are somebody else.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
};

use bg_playground::{Behaviour, Playground, until};
use nix::fcntl::{Flock, FlockArg};

use super::{SEEN, bg, deploy, ended, release, says, serves, small, stage, started, status, wait_step};

#[test]
fn a_server_that_is_down_before_a_command_stops_it_and_costs_nobody_a_request() {
    let mut site = started(small());
    release(&site, "v2", &Behaviour::default());

    site.stop_sshd("web2").unwrap();
    let said = bg(&site, "deploy --release v2", 4);
    says(&said, &["`web2` is unreachable", "Nothing was touched", "the site is balanced", "ssh web2 true"]);
    assert_eq!((stage(&site), status(&site)["rollout"].is_null()), ("balanced", true));
    serves(&site, "both", "v1");
    site.start_sshd("web2").unwrap();
    bg(&site, "deploy --release v2", 0);

    site.stop_sshd("web2").unwrap();
    for forward in ["canary mobile=10%", "flip"] {
        says(&bg(&site, forward, 4), &["`web2` is unreachable", "Traffic was not moved", "The site is staged"]);
        assert_eq!(stage(&site), "staged");
        serves(&site, "blue", "v1");
    }
    says(&bg(&site, "abort", 5), &["`web2` is unreachable", "`bg abort`"]);
    serves(&site, "blue", "v1");
    site.start_sshd("web2").unwrap();
    bg(&site, "abort", 0);
    assert_eq!(stage(&site), "balanced");
    serves(&site, "both", "v1");

    bg(&site, "deploy --release v2", 0);
    bg(&site, "flip", 0);
    site.stop_sshd("web1").unwrap();
    says(&bg(&site, "restore", 4), &["`web1` is unreachable", "Nothing was touched", "the site is flipped"]);
    assert_eq!(stage(&site), "flipped");
    serves(&site, "green", "v2");
    site.start_sshd("web1").unwrap();
    bg(&site, "restore", 0);
    serves(&site, "both", "v2");
}

#[test]
fn an_application_that_is_dead_before_a_command_stops_what_would_need_it() {
    let site = started(small());
    release(&site, "v2", &Behaviour::default());

    site.kill_app("web1").unwrap();
    let said = bg(&site, "deploy --release v2", 4);
    says(&said, &["`web1` (web) is not healthy: GET /healthz failed", "Traffic was not moved", "The site is balanced"]);
    assert_eq!((stage(&site), status(&site)["rollout"].is_null()), ("balanced", true));
    let restart = site.ssh("web1", &restart_line(&site, "web1", "blue")).unwrap();
    restart.expect(0);
    // Green is going to be replaced anyway.
    site.kill_app("web2").unwrap();
    bg(&site, "deploy --release v2", 0);

    site.kill_app("web2").unwrap();
    for forward in ["canary mobile=10%", "flip"] {
        says(&bg(&site, forward, 4), &["`web2` (web) is not healthy", "Traffic was not moved"]);
        assert_eq!(stage(&site), "staged");
        serves(&site, "blue", "v1");
    }
    // What an abort restarts may be dead.
    bg(&site, "abort", 0);
    serves(&site, "both", "v1");
}

/// What an operator types to start an application again.
pub fn restart_line(site: &Playground, host: &str, half: &str) -> String {
    let place = site.place(host);
    let binary = bg_playground::app_binary().unwrap();
    let (root, port) = (place.root.display(), place.listen.port());
    format!("{} restart --root {root} --pool web --half {half} --port {port}", binary.display())
}

/// The lock under which everything on a server changes.
fn lock(site: &Playground, host: &str) -> Flock<File> {
    let lock = File::options().append(true).open(site.place(host).root.join(".bg/lock")).unwrap();
    Flock::lock(lock, FlockArg::LockExclusive).unwrap()
}

/// Waits until a restart is under way: the old application is gone, and the new one, which does not listen yet, is known.
fn wait_restarting(site: &Playground, host: &str, old: Option<i32>) {
    let new = || site.app_pid(host).filter(|pid| Some(*pid) != old);
    until(SEEN, "the new application", new).unwrap();
}

#[test]
fn a_server_that_goes_down_during_a_step_leaves_blue_serving_and_both_ways_on() {
    let mut site = started(small());
    // Each step goes on for as long as the test needs: placing takes the root's lock, and a restart ends with an application
    // that listens.
    let hold = site.dir().join("hold");
    let silent = Behaviour { silent_while: Some(hold.clone()), ..Behaviour::default() };
    for (label, step, behaviour) in
        [("v2", "place", Behaviour::default()), ("v3", "activate", silent.clone()), ("v4", "activate", silent)]
    {
        release(&site, label, &behaviour);
        fs::write(&hold, "").unwrap();
        let lock = (step == "place").then(|| lock(&site, "web2"));
        let old = site.app_pid("web2");
        let running = site.start_bg(["deploy", "--release", label]).unwrap();
        wait_step(&site, step);
        if step == "activate" {
            wait_restarting(&site, "web2", old);
        }
        site.stop_sshd("web2").unwrap();
        let said = ended(running, 4);
        drop(lock);
        fs::remove_file(&hold).unwrap();
        says(&said, &["`web2`", "Blue carries the site", "The site is isolated: all traffic on blue"]);
        says(&said, &["`bg deploy`", "`bg abort`"]);
        assert!(said.lines().any(|line| line.contains(&format!("] {step} v")) && line.contains("failed")), "{said}");
        assert_eq!(stage(&site), "isolated");
        serves(&site, "blue", "v1");

        let again = bg(&site, &format!("deploy --release {label}"), 4);
        says(&again, &["`web2` is unreachable", "Nothing was touched"]);
        site.start_sshd("web2").unwrap();
        if label == "v3" {
            bg(&site, "abort", 0);
            serves(&site, "both", "v1");
        } else {
            deploy(&site, "mended", &Behaviour::default(), 0);
            assert_eq!(stage(&site), "staged");
            serves(&site, "blue", "v1");
        }
    }
}

#[test]
fn a_server_that_is_lost_while_it_drains_or_is_checked_leaves_blue_serving() {
    let mut site = started(small());
    release(&site, "v2", &Behaviour::default());
    // A request whose body is still to come. Whichever half it is on: one that began on both holds the drain up.
    let mut slow = TcpStream::connect(site.balancer("lb1").public).unwrap();
    slow.set_read_timeout(Some(SEEN)).unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1\r\nConnection: close\r\n\r\n").unwrap();
    let in_flight = || site.probe("lb1", "/inflight?half=both").ok().filter(|it| it.header("x-inflight") != "PASSED");
    until(SEEN, "a request in flight", in_flight).unwrap();
    let running = site.start_bg(["deploy", "--release", "v2"]).unwrap();
    wait_step(&site, "drain");
    site.stop_sshd("web2").unwrap();
    says(&ended(running, 4), &["`web2`", "drain green failed", "The site is isolated: all traffic on blue"]);
    slow.write_all(b"x").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "what was under way on it is answered: {answer}");
    serves(&site, "blue", "v1");
    site.start_sshd("web2").unwrap();
    let before = site.app_pid("web2");
    bg(&site, "abort", 0);
    assert_eq!(site.app_pid("web2"), before, "it was never touched");
    serves(&site, "both", "v1");

    release(&site, "v3", &Behaviour { healthy_after_ms: 60_000, ..Behaviour::default() });
    let running = site.start_bg(["deploy", "--release", "v3"]).unwrap();
    wait_step(&site, "check");
    site.kill_app("web2").unwrap();
    let said = ended(running, 4);
    says(&said, &["`web2` did not become healthy within 3s", "check green on v3 failed", "Blue carries the site"]);
    assert_eq!(stage(&site), "isolated");
    serves(&site, "blue", "v1");
    bg(&site, "deploy --release v2", 0);
    bg(&site, "flip", 0);
    serves(&site, "green", "v2");
}

#[test]
fn a_server_that_goes_down_while_blue_is_upgraded_leaves_everything_on_green() {
    let mut site = started(small());
    let hold = site.dir().join("hold");
    deploy(&site, "v2", &Behaviour { silent_while: Some(hold.clone()), ..Behaviour::default() }, 0);
    bg(&site, "flip", 0);
    let lost = |site: &mut Playground, words: &str, code: i32| {
        fs::write(&hold, "").unwrap();
        let old = site.app_pid("web1");
        let running = site.start_bg([words]).unwrap();
        wait_step(site, "activate");
        wait_restarting(site, "web1", old);
        site.stop_sshd("web1").unwrap();
        let said = ended(running, code);
        fs::remove_file(&hold).unwrap();
        says(&said, &["`web1`", "Green carries the site", "The site is restoring: all traffic on green", "`bg abort`"]);
        serves(site, "green", "v2");
    };
    lost(&mut site, "restore", 4);
    assert_eq!(stage(&site), "restoring");
    says(&bg(&site, "restore", 4), &["`web1` is unreachable", "the site is restoring"]);
    site.start_sshd("web1").unwrap();
    bg(&site, "restore", 0);
    serves(&site, "both", "v2");

    deploy(&site, "v3", &Behaviour::default(), 0);
    bg(&site, "flip", 0);
    super::apps::break_restart(&site, "web1");
    bg(&site, "restore", 4);
    super::apps::mend_restart(&site, "web1");
    // Blue's way back is interrupted too: everything stays on green until blue is healed.
    site.stop_sshd("web1").unwrap();
    says(
        &bg(&site, "abort", 5),
        &["`web1` is unreachable", "The site is restoring: all traffic on green", "`bg abort`"],
    );
    serves(&site, "green", "v3");
    site.start_sshd("web1").unwrap();
    bg(&site, "abort", 0);
    serves(&site, "both", "v2");
}

/// Bytes that do not compress, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

#[test]
fn a_server_with_another_host_key_gets_nothing() {
    let mut site = started(small());
    release(&site, "v2", &Behaviour::default());
    let fence = fs::read_to_string(site.place("web2").root.join(".bg/fence")).unwrap();
    site.change_host_key("web2").unwrap();
    let said = bg(&site, "deploy --release v2", 4);
    says(
        &said,
        &["`web2` shows another host key than the known one, so nothing was sent to it", "Nothing was touched"],
    );
    says(&said, &["the site is balanced", "was `web2` reinstalled, or does somebody stand in between?"]);
    serves(&site, "both", "v1");
    assert_eq!(stage(&site), "balanced");
    let root = &site.place("web2").root;
    assert_eq!(fs::read_to_string(root.join(".bg/fence")).unwrap(), fence);
    assert!(!root.join("releases/v2").exists());

    let trusted = fs::read_to_string(site.dir().join("keys/known_hosts")).unwrap();
    let public = fs::read_to_string(site.dir().join("keys/web2_host.pub")).unwrap();
    let name = format!("[{}]:{} ", site.host("web2").address, site.host("web2").ssh.port());
    let lines =
        trusted.lines().map(|line| if line.starts_with(&name) { name.clone() + &public } else { line.to_owned() });
    fs::write(site.dir().join("keys/known_hosts"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    bg(&site, "deploy --release v2", 0);
}
