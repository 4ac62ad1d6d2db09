//! What clients see: requests that fail, and how many a second there are.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bg_playground::load::Seen;
use bg_playground::{Error, Playground, Pool, Result, listens, process, until};
use nix::sys::signal::Signal;

use super::is_installed;
use super::measure::{Aim, Row, took};

const SHIFTS: usize = 100;
const RELOADS: usize = 100;
const REQUESTS: u64 = 300_000;
/// For the rest of the requests, on a slow machine.
const REST: Duration = Duration::from_secs(600);

/// A rollout with 100 flips there and back under keepalive load, and 100 reloads under the same.
pub fn requests() -> Result<Vec<Row>> {
    eprintln!("requests that fail");
    let mut site = Playground::options().start()?;
    took(site.setup("v1")?)?;
    site.release("v2")?;
    let load = site.load().rate(3_000).clients(2_000).start()?;
    let mark = load.mark();
    load.wait_requests(mark, 1_000, REST)?;
    took(site.bg(["deploy", "--release", "v2", "--canary", "mobile=10%"])?)?;
    for _ in 0..SHIFTS {
        took(site.bg(["flip"])?)?;
        took(site.bg(["flip", "--back"])?)?;
    }
    took(site.bg(["flip"])?)?;
    took(site.bg(["restore"])?)?;
    load.wait_requests(mark, REQUESTS, REST)?;
    let rollout = load.stop();
    eprintln!("  rollout: {} requests, {} failed", rollout.sent, rollout.failed);
    let load = site.load().rate(3_000).clients(2_000).start()?;
    let mark = load.mark();
    let balancers: Vec<String> = site.balancers().iter().map(|balancer| balancer.host.name.clone()).collect();
    for _ in 0..RELOADS {
        balancers.iter().try_for_each(|balancer| site.reload_nginx(balancer))?;
    }
    load.wait_requests(mark, REQUESTS, REST)?;
    let reloads = load.stop();
    eprintln!("  reloads: {} requests, {} failed", reloads.sent, reloads.failed);
    Ok(vec![Row {
        what: "requests failed over deploy, canary, 100 flips there and back, restore, under keepalive load".into(),
        against: "`nginx -s reload` 100 times, same load".into(),
        measured: format!("{} : {}", of(&rollout), of(&reloads)),
        figure: rollout.failed as f64,
        shown: format!("{} failed", rollout.failed),
        aim: Aim::AtMost(0.0),
    }])
}

fn of(seen: &Seen) -> String {
    format!("{} of {} failed", seen.failed, seen.sent)
}

/// The body of every answer.
const BODY_BYTES: usize = 4096;
const SECONDS: u32 = 4;

/// An nginx that answers at once, at the addresses of the site's servers.
struct Backend {
    child: Child,
    dir: PathBuf,
}

impl Backend {
    fn start(site: &Playground) -> Result<Backend> {
        let dir = site.dir().join("backend");
        let io = |source| Error::Io { what: "cannot write", object: dir.display().to_string(), source };
        fs::create_dir_all(&dir).map_err(io)?;
        let listen: String = site.places().iter().map(|place| format!("    listen {};\n", place.listen)).collect();
        let path = dir.display();
        let text = format!(
            "worker_processes 1;\ndaemon off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             events {{ worker_connections 2000; }}\nhttp {{\n  access_log off;\n  keepalive_requests 1000000;\n  \
             client_body_temp_path {path};\n  proxy_temp_path {path};\n  fastcgi_temp_path {path};\n  \
             uwsgi_temp_path {path};\n  scgi_temp_path {path};\n  server {{\n{listen}    \
             set $half \"{}\";\n    location / {{ return 200 \"$half$half\"; }}\n  }}\n}}\n",
            // No word of a configuration may be longer than 4,095 bytes.
            "x".repeat(BODY_BYTES / 2)
        );
        let conf = dir.join("nginx.conf");
        fs::write(&conf, text).map_err(|source| Error::Io {
            what: "cannot write",
            object: "nginx.conf".into(),
            source,
        })?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&dir)
            .arg("-c")
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::Io { what: "cannot run", object: "nginx".into(), source })?;
        let backend = Backend { child, dir };
        let up = || site.places().iter().all(|place| listens(place.listen)).then_some(());
        until(Duration::from_secs(10), "the backend", up).map(|()| backend)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        process::signal(i32::try_from(self.child.id()).unwrap_or(0), Signal::SIGTERM);
        let _gone = self.child.wait();
        let _best_effort = fs::remove_dir_all(&self.dir);
    }
}

/// Requests a second through bg's configuration, against a plain upstream in the same nginx with the same servers.
pub fn throughput(rounds: usize) -> Result<Vec<Row>> {
    eprintln!("throughput");
    if !is_installed("wrk") {
        return Ok(Vec::new());
    }
    let mut site = Playground::options()
        .balancers(1)
        .workers(1)
        .pools([Pool::new("web").halves(1, 1), Pool::new("api").halves(1, 1)])
        .start()?;
    took(site.setup("v1")?)?;
    site.release("v2")?;
    let plain = add_plain(&mut site)?;
    let through = site.balancer("lb1").public;
    let hosts: Vec<String> = site.places().iter().map(|place| place.host.name.clone()).collect();
    let stub = |site: &Playground| {
        hosts.iter().try_for_each(|host| site.stop_app(host))?;
        Backend::start(site)
    };
    let backend = stub(&site)?;
    let balanced = against(rounds, through, plain)?;
    drop(backend);
    hosts.iter().try_for_each(|host| site.restart_app(host))?;
    // A deploy refuses while traffic could pass bg by, as it does in the plain server block.
    site.wire()?;
    took(site.bg(["deploy", "--release", "v2", "--canary", "mobile=10%"])?)?;
    let plain = add_plain(&mut site)?;
    let backend = stub(&site)?;
    let canary = against(rounds, through, plain)?;
    drop(backend);
    let row = |stage: &str, (ours, theirs): (f64, f64), aim| Row {
        what: format!("requests a second, {stage}: two pools, access_log, 4 KB bodies, proxy headers"),
        against: "a plain `proxy_pass` to one upstream, same nginx, same backends".into(),
        measured: format!("{ours:.0}/s : {theirs:.0}/s"),
        figure: ours / theirs,
        shown: format!("{:.3}×", ours / theirs),
        aim,
    };
    Ok(vec![row("balanced", balanced, Aim::AtLeast(0.97)), row("in a canary", canary, Aim::AtLeast(0.92))])
}

/// A server block beside the site's that passes everything to one upstream of the same servers, with the same settings.
fn add_plain(site: &mut Playground) -> Result<SocketAddr> {
    let plain = SocketAddr::new(site.balancer("lb1").public.ip(), site.balancer("lb1").public.port() + 77);
    let servers: String = site
        .places()
        .iter()
        .filter(|place| place.pool == "web")
        .map(|place| format!("server {} max_fails=1 fail_timeout=10s; ", place.listen))
        .collect();
    let block = format!(
        "  upstream plain {{ zone plain 64k; least_conn; {servers}keepalive 32; keepalive_timeout 4s; }}\n  \
         server {{ listen {plain}; location / {{ proxy_pass http://plain; }} }}\n}}\n"
    );
    site.edit_nginx("lb1", |text| {
        let whole = text.trim_end();
        format!("{}{block}", whole.strip_suffix('}').unwrap_or(whole))
    })?;
    site.reload_nginx("lb1")?;
    Ok(plain)
}

/// Medians of both, in turns.
fn against(rounds: usize, ours: SocketAddr, theirs: SocketAddr) -> Result<(f64, f64)> {
    let mut seen = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (address, rates) in [ours, theirs].into_iter().zip(&mut seen) {
            let rate = wrk(address)?;
            eprintln!("  {address:<34}{rate:>9.0} /s");
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let [mine, other] = &mut seen;
    Ok((median(mine), median(other)))
}

fn wrk(address: SocketAddr) -> Result<f64> {
    let io = |source| Error::Io { what: "cannot run", object: "wrk".into(), source };
    let output = Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{SECONDS}s"), "-H", "User-Agent: Mozilla/5.0 (iPhone) bench"])
        .arg(format!("http://{address}/"))
        .stdin(Stdio::null())
        .output()
        .map_err(io)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = said.contains("Non-2xx") || said.contains("Socket errors");
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    match rate {
        Some(rate) if !failed => Ok(rate),
        _ => Err(Error::Failed { command: "wrk".into(), status: output.status.to_string(), said }),
    }
}
