//! Commands arrive word for word, and what they say comes back.

use std::time::{Duration, Instant};

use bluegreen::edge::host::{HostError, Run, Stdin, Stream, fan_out};
use sha2::{Digest, Sha256};

use crate::sshd::{DEAD, Sshd, runs};

#[tokio::test]
async fn hostile_words_arrive_verbatim() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let words = [
        "", " ", "'", "\"", "$HOME", "`id`", "$(id)", "a;b", "a\nb", "*", "~", "\\", "!x", "-n", "--", "{a,b}",
        "ü\u{1e}", "#", "&", "|", "\t", "\r",
    ];
    let mut argv = vec!["printf".to_owned(), "%s\\0".to_owned()];
    argv.extend(words.map(String::from));
    let output = host.run_ok(Run::new("print", argv)).await.unwrap();
    assert_eq!(output.stdout, words.map(|word| format!("{word}\0")).concat().into_bytes());
    assert!(output.stderr.is_empty());
    let script = host.run_ok(Run::script("script", "set -eu\nprintf %s \"$2$1\"", ["a'b", "$x"])).await.unwrap();
    assert_eq!(script.stdout_text(), "$xa'b");
    hosts.close().await;
}

#[tokio::test]
async fn the_exit_status_comes_through_exactly() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    for status in [0, 1, 2, 124, 126, 127, 128, 137, 254, 255] {
        let output = host.run(Run::shell("exit", format!("exit {status}"))).await.unwrap();
        assert_eq!(output.status, status);
    }
    assert_eq!(host.run(Run::shell("kill", "kill -s KILL $$")).await.unwrap().status, 137);
    let missing = host.run(Run::new("missing", ["bg-no-such-program"])).await.unwrap();
    assert_eq!(missing.status, 127);
    assert!(missing.stderr_text().contains("bg-no-such-program"), "{}", missing.stderr_text());
    let failed = host.run_ok(Run::shell("install", "echo one; echo two >&2; exit 3")).await.unwrap_err();
    assert_eq!(failed.to_string(), "`box`: `install` failed with status 3: two");
    hosts.close().await;
}

#[tokio::test]
async fn twenty_commands_share_one_connection() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let start = Instant::now();
    host.connect().await.unwrap();
    let connected = start.elapsed();
    let start = Instant::now();
    let host = &host;
    let done = fan_out(0..20, 20, |n| async move {
        let output = host.run_ok(Run::script("echo", "sleep 0.1; echo $PPID $1", [n.to_string()])).await.unwrap();
        output.stdout_text()
    })
    .await;
    println!("connect {connected:?}, 20 commands of 0.1 s at once {:?}", start.elapsed());
    assert!(done.iter().all(|(n, said)| said.ends_with(&format!(" {n}"))), "{done:?}");
    let start = Instant::now();
    for _ in 0..20 {
        host.run_ok(Run::new("true", ["true"])).await.unwrap();
    }
    println!("one command {:?}", start.elapsed() / 20);
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1);
    hosts.close().await;
}

#[tokio::test]
async fn twenty_megabytes_arrive_whole() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let bytes: Vec<u8> = (0..20u32 * 1024 * 1024).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let start = Instant::now();
    let reader = Stdin::Reader(Box::new(std::io::Cursor::new(bytes.clone())));
    let output = host.run_ok(Run::new("sha256", ["sha256sum"]).stdin(reader)).await.unwrap();
    println!("20 MB up {:?}", start.elapsed());
    assert_eq!(output.stdout_text(), format!("{digest}  -"));
    // A command that reads only a little of it ends when it ends.
    let output = host.run_ok(Run::new("head", ["head", "-c", "3"]).stdin(Stdin::Bytes(bytes.clone()))).await.unwrap();
    assert_eq!(output.stdout, bytes[..3]);
    let empty = host.run_ok(Run::new("cat", ["cat"]).stdin(Stdin::Bytes(vec![]))).await.unwrap();
    assert!(empty.stdout.is_empty());
    hosts.close().await;
}

#[tokio::test]
async fn long_output_is_bounded_and_says_so() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let output = host.run_ok(Run::shell("flood", "head -c 3000000 /dev/zero; echo end; echo short >&2")).await.unwrap();
    assert_eq!(output.stdout.len(), 1024 * 1024);
    assert_eq!(output.stdout_cut, 3_000_004 - 1024 * 1024);
    assert!(output.stdout.ends_with(b"\0end\n"));
    assert_eq!((output.stderr_text().as_str(), output.stderr_cut), ("short", 0));
    let whole = host.run_ok(Run::shell("flood", "head -c 3000000 /dev/zero").max_output(4_000_000)).await.unwrap();
    assert_eq!((whole.stdout.len(), whole.stdout_cut), (3_000_000, 0));
    hosts.close().await;
}

#[tokio::test]
async fn lines_come_as_they_are_said_each_with_its_stream() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let gate = sshd.path("gate");
    // The command waits for a file that is only made once its first line has been seen.
    let script = "echo one; printf 'err\\n' >&2; n=0; while [ ! -e \"$1\" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; [ -e \"$1\" ] && printf last; exit 5";
    let mut lines = Vec::new();
    let status = host
        .stream(Run::script("wait", script, [gate.display().to_string()]), |line| {
            if line.text == "one" {
                std::fs::write(&gate, "").unwrap();
            }
            lines.push(line);
        })
        .await
        .unwrap();
    assert_eq!(status, 5);
    let of = |stream| lines.iter().filter(|l| l.stream == stream).map(|l| l.text.as_str()).collect::<Vec<_>>();
    assert_eq!(of(Stream::Stdout), ["one", "last"]);
    assert_eq!(of(Stream::Stderr), ["err"]);
    hosts.close().await;
}

#[tokio::test]
async fn a_slow_and_chatty_start_up_file_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".bashrc"), "sleep 0.3\necho welcome\necho up\necho careful >&2\n").unwrap();
    let sshd = Sshd::start(&format!("SetEnv HOME={}", home.path().display()));
    let (hosts, host) = sshd.host();
    let output = host.run_ok(Run::shell("say", "echo said; echo aside >&2")).await.unwrap();
    assert_eq!((output.stdout_text().as_str(), output.stderr_text().as_str()), ("said", "aside"));
    hosts.close().await;
}

#[tokio::test]
async fn a_forced_command_is_named() {
    let sshd =
        Sshd::start("ForceCommand cat >/dev/null & echo this account is for backups; sleep 0.1; kill $!; exit 1");
    let (hosts, host) = sshd.host();
    match host.run(Run::new("true", ["true"])).await {
        Err(HostError::NotRun { detail, .. }) => assert!(detail.contains("backups"), "{detail}"),
        other => panic!("{other:?}"),
    }
    hosts.close().await;
}

#[tokio::test]
async fn a_daemon_that_keeps_the_streams_does_not_keep_bg() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let start = Instant::now();
    let run = Run::shell("restart", "sleep 60 & echo started $!").timeout(Duration::from_secs(50));
    let output = host.run_ok(run).await.unwrap();
    let said = output.stdout_text();
    let daemon = said.strip_prefix("started ").unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(runs(daemon), "it is not ended with its command");
    let daemon = nix::unistd::Pid::from_raw(daemon.parse().unwrap());
    nix::sys::signal::kill(daemon, nix::sys::signal::SIGKILL).unwrap();
    hosts.close().await;
}

#[tokio::test]
async fn a_forward_reaches_a_port_and_a_dead_one_closes_without_a_byte() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
    });
    host.connect().await.unwrap();
    let start = Instant::now();
    let forward = host.forward("127.0.0.1", port).await.unwrap();
    println!("forward {:?}", start.elapsed());
    let again = host.forward("127.0.0.1", port).await.unwrap();
    assert_eq!(forward.socket(), again.socket());
    let read = async |socket: &std::path::Path| {
        let mut said = Vec::new();
        let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await.unwrap().unwrap();
        said
    };
    assert_eq!(read(forward.socket()).await, b"hello");
    server.await.unwrap();
    let dead = host.forward("127.0.0.1", DEAD).await.unwrap();
    assert_eq!(read(dead.socket()).await, b"");
    let socket = forward.socket().to_owned();
    drop(forward);
    assert!(socket.exists());
    drop(again);
    assert!(!socket.exists());
    hosts.close().await;
}
