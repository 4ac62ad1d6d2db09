use super::super::prune::surplus;
use super::*;

#[test]
fn a_release_is_placed_once_in_every_encoding() {
    for (n, encoding) in [Encoding::Zstd, Encoding::Gzip, Encoding::Plain].into_iter().enumerate() {
        let bench = Bench::new("true");
        let packed = packed(&[("bin/app", "one"), ("static/x", "two")]);
        bench.place_as(n as u64, 2, &packed, encoding).unwrap();
        assert_eq!(bench.read("releases/v2/bin/app"), "one");
        assert_eq!(bench.releases(), ["v2"]);
        assert_eq!(bench.read(".bg/releases/v2"), packed.sha256);
        assert!(bench.begin(9, 2, &packed).unwrap().contains(&"present".to_owned()));
        let kept = Kept { name: "v2".into(), sha256: Some(packed.sha256.clone()) };
        assert_eq!(bench.look().releases, [kept]);
    }
}

#[test]
fn an_upload_that_comes_twice_changes_nothing() {
    let bench = Bench::new("true");
    let packed = packed(&[("a", "one")]);
    bench.install(1, 1, &packed).unwrap();
    fs::write(bench.at("releases/v1/written"), "since").unwrap();
    let transfer = transfer(&packed, Encoding::Zstd);
    let bytes = sent(&transfer);
    let said = bench.run(UPLOAD, bench.upload_values(1, 1, &packed, &transfer), &bytes).unwrap();
    assert_eq!(said, ["present"]);
    assert_eq!((bench.read("releases/v1/written"), bench.releases()), ("since".into(), vec!["v1".into()]));
}

#[test]
fn what_bg_did_not_put_there_is_left_alone() {
    let bench = Bench::new("true");
    let (one, two) = (packed(&[("a", "one")]), packed(&[("a", "two")]));
    fs::create_dir_all(bench.at("releases/v1")).unwrap();
    assert!(matches!(bench.install(1, 1, &one), Err(What::Occupied)));
    bench.install(2, 2, &one).unwrap();
    assert!(matches!(bench.install(3, 2, &two), Err(What::Occupied)));
    assert_eq!(bench.read("releases/v2/a"), "one");
}

#[test]
fn an_upload_that_was_overtaken_never_lands() {
    let bench = Bench::new("true");
    let packed = packed(&[("a", "one")]);
    let transfer = transfer(&packed, Encoding::Zstd);
    let bytes = sent(&transfer);
    bench.begin(5, 2, &packed).unwrap();
    // Before its first byte, and in its middle.
    for sent in [0, bytes.len() / 2] {
        let mut child = bench.start(UPLOAD, bench.upload_values(5, 2, &packed, &transfer));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&bytes[..sent]).unwrap();
        if sent > 0 {
            until("the upload", || bench.releases() == [".v2.5.tree"]);
            bench.raise(6).unwrap();
        } else {
            until("the upload", || bench.releases() == [".v2.5.tree"]);
        }
        if sent == 0 {
            drop(stdin);
            assert!(matches!(answer("upload", &end(child)), Err(What::Torn)));
            continue;
        }
        stdin.write_all(&bytes[sent..]).unwrap();
        drop(stdin);
        assert!(matches!(answer("upload", &end(child)), Err(What::Fenced { found: 6 })));
        assert_eq!(bench.releases(), Vec::<String>::new());
    }
    let late = bench.run(UPLOAD, bench.upload_values(5, 2, &packed, &transfer), &bytes);
    assert!(matches!(late, Err(What::Fenced { found: 6 })));
    assert!(matches!(bench.begin(5, 2, &packed), Err(What::Fenced { .. })));
    assert_eq!((bench.releases(), bench.read(".bg/releases/v2")), (vec![], String::new()));
}

#[test]
fn the_next_attempt_clears_what_a_dead_one_left() {
    let bench = Bench::new("true");
    let packed = packed(&[("a", "one")]);
    let transfer = transfer(&packed, Encoding::Zstd);
    bench.begin(5, 2, &packed).unwrap();
    let mut child = bench.start(UPLOAD, bench.upload_values(5, 2, &packed, &transfer));
    until("the upload", || bench.releases() == [".v2.5.tree"]);
    let stdin = child.stdin.take();
    // Cleared under it, it fails at the latest when it wants to land.
    bench.install(6, 3, &packed).unwrap();
    assert_eq!(bench.releases(), ["v3"]);
    drop(stdin);
    assert!(answer("upload", &end(child)).is_err());
    assert_eq!(bench.releases(), ["v3"]);
}

#[test]
fn what_arrives_otherwise_than_sent_is_not_unpacked() {
    let bench = Bench::new("true");
    let packed = packed(&[("a", "one")]);
    let transfer = transfer(&packed, Encoding::Zstd);
    let mut bytes = sent(&transfer);
    bytes[20] ^= 1;
    bench.begin(1, 1, &packed).unwrap();
    let said = bench.run(UPLOAD, bench.upload_values(1, 1, &packed, &transfer), &bytes);
    assert!(matches!(said, Err(What::Torn)), "{said:?}");
    assert_eq!(bench.releases(), Vec::<String>::new());
}

#[test]
fn shared_paths_are_seeded_once_and_outlive_releases() {
    let bench = Bench::new("true");
    bench.install(1, 1, &packed(&[("a", "one"), ("uploads/seed", "first")])).unwrap();
    assert_eq!(bench.read("shared/uploads/seed"), "first");
    assert!(bench.at("shared/data/db").is_dir());
    fs::write(bench.at("releases/v1/uploads/new"), "user's").unwrap();
    fs::write(bench.at("releases/v1/data/db/rows"), "rows").unwrap();
    bench.install(2, 2, &packed(&[("a", "two"), ("uploads/seed", "second"), ("data/db", "a file")])).unwrap();
    assert_eq!(bench.read("releases/v2/uploads/new"), "user's");
    assert_eq!(bench.read("releases/v2/uploads/seed"), "first");
    assert_eq!(bench.read("releases/v2/data/db/rows"), "rows");
    assert_eq!(fs::read_link(bench.at("releases/v2/data/db")).unwrap(), Path::new("../../../shared/data/db"));
}

#[test]
fn pruning_spares_what_is_needed_and_what_is_not_bgs() {
    let bench = Bench::new("true");
    let packed = packed(&[("a", "one")]);
    for version in 1..=7 {
        bench.install(version, version, &packed).unwrap();
    }
    bench.activate(10, 2, Some(&packed), false).unwrap();
    fs::create_dir(bench.at("releases/v0")).unwrap();
    let names = surplus(&bench.look(), 2, &[Version(4)]);
    assert_eq!(names, ["v5", "v3", "v1"]);
    let mut values = entry(bench.place(), "J", 11, &bench.bounds).unwrap();
    values.extend(names);
    // Asked for by mistake, or decided before another command made it current.
    values.extend(["v2".to_owned(), "v0".to_owned()]);
    assert_eq!(bench.run(PRUNE, values.clone(), b"").unwrap(), ["removed v5", "removed v3", "removed v1"]);
    assert_eq!(bench.releases(), ["v0", "v2", "v4", "v6", "v7"]);
    assert_eq!(bench.run(PRUNE, values, b"").unwrap(), Vec::<String>::new());
}

#[test]
fn too_little_room_is_refused_before_anything_is_sent() {
    let seen = |free| Seen { disk_free_bytes: free, ..Seen::default() };
    assert!(matches!(place::room(&seen(Some(99)), 100), Err(What::NoRoom { needed: 100, free: 99 })));
    assert!(place::room(&seen(Some(100)), 100).is_ok() && place::room(&seen(None), 100).is_ok());
}

#[test]
fn a_full_disk_is_said_with_the_hosts_own_words_and_nothing_stays() {
    let bench = Bench::new("true");
    if !nix::unistd::Uid::effective().is_root() {
        let _no_terminal = writeln!(std::io::stderr(), "skipped (it needs root): a full disk");
        return;
    }
    fs::create_dir(bench.root()).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(bench.root()).status();
    if !mount.is_ok_and(|status| status.success()) {
        let _no_terminal = writeln!(std::io::stderr(), "skipped (it needs the right to mount): a full disk");
        return;
    }
    // Compressed it fits, unpacked it does not.
    let big = packed(&[("a", &"x".repeat(3 << 20))]);
    let small = packed(&[("a", "one")]);
    let said = bench.install(1, 1, &big);
    let (left, fits) = (bench.releases(), bench.install(2, 2, &small));
    let unmounted = Command::new("umount").arg(bench.root()).status().unwrap();
    assert!(unmounted.success());
    let text = said.unwrap_err().to_string();
    assert!(text.contains("the disk is full there") && text.contains("tar: "), "{text}");
    assert_eq!(left, Vec::<String>::new());
    assert!(fits.is_ok());
}
