//! What a dead operator must not leave: processes, locks, private directories, temporary files that grow.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use bg_playground::{Playground, process::Process, until};
use nix::fcntl::{Flock, FlockArg};

use crate::desk::SOON;

/// How often it is looked whether all has ended: a look reads all of /proc, which costs some milliseconds, and there are many.
const EVERY: Duration = Duration::from_millis(150);

/// Waits until nothing that a killed command began still runs or is locked, here or on a host. Returns how long after its
/// death (the last append) that was seen.
#[track_caller]
pub fn wait_clean(site: &Playground, journal: &Path) -> Duration {
    let died = fs::metadata(journal).and_then(|meta| meta.modified()).unwrap();
    let bound = Instant::now() + SOON;
    loop {
        let (running, locked) = (running(site), locked(site));
        if running.is_empty() && locked.is_empty() {
            return SystemTime::now().duration_since(died).unwrap_or_default();
        }
        assert!(Instant::now() < bound, "left behind by the killed command: {running:#?} {locked:#?}");
        thread::sleep(EVERY);
    }
}

/// A balancer's own way back, which outlives the command that armed it.
fn is_timer(process: &Process) -> bool {
    process.command.contains("/.revert/run-")
}

/// Everything that runs because of the playground, without what stands there anyway.
fn running(site: &Playground) -> Vec<Process> {
    let stands = |process: &Process| match process.name.as_str() {
        "nginx" => true,
        "sshd" => process.command.contains("[listener]"),
        "bg-playground" => [" app ", " reap "].iter().any(|word| process.command.contains(word)),
        _ => is_timer(process),
    };
    let all = site.processes();
    let timers: Vec<i32> = all.iter().filter(|process| is_timer(process)).map(|process| process.pid).collect();
    all.into_iter().filter(|process| !stands(process) && !timers.contains(&process.parent)).collect()
}

/// Waits until no balancer means to go back by itself any more.
#[track_caller]
pub fn wait_disarmed(site: &Playground) {
    let none = || (!site.processes().iter().any(is_timer)).then_some(());
    until(SOON, "the end of the balancers' own ways back", none).unwrap();
}

/// Locks that somebody holds: the journal's, its queue's, the servers', the balancers'.
fn locked(site: &Playground) -> Vec<PathBuf> {
    let is_lock = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.contains("lock") || path.parent().is_some_and(|parent| parent.ends_with("queue"))
    };
    let held = |path: &PathBuf| {
        let file = File::open(path).ok();
        file.is_some_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err())
    };
    files(site).into_iter().filter(is_lock).filter(held).collect()
}

/// What a dead command has left for temporary files: nothing, not even until the next one comes.
#[track_caller]
pub fn no_temporary_files(site: &Playground) {
    let left: Vec<PathBuf> = fs::read_dir(site.temporary()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left in TMPDIR by a killed command: {left:?}");
}

/// Half-made things: what a killed step may leave must be gone once the command was finished or undone.
pub fn leftovers(site: &Playground) -> Vec<PathBuf> {
    let temporary = site.temporary();
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_temporary = name.starts_with(".tmp") || name.ends_with(".tmp") || name.contains(".bg-");
        is_temporary || name.starts_with(".v") || path.starts_with(&temporary) && *path != temporary
    };
    files(site).into_iter().filter(is_left).collect()
}

/// Tickets in the queue for the site's lock: a dead command's is removed by the next one that takes the lock.
pub fn tickets(site: &Playground) -> usize {
    files(site).iter().filter(|path| path.parent().is_some_and(|parent| parent.ends_with("queue"))).count()
}

/// What may not grow, however often commands die: every file of the hosts and of the desks but releases and generations,
/// of which old ones are removed.
pub fn skeleton(site: &Playground) -> BTreeSet<PathBuf> {
    let changes = |path: &PathBuf| {
        let text = path.display().to_string();
        ["/releases/", "/gen/", "/dist/", "/queue/", "/.revert", "/desk2", "/run1", "/run2"]
            .iter()
            .any(|part| text.contains(part))
    };
    files(site).into_iter().filter(|path| !changes(path)).collect()
}

fn files(site: &Playground) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![site.dir().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}
