//! One command over a connection of its own: the same ends, the same words, and nothing left behind.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bluegreen::edge::host::{Host, HostError, Line, Run, Stdin, Stream, fan_out};

use crate::bounds::BEGUN;
use crate::sshd::{DEAD, Sshd, runs, until};

/// What came of a command, and its lines.
async fn alone(host: &Host, make: impl Fn() -> Run) -> (Result<i32, HostError>, Vec<Line>) {
    let lines = Mutex::new(Vec::new());
    let ended = host.stream_alone(make, |line| lines.lock().unwrap().push(line)).await;
    (ended, lines.into_inner().unwrap())
}

#[tokio::test]
async fn status_lines_and_input_come_through() {
    let sshd = Sshd::start("");
    let (_hosts, host) = sshd.host();
    let make = || Run::shell("say", "cat; echo out; echo err >&2; exit 7").stdin(Stdin::Bytes(b"in\n".to_vec()));
    let (ended, lines) = alone(&host, make).await;
    assert_eq!(ended.unwrap(), 7);
    let of = |stream| lines.iter().filter(|line| line.stream == stream).map(|l| l.text.as_str()).collect::<Vec<_>>();
    assert_eq!((of(Stream::Stdout), of(Stream::Stderr)), (vec!["in", "out"], vec!["err"]));
    // 255 is ssh's own status too; here it is the command's.
    let (ended, lines) = alone(&host, || Run::shell("say", "echo kex_exchange_identification >&2; exit 255")).await;
    assert_eq!((ended.unwrap(), lines.len()), (255, 1));
}

#[tokio::test]
async fn what_keeps_it_out_is_told_apart_and_nothing_of_it_is_output() {
    let sshd = Sshd::start("Banner /etc/hostname");
    let (hosts, host) = sshd.host();
    let run = || Run::new("true", ["true"]);
    let (ended, lines) = alone(&host, run).await;
    assert_eq!((ended.unwrap(), lines.len()), (0, 0), "a banner is no output");
    sshd.trust("other");
    let (ended, lines) = alone(&host, run).await;
    assert!(matches!(ended, Err(HostError::HostKeyChanged { .. })), "{ended:?}");
    sshd.trust("none");
    assert!(matches!(alone(&host, run).await.0, Err(HostError::HostKeyUnknown { .. })));
    sshd.trust("host");
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    assert!(matches!(alone(&host, run).await.0, Err(HostError::PermissionDenied { .. })));
    sshd.configure(&format!("Host dead\n HostName 127.0.0.1\n Port {DEAD}"));
    assert!(matches!(alone(&hosts.get("dead"), run).await.0, Err(HostError::Unreachable { .. })));
    assert!(matches!(alone(&hosts.get("-oProxyCommand=x"), run).await.0, Err(HostError::InvalidName { .. })));
    assert_eq!(lines.len(), 0);
}

#[tokio::test]
async fn a_host_that_says_nothing_and_a_forced_command_are_named() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sshd = Sshd::start("ForceCommand echo no shell for you >&2");
    let (hosts, host) = sshd.host();
    let (ended, _) = alone(&host, || Run::new("true", ["true"])).await;
    assert!(matches!(&ended, Err(HostError::NotRun { detail, .. }) if detail == "no shell for you"), "{ended:?}");
    sshd.configure(&format!(
        "Host silent\n HostName 127.0.0.1\n Port {}\n ConnectTimeout 1",
        silent.local_addr().unwrap().port()
    ));
    let settings = bluegreen::edge::host::SshSettings { connect_timeout: Duration::from_secs(1), ..sshd.settings() };
    let began = Instant::now();
    let hosts_of_one_second = bluegreen::edge::host::Hosts::new(settings);
    let (ended, _) = alone(&hosts_of_one_second.get("silent"), || Run::new("true", ["true"])).await;
    assert!(matches!(ended, Err(HostError::ConnectTimedOut { .. })), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    hosts.close().await;
}

#[tokio::test]
async fn it_ends_with_its_bound_and_with_its_caller() {
    let sshd = Sshd::start("");
    let (_hosts, host) = sshd.host();
    let file = sshd.path("pid");
    let script = "echo $$ >\"$1\"; exec sleep 60";
    let make = || Run::script("stay", script, [file.display().to_string()]).timeout(BEGUN);
    let (ended, _) = alone(&host, make).await;
    assert!(matches!(ended, Err(HostError::TimedOut { ended: true, .. })), "{ended:?}");
    assert!(!runs(&std::fs::read_to_string(&file).unwrap()));
    std::fs::remove_file(&file).unwrap();
    let make = || Run::script("stay", script, [file.display().to_string()]);
    {
        let asked = alone(&host, make);
        tokio::pin!(asked);
        tokio::select! {
            (ended, _) = &mut asked => panic!("{ended:?}"),
            _ = until("the command runs", || std::fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n'))) => {}
        }
    }
    let pid = std::fs::read_to_string(&file).unwrap();
    until("the command is ended", || !runs(&pid)).await;
}

#[tokio::test]
async fn many_on_one_server_that_drops_some_are_all_run_once() {
    let sshd = Sshd::start("MaxStartups 2:50:100");
    let names: Vec<String> = (1..=12).map(|n| format!("box{n}")).collect();
    sshd.configure(&format!("Host box*\n HostName 127.0.0.1\n Port {}", sshd.port));
    let (hosts, file) = (sshd.hosts(), sshd.path("ran"));
    let ended = fan_out(names, 12, |name| {
        let (host, file) = (hosts.get(&name), file.display().to_string());
        async move { alone(&host, || Run::script("note", "echo ran >>\"$1\"", [file.clone()])).await.0 }
    })
    .await;
    assert!(ended.iter().all(|(_, result)| matches!(result, Ok(0))), "{ended:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 12);
}
