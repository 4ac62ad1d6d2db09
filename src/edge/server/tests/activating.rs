use super::*;

fn ready(restart: &str) -> (Bench, Packed) {
    let bench = Bench::new(restart);
    let packed = packed(&[("a", "one")]);
    bench.install(1, 1, &packed).unwrap();
    bench.install(2, 2, &packed).unwrap();
    (bench, packed)
}

#[test]
fn current_is_switched_before_the_command_and_the_marker_written_after_it() {
    let (bench, packed) = ready("readlink current >>../log; cat .bg/marker >>../log; echo {{ release }} >>../log");
    assert_eq!(bench.activate(3, 1, Some(&packed), false).unwrap(), "activated");
    let log = fs::read_to_string(bench.home.path().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines[0], lines[2]), ("releases/v1", "v1"));
    let during: Marker = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((during.release, during.activating.as_deref()), (None, Some("v1")));
    let marker = bench.look().marker.unwrap();
    assert_eq!((marker.release.as_deref(), marker.activating, marker.epoch), (Some("v1"), None, 3));
    assert!(bench.runs(1, Some(&packed)) && !bench.runs(2, Some(&packed)));
}

#[test]
fn what_runs_already_is_not_restarted_unless_forced() {
    let (bench, packed) = ready("echo x >>../log");
    let restarts = || fs::read_to_string(bench.home.path().join("log")).unwrap_or_default().lines().count();
    for (n, (version, force, said, count)) in
        [(1, false, "activated", 1), (1, false, "already", 1), (1, true, "activated", 2), (2, false, "activated", 3)]
            .into_iter()
            .enumerate()
    {
        assert_eq!(bench.activate(3 + n as u64, version, Some(&packed), force).unwrap(), said);
        assert_eq!(restarts(), count);
    }
    // The marker alone proves nothing.
    fs::remove_file(bench.at("current")).unwrap();
    assert!(!bench.runs(2, Some(&packed)));
    assert_eq!(bench.activate(9, 2, Some(&packed), false).unwrap(), "activated");
    assert_eq!(restarts(), 4);
}

#[test]
fn a_delayed_activation_is_refused_after_the_fence_was_raised() {
    let (bench, packed) = ready("echo x >>../log");
    bench.activate(3, 1, Some(&packed), false).unwrap();
    bench.raise(9).unwrap();
    assert!(matches!(bench.activate(8, 2, Some(&packed), false), Err(What::Fenced { found: 9 })));
    assert!(bench.runs(1, Some(&packed)));
}

#[test]
fn a_failed_command_is_quoted_and_leaves_no_claim() {
    let (bench, packed) = ready("seq 1 100; echo boom >&2; exit 7");
    match bench.activate(3, 1, Some(&packed), false) {
        Err(What::CommandFailed { status: 7, tail }) => {
            assert!(tail.ends_with("99\n100\nboom"), "{tail}");
            assert_eq!(tail.lines().count(), 10);
        }
        other => panic!("{other:?}"),
    }
    let marker = bench.look().marker.unwrap();
    assert_eq!((marker.release, marker.activating.as_deref()), (None, Some("v1")));
    assert!(!bench.runs(1, Some(&packed)) && lock_is_free(&bench.root()));
}

#[test]
fn a_command_that_hangs_is_ended_at_its_bound() {
    let (mut bench, packed) = ready("echo waiting; sleep 1000 & wait");
    // A busy machine needs some of it to begin.
    bench.bounds.restart = Duration::from_secs(4);
    match bench.activate(3, 1, Some(&packed), false) {
        Err(What::CommandSlow { tail }) => assert_eq!(tail, "waiting"),
        other => panic!("{other:?}"),
    }
    assert!(lock_is_free(&bench.root()));
}

#[test]
fn a_daemon_holds_neither_the_lock_nor_the_output() {
    let (bench, packed) = ready("sleep 1000 & echo $! >../pid");
    assert_eq!(bench.activate(3, 1, Some(&packed), false).unwrap(), "activated");
    let pid = fs::read_to_string(bench.home.path().join("pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    let runs = nix::sys::signal::kill(pid, None).is_ok();
    let free = lock_is_free(&bench.root());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(runs && free);
}

#[test]
fn a_command_whose_operator_is_gone_keeps_others_out_until_it_ends() {
    let (mut bench, packed) = ready("echo begun >../begun; read x <../gate; echo done >../done");
    let gate = bench.home.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let values = bench.with_task(3, 1, Some(&packed), |task| activate::arguments(task, false).unwrap().0);
    let mut child = bench.start(ACTIVATE, values);
    until("the command", || bench.home.path().join("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    bench.bounds.lock = Duration::ZERO;
    assert!(matches!(bench.activate(4, 2, Some(&packed), false), Err(What::Busy)));
    fs::write(gate, "go\n").unwrap();
    until("the command's end", || bench.home.path().join("done").exists() && lock_is_free(&bench.root()));
    assert!(!bench.runs(1, Some(&packed)));
    assert!(bench.raise(4).is_ok());
}

#[test]
fn what_can_be_known_before_is_refused_before() {
    let (bench, packed) = ready("true");
    bench.activate(3, 1, Some(&packed), false).unwrap();
    assert!(matches!(bench.activate(4, 9, Some(&packed), false), Err(What::Unplaced)));
    assert!(bench.runs(1, Some(&packed)));
    fs::remove_file(bench.at("current")).unwrap();
    fs::create_dir(bench.at("current")).unwrap();
    assert!(matches!(bench.activate(5, 2, Some(&packed), false), Err(What::CurrentIsNoLink)));
    assert_eq!(bench.look().marker.unwrap().release.as_deref(), Some("v1"));
}

#[test]
fn a_command_of_the_users_needs_no_release_on_the_disk() {
    let bench = Bench::with("run = \"echo {{ release }} {{ half }} >>log; pwd >>log\"");
    assert_eq!(bench.activate(3, 1, None, false).unwrap(), "activated");
    assert_eq!(bench.activate(4, 1, None, false).unwrap(), "already");
    let log = fs::read_to_string(bench.home.path().join("log")).unwrap();
    assert_eq!(log, format!("v1 green\n{}\n", bench.home.path().canonicalize().unwrap().display()));
    assert!(bench.runs(1, None) && !bench.runs(2, None));
}

#[test]
fn a_unit_that_crashes_is_seen() {
    let deploy = "artifact = \"a.tar\"\nrestart = \"true\"\nservice = \"shop-{{ half }}.service\"";
    let loops = "n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) >count; echo NRestarts=$((n / 4)); echo ActiveState=active";
    let cases = [
        ("echo NRestarts=0; echo ActiveState=active; echo SubState=running", None),
        ("echo NRestarts=0; echo ActiveState=failed", Some("failed")),
        ("echo NRestarts=3; echo ActiveState=activating; echo SubState=auto-restart", Some("restarting")),
        (loops, Some("restarting")),
    ];
    for (systemctl, crashed) in cases {
        let mut bench = Bench::with(deploy);
        bench.bounds.watch = Duration::from_secs(2);
        bench.shim("systemctl", &format!("case \"$*\" in *shop-green.service) ;; *) exit 1 ;; esac\n{systemctl}"));
        bench.shim("journalctl", "echo 'Error: no such module'");
        let packed = packed(&[("a", "one")]);
        bench.install(1, 1, &packed).unwrap();
        match (bench.activate(2, 1, Some(&packed), false), crashed) {
            (Ok(said), None) => assert_eq!(said, "activated"),
            (Err(What::Crashed { how, tail }), Some(wanted)) => {
                assert_eq!((how.as_str(), tail.as_str()), (wanted, "Error: no such module"));
                assert!(!bench.runs(1, Some(&packed)));
            }
            other => panic!("{systemctl}: {other:?}"),
        }
    }
}
