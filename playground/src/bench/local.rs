//! What needs no host: starting, and reading a large inventory.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bg_playground::{Error, Result, app_binary};

use super::measure::{Aim, Contender, Row, at_once, in_turns};

const POOLS: usize = 200;
const SERVERS: usize = 10_000;

fn bg() -> Result<PathBuf> {
    Ok(app_binary()?.with_file_name("bg"))
}

/// `bg --version`, against a program that does nothing.
pub fn start(rounds: usize) -> Result<Vec<Row>> {
    eprintln!("start-up");
    let bg = bg()?;
    let version = || {
        let mut command = Command::new(&bg);
        command.arg("--version");
        at_once(vec![command])
    };
    let nothing = || at_once(vec![Command::new("true")]);
    let times = in_turns(
        rounds.max(20),
        &mut [
            Contender { name: "bg --version", run: Box::new(version) },
            Contender { name: "true", run: Box::new(nothing) },
        ],
    )?;
    let ms = times[0].median() * 1000.0;
    let size = fs::metadata(&bg).map_or(0, |metadata| metadata.len());
    let mib = size as f64 / 1_048_576.0;
    Ok(vec![
        Row {
            what: "`bg --version`, process and all".into(),
            against: "`true` the same way".into(),
            measured: format!("{ms:.1} ms : {:.1} ms", times[1].median() * 1000.0),
            figure: ms,
            shown: format!("{ms:.1} ms"),
            aim: Aim::AtMost(5.0),
        },
        Row {
            what: "the binary's size, as `make install` builds it".into(),
            against: String::new(),
            measured: format!("{size} bytes"),
            figure: mib,
            shown: format!("{mib:.1} MiB"),
            aim: Aim::Shown,
        },
    ])
}

/// `bg check` on an inventory of 10,000 servers in 200 pools.
pub fn check(rounds: usize) -> Result<Vec<Row>> {
    eprintln!("check of a large inventory");
    let io = |source| Error::Io { what: "cannot write", object: "the large inventory".into(), source };
    let dir = tempfile::tempdir().map_err(io)?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).map_err(io)?;
    fs::create_dir(dir.path().join("inventory")).map_err(io)?;
    fs::write(dir.path().join("inventory/large.toml"), inventory()).map_err(io)?;
    let bg = bg()?;
    let mut times = Vec::new();
    for _ in 0..rounds.max(5) {
        let took = at_once(vec![check_in(&bg, dir.path())])?.as_secs_f64();
        eprintln!("  {:<34}{:>9.1} ms", "bg check", took * 1000.0);
        times.push(took);
    }
    // Apart: whoever looks takes processor time, and holds up who asks for memory.
    let most = memory(check_in(&bg, dir.path()))?;
    eprintln!("  {:<34}{most:>9.0} MB", "bg check, its memory");
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let what = format!("`bg check`, {SERVERS} servers in {POOLS} pools");
    Ok(vec![
        Row {
            what: what.clone(),
            against: String::new(),
            measured: format!("{:.0}–{:.0} ms", times[0] * 1000.0, times[times.len() - 1] * 1000.0),
            figure: median,
            shown: format!("{median:.2} s"),
            aim: Aim::AtMost(0.3),
        },
        Row {
            what,
            against: "its memory at most".into(),
            measured: "resident, the most that it had at once".into(),
            figure: most,
            shown: format!("{most:.0} MB"),
            aim: Aim::AtMost(100.0),
        },
    ])
}

fn check_in(bg: &Path, dir: &Path) -> Command {
    let mut command = Command::new(bg);
    command.arg("check").current_dir(dir);
    command
}

/// The most memory that a command had at once, in MB: read from /proc until it is gone.
fn memory(mut command: Command) -> Result<f64> {
    let line = format!("{command:?}");
    let io = |source| Error::Io { what: "cannot run", object: line.clone(), source };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(io)?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0.0_f64;
    loop {
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0.0));
        if let Some(ended) = child.try_wait().map_err(io)? {
            let failed = Error::Failed { command: line.clone(), status: ended.to_string(), said: String::new() };
            return if ended.success() { Ok(peak_kib * 1024.0 / 1e6) } else { Err(failed) };
        }
        std::thread::yield_now();
    }
}

fn inventory() -> String {
    let mut text = String::from("[site]\nname = \"large\"\n\n[balancers]\nhosts = [\"lb[1-10].example.net\"]\n");
    let each = SERVERS / POOLS;
    for pool in 0..POOLS {
        let hosts = |from: usize| -> String {
            let names = (from..each).step_by(2).map(|n| format!("\"p{pool}s{n}.example.net\""));
            names.collect::<Vec<_>>().join(", ")
        };
        let _ = write!(
            text,
            "\n[pools.p{pool}]\nport = 3000\nblue = [{}]\ngreen = [{}]\n\
             deploy = {{ root = \"/srv/p{pool}\", artifact = \"dist/p{pool}-{{{{ release }}}}.tar.zst\", restart = \"true\" }}\n",
            hosts(0),
            hosts(1)
        );
    }
    text
}
