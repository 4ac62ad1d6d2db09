use super::*;

#[test]
fn a_switch_says_which_balancers_took_it() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    let n = site.state.open.as_ref().and_then(|open| open.shift.clone()).and_then(|shift| shift.generation);
    let n = n.expect("it has a number");
    let seen = only([
        balancer("lb1", n, &green(), &[n, n + 1]),
        balancer("lb2", n - 2, &blue(), &[n - 2, n, n + 1]),
        balancer("lb3", n + 1, &blue(), &[n, n + 1]),
        balancer("lb4", n + 4, &blue(), &[n + 4, n + 5]),
        silent("lb5"),
    ]);
    let whats = site.whats(&seen);
    assert_eq!(whats[0], format!("lb1: switched: generation {n}, all traffic on green"));
    assert_eq!(
        whats[1],
        format!(
            "lb2: not switched: generation {}, all traffic on blue; {n} and the way back, {}, are ready",
            n - 2,
            n + 1
        )
    );
    assert_eq!(whats[2], format!("lb3: put back: generation {}, all traffic on blue", n + 1));
    assert!(whats[3].contains("by something later than this"), "{whats:?}");
    assert_eq!(whats[4], "lb5: no answer, so what is there is not known: it is unreachable: Connection refused");
}

#[test]
fn preparing_says_what_is_ready() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 0);
    let n = site.state.generation - 1;
    let whats = site.whats(&only([
        balancer("lb1", n - 2, &blue(), &[n - 2, n]),
        balancer("lb2", n - 2, &blue(), &[n - 2]),
        balancer("lb3", n - 2, &blue(), &[n - 2, n + 1]),
    ]));
    assert!(whats[0].ends_with(&format!("{n} is ready, and the way back, {}, is not", n + 1)), "{whats:?}");
    assert!(whats[1].ends_with("; nothing is prepared"), "{whats:?}");
    assert!(whats[2].ends_with(&format!("; only the way back, {}, is ready", n + 1)), "{whats:?}");
}

#[test]
fn a_tree_that_is_not_the_journals_is_told_as_it_is() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    let of = |tree| altered(balancer("lb1", 1, &blue(), &[]), |answer| answer.tree = tree);
    let whats = site.whats(&only([of(TreeSeen::Nothing), of(TreeSeen::Else("its tree is of another journal".into()))]));
    assert!(whats[0].starts_with("lb1: no traffic tree, so all goes to blue; nothing is prepared"), "{whats:?}");
    assert!(whats[1].starts_with("lb1: its tree is of another journal"), "{whats:?}");
}

#[test]
fn a_setup_says_what_came_to_be() {
    let mut site = Site { state: State::default(), user: "anna" };
    site.append(vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]);
    let setup = Command::Setup { release: release(1), revision: 1 };
    site.stopped_at(&setup, 0);
    let none = |host| {
        altered(balancer(host, 1, &blue(), &[]), |answer| {
            (answer.has_dirs, answer.tree, answer.revision) = (false, TreeSeen::Nothing, None);
        })
    };
    let seen = only([balancer("lb1", 1, &blue(), &[]), none("lb2")]);
    assert_eq!(site.whats(&seen), ["lb1: bg's directories are there", "lb2: no directories of bg's yet"]);
    site.append(site.state.finish(0, Vec::new()));
    site.start(1);
    assert_eq!(site.whats(&seen), ["lb1: files of revision 1", "lb2: no files of bg's yet"]);

    let told = site.explain(&seen);
    assert!(matches!(told.resume, Way::Steps(1, _)));
    let Way::Refused(why) = told.abort else { panic!("{:?}", told.abort) };
    assert!(why.contains("`bg setup` again"), "{why}");
    assert!(told.also.is_empty());
}

#[test]
fn a_reload_says_what_nginx_runs() {
    let mut site = Site::new();
    site.stopped_at(&Command::Sync { revision: Some(2), traffic: false }, 2);
    let running = |host, revision, running| {
        altered(balancer(host, 1, &Traffic::Both, &[]), |answer| {
            (answer.revision, answer.running) = (Some(revision), running);
        })
    };
    let seen = only([
        running("lb1", 2, Some(Ok(2))),
        running("lb2", 2, Some(Ok(1))),
        running("lb3", 1, Some(Err("no answer".to_owned()))),
        running("lb4", 2, None),
    ]);
    assert_eq!(
        site.whats(&seen),
        [
            "lb1: files of revision 2, and nginx runs them",
            "lb2: files of revision 2, and nginx runs revision 1",
            "lb3: still the files of revision 1, and nginx does not say what it runs: no answer",
            "lb4: files of revision 2, and what nginx runs was not asked",
        ]
    );
}

#[test]
fn a_drain_says_what_is_in_flight_and_who_is_connected() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 2);
    let flying = |host, in_flight| altered(balancer(host, 1, &blue(), &[]), |answer| answer.in_flight = in_flight);
    let peers = |peers: &[(&str, usize)]| OnPlace {
        peers: Some(peers.iter().map(|(from, count)| ((*from).to_owned(), *count)).collect()),
        ..on("v1", &["v1"])
    };
    let seen = Seen {
        balancers: vec![
            flying("lb1", Some(Ok(InFlight { half: 0, both: 0 }))),
            flying("lb2", Some(Ok(InFlight { half: 10, both: 1 }))),
            flying("lb3", Some(Err("timed out".to_owned()))),
            flying("lb4", None),
        ],
        places: vec![
            place("web1", Half::Blue, on("v1", &["v1"])),
            place("web2", Half::Green, peers(&[])),
            place("web4", Half::Green, peers(&[("10.0.0.9", 2), ("10.0.0.8", 1)])),
            place("web6", Half::Green, on("v1", &["v1"])),
            place("web8", Half::Green, on("v2", &["v1", "v2"])),
        ],
    };
    assert_eq!(
        site.whats(&seen),
        [
            "lb1: no request in flight to green",
            "lb2: 10 or more requests in flight to green, requests in flight that began while both halves served",
            "lb3: what is in flight is not known: timed out",
            "lb4: what is in flight was not asked",
            "web2: v1 runs; nobody but balancers is connected",
            "web4: v1 runs; 2 connections from 10.0.0.9, 1 connection from 10.0.0.8, which is no balancer",
            "web6: v1 runs; who is connected is not known",
            "web8: v2 runs already, so nothing waits for it",
        ]
    );
}

#[test]
fn placing_says_where_the_release_is() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 3);
    let mut by_command = place("web6", Half::Green, on("v1", &[]));
    by_command.unpacks = false;
    let mut gone = place("web8", Half::Green, on("v1", &[]));
    gone.answer = Err("it did not answer in time".to_owned());
    let seen = places([
        place("web2", Half::Green, on("v1", &["v1", "v2"])),
        place("web4", Half::Green, on("v1", &["v1"])),
        by_command,
        gone,
    ]);
    assert_eq!(
        site.whats(&seen),
        [
            "web2: v2 is placed; v1 runs",
            "web4: v2 is not placed; v1 runs",
            "web6: v1 runs; the pool's own command brings v2 in the next step",
            "web8: no answer, so what is there is not known: it did not answer in time",
        ]
    );
}

#[test]
fn activating_says_what_marker_and_current_say_and_whether_it_is_healthy() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 4);
    let begun = OnPlace { release: None, activating: Some("v2".to_owned()), ..on("v2", &["v1", "v2"]) };
    let sick = |mut place: PlaceSeen, health| {
        place.health = health;
        place
    };
    let mut telling = place("web4", Half::Green, on("v2", &["v2"]));
    telling.named = Some(("v2".to_owned(), true));
    let why = "GET /healthz answered 503".to_owned();
    let seen = places([
        place("web1", Half::Blue, on("v1", &["v1"])),
        place("web2", Half::Green, on("v2", &["v2"])),
        telling,
        sick(place("web6", Half::Green, begun.clone()), Some(Err(why))),
        sick(place("web8", Half::Green, on("v1", &["v1"])), None),
        place("web9", Half::Green, OnPlace::default()),
    ]);
    let wanted = [
        "web2: v2 is activated; what answers is healthy",
        "web4: v2 is activated; healthy, and it is v2 that answers",
        "web6: the activation of v2 was begun and did not end, `current` is v2; NOT healthy: GET /healthz answered 503",
        "web8: not begun: v1 runs, `current` is v1; its health is not known",
        "web9: not begun: no release runs by its marker; what answers is healthy",
    ];
    assert_eq!(site.whats(&seen), wanted);
    site.append(site.state.finish(4, Vec::new()));
    site.start(5);
    assert_eq!(site.whats(&seen), wanted, "the check looks at the same");
}

#[test]
fn a_machine_in_two_places_is_told_apart() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 3);
    let mut api = place("web2", Half::Green, on("v1", &["v1"]));
    "api".clone_into(&mut api.pool);
    let seen = places([place("web2", Half::Green, on("v1", &["v1", "v2"])), api]);
    assert_eq!(
        site.whats(&seen),
        ["web2: web/green: v2 is placed; v1 runs", "web2: api/green: v2 is not placed; v1 runs"]
    );
}

#[test]
fn pruning_says_what_is_kept() {
    let mut site = Site::staged();
    site.run(&Command::Flip { revert_after_ms: None });
    let last = plan(&site.state, &segments(), &Command::Restore).expect("it is allowed").steps.len() - 1;
    site.stopped_at(&Command::Restore, last);
    let seen = places([place("web1", Half::Blue, on("v2", &["v1", "v2"])), place("web2", Half::Green, on("v2", &[]))]);
    assert_eq!(site.whats(&seen), ["web1: kept: v1, v2", "web2: no release is kept"]);
}
