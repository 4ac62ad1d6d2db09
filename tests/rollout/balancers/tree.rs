//! The tree changed by hand, purged, unreadable, broken, foreign: seen, named, brought back; under load no request fails.

use std::os::unix::fs::{PermissionsExt, symlink};

use bg_playground::Behaviour;

use super::*;

#[test]
fn a_hand_edited_file_is_seen_and_brought_back() {
    let site = staged(two_balancers());
    run(&site, "canary mobile=10%").expect(0);
    let live = site.balancer("lb1").bg_dir.join("live");
    type Edit = fn(&Path, &Path);
    let edits: [(&str, Edit); 6] = [
        ("a slot more", |_, tree| fs::write(tree.join("green/mobile/zz"), "").unwrap()),
        ("a directory less", |_, tree| fs::remove_dir_all(tree.join("green/mobile")).unwrap()),
        ("another mode", |_, tree| fs::set_permissions(tree.join("green"), fs::Permissions::from_mode(0o700)).unwrap()),
        ("everybody on both", |_, tree| fs::write(tree.join("both"), "").unwrap()),
        ("no current", |live, _| fs::remove_file(live.join("current")).unwrap()),
        ("a link to an older one", |live, _| {
            fs::remove_file(live.join("current")).unwrap();
            symlink("gen/1", live.join("current")).unwrap();
        }),
    ];
    for (what, edit) in edits {
        edit(&live, &tree(&site, "lb1"));
        let (synced, note) = in_sync(&site, "lb1");
        assert_eq!(synced, false, "{what}");
        assert!(!note.is_empty(), "{what}");
        let ran = run(&site, "sync");
        ran.expect(0);
        assert_says(&ran, &["`lb1`"]);
        assert_says(&ran, &["canary"]);
    }
    assert_eq!([in_sync(&site, "lb1").0, in_sync(&site, "lb2").0], [true, true]);
    // The next shift replaces what it finds.
    fs::remove_dir_all(live.join("gen")).unwrap();
    run(&site, "flip").expect(0);
    assert_eq!(half(&site, "lb1", DESKTOP), "green");
    assert_eq!(in_sync(&site, "lb1").0, true);
    fs::remove_dir_all(&live).unwrap();
    assert_eq!(half(&site, "lb1", DESKTOP), "blue", "it fails towards blue");
    run(&site, "flip --back").expect(0);
    assert_eq!(in_sync(&site, "lb1").0, true);
}

#[test]
fn an_edited_configuration_is_seen_and_written_again() {
    let site = set_up(two_balancers());
    let file = site.balancer("lb2").bg_dir.join("http.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("keepalive_timeout", "# by hand\nkeepalive_timeout", 1)).unwrap();
    let (synced, note) = in_sync(&site, "lb2");
    assert_eq!(synced, false);
    assert!(note.contains("http.conf"), "{note}");
    run(&site, "sync").expect(0);
    assert_eq!(in_sync(&site, "lb2").0, true);
    fs::remove_file(site.balancer("lb1").bg_dir.join("server.conf")).unwrap();
    assert_eq!(in_sync(&site, "lb1").0, false);
    run(&site, "sync").expect(0);
    assert_eq!(in_sync(&site, "lb1").0, true);
    run(&site, "deploy --release v2").expect(0);
}

#[test]
fn a_command_that_is_done_already_settles_a_balancer_that_differs() {
    let site = staged(two_balancers());
    for command in ["canary off", "flip --back"] {
        let ran = run(&site, command);
        ran.expect(0);
        assert_says(&ran, &["done already", "staged"]);
        fs::remove_file(site.balancer("lb1").bg_dir.join("live/current")).unwrap();
        let ran = run(&site, command);
        ran.expect(0);
        assert_says(&ran, &["done already", "`lb1`"]);
        assert_eq!(in_sync(&site, "lb1").0, true);
    }
    run(&site, "flip").expect(0);
    run(&site, "flip").expect(0);
    fs::remove_file(site.balancer("lb2").bg_dir.join("live/current")).unwrap();
    assert_eq!(half(&site, "lb2", DESKTOP), "blue");
    let ran = run(&site, "flip");
    ran.expect(0);
    assert_says(&ran, &["done already", "`lb2`"]);
    assert_eq!(half(&site, "lb2", DESKTOP), "green");
    assert_stage(&site, "flipped");
}

#[test]
fn a_tree_of_another_journal_or_of_an_unknown_generation_is_left_alone() {
    let site = staged(two_balancers());
    let commands = ["canary mobile=10%", "canary off", "flip", "flip --back", "deploy --release v2", "abort", "sync"];
    let gen_dir = site.balancer("lb2").bg_dir.join("live/gen");
    fs::create_dir(gen_dir.join("99")).unwrap();
    let before = (balancers(&site), pids(&site));
    for command in commands {
        let ran = run(&site, command);
        ran.expect(3);
        assert_says(&ran, &["`lb2` has generation 99", "othing was touched"]);
    }
    assert_eq!((balancers(&site), pids(&site)), before);
    fs::remove_dir(gen_dir.join("99")).unwrap();

    let file = tree(&site, "lb2").join("traffic.json");
    let ours = fs::read_to_string(&file).unwrap();
    let id = serde_json::from_str::<Value>(&ours).unwrap()["journal"].as_str().unwrap().to_owned();
    fs::write(&file, ours.replace(&id, "0123456789abcdef")).unwrap();
    let before = (balancers(&site), pids(&site));
    for command in commands {
        let ran = run(&site, command);
        ran.expect(3);
        assert_says(&ran, &["`lb2`", "another journal", "0123456789abcdef", "r1", "othing was touched"]);
    }
    assert_eq!((balancers(&site), pids(&site)), before);
    assert_eq!(in_sync(&site, "lb2").0, false);
    fs::write(&file, ours).unwrap();

    // A current that is no link of bg's is nobody's to replace.
    let current = gen_dir.with_file_name("current");
    fs::remove_file(&current).unwrap();
    symlink("/tmp", &current).unwrap();
    let ran = run(&site, "flip");
    ran.expect(3);
    assert_says(&ran, &["`lb2`", "no link to `gen/N`", "`/tmp`"]);
    assert_eq!(in_sync(&site, "lb2").0, false);
    fs::remove_file(&current).unwrap();
    run(&site, "flip").expect(0);
}

/// What may happen to a tree while requests come.
fn damage(site: &Playground, balancer: &str, how: usize) {
    let live = site.balancer(balancer).bg_dir.join("live");
    match how {
        0 => fs::remove_file(live.join("current")).unwrap(),
        1 => fs::remove_dir_all(live.join("gen")).unwrap(),
        // Only root's workers are another user, whom this stops.
        2 if site.is_root() => fs::set_permissions(tree(site, balancer), fs::Permissions::from_mode(0o700)).unwrap(),
        // A link to what is no longer there.
        _ => fs::rename(tree(site, balancer), live.join(format!("moved-{}", fs::read_dir(&live).unwrap().count())))
            .unwrap(),
    }
}

#[test]
fn a_tree_that_is_purged_unreadable_or_broken_under_load_fails_no_request() {
    let site = set_up(two_balancers().each_pool(|pool| pool.drain("timeout", "\"30s\"")));
    let slow = Behaviour { starts_after_ms: 2_000, ..Behaviour::default() };
    site.artifact("web", "v2", &slow).unwrap();
    let load = site.load().clients(200).connections(8).rate(200).slow(1, 500).start().unwrap();
    let served = |site: &Playground, balancer: &str| half(site, balancer, DESKTOP);

    for how in 0..4 {
        damage(&site, "lb1", how);
        load.wait_requests(load.mark(), 100, SEEN).unwrap();
        assert_eq!(served(&site, "lb1"), "blue", "it fails towards blue");
        assert_eq!(in_sync(&site, "lb1").0, false);
        run(&site, "sync").expect(0);
    }
    // While green is being installed.
    let deploy = site.start_bg(["deploy", "--release", "v2"]).unwrap();
    let installing = || site.place("web2").root.join("releases/v2").exists();
    until(SEEN, "the installation", || installing().then_some(())).unwrap();
    let mark = load.mark();
    damage(&site, "lb1", 1);
    load.wait_requests(mark, 100, SEEN).unwrap();
    assert_eq!(load.since(mark).by_half("green"), 0, "no request reaches a half that is being installed");
    let ran = deploy.wait(SEEN).unwrap();
    println!("{ran}");
    assert!(ran.code == Some(0) || ran.code == Some(5), "{ran}");
    if ran.code == Some(5) {
        assert_says(&ran, &["`lb1`"]);
        run(&site, "resume").expect(0);
    }
    assert_stage(&site, "staged");

    for (forward, ways) in [("canary all=50%", 0..2), ("flip", 2..4)] {
        for how in ways {
            run(&site, forward).expect(0);
            damage(&site, "lb2", how);
            load.wait_requests(load.mark(), 100, SEEN).unwrap();
            assert_eq!(served(&site, "lb2"), "blue");
        }
    }
    run(&site, "flip").expect(0);
    run(&site, "abort").expect(0);
    load.stop().expect_none_failed();
}
