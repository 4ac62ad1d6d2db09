use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::half::Half;

fn split(shares: &[(&str, u16)], offset: u8) -> Traffic {
    let share = |(segment, green): &(&str, u16)| SegmentShare {
        segment: (*segment).to_owned(),
        green: Share::from_hundredths(*green).unwrap(),
    };
    Traffic::split(shares.iter().map(share).collect(), offset)
}

fn paths(traffic: &Traffic) -> Vec<String> {
    let outside_full = |e: &&Entry| !e.path.starts_with("full/");
    tree(traffic).to_files().filter(outside_full).map(|e| e.path.clone()).collect()
}

#[test]
fn both_is_one_file_and_blue_is_nothing() {
    assert_eq!(paths(&Traffic::Both), ["both"]);
    assert!(paths(&Traffic::on(Half::Blue, &["mobile".into()])).is_empty());
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree(&Traffic::on(Half::Blue, &[])).hash(), of_nothing);
}

#[test]
fn a_share_begins_at_its_offset_and_wraps() {
    let traffic = split(&[("mobile", 302), ("all", 0)], 98);
    assert_eq!(
        paths(&traffic),
        [
            "full",
            "green",
            "green/mobile",
            "green/mobile/98",
            "green/mobile/99",
            "green/mobile/00",
            "green/mobile/01",
            "green/mobile/01/00",
            "green/mobile/01/01"
        ]
    );
}

#[test]
fn a_share_below_one_percent_needs_no_full_bucket() {
    assert_eq!(paths(&split(&[("all", 1)], 7)), ["green", "green/all", "green/all/07", "green/all/07/00"]);
}

#[test]
fn equal_shares_stand_once() {
    let green = tree(&Traffic::on(Half::Green, &["mobile".into(), "tablet".into(), "bots".into()]));
    assert!(green.to_files().count() < 210);
    let link = Entry { path: "green/all".into(), kind: Kind::Link("mobile".into()) };
    assert!(green.to_files().any(|e| *e == link));
}

#[test]
fn traffic_json_reads_back() {
    let traffic = split(&[("mobile", 1000), ("all", 0)], 12);
    let file = TrafficFile {
        site: "shop".into(),
        journal: "j1".into(),
        rollout: Some(12),
        generation: 17,
        hash: tree(&traffic).hash(),
        traffic,
        releases: HalfReleases { blue: Some("v41".into()), green: None },
    };
    assert_eq!(TrafficFile::parse(&file.to_text()).unwrap(), file);
    assert!(TrafficFile::parse("{}").is_err());
    let driving = file.to_text().replace(&file.journal, "a\\u001b[2J");
    assert_eq!(TrafficFile::parse(&driving).unwrap().journal, "a\u{fffd}[2J", "a hand may have written anything");
}

/// Creates the tree in `dir` as a balancer would.
fn write(tree: &Tree, dir: &std::path::Path) {
    for entry in tree.to_files() {
        let path = dir.join(&entry.path);
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match &entry.kind {
            Kind::Dir => {
                std::fs::create_dir(&path).unwrap();
                mode(0o755)
            }
            Kind::EmptyFile => {
                std::fs::write(&path, "").unwrap();
                mode(0o644)
            }
            Kind::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
        }
    }
}

/// The hash as the one command on a balancer computes it.
fn hash_on_disk(dir: &std::path::Path) -> String {
    let script = r"find . -mindepth 1 ! -name traffic.json ! -name traffic.txt -printf '%y %m %P %l\n' | LC_ALL=C sort | sha256sum";
    hash_by(script, dir)
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the test asks the real find and sha256sum")]
fn hash_by(script: &str, dir: &std::path::Path) -> String {
    let out = std::process::Command::new("sh").args(["-c", script]).current_dir(dir).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_balancer_hashes_its_own_disk_to_the_same() {
    let shares: [&[(&str, u16)]; 6] = [
        &[("all", 0)],
        &[("mobile", 10_000), ("all", 10_000)],
        &[("mobile", 1_000), ("all", 0)],
        &[("mobile", 1_000), ("tablet", 1_000), ("all", 25)],
        &[("a", 9_999), ("b", 1), ("all", 2_550)],
        &[("all", 100)],
    ];
    let cases = shares.iter().map(|s| split(s, 96)).chain([Traffic::Both]);
    for traffic in cases {
        let dir = tempfile::tempdir().unwrap();
        write(&tree(&traffic), dir.path());
        std::fs::write(dir.path().join(TRAFFIC_JSON), "{}").unwrap();
        assert_eq!(hash_on_disk(dir.path()), tree(&traffic).hash(), "{traffic}");
    }
}

#[test]
fn trees_side_by_side_hash_together_to_what_a_balancer_finds() {
    let trees = [(13, tree(&split(&[("mobile", 1_000), ("all", 25)], 7))), (14, tree(&Traffic::Both))];
    let dir = tempfile::tempdir().unwrap();
    for (number, tree) in &trees {
        let below = dir.path().join(number.to_string());
        std::fs::create_dir(&below).unwrap();
        std::fs::set_permissions(&below, std::fs::Permissions::from_mode(0o755)).unwrap();
        write(tree, &below);
        let file = below.join(TRAFFIC_JSON);
        std::fs::write(&file, "{}").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let script = r"find . -mindepth 1 -printf '%y %m %P %l\n' | LC_ALL=C sort | sha256sum";
    assert_eq!(hash_by(script, dir.path()), hash_of_all(trees.iter().map(|(number, tree)| (*number, tree))));
}

#[test]
fn a_hand_edit_shows_in_the_hash() {
    let traffic = split(&[("mobile", 1_000), ("all", 0)], 0);
    let dir = tempfile::tempdir().unwrap();
    write(&tree(&traffic), dir.path());
    std::fs::set_permissions(dir.path().join("full/07"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(hash_on_disk(dir.path()), tree(&traffic).hash());
}

/// Whether nginx would find the slot's file, following the links as the kernel does.
fn on_green(dir: &std::path::Path, segment: &str, bucket: u16, slot: u16) -> bool {
    dir.join(format!("green/{segment}/{bucket:02}/{slot:02}")).is_file()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_are_exact_and_begin_at_the_offset(mobile in 0u16..=10_000, all in 0u16..=10_000, offset in 0u8..100) {
        let traffic = split(&[("mobile", mobile), ("all", all)], offset);
        let Traffic::Split { offset, .. } = traffic else { unreachable!() };
        let dir = tempfile::tempdir().unwrap();
        write(&tree(&traffic), dir.path());
        for (segment, share) in [("mobile", mobile), ("all", all)] {
            for index in 0..10_000u16 {
                let bucket = (index / 100 + u16::from(offset)) % 100;
                prop_assert_eq!(on_green(dir.path(), segment, bucket, index % 100), index < share);
            }
        }
    }

    #[test]
    fn whoever_is_on_green_stays_there_as_the_share_grows(less in 1u16..10_000, more in 1u16..10_000, offset in 0u8..100) {
        let (less, more) = (less.min(more), less.max(more));
        let slots = |share: u16| -> std::collections::BTreeSet<String> {
            let whole = (0..share / 100).flat_map(|i| (0..100).map(move |slot| (i, slot)));
            let rest = (0..share % 100).map(|slot| (share / 100, slot));
            whole.chain(rest).map(|(i, slot)| format!("{:02}/{slot:02}", (i + u16::from(offset)) % 100)).collect()
        };
        prop_assert!(slots(less).is_subset(&slots(more)));
    }
}
