//! A journal in etcd: members die in the middle of commands, commands die, and once all of etcd does.

use std::{fs, path::Path, time::Duration};

use bg_playground::{Etcd, Playground, until};
use bluegreen_core::rollout::decode;
use serde_json::{Value, json};

use crate::{
    desk::{SOON, bg, journal, kill_held, small, start_until, status, untouched, world},
    shared::{Desk, serves_blue},
};

fn in_etcd(etcd: &Etcd) -> Playground {
    let site = small().start().unwrap();
    site.edit_inventory(|text| text.replace("file:.bg/shop", &etcd.location("/bg/shop"))).unwrap();
    site
}

/// What `status` says at a desk once it has read the journal: it waits for that two seconds only, and for whoever is elected
/// in place of a dead leader it may take longer.
#[track_caller]
fn status_at(site: &Playground, desk: &Path) -> Value {
    let read = || {
        let out = site.bg_command(["status", "--json"]).unwrap().current_dir(desk).output().unwrap();
        let seen: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out:?}"));
        assert_eq!(out.status.success(), seen["journal"].is_null(), "{out:?}");
        seen["journal"].is_null().then_some(seen)
    };
    until(SOON, "the journal in etcd", read).unwrap()
}

#[test]
fn two_desks_roll_out_while_one_member_after_the_other_is_killed() {
    let mut etcd = Etcd::start(3).unwrap();
    let mut site = in_etcd(&etcd);
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let other = Desk::new(&site);
    bg(&site, "deploy --release v2", 0);
    assert_eq!(status_at(&site, &other.dir)["stage"], "staged");
    // The one that leads, while the switch is under way: the others elect a new one.
    let flip = start_until(&site, "flip", 0);
    let leader = etcd.leader().unwrap();
    etcd.kill(leader);
    let ran = flip.wait(SOON).unwrap();
    if ran.code == Some(5) {
        other.bg("resume --wait 60s", 0);
    } else {
        ran.expect(0);
    }
    let seen = status_at(&site, &other.dir);
    assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!("flipped"), &Value::Null), "{seen:#}");
    etcd.restart(leader).unwrap();

    let hold = site.hold_restarts().unwrap();
    let restore = start_until(&site, "restore", 4);
    let said = other.bg("flip --back", 3);
    assert!(said.contains("another bg is under way on this site: `restore` by"), "{said}");
    assert!(said.contains("which a killed command loses within 15 s"), "{said}");
    let next = etcd.leader().unwrap();
    etcd.kill(next);
    fs::remove_file(&hold).unwrap();
    restore.wait(SOON).unwrap().expect(0);
    etcd.restart(next).unwrap();
    assert_eq!(status_at(&site, &other.dir)["stage"], "balanced");

    kill_held(&site, &hold, "deploy --release v1");
    let said = other.bg("abort", 3);
    assert!(said.contains("`deploy` of v1 by"), "{said}");
    other.bg("abort --wait 60s", 0);
    assert_eq!(status_at(&site, site.dir())["stage"], "balanced");
    let all = journal(&site);
    let indexes: Vec<u64> = all.lines().map(|line| decode(line).unwrap().index).collect();
    assert_eq!(indexes, (0..indexes.len() as u64).collect::<Vec<_>>(), "none lost");
    assert!(!site.dir().join(".bg").exists() && !other.dir.join(".bg").exists(), "no journal of a desk's own");
}

#[test]
fn without_etcd_nothing_is_begun_and_what_was_open_is_finished_when_it_is_back() {
    let mut etcd = Etcd::start(1).unwrap();
    let mut site = in_etcd(&etcd);
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    etcd.kill(0);
    fs::remove_file(hold).unwrap();
    let ran = deploy.wait(SOON).unwrap();
    assert!(ran.expect(5).stderr.contains("no member of etcd answered"), "{ran}");
    assert!(ran.stderr.contains("members back") && !ran.stderr.contains("make room"), "{ran}");

    let before = world(&site);
    for words in ["resume", "abort", "flip", "setup --release v1"] {
        let ran = bg(&site, words, 1);
        assert!(ran.stderr.contains(&etcd.location("/bg/shop")) && ran.stderr.contains("Nothing was touched"), "{ran}");
        assert!(ran.stderr.contains("hint: bring etcd's members back"), "{ran}");
        assert!(ran.took < Duration::from_secs(40), "{ran}");
        untouched(&site, &before, &ran);
    }
    let ran = bg(&site, "status --json", 1);
    let seen: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(seen["journal"].as_str().unwrap().contains("no member of etcd answered"), "{seen:#}");
    assert_eq!(seen["pools"]["web"]["green"][0]["release"], "v2", "{seen:#}");
    serves_blue(&seen);
    assert!(ran.took < Duration::from_secs(40), "{ran}");

    etcd.restart(0).unwrap();
    // The place of the command that ended without etcd is there until its lease is over.
    let seen = status_at(&site, site.dir());
    assert!(seen["under_way"].as_str().is_some_and(|who| who.contains("`deploy`")), "{seen:#}");
    bg(&site, "resume --wait 60s", 0);
    assert_eq!(status(&site)["stage"], "staged");
}
