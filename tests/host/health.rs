//! Health as the balancers see it: what is healthy, what is not, and in what words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bluegreen::edge::health::{Depth, Probe, ProbeError, Request, Verdict, get};
use bluegreen::edge::host::{HostError, Run};
use bluegreen_core::inventory::{Health, HealthFrom, Place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::sshd::{DEAD, Sshd};

/// Answers the n-th request for a path with these bytes and closes.
type Answers = Arc<dyn Fn(usize, &str) -> String + Send + Sync>;

async fn serve(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, count: usize, answers: &Answers) {
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(n @ 1..) => read.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    let head = String::from_utf8(read).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let _ = stream.write_all(answers(count, &path).replace("{head}", &head).as_bytes()).await;
}

/// An application on a free port.
async fn app(answers: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> u16 {
    let (listener, answers): (_, Answers) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(answers));
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let count = AtomicUsize::new(0);
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, count.fetch_add(1, Ordering::SeqCst), &answers).await;
        }
    });
    port
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX-Release: v7\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn bad(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn health() -> Health {
    Health {
        path: "/healthz".into(),
        status: vec![(200, 299)],
        interval_ms: 20,
        timeout_ms: 20_000,
        within_ms: 60_000,
        successes: 3,
        from: HealthFrom::Balancers,
        release_header: None,
        smoke: vec![],
        host: None,
        headers: vec![],
        scheme: "http".into(),
        port: None,
        body: None,
        run: None,
    }
}

fn place(port: u16) -> Place {
    Place { host: "box".into(), address: "127.0.0.1".into(), port, weight: 1, root: "/srv".into() }
}

async fn probe_of(sshd: &Sshd, port: u16, health: &Health, names: &[&str]) -> Probe {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Probe::new(&sshd.hosts(), &["box".into()], &place(port), health, &names).unwrap()
}

/// One probe, with the registry that holds its connections kept alive for the test.
macro_rules! verdict {
    ($sshd:expr, $port:expr, $health:expr, $names:expr) => {{
        let hosts = $sshd.hosts();
        let names: Vec<String> = $names.iter().map(|name: &&str| (*name).to_owned()).collect();
        let probe = Probe::new(&hosts, &["box".into()], &place($port), $health, &names).unwrap();
        let verdict = probe.check_once(Depth::Full).await.unwrap();
        hosts.close().await;
        verdict.to_string()
    }};
}

#[tokio::test]
async fn one_request_says_what_it_must_and_reads_no_more_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let replies =
        ["echo", "big", "", "not http at all\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "hang"];
    tokio::spawn(async move {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            if reply == "hang" {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all).await;
                continue;
            }
            let answers: Answers = Arc::new(move |_, _| match reply {
                "echo" => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{head}".to_owned(),
                "big" => ok(&"x".repeat(1_000_000)),
                other => other.to_owned(),
            });
            serve(stream, 0, &answers).await;
        }
    });
    let mut request = Request::new("/a?b=c", "www.example.net");
    request.headers.push(("X-Probe".into(), "yes".into()));
    let echo = get(&socket, &request).await.unwrap().text();
    assert!(echo.starts_with("GET /a?b=c HTTP/1.1\r\nhost: www.example.net\r\n"), "{echo}");
    assert!(echo.contains("x-probe: yes\r\n"), "{echo}");
    assert_eq!(get(&socket, &request).await.unwrap().body.len(), 64 * 1024);
    let closed = get(&socket, &request).await.unwrap_err();
    assert_eq!(closed.to_string(), "connection refused or closed without an answer");
    assert!(matches!(get(&socket, &request).await, Err(ProbeError::BadAnswer { .. })));
    let broken = get(&socket, &request).await.unwrap_err();
    assert!(broken.to_string().contains("broke off"), "{broken}");
    request.timeout = Duration::from_millis(200);
    assert_eq!(get(&socket, &request).await.unwrap_err().to_string(), "no answer within 0.2s");
    for path in ["nope", "/a b", "/a\r\nX: y", "http://elsewhere/"] {
        request.path = path.into();
        assert!(matches!(get(&socket, &request).await, Err(ProbeError::BadRequest { .. })), "{path}");
    }
}

#[tokio::test]
async fn what_is_healthy_is_said_by_status_body_release_and_smoke_paths() {
    let sshd = Sshd::start("");
    let port = app(|_, path| match path {
        "/healthz" => ok("all is well"),
        "/login" => bad(302, ""),
        _ => bad(404, "no such page\nsorry"),
    })
    .await;
    let plain = health();
    assert_eq!(verdict!(sshd, port, &plain, &["r7", "v7"]), "healthy");
    let strict = Health {
        body: Some("^all is .+$".into()),
        release_header: Some("X-Release".into()),
        smoke: vec!["/login".into()],
        ..health()
    };
    assert_eq!(verdict!(sshd, port, &strict, &["r7", "v7"]), "healthy");
    let said = verdict!(sshd, port, &strict, &["r8", "v8"]);
    assert_eq!(
        said,
        "GET /healthz answered with the release `v7` in X-Release, not `r8`, seen from `box`:\n  all is well"
    );
    let header = Health { release_header: Some("X-Other".into()), ..health() };
    assert!(verdict!(sshd, port, &header, &["r8"]).contains("answered without X-Other"));
    let body = Health { body: Some("broken".into()), ..health() };
    assert!(verdict!(sshd, port, &body, &[]).starts_with("GET /healthz answered 200 without `broken`"));
    let smoke = Health { smoke: vec!["/login".into(), "/gone".into()], ..health() };
    assert_eq!(verdict!(sshd, port, &smoke, &[]), "GET /gone answered 404, seen from `box`:\n  no such page\n  sorry");
    let said = verdict!(sshd, DEAD, &plain, &[]);
    assert_eq!(said, "GET /healthz failed: connection refused or closed without an answer, seen from `box`");
    let elsewhere = Health { port: Some(port), ..health() };
    assert_eq!(verdict!(sshd, DEAD, &elsewhere, &[]), "healthy");
}

#[tokio::test]
async fn a_wait_counts_successes_in_a_row_and_tells_of_every_round() {
    let sshd = Sshd::start("");
    // Good once, bad twice, then good for good.
    let port = app(|count, _| if matches!(count, 1 | 2) { bad(503, "warming up") } else { ok("") }).await;
    let hosts = sshd.hosts();
    let probe = Probe::new(&hosts, &["box".into()], &place(port), &health(), &[]).unwrap();
    let mut rounds = Vec::new();
    probe.wait_until_healthy(|progress| rounds.push(progress.successes)).await.unwrap();
    assert_eq!(rounds, [1, 0, 0, 1, 2, 3]);
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(probe.check_once(Depth::Quick).await.unwrap(), Verdict::Healthy);
    }
    println!("one check {:?}", start.elapsed() / 20);
    hosts.close().await;
}

#[tokio::test]
async fn a_wait_that_gives_up_says_what_was_answered_how_often_and_quotes_it() {
    let sshd = Sshd::start("");
    let port = app(|_, _| bad(503, "cannot reach the database\nat db1:5432\n")).await;
    let hosts = sshd.hosts();
    hosts.get("box").connect().await.unwrap();
    let short = Health { within_ms: 3000, ..health() };
    let probe = Probe::new(&hosts, &["box".into()], &place(port), &short, &[]).unwrap();
    let start = Instant::now();
    let error = probe.wait_until_healthy(|_| {}).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(error.times > 1);
    let expected = format!(
        "`box` did not become healthy within 3s: GET /healthz answered 503 ({} times), seen from `box`:\n  cannot reach the database\n  at db1:5432",
        error.times
    );
    assert_eq!(error.to_string(), expected);
    hosts.close().await;
}

#[tokio::test]
async fn every_balancer_must_see_it_healthy_and_one_that_cannot_be_asked_is_an_error() {
    // The second balancer's sshd may not forward: as a firewall would have it.
    let (open, shut) = (Sshd::start(""), Sshd::start("AllowTcpForwarding no"));
    let port = app(|_, _| ok("")).await;
    let other = std::fs::read_to_string(shut.path("known_hosts")).unwrap();
    let known = std::fs::read_to_string(open.path("known_hosts")).unwrap();
    std::fs::write(open.path("known_hosts"), known + &other).unwrap();
    std::fs::copy(open.path("authorized_keys"), shut.path("authorized_keys")).unwrap();
    open.configure(&format!(
        "Host shut\n HostName 127.0.0.1\n Port {}\nHost dead\n HostName 127.0.0.1\n Port {DEAD}",
        shut.port
    ));
    let hosts = open.hosts();
    let seen = |from: &[&str]| {
        let from: Vec<String> = from.iter().map(|name| (*name).to_owned()).collect();
        Probe::new(&hosts, &from, &place(port), &health(), &[]).unwrap()
    };
    assert!(seen(&["box"]).check_once(Depth::Full).await.unwrap().is_healthy());
    let verdict = seen(&["box", "shut"]).check_once(Depth::Full).await.unwrap().to_string();
    assert_eq!(verdict, "GET /healthz failed: connection refused or closed without an answer, seen from `shut`");
    let error = seen(&["box", "dead"]).check_once(Depth::Full).await.unwrap_err();
    assert!(matches!(error, ProbeError::Host(ref error) if error.host() == "dead"), "{error:?}");
    hosts.close().await;
}

#[tokio::test]
async fn a_balancer_that_cannot_be_reached_is_blamed_and_not_the_place() {
    let sshd = Sshd::start("");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    sshd.configure(&format!(
        "Host silent\n HostName 127.0.0.1\n Port {}\nHost dead\n HostName 127.0.0.1\n Port {DEAD}",
        silent.local_addr().unwrap().port()
    ));
    let (good, sick) = (app(|_, _| ok("")).await, app(|_, _| bad(503, "")).await);
    let hosts = sshd.hosts();
    hosts.get("box").connect().await.unwrap();
    for balancer in ["dead", "silent"] {
        // Long enough for a busy machine to answer once.
        let short = Health { within_ms: 4000, ..health() };
        let from = ["box", balancer].map(String::from);
        let [good, sick] = [good, sick].map(|port| Probe::new(&hosts, &from, &place(port), &short, &[]).unwrap());
        let (blamed, place) = tokio::join!(good.wait_until_healthy(|_| {}), sick.wait_until_healthy(|_| {}));
        let (blamed, place) = (blamed.unwrap_err(), place.unwrap_err());
        assert_eq!(blamed.viewpoint_lost.as_deref(), Some(balancer), "{blamed}");
        let begin = format!("`box` could not be seen healthy from the balancer `{balancer}` within 4s: `{balancer}` ");
        assert!(blamed.to_string().starts_with(&begin), "{blamed}");
        // What another balancer saw weighs more.
        assert_eq!((place.viewpoint_lost, place.from.as_str()), (None, "box"), "{}", place.reason);
    }
    // Where only the place's own host is asked, its absence is the place's.
    let own = Health { from: HealthFrom::Host, within_ms: 500, ..health() };
    let place = Place { host: "dead".into(), ..place(good) };
    let error = Probe::new(&hosts, &[], &place, &own, &[]).unwrap().wait_until_healthy(|_| {}).await.unwrap_err();
    assert_eq!(error.viewpoint_lost, None);
    assert!(error.reason.starts_with("could not be asked: it "), "{error}");
    hosts.close().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_while_a_request_is_pending_is_no_fault_of_the_place() {
    let sshd = Sshd::start("");
    let (asked, mut pending) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Takes every request and answers none.
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            held.push(stream);
            let _ = asked.send(());
        }
    });
    let patient = Health { timeout_ms: 60_000, ..health() };
    let hosts = sshd.hosts();
    let host = hosts.get("box");
    let probe = Probe::new(&hosts, &["box".into()], &place(port), &patient, &[]).unwrap();
    for _ in 0..3 {
        let cut = async {
            pending.recv().await.unwrap();
            // Of its own connection: the watchdog's parent.
            let script = "read -r _ _ _ parent _ </proc/$PPID/stat; kill -s KILL \"$parent\"; sleep 30";
            host.run(Run::script("cut", script, [""; 0])).await
        };
        let (answer, cut) = tokio::join!(probe.check_once(Depth::Quick), cut);
        assert!(matches!(cut, Err(HostError::Lost { .. })), "{cut:?}");
        let error = answer.unwrap_err();
        assert_eq!(error.to_string(), "the connection to `box` was lost", "{error:?}");
        assert_eq!((error.viewpoint(), error.is_of_viewpoint()), (Some("box"), true));
    }
    hosts.close().await;
}

#[tokio::test]
async fn a_command_decides_for_what_is_no_http() {
    let sshd = Sshd::start("");
    let run = |line: &str| Health { run: Some(line.into()), timeout_ms: 4000, ..health() };
    assert_eq!(verdict!(sshd, 1, &run("true"), &[]), "healthy");
    assert_eq!(
        verdict!(sshd, 1, &run("echo queue is stuck; exit 3"), &[]),
        "`echo queue is stuck; exit 3` ended with status 3, seen from `box`:\n  queue is stuck"
    );
    let said = verdict!(sshd, 1, &run("echo waiting; sleep 60"), &[]);
    assert_eq!(said, "`echo waiting; sleep 60` did not end within 4s, seen from `box`:\n  waiting");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_anything_is() {
    let sshd = Sshd::start("");
    let hosts = sshd.hosts();
    let refuse =
        |balancers: &[String], health: Health| Probe::new(&hosts, balancers, &place(1), &health, &[]).unwrap_err();
    let balancers = ["box".to_owned()];
    assert!(matches!(refuse(&balancers, Health { scheme: "https".into(), ..health() }), ProbeError::BadRequest { .. }));
    assert!(matches!(refuse(&balancers, Health { body: Some("(".into()), ..health() }), ProbeError::BadRequest { .. }));
    assert!(matches!(refuse(&[], health()), ProbeError::BadRequest { .. }));
    let probe = probe_of(&sshd, 1, &health(), &[]).await;
    // The registry is gone: an error, not a hang.
    assert!(matches!(probe.check_once(Depth::Quick).await, Err(ProbeError::Host(_))));
}
