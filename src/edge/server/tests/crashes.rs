//! The power goes, or everything is killed, before or after any program that a script calls.

use super::*;

/// Every program that changes something, and some that only read.
const PROGRAMS: [&str; 14] = [
    "cat",
    "flock",
    "head",
    "ln",
    "mkdir",
    "mv",
    "readlink",
    "rm",
    "setsid",
    "sha256sum",
    "sync",
    "tar",
    "timeout",
    "zstd",
];

/// Makes the `nth` call of any of these programs the last thing that the script's process group does.
fn kill_at(bench: &Bench, nth: usize, after: bool) {
    let count = bench.home.path().join("count");
    fs::write(&count, "0").unwrap();
    for program in PROGRAMS {
        let real = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(program));
        let real = real.iter().find(|path| path.exists()).unwrap().display();
        let count = count.display();
        let kill = format!("if [ $n = {nth} ]; then kill -KILL 0; fi");
        let (before, behind) = if after { (String::new(), kill) } else { (kill, String::new()) };
        bench.shim(
            program,
            &format!("read n <{count}; n=$((n + 1)); echo $n >{count}\n{before}\n{real} \"$@\" || exit\n{behind}"),
        );
    }
}

/// The same without shims.
fn mend(bench: &Bench) {
    for program in PROGRAMS {
        fs::remove_file(bench.home.path().join("bin").join(program)).unwrap();
    }
}

/// Whether the script was killed, and not just done.
fn was_killed(said: &Result<impl Sized, What>) -> bool {
    matches!(said, Err(What::Failed { status: -1, .. }))
}

/// The fence and the marker are never half written.
fn assert_sound(bench: &Bench) {
    let fence = bench.read(".bg/fence");
    assert!(fence.is_empty() || fence.starts_with("J "), "{fence:?}");
    let marker = bench.read(".bg/marker");
    assert!(marker.is_empty() || serde_json::from_str::<Marker>(&marker).is_ok(), "{marker:?}");
}

#[test]
fn an_upload_killed_anywhere_leaves_a_whole_release_or_none_and_the_next_one_succeeds() {
    let packed = packed(&[("a", "one"), ("uploads/seed", "first")]);
    let (mut killed, mut nth) = (0, 0);
    loop {
        nth += 1;
        let before_this = killed;
        for after in [false, true] {
            let bench = Bench::new("true");
            bench.begin(1, 1, &packed).unwrap();
            kill_at(&bench, nth, after);
            let transfer = transfer(&packed, Encoding::Zstd);
            let bytes = sent(&transfer);
            let said = bench.run(UPLOAD, bench.upload_values(1, 1, &packed, &transfer), &bytes);
            killed += usize::from(was_killed(&said));
            mend(&bench);
            assert_sound(&bench);
            if bench.at("releases/v1").exists() {
                assert_eq!(bench.read(".bg/releases/v1"), packed.sha256, "at {nth}");
            }
            bench.install(2, 1, &packed).unwrap_or_else(|error| panic!("at {nth}: {error}"));
            assert_eq!(bench.releases(), ["v1"], "at {nth}");
            assert_eq!(
                (bench.read("releases/v1/a"), bench.read("releases/v1/uploads/seed")),
                ("one".into(), "first".into())
            );
        }
        if killed == before_this {
            break;
        }
    }
    assert!(killed > 20, "{killed}");
}

#[test]
fn an_activation_killed_anywhere_claims_nothing_that_is_not_so_and_the_next_one_succeeds() {
    let packed = packed(&[("a", "one")]);
    let (mut killed, mut nth) = (0, 0);
    loop {
        nth += 1;
        let before_this = killed;
        for after in [false, true] {
            // The release that "runs" is the one that `current` named when the command ran.
            let bench = Bench::new("read -r x <../runs; echo ran >/dev/null; echo {{ release }} >../runs");
            fs::write(bench.home.path().join("runs"), "none\n").unwrap();
            let runs = || fs::read_to_string(bench.home.path().join("runs")).unwrap().trim().to_owned();
            bench.install(1, 1, &packed).unwrap();
            bench.install(2, 2, &packed).unwrap();
            bench.activate(3, 1, Some(&packed), false).unwrap();
            kill_at(&bench, nth, after);
            let said = bench.activate(4, 2, Some(&packed), false);
            killed += usize::from(was_killed(&said));
            mend(&bench);
            until("the command's end", || lock_is_free(&bench.root()));
            assert_sound(&bench);
            for (version, name) in [(1, "v1"), (2, "v2")] {
                if bench.runs(version, Some(&packed)) {
                    assert_eq!(runs(), name, "at {nth}, after {after}");
                }
            }
            bench.activate(5, 2, Some(&packed), false).unwrap_or_else(|error| panic!("at {nth}: {error}"));
            assert!(bench.runs(2, Some(&packed)) && runs() == "v2", "at {nth}");
        }
        if killed == before_this {
            break;
        }
    }
    assert!(killed > 20, "{killed}");
}
