use super::*;

#[test]
fn a_lower_epoch_and_another_journal_are_refused() {
    let bench = Bench::new("true");
    assert_eq!(bench.raise(7).unwrap().fence, Some(Fence { journal: "J".into(), epoch: 7 }));
    assert!(bench.raise(7).is_ok());
    assert!(matches!(bench.raise(6), Err(What::Fenced { found: 7 })));
    assert!(bench.raise(10).is_ok());
    let values = entry(bench.place(), "K", 99, &bench.bounds).unwrap();
    match bench.run(RAISE, values, b"") {
        Err(What::Foreign { journal, epoch: 10 }) => assert_eq!(journal, "J"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.read(".bg/fence"), "J 10");
}

#[test]
fn a_damaged_fence_lets_nobody_in() {
    let bench = Bench::new("true");
    bench.raise(1).unwrap();
    for text in ["", "J", "J x", "J ", " 7", "J 7 8", "J -1"] {
        fs::write(bench.at(".bg/fence"), text).unwrap();
        assert!(matches!(bench.raise(100), Err(What::DamagedFence)), "{text:?}");
    }
}

#[test]
fn looking_changes_nothing_and_minds_nothing_missing() {
    let bench = Bench::new("true");
    let seen = bench.look();
    assert!(!bench.root().exists());
    assert_eq!((&seen.fence, &seen.marker, &seen.current), (&None, &None, &None));
    assert!(seen.has("flock") && seen.has("tar") && seen.writable && seen.disk_free_bytes.is_some());
}

#[test]
fn a_root_in_the_home_directory_is_found() {
    let bench = Bench::new("true");
    let mut values = entry(bench.place(), "J", 3, &bench.bounds).unwrap();
    values[0] = "~/.bg/shop/web-3000".into();
    bench.run(RAISE, values, b"").unwrap();
    let fence = bench.home.path().join(".bg/shop/web-3000/.bg/fence");
    assert_eq!(fs::read_to_string(fence).unwrap(), "J 3\n");
}

#[test]
fn a_held_lock_is_waited_for_with_a_bound() {
    let mut bench = Bench::new("true");
    bench.raise(1).unwrap();
    let mut holder = Command::new("flock");
    let mut holder =
        holder.arg(bench.at(".bg/lock")).arg("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    until("the lock", || !lock_is_free(&bench.root()));
    bench.bounds.lock = Duration::ZERO;
    assert!(matches!(bench.raise(2), Err(What::Busy)));
    assert_eq!(bench.read(".bg/fence"), "J 1");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(bench.raise(2).is_ok());
}

#[test]
fn values_that_no_script_may_get_are_refused_here() {
    let bench = Bench::new("true");
    for journal in ["", "a b", "a\nb"] {
        assert!(entry(bench.place(), journal, 1, &bench.bounds).is_err());
    }
    let mut place = bench.place().clone();
    for root in ["", "/", "srv", "~other/x"] {
        place.root = root.into();
        assert!(entry(&place, "J", 1, &bench.bounds).is_err(), "{root:?}");
    }
}

#[test]
fn every_script_passes_shellcheck() {
    for script in [LOOK, RAISE, PLACE_BEGIN, UPLOAD, ACTIVATE, PRUNE, super::script::SOCKETS] {
        let mut child = Command::new("shellcheck");
        child.args(["--shell=sh", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Where it is not installed there is nothing to say.
        let Ok(mut child) = child.spawn() else { return };
        child.stdin.take().unwrap().write_all(script.text.as_bytes()).unwrap();
        let output = end(child);
        assert_eq!(output.status, 0, "{}: {}", script.name, output.stdout_text());
    }
}
