//! Hosts that are down before a command and during each of its steps, and hosts that are somebody else.

use std::fs;

use bg_playground::{Behaviour, Playground};

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
fn restart_line(site: &Playground, host: &str, half: &str) -> String {
    let place = site.place(host);
    let binary = bg_playground::app_binary().unwrap();
    let (root, port) = (place.root.display(), place.listen.port());
    format!("{} restart --root {root} --pool web --half {half} --port {port}", binary.display())
}

#[test]
fn a_server_that_goes_down_during_a_step_leaves_blue_serving_and_both_ways_on() {
    let mut site = started(small());
    // Each release keeps one step busy for as long as the test needs.
    let slow_start = Behaviour { starts_after_ms: 3_000, ..Behaviour::default() };
    for (label, step, behaviour) in
        [("v2", "place", Behaviour::default()), ("v3", "activate", slow_start.clone()), ("v4", "activate", slow_start)]
    {
        let path = site.artifact("web", label, &behaviour).unwrap();
        if step == "place" {
            fs::write(path.join("large"), noise(48 << 20)).unwrap();
        }
        let running = site.start_bg(["deploy", "--release", label]).unwrap();
        wait_step(&site, step);
        if step == "activate" {
            // The restart itself is under way: the old application is gone.
            bg_playground::until(SEEN, "the old application's end", || site.ask("web2", "/").err()).unwrap();
        }
        site.stop_sshd("web2").unwrap();
        let said = ended(running, 4);
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

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}
