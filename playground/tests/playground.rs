//! The playground itself, without bg: it starts, serves, misbehaves on demand and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bg_playground::{Behaviour, Half, Playground, Result, listens, process, until};

/// A hand-written stand-in for what `bg setup` puts on a balancer: all traffic to blue.
fn wire_by_hand(pg: &mut Playground) -> Result<()> {
    for balancer in pg.balancers() {
        fs::create_dir_all(&balancer.bg_dir).unwrap();
        let mut http = String::from("map $server_port $shop_half { default blue; }\n");
        let mut server = String::new();
        let mut pools: Vec<&str> = pg.places().iter().map(|place| place.pool.as_str()).collect();
        pools.dedup();
        for pool in pools {
            let servers: String =
                pg.half(pool, Half::Blue).iter().map(|place| format!("server {};", place.listen)).collect();
            http += &format!("upstream shop_{pool}_blue {{ {servers} keepalive 16; keepalive_timeout 4s; }}\n");
            server += &format!("set $shop_{pool} shop_{pool}_blue;\n");
        }
        fs::write(balancer.bg_dir.join("http.conf"), http).unwrap();
        fs::write(balancer.bg_dir.join("server.conf"), server).unwrap();
    }
    pg.wire()
}

/// An address as /proc/net/tcp writes it.
fn hex(address: std::net::Ipv4Addr, port: u16) -> String {
    format!("{:08X}:{port:04X}", u32::from(address).swap_bytes())
}

#[test]
fn ten_hosts_start_and_every_one_answers_over_ssh_with_its_own_home() {
    let began = Instant::now();
    let pg = Playground::options().start().unwrap();
    eprintln!("started in {} ms", began.elapsed().as_millis());
    for host in ["lb1", "lb2", "web1", "web4", "api2", "api3"] {
        let ran = pg.ssh(host, "echo $BG_HOST $HOME; pwd; test -x /usr/sbin/nologin && command -v nginx").unwrap();
        ran.expect(0);
        let home = pg.host(host).dir.join("home");
        assert!(ran.stdout.starts_with(&format!("{host} {0}\n{0}\n", home.display())), "{ran}");
    }
    assert_eq!(pg.get("lb1", "/", "desktop").unwrap().status, 503, "nothing is wired yet");
}

#[test]
fn applications_answer_through_a_wired_balancer_and_name_themselves() {
    let mut pg = Playground::options().start().unwrap();
    for host in ["web1", "web3", "api1"] {
        pg.start_app(host, "v1", &Behaviour::default()).unwrap();
    }
    wire_by_hand(&mut pg).unwrap();
    let answer = pg.get("lb2", "/login", "desktop").unwrap();
    assert_eq!((answer.status, answer.half(), answer.release()), (200, "blue", "v1"));
    assert!(["web1", "web3"].contains(&answer.host()));
    assert_eq!(pg.get("lb1", "/api/orders", "desktop").unwrap().header("x-pool"), "api");
    let public = pg.balancer("lb1").public;
    let posted = bg_playground::request(public, "POST", "/upload", &[], &[b'x'; 5000]).unwrap();
    assert!(posted.body.contains("\"received\":5000"), "{posted:?}");
    let loaded = pg.get("lb1", "/download?bytes=3000&ms=40", "desktop").unwrap();
    assert_eq!(loaded.body.len(), 3000);
    // The application sees the balancer's own address as its peer.
    let peers = fs::read_to_string("/proc/net/tcp").unwrap();
    let balancer = pg.balancer("lb1").host.address;
    let seen = hex(balancer, 0);
    assert!(peers.contains(seen.trim_end_matches("0000")), "no connection from {balancer}");
}

#[test]
fn an_application_misbehaves_as_its_release_says() {
    let pg = Playground::options().small().start().unwrap();
    let good = Behaviour::default();
    let crashing = Behaviour { crashes: Some("no database".into()), ..good.clone() };
    let refused = pg.start_app("web1", "v2", &crashing).unwrap_err().to_string();
    assert!(refused.contains("no database"), "{refused}");
    pg.start_app("web1", "v3", &Behaviour { unhealthy: true, ..good.clone() }).unwrap();
    assert_eq!(pg.ask("web1", "/healthz").unwrap().status, 503);
    assert_eq!(pg.ask("web1", "/").unwrap().status, 200);
    pg.start_app("web1", "v4", &Behaviour { ignores_sigterm: true, answers: Some("v1".into()), ..good.clone() })
        .unwrap();
    assert_eq!(pg.ask("web1", "/").unwrap().release(), "v1");
    let stubborn = pg.app_pid("web1").unwrap();
    pg.start_app("web1", "v5", &Behaviour { dies_after_ms: Some(3_000), ..good }).unwrap();
    assert!(!process::is_running(stubborn), "the restart kills what ignores SIGTERM");
    let place = pg.place("web1").listen;
    until(Duration::from_secs(10), "the death", || (!listens(place)).then_some(())).unwrap();
    assert!(pg.app_log("web1").contains("died, as its release says"));
}

#[test]
fn an_idle_connection_is_closed_after_five_seconds_without_a_word() {
    use std::io::{Read, Write};
    let pg = Playground::options().small().start().unwrap();
    pg.start_app("web1", "v1", &Behaviour::default()).unwrap();
    let mut stream = std::net::TcpStream::connect(pg.place("web1").listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let began = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1").count(), 1, "{all}");
    assert!((4500..30_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[test]
fn requests_under_way_finish_when_the_application_is_told_to_stop() {
    use std::io::{Read, Write};
    let pg = Playground::options().small().start().unwrap();
    pg.start_app("web1", "v1", &Behaviour::default()).unwrap();
    let mut slow = std::net::TcpStream::connect(pg.place("web1").listen).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    slow.write_all(b"POST /slow?ms=700 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        .unwrap();
    // Only from here on it is under way: before, it may wait in the kernel for a listener that is closed.
    let mut begun = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    slow.read_exact(&mut begun).unwrap();
    slow.write_all(b"x").unwrap();
    pg.stop_app("web1").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"received\":1"), "{answer}");
    assert!(pg.ask("web1", "/").is_err());
}

#[test]
fn a_host_goes_down_and_comes_back_with_another_key() {
    let mut pg = Playground::options().small().start().unwrap();
    pg.stop_sshd("web1").unwrap();
    assert!(!pg.ssh("web1", "true").unwrap().ok());
    pg.start_sshd("web1").unwrap();
    pg.ssh("web1", "true").unwrap().expect(0);
    pg.change_host_key("web1").unwrap();
    let ran = pg.ssh("web1", "true").unwrap();
    assert!(ran.stderr.contains("HOST IDENTIFICATION HAS CHANGED"), "{ran}");
    pg.kill_nginx("lb1").unwrap();
    assert!(pg.get("lb1", "/", "x").is_err());
    pg.start_nginx("lb1").unwrap();
    assert_eq!(pg.get("lb1", "/", "x").unwrap().status, 503);
}

#[test]
fn two_run_side_by_side_and_dropping_them_leaves_nothing() {
    let mut first = Playground::options().start().unwrap();
    let second = Playground::options().small().start().unwrap();
    for place in ["web1", "web3", "api1", "api3"] {
        first.start_app(place, "v1", &Behaviour::default()).unwrap();
    }
    second.start_app("web1", "v9", &Behaviour::default()).unwrap();
    wire_by_hand(&mut first).unwrap();
    assert_eq!(first.get("lb1", "/", "x").unwrap().release(), "v1");
    assert_eq!(second.ask("web1", "/").unwrap().release(), "v9");
    let dir = first.dir().to_owned();
    assert!(first.processes().len() >= 10 + 2 * 3 + 4);
    drop(first);
    assert!(!dir.exists());
    assert_eq!(process::of_playground(&dir), []);
    assert_eq!(second.ask("web1", "/").unwrap().release(), "v9", "the other one lives on");
}

/// Run as a process of its own by the tests below, which set `TELL`: owns a playground and waits to be killed.
#[test]
fn owner_to_be_killed() {
    let Ok(told) = std::env::var("TELL") else { return };
    let pg = Playground::options().small().start().unwrap();
    pg.start_app("web1", "v1", &Behaviour::default()).unwrap();
    fs::write(format!("{told}.new"), pg.dir().display().to_string()).unwrap();
    fs::rename(format!("{told}.new"), told).unwrap();
    let _killed = until(Duration::from_secs(60), "being killed", || None::<()>);
}

fn killed_owner(signal: nix::sys::signal::Signal) {
    let tell = tempfile::tempdir().unwrap();
    let told = tell.path().join("dir");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_to_be_killed"])
        .env("TELL", &told)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let dir = until(Duration::from_secs(40), "the other playground", || fs::read_to_string(&told).ok()).unwrap();
    let dir = std::path::PathBuf::from(dir);
    assert!(process::of_playground(&dir).len() > 3 + 3, "three sshd, three processes of nginx, one application");
    process::signal(i32::try_from(owner.id()).unwrap(), signal);
    owner.wait().unwrap();
    let gone = || (!dir.exists() && process::of_playground(&dir).is_empty()).then_some(());
    until(Duration::from_secs(20), "everything of the killed owner disappearing", gone).unwrap();
}

#[test]
fn an_owner_that_is_killed_leaves_nothing_behind() {
    killed_owner(nix::sys::signal::Signal::SIGKILL);
}

#[test]
fn an_owner_that_is_interrupted_leaves_nothing_behind() {
    killed_owner(nix::sys::signal::Signal::SIGINT);
}

#[test]
fn a_small_disk_fills_up() {
    let pg = Playground::options().small().start().unwrap();
    if pg.skipped_unless_root("a_small_disk_fills_up") {
        return;
    }
    pg.small_disk("web1", 64).unwrap();
    let ran = pg.ssh("web1", &format!("head -c 1000000 /dev/zero > {}/big", pg.place("web1").root.display())).unwrap();
    assert!(!ran.ok() && ran.stderr.contains("No space left"), "{ran}");
}

#[test]
fn load_from_two_thousand_clients_is_answered_and_every_failure_is_counted() {
    let mut pg = Playground::options().start().unwrap();
    for place in ["web1", "web3", "api1", "api3"] {
        pg.start_app(place, "v1", &Behaviour::default()).unwrap();
    }
    wire_by_hand(&mut pg).unwrap();
    let load = pg.load().rate(1500).start().unwrap();
    let mark = load.mark();
    let seen = load.wait_clients(mark, Duration::from_secs(30)).unwrap();
    seen.expect_none_failed();
    assert_eq!((seen.mobile.clients, seen.desktop.clients, seen.mobile.green), (1000, 1000, 0));
    assert_eq!(seen.hosts.len(), 4, "{seen:?}");
    let slow = |seen: &bg_playground::load::Seen| seen.sent >= 4000;
    load.wait(mark, Duration::from_secs(30), "slow requests too", slow).unwrap().expect_none_failed();
    pg.kill_nginx("lb1").unwrap();
    let mark = load.mark();
    let failing = |seen: &bg_playground::load::Seen| seen.failed >= 30 && seen.by_half("blue") >= 30;
    let seen = load.wait(mark, Duration::from_secs(20), "failures at one balancer only", failing).unwrap();
    assert!(seen.failures[0].what.contains("connect"), "{:?}", seen.failures);
    load.stop();
}
