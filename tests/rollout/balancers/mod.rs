//! Bad luck with balancers and with traffic: each test has a playground of its own, and the contract decides what is
//! expected.

mod canary;
mod configuration;
mod drain;
mod reach;
mod restoring;
mod tree;
mod wiring;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bg_playground::{Balancer, Options, Playground, Pool, Ran, until};
use serde_json::Value;

/// More than anything that is waited for here takes on two slow cores.
const SEEN: Duration = Duration::from_secs(60);
/// A user agent of the segment `mobile`.
const PHONE: &str = "Mozilla/5.0 (iPhone)";
/// One of everybody else.
const DESKTOP: &str = "Mozilla/5.0 (X11; Linux)";

/// Two balancers and one pool of one server a half.
fn two_balancers() -> Options {
    Playground::options().bg(env!("CARGO_BIN_EXE_bg")).pools([Pool::new("web").halves(1, 1)])
}

/// One balancer and one pool of one server a half.
fn one_balancer() -> Options {
    Playground::options().bg(env!("CARGO_BIN_EXE_bg")).small()
}

/// Started and set up on v1, with v2 ready to be deployed.
fn set_up(options: Options) -> Playground {
    let mut site = options.start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    site
}

/// [`set_up`], and v2 deployed to green.
fn staged(options: Options) -> Playground {
    let site = set_up(options);
    run(&site, "deploy --release v2").expect(0);
    site
}

/// Runs bg with these words.
fn run(site: &Playground, words: &str) -> Ran {
    let ran = site.bg(words.split(' ')).unwrap();
    // What the operator reads; shown when the test fails.
    println!("{ran}");
    ran
}

/// What `status --json` says.
fn status(site: &Playground) -> Value {
    let ran = run(site, "status --json");
    serde_json::from_str(ran.stdout.trim()).unwrap()
}

/// The stage that `status --json` says.
#[track_caller]
fn assert_stage(site: &Playground, stage: &str) {
    let status = status(site);
    assert_eq!(status["stage"], stage, "{status}");
}

/// Whether `status --json` says that a balancer is in sync, and what it notes about it.
fn in_sync(site: &Playground, host: &str) -> (Value, String) {
    let status = status(site);
    let balancers = status["balancers"].as_array().unwrap();
    let of_host = balancers.iter().find(|balancer| balancer["host"] == host).unwrap();
    (of_host["in_sync"].clone(), of_host["note"].as_str().unwrap_or_default().to_owned())
}

/// Stops the test unless bg said all of these, on whichever stream.
#[track_caller]
fn assert_says(ran: &Ran, all: &[&str]) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for part in all {
        assert!(said.contains(part), "`{part}` is missing in\n{ran}");
    }
}

/// The half that answers a client of a balancer.
#[track_caller]
fn half(site: &Playground, balancer: &str, agent: &str) -> String {
    let answer = site.get(balancer, "/", agent).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.half().to_owned()
}

/// The process ids of every application: none changes where no server is touched.
fn pids(site: &Playground) -> Vec<Option<i32>> {
    site.places().iter().map(|place| site.app_pid(&place.host.name)).collect()
}

/// The number that a balancer's `live/current` leads to.
fn generation(balancer: &Balancer) -> Option<u64> {
    let target = fs::read_link(balancer.bg_dir.join("live/current")).ok()?;
    target.to_str()?.strip_prefix("gen/")?.parse().ok()
}

/// The tree that a balancer runs.
fn tree(site: &Playground, balancer: &str) -> PathBuf {
    fs::canonicalize(site.balancer(balancer).bg_dir.join("live/current")).unwrap()
}

/// Everything below a balancer's directory: paths, what links lead to, contents of files.
fn everything(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_symlink() {
                found.push((path.clone(), fs::read_link(&path).unwrap().display().to_string()));
            } else if metadata.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

/// What stands on every balancer.
fn balancers(site: &Playground) -> Vec<Vec<(PathBuf, String)>> {
    site.balancers().iter().map(|balancer| everything(&balancer.bg_dir)).collect()
}

/// Waits until a generation stands on a balancer that was not there before, beside the current one: it was prepared.
fn wait_prepared(balancer: &Balancer) -> PathBuf {
    let next = generation(balancer).unwrap() + 2;
    let dir = balancer.bg_dir.join("live/gen");
    until(SEEN, "the preparing", || {
        let found = (next..next + 6).map(|n| dir.join(n.to_string())).find(|path| path.exists());
        found.filter(|_| {
            fs::read_dir(&dir).unwrap().flatten().all(|it| !it.file_name().to_string_lossy().starts_with(".tmp"))
        })
    })
    .unwrap()
}
