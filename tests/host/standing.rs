//! The shell that stands with a connection: one command after another, and none the worse for how the last one ended.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bluegreen::edge::host::{Host, HostError, Run, Stdin, fan_out};
use tokio::time::timeout;

use crate::bounds::{BEGUN, STAYS, assert_no_grace, pids};
use crate::sshd::{BOUND, Sshd, runs, until};

fn script(text: &'static str) -> Run {
    Run::script("script", text, Vec::<String>::new()).standing()
}

fn stay(file: &Path) -> Run {
    Run::script("stay", STAYS, [file.display().to_string()]).standing()
}

/// How many sessions the host began on its one connection.
fn sessions(sshd: &Sshd) -> usize {
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    log.matches("Starting session").count()
}

fn talkative() -> Sshd {
    Sshd::start("LogLevel VERBOSE")
}

async fn works(host: &Host) {
    assert_eq!(host.run_ok(script("echo works; echo aside >&2")).await.unwrap().stdout_text(), "works");
}

/// Waits until a script needs no session of its own.
async fn comes_back(sshd: &Sshd, host: &Host) {
    let end = Instant::now() + BOUND;
    let mut last = sessions(sshd);
    loop {
        works(host).await;
        let now = sessions(sshd);
        if now == last {
            return;
        }
        assert!(Instant::now() < end, "the shell never came back");
        last = now;
    }
}

#[tokio::test]
async fn scripts_share_one_session_and_what_they_say_and_end_with_is_their_own() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    for status in [0, 1, 2, 90, 124, 126, 127, 128, 137, 254, 255] {
        let text: &'static str = format!("echo out {status}; echo err {status} >&2; exit {status}").leak();
        let output = host.run(script(text)).await.unwrap();
        assert_eq!(output.status, status);
        assert_eq!((output.stdout_text(), output.stderr_text()), (format!("out {status}"), format!("err {status}")));
    }
    assert_eq!(host.run(script("kill -s KILL $$")).await.unwrap().status, 137);
    // What one does to itself, the next one does not see.
    host.run_ok(script("cd /; umask 077; set -f; PATH=; trap 'exit 3' TERM; exec </dev/null >&- 2>&-")).await.unwrap();
    works(&host).await;
    let flood = host.run_ok(script("head -c 3000000 /dev/zero; echo end")).await.unwrap();
    assert_eq!((flood.stdout.len(), flood.stdout_cut), (1024 * 1024, 3_000_004 - 1024 * 1024));
    works(&host).await;
    assert_eq!(sessions(&sshd), 1);
    hosts.close().await;
}

#[tokio::test]
async fn words_and_what_is_read_arrive_verbatim() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    let words = ["", " ", "'", "\"", "$HOME", "`id`", "a;b", "a\nb", "*", "\\", "-n", "--", "ü\u{1e}", "#", "\t", "\r"];
    let argv = ["printf", "%s\\0"].into_iter().chain(words);
    let output = host.run_ok(Run::new("print", argv).standing()).await.unwrap();
    assert_eq!(output.stdout, words.map(|word| format!("{word}\0")).concat().into_bytes());
    let long = "0123456789 $x `id` \\ ' \" \n".repeat(4000);
    let texts = ["\n", "one\n", "$(id)\nEOF\n\\\n\t'\"\n", "ü\u{1e}\n", long.as_str()];
    for text in texts {
        let run = Run::new("cat", ["cat"]).stdin(Stdin::Bytes(text.as_bytes().to_vec())).standing();
        assert!(host.run_ok(run).await.unwrap().stdout == text.as_bytes(), "{text:.40}");
    }
    assert_eq!(sessions(&sshd), 1);
    // What a shell cannot be given so gets a session.
    for bytes in [&b""[..], b"no end of line", b"a\0b\n", b"\xff\n"] {
        let run = Run::new("cat", ["cat"]).stdin(Stdin::Bytes(bytes.to_vec())).standing();
        assert_eq!(host.run_ok(run).await.unwrap().stdout, bytes);
    }
    assert_eq!(sessions(&sshd), 5);
    // Nothing to read is an end, and not the next request.
    assert_eq!(host.run_ok(Run::new("cat", ["cat"]).standing()).await.unwrap().stdout, b"");
    hosts.close().await;
}

#[tokio::test]
async fn who_finds_it_taken_gets_a_session() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    let host = &host;
    let done = fan_out(0..5, 5, |n| async move {
        let run = Run::script("echo", "sleep 0.2; echo $1", [n.to_string()]).standing();
        host.run_ok(run).await.unwrap().stdout_text()
    })
    .await;
    assert!(done.iter().all(|(n, said)| *said == n.to_string()), "{done:?}");
    assert_eq!(sessions(&sshd), 5);
    hosts.close().await;
}

#[tokio::test]
async fn a_bound_ends_the_command_and_not_the_shell() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    let file = sshd.path("pids");
    let error = host.run(stay(&file).timeout(BEGUN)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`box`: `stay` did not end within {BEGUN:?} and was ended: begun"));
    assert_eq!(pids(&file).len(), 3);
    assert!(pids(&file).iter().all(|pid| !runs(pid)), "gone when the error is told");
    comes_back(&sshd, &host).await;
    assert_no_grace(&host, |bound| script("sleep 60").timeout(bound), async || comes_back(&sshd, &host).await).await;
    hosts.close().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_command_and_not_the_shell() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    let file = sshd.path("pids");
    let (task, run) = (host.clone(), stay(&file));
    let running = tokio::spawn(async move { task.run(run).await });
    until("it runs", || pids(&file).len() == 3).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // While it is being ended, another gets a session.
    works(&host).await;
    until("it is gone", || pids(&file).iter().all(|pid| !runs(pid))).await;
    comes_back(&sshd, &host).await;
    hosts.close().await;
}

#[tokio::test]
async fn whoever_is_killed_there_nothing_runs_on_and_the_next_command_gets_through() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let file = sshd.path("pids");
    // The watchdog, and the shell itself, which is the watchdog's parent.
    for victim in ["$PPID", "$shell"] {
        let _ = std::fs::remove_file(&file);
        let kill = format!("read -r _ _ _ shell _ </proc/$PPID/stat; echo $$ >>\"$1\"; kill -s KILL {victim}; (");
        let text: &'static str = STAYS.replace("echo $$ >>\"$1\"; (", &kill).leak();
        assert!(text.contains("kill -s KILL"), "{text}");
        let run = Run::script("stay", text, [file.display().to_string()]).standing();
        let error = host.run(run).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{error:?}");
        until("it is gone", || !pids(&file).is_empty() && pids(&file).iter().all(|pid| !runs(pid))).await;
        works(&host).await;
    }
    hosts.close().await;
}

/// Leaves its watchdog dead as one that was killed in its first moments: whoever would look after it is gone, too.
const ORPHANED: &str = r#"
kill -s STOP $PPID
for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    set -- ${line##*) }
    if [ "$2" = "$PPID" ] && [ "${line%% *}" != $$ ]; then kill -s KILL "${line%% *}"; fi
done 2>/dev/null
kill -s KILL $PPID
i=0
while [ $i -lt 300 ]; do
    echo on and on
    sleep 0.1
    i=$((i + 1))
done
"#;

#[tokio::test]
async fn a_watchdog_that_nobody_looks_after_is_missed_long_before_the_bound() {
    let sshd = talkative();
    let (hosts, host) = sshd.host();
    let bound = Duration::from_secs(600);
    let ran = timeout(bound / 10, host.run(script(ORPHANED).timeout(bound))).await.expect("somebody tells");
    assert!(matches!(ran, Err(HostError::Lost { .. })), "{ran:?}");
    // What goes on there speaks into nobody's answer.
    for _ in 0..5 {
        let said = host.run_ok(script("sleep 0.2; echo works")).await.unwrap();
        assert_eq!(said.stdout_text(), "works");
    }
    hosts.close().await;
}

#[tokio::test]
async fn the_end_that_a_killed_watchdogs_timer_makes_is_nobody_elses() {
    let sshd = Sshd::start("");
    let (hosts, host) = sshd.host();
    let (one, ended) = (host.clone(), AtomicBool::new(false));
    let killed = async {
        let text = "sleep 2.5; kill -s KILL $PPID; while :; do echo x; sleep 0.01; done";
        let ran = one.run(script(text)).await;
        ended.store(true, Ordering::SeqCst);
        assert!(matches!(ran, Err(HostError::Lost { .. })), "{ran:?}");
    };
    let beside = async {
        let mut after = 0;
        while after < 20 {
            works(&host).await;
            after += usize::from(ended.load(Ordering::SeqCst));
        }
    };
    tokio::join!(killed, beside);
    hosts.close().await;
}

#[tokio::test]
async fn what_ended_while_bg_was_stopped_over_its_bound_has_ended_well() {
    let sshd = Sshd::start("");
    let names: Vec<String> = (1..=8).map(|n| format!("box{n}")).collect();
    sshd.configure(&format!("Host box*\n HostName 127.0.0.1\n Port {}", sshd.port));
    let hosts = sshd.hosts();
    hosts.connect(&names).await;
    let began: Vec<_> = names.iter().map(|name| sshd.path(&format!("began-{name}"))).collect();
    let running: Vec<_> = names
        .iter()
        .zip(&began)
        .map(|(name, file)| {
            let text = "echo >\"$1\"; sleep 0.5; echo done";
            let run = Run::script("script", text, [file.display().to_string()]).standing().timeout(BEGUN);
            let host = hosts.get(name);
            tokio::spawn(async move { host.run_ok(run).await })
        })
        .collect();
    until("all run", || began.iter().all(|file| file.exists())).await;
    // All of this process stands still, as after Ctrl-Z.
    std::thread::sleep(BEGUN + Duration::from_millis(100));
    for ran in running {
        assert_eq!(ran.await.unwrap().unwrap().stdout_text(), "done");
    }
    hosts.close().await;
}

#[tokio::test]
async fn an_unsuitable_path_to_sh_is_told_in_its_own_words() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().display();
    let sshd = Sshd::start(&format!("SetEnv HOME={path} PATH={path}"));
    let (hosts, host) = sshd.host();
    match host.run(script("true")).await {
        Err(HostError::NotRun { detail, .. }) => assert!(detail.contains("sh"), "{detail}"),
        other => panic!("{other:?}"),
    }
    hosts.close().await;
}

/// Not every `sh` is dash.
#[tokio::test]
async fn it_works_with_bash_too() {
    let bin = tempfile::tempdir().unwrap();
    symlink("/bin/bash", bin.path().join("sh")).unwrap();
    let path = bin.path().display();
    let sshd = Sshd::start(&format!("LogLevel VERBOSE\nSetEnv HOME={path} PATH={path}:/usr/bin:/bin"));
    let (hosts, host) = sshd.host();
    let is_bash = host.run_ok(script("echo ${BASH_VERSION:+yes}")).await.unwrap();
    assert_eq!(is_bash.stdout_text(), "yes");
    let run = Run::new("cat", ["cat"]).stdin(Stdin::Bytes(b"$x\n'y'\n".to_vec())).standing();
    assert_eq!(host.run_ok(run).await.unwrap().stdout, b"$x\n'y'\n");
    let file = sshd.path("pids");
    let error = host.run(stay(&file).timeout(BEGUN)).await.unwrap_err();
    assert!(matches!(error, HostError::TimedOut { ended: true, .. }), "{error:?}");
    assert!(pids(&file).iter().all(|pid| !runs(pid)));
    comes_back(&sshd, &host).await;
    hosts.close().await;
}
