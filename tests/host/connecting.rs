//! Who is refused, and in what words; who is let in all the same.

use std::time::{Duration, Instant};

use bluegreen::edge::host::{HostError, Hosts, Run, SshSettings};

use crate::sshd::{DEAD, Sshd, until};

/// So long a host may keep who connects waiting: what takes less did not wait for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts that are given that long.
fn patient(sshd: &Sshd) -> Hosts {
    Hosts::new(SshSettings { connect_timeout: PATIENCE, ..sshd.settings() })
}

#[tokio::test]
async fn a_changed_host_key_is_refused_whatever_the_users_config_says() {
    let sshd = Sshd::start("");
    sshd.trust("other");
    let (hosts, host) = sshd.host();
    let error = host.connect().await.unwrap_err();
    assert!(matches!(error, HostError::HostKeyChanged { .. }), "{error:?}");
    assert!(error.to_string().contains("`box` shows another host key"), "{error}");
    assert!(error.hint().unwrap().contains("ssh-keygen -R"));
    hosts.close().await;
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_and_stays_unknown() {
    let sshd = Sshd::start("");
    sshd.trust("none");
    let (hosts, host) = sshd.host();
    let error = host.connect().await.unwrap_err();
    assert!(matches!(error, HostError::HostKeyUnknown { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(sshd.path("known_hosts")).unwrap(), "");
    // Once it is known, the same host connects: a failure is not kept.
    sshd.trust("host");
    host.connect().await.unwrap();
    hosts.close().await;
}

#[tokio::test]
async fn what_keeps_bg_out_is_told_apart() {
    let sshd = Sshd::start("");
    sshd.configure(&format!("Host dead\n HostName 127.0.0.1\n Port {DEAD}\nHost nameless\n HostName nope.invalid"));
    let hosts = sshd.hosts();
    let error = hosts.get("dead").connect().await.unwrap_err();
    assert!(matches!(error, HostError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    let error = hosts.get("nameless").connect().await.unwrap_err();
    assert!(matches!(error, HostError::NameNotResolved { .. }), "{error:?}");
    for name in ["-oProxyCommand=touch x", "", "a b", "$(id)"] {
        assert!(matches!(hosts.get(name).connect().await, Err(HostError::InvalidName { .. })));
    }
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    let error = hosts.get("box").connect().await.unwrap_err();
    assert!(matches!(error, HostError::PermissionDenied { .. }), "{error:?}");
    hosts.close().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let sshd = Sshd::start("");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    sshd.configure(&format!("Host silent\n HostName 127.0.0.1\n Port {}", silent.local_addr().unwrap().port()));
    let settings = SshSettings { connect_timeout: Duration::from_secs(1), ..sshd.settings() };
    let start = Instant::now();
    let error = Hosts::new(settings).get("silent").connect().await.unwrap_err();
    assert!(matches!(error, HostError::ConnectTimedOut { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_is_opened_ahead_is_used_and_keeps_nobody_from_leaving() {
    let sshd = Sshd::start("LogLevel VERBOSE");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    sshd.configure(&format!("Host silent\n HostName 127.0.0.1\n Port {}", silent.local_addr().unwrap().port()));
    let hosts = patient(&sshd);
    hosts.connect_ahead(["box", "silent", "box"]);
    silent.accept().await.unwrap();
    assert!(hosts.get("box").run(Run::new("true", ["true"])).await.unwrap().is_success());
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    let leaving = Instant::now();
    hosts.close().await;
    assert!(leaving.elapsed() < PATIENCE / 2, "{:?}", leaving.elapsed());
    let config = sshd.path("ssh_config").display().to_string();
    until("no ssh stays", || processes_with(&config).is_empty()).await;
}

#[tokio::test]
async fn a_slow_failure_is_paid_for_once_and_tells_every_use_the_same() {
    let sshd = Sshd::start("");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    // Since the last time: they wait in a row even if nobody lets them in.
    let attempts = || std::iter::from_fn(|| silent.accept().ok()).count();
    sshd.configure(&format!("Host silent\n HostName 127.0.0.1\n Port {}", silent.local_addr().unwrap().port()));
    let settings = SshSettings { connect_timeout: Duration::from_secs(1), ..sshd.settings() };
    let hosts = Hosts::new(settings);
    let host = hosts.get("silent");
    let first = host.connect().await.unwrap_err();
    assert_eq!(attempts(), 1);
    for _ in 0..5 {
        assert_eq!(host.run(Run::new("true", ["true"])).await.unwrap_err().to_string(), first.to_string());
    }
    assert_eq!(attempts(), 0);
    hosts.close().await;
}

#[tokio::test]
async fn who_can_be_reached_within_a_bound_is_told_and_the_other_attempts_leave_nothing() {
    let sshd = Sshd::start("");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    sshd.configure(&format!(
        "Host silent\n HostName 127.0.0.1\n Port {port}\nHost behind\n HostName 127.0.0.1\n ProxyCommand sleep {port}7\n\
         Host dead\n HostName 127.0.0.1\n Port {DEAD}"
    ));
    let hosts = patient(&sshd);
    let names = ["silent", "box", "behind", "dead"].map(String::from);
    let start = Instant::now();
    assert_eq!(hosts.reachable(&names, Duration::from_secs(5)).await, ["box"]);
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let (config, sleeping) = (sshd.path("ssh_config").display().to_string(), format!("{port}7"));
    until("only the good one stays", || processes_with(&config).len() == 1 && processes_with(&sleeping).is_empty())
        .await;
    // Standing, it costs nothing.
    assert_eq!(hosts.reachable(&names[1..2], PATIENCE).await, ["box"]);
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    hosts.close().await;
}

#[tokio::test]
async fn hosts_that_hang_hold_up_no_other_for_long_where_nobody_has_patience() {
    let sshd = Sshd::start("");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    sshd.configure(&format!("Host silent*\n HostName 127.0.0.1\n Port {}", silent.local_addr().unwrap().port()));
    // More of them than the twenty that are opened at once, and the good one last.
    let names: Vec<String> = (0..24).map(|number| format!("silent{number}")).collect();
    let settings = SshSettings { connect_timeout: PATIENCE, ..sshd.settings() };
    let hosts = Hosts::impatient(settings, Duration::from_millis(200));
    let good = hosts.get("box");
    tokio::select! {
        biased;
        living = hosts.reachable(&names, PATIENCE / 2) => panic!("they held up the good one: {living:?}"),
        connected = good.connect() => connected.unwrap(),
    }
    hosts.close().await;
}

#[tokio::test]
async fn many_connections_to_one_server_that_drops_some_all_come_up() {
    // The second is sshd's default.
    for (startups, count) in [("2:50:100", 12), ("10:30:100", 40)] {
        let sshd = Sshd::start(&format!("MaxStartups {startups}"));
        let names: Vec<String> = (1..=count).map(|n| format!("box{n}")).collect();
        sshd.configure(&format!("Host box*\n HostName 127.0.0.1\n Port {}", sshd.port));
        let hosts = patient(&sshd);
        let start = Instant::now();
        let done = hosts.connect(&names).await;
        println!("{count} hosts on one sshd that drops {:?}", start.elapsed());
        assert!(done.iter().all(|(_, result)| result.is_ok()), "{done:?}");
        assert_eq!(done.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        hosts.close().await;
    }
}

#[tokio::test]
async fn the_users_jump_host_is_honoured() {
    let (jump, sshd) = (Sshd::start(""), Sshd::start(""));
    let trusted = std::fs::read_to_string(jump.path("known_hosts")).unwrap();
    let own = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    std::fs::write(sshd.path("known_hosts"), own + &trusted).unwrap();
    std::fs::copy(sshd.path("authorized_keys"), jump.path("authorized_keys")).unwrap();
    sshd.configure(&format!("Host jump\n HostName 127.0.0.1\n Port {}\nHost box\n ProxyJump jump", jump.port));
    let (hosts, host) = sshd.host();
    assert_eq!(host.run_ok(Run::new("echo", ["echo", "over"])).await.unwrap().stdout_text(), "over");
    assert!(std::fs::read_to_string(jump.path("sshd.log")).unwrap().contains("Accepted publickey"));
    hosts.close().await;
}

#[tokio::test]
async fn a_broken_connection_is_named_and_the_next_use_makes_another() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    // The command kills the sshd process that serves its own connection: the watchdog's parent.
    let script = "read -r _ _ _ parent _ </proc/$PPID/stat; kill -s KILL \"$parent\"; sleep 30";
    let error = host.run(Run::script("cut", script, Vec::<String>::new())).await.unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    assert!(error.is_outcome_unknown());
    let start = Instant::now();
    assert_eq!(host.run_ok(Run::new("true", ["true"])).await.unwrap().status, 0);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    hosts.close().await;
    until("no master stays", || processes_with(&sshd.path("ssh_config").display().to_string()).is_empty()).await;
}

/// The processes that have `word` among their arguments.
pub fn processes_with(word: &str) -> Vec<i32> {
    let has = |line: Vec<u8>| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes());
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse().ok());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(has)).filter_map(pid).collect()
}
