//! What an operator at a desk sees of a site: its journal, its status, and how commands answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use bg_playground::{Options, Playground, Pool, Ran, Running, until};
use bluegreen::edge::journal::{EtcdStore, FileStore, Store, read};
use bluegreen_core::inventory::{JournalLocation, parse_location};
use bluegreen_core::lock::Hold;
use bluegreen_core::rollout::{Resume, State};
use nix::sys::signal::Signal;
use serde_json::Value;

/// More than any step takes on two slow cores.
pub const SOON: Duration = Duration::from_secs(60);

/// One balancer, one blue and one green server, quick to decide.
pub fn small() -> Options {
    Playground::options().small().each_pool(quick).bg(env!("CARGO_BIN_EXE_bg"))
}

/// The same with two balancers.
pub fn two_balancers() -> Options {
    small().balancers(2)
}

fn quick(pool: Pool) -> Pool {
    let pool = pool.health("interval", "\"50ms\"").health("timeout", "\"6s\"").health("within", "\"8s\"");
    pool.drain("timeout", "\"8s\"")
}

/// Runs `act` while the inventory's text is changed.
pub fn while_changed<T>(site: &Playground, change: impl FnOnce(&str) -> String, act: impl FnOnce() -> T) -> T {
    let before = fs::read_to_string(site.inventory_file()).unwrap();
    site.write_inventory(&change(&before)).unwrap();
    let done = act();
    site.write_inventory(&before).unwrap();
    done
}

/// Runs `act` while what never gets healthy is given up after two seconds.
pub fn impatient<T>(site: &Playground, act: impl FnOnce() -> T) -> T {
    let impatient = |text: &str| {
        let short = text.replace("timeout = \"6s\"", "timeout = \"1s\"").replace("within = \"8s\"", "within = \"2s\"");
        assert_ne!(short, text);
        short
    };
    while_changed(site, impatient, act)
}

/// `bg` with these words, which must end with this exit code.
#[track_caller]
pub fn bg(site: &Playground, words: &str, code: i32) -> Ran {
    let ran = site.bg(words.split_whitespace()).unwrap();
    ran.expect(code);
    ran
}

/// The one document that `bg WORDS --json` prints; it must end with this exit code and say so.
#[track_caller]
pub fn json(site: &Playground, words: &str, code: i32) -> Value {
    let ran = bg(site, &format!("{words} --json"), code);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{ran}"));
    if !words.starts_with("status") {
        assert_eq!(document["exit"], code, "{ran}");
        assert_eq!(document["ok"], code == 0, "{ran}");
        for key in ["stage", "rollout", "message", "hint"] {
            assert!(document.get(key).is_some(), "`{key}` is missing: {ran}");
        }
    }
    document
}

/// `bg status --json`.
#[track_caller]
pub fn status(site: &Playground) -> Value {
    json(site, "status", 0)
}

/// Where the journal stands: a host's directories are this machine's too.
pub fn journal_file(site: &Playground) -> PathBuf {
    let inventory = fs::read_to_string(site.inventory_file()).unwrap();
    let shared = inventory.lines().find_map(|line| line.strip_prefix("journal = \"ssh:")?.strip_suffix('"'));
    let shared = shared.and_then(|place| place.split_once(':')).map(|(_, path)| path);
    shared.map_or_else(|| site.dir().join(".bg/shop"), PathBuf::from).join("journal.jsonl")
}

/// The journal as it is; empty when there is none, or when a file of it cannot be read. One in etcd is asked for until its
/// members have a leader.
pub fn journal(site: &Playground) -> String {
    let inventory = fs::read_to_string(site.inventory_file()).unwrap();
    let location = inventory.lines().find_map(|line| line.strip_prefix("journal = \"")?.strip_suffix('"')).unwrap();
    let Ok(JournalLocation::Etcd(etcd)) = parse_location(location) else {
        return fs::read_to_string(journal_file(site)).unwrap_or_default();
    };
    let store = EtcdStore::new(&etcd, site.dir());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let read = || thread::scope(|scope| scope.spawn(|| runtime().block_on(store.read())).join().unwrap()).ok();
    String::from_utf8(until(SOON, "the journal in etcd", read).unwrap()).unwrap()
}

/// What replaying the journal gives; `None` while it cannot be read.
pub fn replayed(site: &Playground) -> Option<State> {
    let store = FileStore::new(site.dir().join(".bg/shop"));
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    // On a thread of its own: the caller may be in a runtime.
    let reading = thread::scope(|scope| scope.spawn(|| runtime().block_on(read(&store))).join().unwrap());
    Some(reading.ok()?.state)
}

/// Who has the site's lock and who waits for it, by the words of their commands; and who holds it by hand.
pub fn queue(site: &Playground) -> (Vec<String>, Option<Hold>) {
    let store = FileStore::new(site.dir().join(".bg/shop"));
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let queue = thread::scope(|scope| scope.spawn(|| runtime().block_on(store.queue())).join().unwrap()).unwrap();
    (queue.tickets.into_iter().map(|queued| queued.ticket.command).collect(), queue.hold)
}

/// Starts `bg WORDS`, which waits, and waits until it is the last in the queue, as the number `place` (from 0).
pub fn start_waiting(site: &Playground, words: &str, place: usize) -> Running {
    let mut running = site.start_bg(words.split_whitespace()).unwrap();
    let deadline = Instant::now() + SOON;
    while queue(site).0.len() <= place {
        if running.has_ended() || Instant::now() > deadline {
            panic!("it never waited: {}", running.wait(SOON).unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    }
    running
}

/// Every event of the journal, in order.
pub fn events(journal: &str) -> Vec<Value> {
    let entries = journal.lines().map_while(|line| serde_json::from_str::<Value>(line).ok());
    entries.flat_map(|entry| entry["events"].as_array().cloned().unwrap_or_default()).collect()
}

/// Everything on the hosts and in the operator's directory that a command could change, content and modes.
pub type World = BTreeMap<PathBuf, String>;

/// The world as it is. What the journal's lock says of its last holder is no change.
pub fn world(site: &Playground) -> World {
    let mut found = BTreeMap::new();
    let balancers = site.balancers().iter().map(|balancer| balancer.bg_dir.clone());
    let roots = site.places().iter().map(|place| place.root.clone());
    let desk = [".bg", "inventory", "home"].map(|name| site.dir().join(name));
    for top in balancers.chain(roots).chain(desk) {
        gather(&top, &mut found);
    }
    found.retain(|path, _| {
        !path.starts_with(site.dir().join(".bg/shop/lock")) && !path.starts_with(site.dir().join(".bg/shop/queue"))
    });
    found
}

/// Nothing was touched by that command.
#[track_caller]
pub fn untouched(site: &Playground, before: &World, ran: &impl std::fmt::Display) {
    let now = world(site);
    let paths: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
    let changed: Vec<_> = paths.into_iter().filter(|path| before.get(*path) != now.get(*path)).collect();
    assert!(changed.is_empty(), "{ran}\nchanged: {changed:#?}");
}

fn gather(path: &Path, found: &mut World) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    let content = if meta.is_symlink() {
        format!("{:?}", fs::read_link(path))
    } else if meta.is_file() {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    } else {
        String::new()
    };
    found.insert(path.to_owned(), format!("{:o} {content}", meta.permissions().mode()));
    for entry in fs::read_dir(path).into_iter().flatten().flatten().filter(|_| meta.is_dir()) {
        gather(&entry.path(), found);
    }
}

/// Waits until the journal, beyond `known` bytes, says that step `index` has begun. `false`: the command ended before.
#[track_caller]
pub fn begins(site: &Playground, running: &mut Running, known: usize, index: usize) -> bool {
    let wanted = format!("\"event\":\"step_started\",\"step\":{index},");
    let deadline = Instant::now() + SOON;
    loop {
        let has_ended = running.has_ended();
        if journal(site).get(known..).is_some_and(|new| new.contains(&wanted)) {
            return true;
        }
        if has_ended {
            return false;
        }
        assert!(Instant::now() < deadline, "step {index} never began");
        // Short: what follows is to happen at the very beginning of the step.
        thread::sleep(Duration::from_micros(300));
    }
}

/// Starts `bg WORDS` and waits until the journal says that step `index` has started.
#[track_caller]
pub fn start_until(site: &Playground, words: &str, index: usize) -> Running {
    let known = journal(site).len();
    let mut running = site.start_bg(words.split_whitespace()).unwrap();
    if !begins(site, &mut running, known, index) {
        panic!("it never began step {index}: {}", running.wait(SOON).unwrap());
    }
    running
}

/// `bg WORDS`, killed by the append that begins its step `index`: what the step is to do is not done. Only with a journal in
/// this machine's files.
#[track_caller]
pub fn kill_at(site: &Playground, words: &str, index: usize) {
    let state = replayed(site);
    let append = match state.as_ref().and_then(State::resume).filter(|_| words == "resume") {
        Some(Resume::From(from)) => 2 * (index - from) + 1,
        Some(Resume::PutBack(step)) => panic!("step {step} is being undone"),
        // A new journal's first record, the command with its plan, two records of each step before, and this one.
        None => usize::from(state.is_none_or(|state| state.journal.is_none())) + 2 + 2 * index,
    };
    killed_at(&site.bg_command(words.split_whitespace()).unwrap(), append);
    let begun = replayed(site).and_then(|state| state.open).and_then(|open| open.step).map(|step| step.index);
    assert_eq!(begun, Some(index), "`{words}` was killed in another step");
}

/// `bg WORDS`, a deploy, killed while it restarts the servers, which this file holds up. Then nothing does any more. For a journal
/// that is not in this machine's files.
#[track_caller]
pub fn kill_held(site: &Playground, hold: &Path, words: &str) {
    fs::write(hold, "").unwrap();
    let deploy = start_until(site, words, 4);
    deploy.signal(Signal::SIGKILL);
    deploy.wait(SOON).unwrap();
    fs::remove_file(hold).unwrap();
}

/// This command of bg's, killed with SIGKILL at its `append`th append to the journal (from 1): the record is written whole,
/// and the program does nothing any more. strace does it on entry to the fdatasync that every append to a file ends with;
/// nothing else of bg's makes that call, and the thread that appends is the first one. (With `--seccomp-bpf` no signal would
/// be sent.)
#[track_caller]
pub fn killed_at(command: &Command, append: usize) -> Ran {
    let mut traced = Command::new("strace");
    traced.args(["-qq", "-e", "trace=fdatasync", "-e", "signal=none", "-e"]);
    traced.arg(format!("inject=fdatasync:signal=KILL:when={append}"));
    traced.args(["-o", "/dev/null"]).arg(command.get_program()).args(command.get_args());
    traced.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    traced.current_dir(command.get_current_dir().unwrap());
    let ran = Running::start(traced)
        .unwrap_or_else(|error| panic!("to kill at an exact point takes `strace` (Debian package strace): {error}"))
        .wait(SOON)
        .unwrap();
    let denied = ran.stderr.contains("Operation not permitted") || ran.stderr.contains("ptrace");
    assert!(!denied, "tracing is forbidden here, so nothing can be killed at an exact point\n{ran}");
    // Nor is one that took too long killed there.
    assert!(ran.code.is_none() && !ran.timed_out, "it ended before append {append}: {ran}");
    ran
}

/// From now on healthy is what this file stands for no more: as long as it exists, every question for the health of a server
/// of pool `web` waits, and the command stays in the step that asks.
pub fn hold_health(site: &Playground) -> PathBuf {
    let hold = site.dir().join("hold-health");
    fs::write(&hold, "").unwrap();
    let run = format!("run = \"while [ -e {} ]; do sleep 0.02; done\"", hold.display());
    site.edit_inventory(|text| {
        let (before, table) = text.split_once("[pools.web.health]\n").unwrap();
        let after = table.find("\n[").map_or("", |at| &table[at..]);
        let times = "interval = \"50ms\"\ntimeout = \"60s\"\nwithin = \"120s\"\nsuccesses = 1";
        format!("{before}[pools.web.health]\n{run}\n{times}\n{after}")
    })
    .unwrap();
    hold
}
