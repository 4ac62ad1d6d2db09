//! The journey, counted by clients who hold on to their connections: not one request fails.

use std::time::Duration;

use bg_playground::{Behaviour, Playground};

/// More than anything waited for here takes on two slow cores.
const SEEN: Duration = Duration::from_secs(120);
/// What the issue asks for: so many requests, none failed.
const REQUESTS: u64 = 100_000;

#[test]
fn a_whole_rollout_under_load_fails_no_request() {
    let mut site = Playground::options().bg(env!("CARGO_BIN_EXE_bg")).start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let load = site.load().rate(2500).start().unwrap();
    let start = load.mark();

    site.bg(["deploy", "--release", "v2"]).unwrap().expect(0);
    site.bg(["canary", "mobile=10%"]).unwrap().expect(0);
    let canary = load.mark();
    load.wait_clients(canary, SEEN).unwrap();
    let seen = load.since(canary);
    assert!(seen.mobile.is_about(10.0), "{:?}", seen.mobile);
    assert_eq!(seen.desktop.green, 0, "nobody else is in the canary");
    assert_eq!(seen.on_both, 0, "a client is on one half");

    site.bg(["canary", "mobile=50%"]).unwrap().expect(0);
    let half = load.mark();
    load.wait_clients(half, SEEN).unwrap();
    assert!(load.since(half).mobile.is_about(50.0), "{:?}", load.since(half).mobile);

    site.bg(["flip"]).unwrap().expect(0);
    let flipped = load.mark();
    load.wait_requests(flipped, 500, SEEN).unwrap();
    assert_eq!(load.since(flipped).by_half("blue"), 0, "everybody is on green");
    site.bg(["flip", "--back"]).unwrap().expect(0);
    for _ in 0..10 {
        site.bg(["flip"]).unwrap().expect(0);
        site.bg(["flip", "--back"]).unwrap().expect(0);
    }
    site.bg(["flip"]).unwrap().expect(0);
    site.bg(["restore"]).unwrap().expect(0);

    // A release that never becomes healthy, mended, then taken back.
    site.artifact("web", "v3", &Behaviour { unhealthy: true, ..Behaviour::default() }).unwrap();
    site.artifact("api", "v3", &Behaviour::default()).unwrap();
    site.bg(["deploy", "--release", "v3"]).unwrap().expect(4);
    site.release("v4").unwrap();
    site.bg(["deploy", "--release", "v4"]).unwrap().expect(0);
    site.bg(["abort"]).unwrap().expect(0);

    while load.since(start).sent < REQUESTS {
        load.wait_requests(load.mark(), 1_000, SEEN).unwrap();
    }
    let seen = load.stop();
    println!("{} requests sent, {} failed", seen.sent, seen.failed);
    seen.expect_none_failed();
}
