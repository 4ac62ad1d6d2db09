//! No command outlives its bound, nor bg.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bluegreen::edge::host::{Host, HostError, Hosts, KILL_GRACE, Run, SshSettings, Stdin};

use crate::connecting::processes_with;
use crate::sshd::{Sshd, runs, until};

/// Writes its process ids to the file `$1` and stays: itself, a child, and a child's child that ignores TERM.
pub const STAYS: &str = "echo $$ >>\"$1\"; (echo begun; trap '' TERM; sh -c 'echo $$ >>\"$1\"; while :; do sleep 1; done' x \"$1\" & echo $! >>\"$1\"; wait) & wait";

/// A bound for a command that is to be well begun when it is ended: a busy machine takes its time for that.
pub const BEGUN: Duration = Duration::from_secs(4);

/// What [`STAYS`] wrote.
pub fn pids(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect()
}

#[tokio::test]
async fn the_whole_group_ends_with_the_bound_even_what_ignores_term() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let (at, to) = (&sshd, &host);
    let stay = async |name: &str, stdin: Stdin| {
        let file = at.path(name);
        let start = Instant::now();
        let error = to.run(Run::script("stay", STAYS, [file.display().to_string()]).stdin(stdin).timeout(BEGUN)).await;
        let error = error.unwrap_err();
        println!("a stubborn group, bound {BEGUN:?}: {:?}", start.elapsed());
        assert_eq!(error.to_string(), format!("`box`: `stay` did not end within {BEGUN:?} and was ended: begun"));
        assert!(matches!(error, HostError::TimedOut { ended: true, .. }), "{error:?}");
        assert_eq!(pids(&file).len(), 3);
        assert!(pids(&file).iter().all(|pid| !runs(pid)), "gone when the error is told");
    };
    tokio::join!(stay("null", Stdin::Null), stay("data", Stdin::Bytes(b"data".to_vec())));
    // The connection is as good as before.
    host.run_ok(Run::new("true", ["true"])).await.unwrap();
    hosts.close().await;
}

/// What obeys is gone right after its bound and not after the grace, which is for what does not. The quickest of three
/// counts: a busy machine may hold up one, the grace would hold up each. Between them comes `after`.
pub async fn assert_no_grace(host: &Host, run: impl Fn(Duration) -> Run, after: impl AsyncFn()) {
    let bound = Duration::from_millis(500);
    let mut took = Vec::new();
    while took.last().is_none_or(|last| *last >= bound + KILL_GRACE) {
        assert!(took.len() < 3, "{took:?}");
        let start = Instant::now();
        let error = host.run(run(bound)).await.unwrap_err();
        took.push(start.elapsed());
        assert!(matches!(error, HostError::TimedOut { ended: true, .. }), "{error:?}");
        after().await;
    }
}

#[tokio::test]
async fn an_obedient_command_is_gone_right_after_its_bound() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    host.connect().await.unwrap();
    assert_no_grace(&host, |bound| Run::new("sleep", ["sleep", "60"]).timeout(bound), async || ()).await;
    hosts.close().await;
}

#[tokio::test]
async fn a_command_that_never_reads_its_input_ends_with_its_bound() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let run =
        Run::new("upload", ["sleep", "60"]).stdin(Stdin::Bytes(vec![0; 20_000_000])).timeout(Duration::from_secs(1));
    let error = host.run(run).await.unwrap_err();
    assert!(matches!(error, HostError::TimedOut { ended: true, .. }), "{error:?}");
    // A source that breaks is told at once, and what ran is ended.
    let broken = tokio_util::io::StreamReader::new(futures::stream::iter([Err::<bytes::Bytes, _>(
        std::io::Error::other("bad disk"),
    )]));
    let file = sshd.path("pids");
    let run = Run::script("upload", STAYS, [file.display().to_string()]).stdin(Stdin::Reader(Box::new(broken)));
    let error = host.run(run).await.unwrap_err();
    assert_eq!(error.to_string(), "`box`: what was to be sent to `upload` could not be read on this machine: bad disk");
    until("it is gone", || pids(&file).iter().all(|pid| !runs(pid))).await;
    hosts.close().await;
}

#[tokio::test]
async fn a_ctrl_c_at_the_terminal_does_not_reach_the_master() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    host.connect().await.unwrap();
    let config = sshd.path("ssh_config").display().to_string();
    let masters = processes_with(&config);
    assert_eq!(masters.len(), 1);
    let of = |pid| nix::unistd::getsid(pid).unwrap();
    assert_ne!(of(Some(nix::unistd::Pid::from_raw(masters[0]))), of(None));
    hosts.close().await;
    until("the master left", || processes_with(&config).is_empty()).await;
}

#[tokio::test]
async fn a_command_whose_caller_went_away_is_ended() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    for stdin in [Stdin::Null, Stdin::Bytes(b"data".to_vec())] {
        let file = sshd.path("pids");
        let _ = std::fs::remove_file(&file);
        let run = Run::script("stay", STAYS, [file.display().to_string()]).stdin(stdin);
        let (task, host) = (file.clone(), host.clone());
        let running = tokio::spawn(async move { host.run(run).await });
        until("it runs", || pids(&task).len() == 3).await;
        running.abort();
        let took = until("it is gone", || pids(&file).iter().all(|pid| !runs(pid))).await;
        println!("dropped: gone after {took:?}");
    }
    hosts.close().await;
}

/// A directory in which a program may keep what is private.
fn runtime_directory() -> tempfile::TempDir {
    let private = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

/// Another process that runs a command on the host in this mode.
fn start_client(sshd: &Sshd, mode: &str, runtime: &Path) -> std::process::Child {
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.args(["--exact", "bounds::client", "--ignored", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
    client.env("BG_TEST_CLIENT", sshd.path(mode)).env("BG_TEST_CONFIG", sshd.path("ssh_config"));
    client.env("BG_TEST_MODE", mode).env("XDG_RUNTIME_DIR", runtime).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn nothing_is_left_when_the_program_is_killed_while_it_connects() {
    let (sshd, runtime) = (Sshd::start(""), runtime_directory());
    let config = sshd.path("ssh_config").display().to_string();
    for moment in 0..12 {
        let mut client = start_client(&sshd, "lifeline", runtime.path());
        while processes_with(&config).is_empty() {
            assert!(client.try_wait().unwrap().is_none(), "it ended by itself");
        }
        std::thread::sleep(Duration::from_millis(moment));
        client.kill().unwrap();
        client.wait().unwrap();
        until("no ssh is left here", || processes_with(&config).is_empty()).await;
    }
}

#[tokio::test]
async fn nothing_is_left_when_the_program_is_killed() {
    let (sshd, runtime) = (Sshd::start(""), runtime_directory());
    for mode in ["lifeline", "data", "alone", "standing"] {
        let file = sshd.path(mode);
        let mut client = start_client(&sshd, mode, runtime.path());
        until("it runs", || pids(&file).len() == 3).await;
        client.kill().unwrap();
        client.wait().unwrap();
        let config = sshd.path("ssh_config").display().to_string();
        let took = until("no ssh is left here", || processes_with(&config).is_empty()).await;
        println!("{mode}: SIGKILL: masters gone after {took:?}");
        let took = until("nothing is left there", || pids(&file).iter().all(|pid| !runs(pid))).await;
        println!("{mode}: commands gone {took:?} later");
        // The killed program's directory stays, and the next one's start removes it.
        assert_eq!(std::fs::read_dir(runtime.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_command_whose_watchdog_was_killed_is_ended_all_the_same() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let file = sshd.path("pids");
    let script = format!("{STAYS}; :").replace("echo $$ >>\"$1\"; (", "echo $$ >>\"$1\"; kill -s KILL $PPID; (");
    let script: &'static str = script.leak();
    let run = Run::script("stay", script, [file.display().to_string()]).timeout(Duration::from_secs(3));
    let error = host.run(run).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error:?}");
    until("it is gone", || pids(&file).iter().all(|pid| !runs(pid))).await;
    hosts.close().await;
}

/// Not a test: the program that [`nothing_is_left_when_the_program_is_killed`] kills.
#[tokio::test]
#[ignore = "a part of another test"]
async fn client() {
    let Some(file) = std::env::var_os("BG_TEST_CLIENT") else { return };
    let config = std::env::var_os("BG_TEST_CONFIG").map(Into::into);
    let hosts = Hosts::new(SshSettings { config, ..SshSettings::default() });
    let mode = std::env::var("BG_TEST_MODE").unwrap();
    let file = file.into_string().unwrap();
    let run = || Run::script("stay", STAYS, [file.clone()]).timeout(Duration::from_secs(60));
    let host = hosts.get("box");
    let _killed_before = match mode.as_str() {
        "alone" => host.stream_alone(run, |_| {}).await.map(drop),
        "standing" => host.run(run().standing()).await.map(drop),
        "data" => host.run(run().stdin(Stdin::Bytes(b"data".to_vec()))).await.map(drop),
        _ => host.run(run()).await.map(drop),
    };
}
