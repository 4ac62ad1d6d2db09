//! The fleet itself, without bg: its hosts are apart, what is cut is cut, and nothing of it outlives its owner.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bg_playground::fleet::Cut;
use bg_playground::{Behaviour, Fleet, Playground, listens, process, skipped_unless_root, until};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(40);

fn small() -> Fleet {
    Playground::options().small().disk_kib(1024).fleet().unwrap()
}

fn network() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").unwrap()
}

fn is_mounted(dir: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().filter_map(|line| line.split(' ').nth(1)).any(|at| Path::new(at).starts_with(dir))
}

#[test]
fn hosts_are_apart_and_the_thread_is_home_when_they_are_gone() {
    if skipped_unless_root("a fleet's hosts") {
        return;
    }
    let home = network();
    let fleet = small();
    assert_ne!(network(), home, "this thread is at the desk");
    for (host, address) in [("lb1", "10.77.0.11"), ("web1", "10.77.0.21")] {
        let said = fleet.ssh(host, "uname -n; hostname -I; cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l").unwrap();
        let lines: Vec<&str> = said.stdout.lines().map(str::trim).collect();
        assert_eq!(lines[0], host, "{said}");
        assert!(lines[1].split(' ').any(|known| known == address), "{said}");
        assert_eq!(lines[2], "bg-playground", "{said}");
        assert!(lines[3].parse::<u32>().unwrap() < 20, "it sees its own processes alone: {said}");
    }
    let dir = fleet.dir().to_owned();
    assert!(is_mounted(&dir));
    drop(fleet);
    assert_eq!(network(), home);
    assert!(!dir.exists() && !is_mounted(&dir));
    assert_eq!(process::of_playground(&dir), []);
}

#[test]
fn links_are_cut_and_healed_hosts_killed_and_started_and_disks_filled() {
    if skipped_unless_root("a fleet's faults") {
        return;
    }
    let mut fleet = small();
    let (ssh, public) = (fleet.host("lb1").ssh, fleet.balancer("lb1").public);
    // Who is reached may be slow to answer on a busy machine; who is cut off never does.
    let expect = |fleet: &Fleet, what: &str, expected: (bool, bool)| {
        let reached = || (listens(ssh), fleet.as_client(|| listens(public)).unwrap());
        until(SOON, what, || (reached() == expected).then_some(())).unwrap();
    };
    for (cut, expected) in [
        (Cut::Desk, (false, true)),
        (Cut::Commands, (false, true)),
        (Cut::Answers, (false, true)),
        (Cut::Link, (false, false)),
    ] {
        expect(&fleet, &format!("all before {cut:?}"), (true, true));
        fleet.cut("lb1", cut).unwrap();
        expect(&fleet, &format!("{cut:?}"), expected);
        fleet.heal().unwrap();
    }
    expect(&fleet, "the healed link", (true, true));

    fleet.start_app("web1", "v1", &Behaviour::default()).unwrap();
    fleet.kill("web1").unwrap();
    assert!(!listens(fleet.host("web1").ssh));
    fleet.boot("web1").unwrap();
    assert_eq!(fleet.ask("web1", "/").unwrap().release(), "v1", "it starts what its disk has");
    assert!(fleet.ssh("web1", "true").unwrap().ok());

    let write = format!("head -c 70000 /dev/zero >{}/more", fleet.place("web1").root.display());
    fleet.fill_disk("web1").unwrap();
    assert!(!fleet.ssh("web1", &write).unwrap().ok());
    fleet.free_disk("web1").unwrap();
    assert!(fleet.ssh("web1", &write).unwrap().ok());
}

/// Run as a process of its own by the test below, which sets `TELL`: owns a fleet and waits to be killed.
#[test]
fn fleet_owner_to_be_killed() {
    let Ok(told) = std::env::var("TELL") else { return };
    let fleet = small();
    fleet.start_app("web1", "v1", &Behaviour::default()).unwrap();
    fs::write(format!("{told}.new"), fleet.dir().display().to_string()).unwrap();
    fs::rename(format!("{told}.new"), told).unwrap();
    let _killed = until(Duration::from_secs(60), "being killed", || None::<()>);
}

#[test]
fn an_owner_that_is_killed_leaves_nothing_even_when_its_reaper_is_killed_too() {
    if skipped_unless_root("a fleet whose owner is killed") {
        return;
    }
    for with_reaper in [false, true] {
        let tell = tempfile::tempdir().unwrap();
        let told = tell.path().join("dir");
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fleet_owner_to_be_killed"])
            .env("TELL", &told)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let dir = PathBuf::from(until(SOON, "the other fleet", || fs::read_to_string(&told).ok()).unwrap());
        let all = process::of_playground(&dir);
        assert!(all.len() > 10, "{all:#?}");
        let reaper = all.iter().find(|process| process.command.contains(" reap ")).unwrap();
        if with_reaper {
            process::signal(reaper.pid, Signal::SIGKILL);
        }
        process::signal(i32::try_from(owner.id()).unwrap(), Signal::SIGKILL);
        owner.wait().unwrap();
        let ended = || process::of_playground(&dir).is_empty().then_some(());
        until(SOON, "the end of every process", ended).unwrap();
        // With nobody left to do it, the disks are taken away by the next fleet.
        let next = with_reaper.then(small);
        until(SOON, "the end of the directory", || (!dir.exists() && !is_mounted(&dir)).then_some(())).unwrap();
        drop(next);
    }
}
