//! Hosts that lose power in the middle of something and start again, and disks that are full.

use std::fs;

use bg_playground::Fleet;

use crate::{
    desk::{bg, status},
    hosts::{big_release, fleet, halves, in_sync, stage},
    phase::{Phase, current, part_of_upload},
};

/// What a balancer's current tree holds: paths, and where links lead.
fn tree(site: &Fleet, balancer: &str) -> Vec<String> {
    let dir = site.balancer(balancer).bg_dir.join("live").join(current(site, balancer));
    let mut open = vec![dir];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            found.push(format!("{} {:?}", path.display(), fs::read_link(&path).ok()));
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_server_that_loses_power_while_it_is_sent_a_release_gets_it_when_it_is_back() {
    let Some(mut site) = fleet("a server that loses power") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    big_release(&site, 8);
    let deploy = Phase::Uploading.enter(&site, "deploy --release v2");
    site.kill("web2").unwrap();
    let ran = deploy.go_on(&site);
    println!("{ran}");
    ran.expect(4);
    assert_eq!(stage(&site), ("isolated".to_owned(), false));
    assert!(part_of_upload(&site) > 0, "its disk has what it had");
    site.boot("web2").unwrap();
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v1", "the old release runs again");
    bg(&site, "deploy --release v2", 0);
    assert_eq!((stage(&site).0.as_str(), part_of_upload(&site)), ("staged", 0));
    bg(&site, "flip", 0);
    assert_eq!(halves(&site), ["green", "green"]);
    load.stop().expect_none_failed();
}

#[test]
fn a_balancer_that_loses_power_says_what_it_said_and_what_was_half_done_is_settled() {
    let Some(mut site) = fleet("a balancer that loses power") else { return };
    // Clients of the balancer that dies have somebody else to ask.
    let load = site.load_on(&["lb1"], 200).unwrap();
    bg(&site, "deploy --release v2 --canary mobile=50%", 0);
    let before = tree(&site, "lb2");
    let canary = status(&site)["traffic"].clone();
    site.kill("lb2").unwrap();
    assert_eq!(status(&site)["balancers"][1]["reachable"], false);
    site.boot("lb2").unwrap();
    assert_eq!(tree(&site, "lb2"), before);
    assert_eq!(status(&site)["traffic"], canary);
    in_sync(&site);

    let flip = Phase::Prepared.enter(&site, "flip");
    site.kill("lb2").unwrap();
    let ran = flip.go_on(&site);
    println!("{ran}");
    ran.expect(5);
    site.boot("lb2").unwrap();
    assert_eq!(tree(&site, "lb2"), before, "nothing was committed there");
    bg(&site, "resume", 0);
    assert_eq!((stage(&site), status(&site)["traffic"].clone()), (("canary".to_owned(), false), canary));
    in_sync(&site);

    // Switched, and dead before it could say so.
    let mut flip = Phase::Committing.enter(&site, "flip");
    flip.let_go();
    site.kill("lb2").unwrap();
    let ran = flip.go_on(&site);
    println!("{ran}");
    assert!(ran.code == Some(5) || ran.ok(), "{ran}");
    site.boot("lb2").unwrap();
    bg(&site, "abort", 0);
    assert_eq!(stage(&site), ("balanced".to_owned(), false));
    in_sync(&site);
    load.stop().expect_none_failed();
}

#[test]
fn a_full_disk_stops_a_shift_before_anything_and_an_upload_before_blue() {
    let Some(site) = fleet("full disks") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    site.fill_disk("lb2").unwrap();
    let ran = bg(&site, "deploy --release v2", 1);
    println!("{ran}");
    assert!(ran.stderr.contains("`lb2`") && ran.stderr.contains("No space left"), "{ran}");
    assert_eq!(stage(&site), ("balanced".to_owned(), false));
    in_sync(&site);
    site.free_disk("lb2").unwrap();

    site.fill_disk("web2").unwrap();
    let ran = bg(&site, "deploy --release v2", 4);
    println!("{ran}");
    assert!(ran.stderr.contains("`web2`") && ran.stderr.contains("full"), "{ran}");
    assert_eq!((stage(&site), halves(&site)), (("isolated".to_owned(), false), ["blue".into(), "blue".into()]));
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v1", "green was not touched either");
    site.free_disk("web2").unwrap();
    bg(&site, "deploy --release v2", 0);
    bg(&site, "flip", 0);
    assert_eq!(halves(&site), ["green", "green"]);
    load.stop().expect_none_failed();
}
