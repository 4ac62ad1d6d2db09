//! The promises of a switch without a reload.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use bluegreen_core::Half;
use bluegreen_core::nginx::state::{INFLIGHT_STEPS, Seen, every_bucket, questions};
use bluegreen_core::traffic::Traffic;

use crate::rig::{REVISION, Rig, Written, eventually, split};

fn on(half: Half) -> Traffic {
    Traffic::on(half, &["mobile".to_owned()])
}

/// The numbers of the clients `NAME 0` … that are on green.
fn on_green(rig: &Rig, name: &str, clients: usize) -> BTreeSet<usize> {
    (0..clients).filter(|i| rig.get("/", &format!("{name} {i}")).server() == "web-green").collect()
}

#[test]
fn both_halves_serve_in_normal_running() {
    let rig = Rig::shop(&Traffic::Both);
    let seen: BTreeSet<String> = (0..20).map(|_| rig.get("/", "desk").server().to_owned()).collect();
    assert_eq!(seen, ["web-blue", "web-green"].map(str::to_owned).into());
    let state = rig.state("all/00/00");
    assert_eq!((state.site.as_str(), state.revision, state.generation), ("shop", REVISION, Some(1)));
    assert_eq!(state.half, Seen::Both);
    assert!(state.path.unwrap().ends_with("/bg/live/gen/1"));
    for at in ["", "../../x", "mobile/9/00", "mobile/00/00/..", "a/00/000"] {
        assert_eq!(rig.probe(&format!("/state?at={at}")).status, 400, "{at}");
    }
    assert_eq!(rig.probe("/traffic.json").status, 404);
}

#[test]
fn a_canary_is_of_clients_sticky_monotone_and_the_same_in_every_pool() {
    let mut rig = Rig::shop(&on(Half::Blue));
    rig.confirm(&questions(&on(Half::Blue)));
    assert!(on_green(&rig, "iphone", 20).is_empty());
    let ten = split(&[("mobile", 1_000), ("all", 0)], 37);
    rig.commit(&ten);
    rig.confirm(&questions(&ten));
    let clients = 1_000;
    let tenth = on_green(&rig, "iphone", clients);
    // Four standard deviations of a fair tenth of this many.
    assert!((62..=138).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(on_green(&rig, "iphone", 300), tenth.range(..300).copied().collect(), "sticky");
    assert!(on_green(&rig, "desk", 200).is_empty());
    for client in 0..200 {
        let api = rig.get("/api/x", &format!("iphone {client}"));
        assert_eq!(api.server() == "api-green", tenth.contains(&client), "{client}");
    }
    let quarter = split(&[("mobile", 2_550), ("all", 0)], 37);
    rig.commit(&quarter);
    rig.confirm(&questions(&quarter));
    let more = on_green(&rig, "iphone", clients);
    assert!(tenth.is_subset(&more) && (200..=310).contains(&more.len()), "{}", more.len());
    rig.commit(&split(&[("mobile", 1_000), ("all", 0)], 47));
    assert!(on_green(&rig, "iphone", clients).is_disjoint(&tenth), "the next rollout tries another tenth");
}

#[test]
fn a_flip_takes_everybody_and_back() {
    let mut rig = Rig::shop(&on(Half::Blue));
    rig.commit(&on(Half::Green));
    rig.confirm(&every_bucket(&on(Half::Green)));
    assert_eq!(on_green(&rig, "desk", 50).len() + on_green(&rig, "iphone", 50).len(), 100);
    assert_eq!(rig.state("all/00/00").generation, Some(rig.generation()));
    rig.commit(&on(Half::Blue));
    assert!(on_green(&rig, "desk", 50).is_empty());
    assert_eq!(rig.get("/api/", "desk").server(), "api-blue");
}

#[test]
fn a_missing_or_unreadable_tree_means_blue() {
    let mut rig = Rig::shop(&on(Half::Green));
    let gone = rig.current().with_file_name("gone");
    std::fs::rename(rig.current(), &gone).unwrap();
    assert!(on_green(&rig, "desk", 10).is_empty());
    let state = rig.state("all/00/00");
    assert_eq!((state.path, state.generation, state.half), (None, None, Seen::Blue));
    rig.commit(&Traffic::Both);
    let root = rig.current().canonicalize().unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o000)).unwrap();
    assert!(on_green(&rig, "desk", 10).is_empty());
    assert_eq!(rig.state("all/00/00").half, Seen::Blue);
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(rig.state("all/00/00").half, Seen::Both);
}

#[test]
fn a_request_stays_on_the_half_that_it_began_on() {
    let locations =
        "location /err/ { proxy_pass http://$shop_web; proxy_intercept_errors on; error_page 500 /fallback/; }
        location /auth/ { auth_request /_hold; proxy_pass http://$shop_web; }
        location = /_hold { internal; proxy_pass http://$shop_web/hold; }";
    let mut rig = Written::new(|_| (), locations, "").start(&on(Half::Blue));
    let held = [rig.begin("/err/hold"), rig.begin("/auth/x")];
    eventually("both wait at the application", || rig.gate.waiting() == 2);
    assert!(rig.in_flight(Seen::Blue, 1));
    assert!(!rig.in_flight(Seen::Green, 1) && !rig.in_flight(Seen::Both, 1) && !rig.in_flight(Seen::Blue, 10));
    rig.commit(&on(Half::Green));
    assert_eq!(rig.get("/", "desk").server(), "web-green");
    assert!(rig.in_flight(Seen::Blue, 1), "the drain sees them");
    rig.gate.open();
    for answer in held.map(|thread| thread.join().unwrap()) {
        assert_eq!(answer.server(), "web-blue", "{answer:?}");
    }
    eventually("drained", || !rig.in_flight(Seen::Blue, 1));
}

#[test]
fn the_size_of_what_is_in_flight_is_told() {
    let rig = Rig::shop(&Traffic::Both);
    let held: Vec<_> = (0..12).map(|_| rig.begin("/hold")).collect();
    eventually("twelve in flight", || rig.gate.waiting() == 12);
    let at_least: Vec<bool> = INFLIGHT_STEPS.iter().map(|step| rig.in_flight(Seen::Both, *step)).collect();
    assert_eq!(at_least, [true, true, false, false]);
    rig.gate.open();
    held.into_iter().for_each(|thread| drop(thread.join()));
    eventually("drained", || !rig.in_flight(Seen::Both, 1));
}
