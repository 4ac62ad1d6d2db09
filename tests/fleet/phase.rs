//! The phases of a command, each held for as long as it takes to do harm.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use bg_playground::{Fleet, Ran, Running};
use nix::fcntl::{Flock, FlockArg};

use crate::{
    desk::{SOON, start_until},
    hosts::{hold, slow_requests},
};

/// How long requests are under way that a drain waits for.
const SLOW_REQUEST_MS: u64 = 3_000;

/// So fast is an upload that is to be met in the middle: some seconds for a release of some megabytes.
const UPLOAD_MEGABITS: u32 = 20;
/// Whoever has said nothing for so long, though it was asked nothing, has said it all.
const REST: Duration = Duration::from_millis(250);

/// Where a deploy or a shift is, as far as `lb2` and the green server `web2` go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before it begins.
    Before,
    /// lb2 has got the trees and has not put them in their place.
    Preparing,
    /// lb2 is prepared; lb1 is not yet, so nothing is switched.
    Prepared,
    /// lb1 is switched; lb2 has got the command and does not carry it out yet.
    Committing,
    /// Requests are in flight to green.
    Draining,
    /// A part of the release is on web2.
    Uploading,
    /// The restart runs on web2.
    Activating,
    /// web2 runs the release and is not healthy yet. (The release must be slow to become so.)
    Checking,
}

/// A command that is held in a phase.
pub struct Held {
    words: String,
    running: Option<Running>,
    locks: Vec<Flock<File>>,
    file: Option<PathBuf>,
}

impl Held {
    /// Lets it go on.
    pub fn let_go(&mut self) {
        self.locks.clear();
        if let Some(file) = self.file.take() {
            fs::remove_file(file).unwrap();
        }
    }

    /// Lets it go on, to its end.
    pub fn go_on(mut self, site: &Fleet) -> Ran {
        self.let_go();
        match self.running {
            Some(running) => running.wait(SOON).unwrap(),
            None => site.bg(self.words.split_whitespace()).unwrap(),
        }
    }
}

impl Phase {
    /// Starts `bg WORDS` and holds it in this phase.
    pub fn enter(self, site: &Fleet, words: &str) -> Held {
        let mut held = Held { words: words.to_owned(), running: None, locks: Vec::new(), file: None };
        match self {
            Phase::Before => {}
            Phase::Preparing => {
                held.locks.push(lock(site, "lb2"));
                held.running = Some(start_until(site, words, 0));
                eventually("a script that waits for lb2's lock", || is_waited_for(site, "lb2"));
            }
            Phase::Prepared => {
                held.locks.push(lock(site, "lb1"));
                let before = generations(site, "lb2");
                held.running = Some(start_until(site, words, 0));
                prepared(site, &before);
            }
            Phase::Committing => {
                let first = lock(site, "lb1");
                let (before, switched) = (generations(site, "lb2"), current(site, "lb1"));
                held.running = Some(start_until(site, words, 0));
                prepared(site, &before);
                held.locks.push(lock(site, "lb2"));
                drop(first);
                eventually("lb1's switch", || current(site, "lb1") != switched);
            }
            Phase::Draining => {
                drop(slow_requests(site, SLOW_REQUEST_MS));
                held.running = Some(start_until(site, words, 2));
            }
            Phase::Uploading => {
                site.limit("web2", UPLOAD_MEGABITS).unwrap();
                held.running = Some(start_until(site, words, 3));
                eventually("a part of the upload", || part_of_upload(site) > 0);
            }
            Phase::Activating => {
                fs::write(hold(site), "").unwrap();
                held.file = Some(hold(site));
                held.running = Some(start_until(site, words, 4));
                let restarts = |site: &Fleet| site.processes().iter().any(|it| it.command.contains("hold ]; do"));
                eventually("the restart", || restarts(site));
            }
            Phase::Checking => held.running = Some(start_until(site, words, 5)),
        }
        held
    }
}

/// Short pauses: what follows is to happen at once.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "{what} did not come");
        thread::sleep(Duration::from_micros(300));
    }
}

/// Waits for the balancer's lock and holds it: no script of bg's changes its tree meanwhile.
pub fn lock(site: &Fleet, balancer: &str) -> Flock<File> {
    let file = File::open(site.balancer(balancer).bg_dir.join("live/.lock")).unwrap();
    Flock::lock(file, FlockArg::LockExclusive).unwrap()
}

/// Whether a script waits for that lock.
fn is_waited_for(site: &Fleet, balancer: &str) -> bool {
    let file = |path: PathBuf| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let lock = file(site.balancer(balancer).bg_dir.join("live/.lock"));
    let opened = |pid: i32| file(PathBuf::from(format!("/proc/{pid}/fd/9")));
    lock.is_some() && site.processes().iter().any(|it| it.name == "flock" && opened(it.pid) == lock)
}

/// Where `current` leads on a balancer.
pub fn current(site: &Fleet, balancer: &str) -> PathBuf {
    fs::read_link(site.balancer(balancer).bg_dir.join("live/current")).unwrap()
}

fn generations(site: &Fleet, balancer: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.balancer(balancer).bg_dir.join("live/gen")).unwrap().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// lb2 has got both trees of a shift, and nothing half made, beyond what it had `before`.
fn prepared(site: &Fleet, before: &[PathBuf]) {
    let is_half_made = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".tmp");
    eventually("preparing lb2", || {
        let now = generations(site, "lb2");
        let new: Vec<&PathBuf> = now.iter().filter(|path| !before.contains(path)).collect();
        new.len() == 2 && !new.into_iter().any(is_half_made)
    });
    // Its answer has come, too: it says nothing more. (The other one, which is held, is heard once a second.)
    let (mut packets, mut since) = (site.desk_packets(), Instant::now());
    eventually("a rest", || {
        if packets != site.desk_packets() {
            (packets, since) = (site.desk_packets(), Instant::now());
        }
        since.elapsed() > REST
    });
}

/// How much of an upload is on web2, in bytes.
pub fn part_of_upload(site: &Fleet) -> u64 {
    let entries = fs::read_dir(site.place("web2").root.join("releases")).into_iter().flatten().flatten();
    let trees = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tree"));
    trees.map(|tree| size(&tree.path())).sum()
}

/// Of all files in a directory, some of which may just be made or go.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(it) if it.is_dir() => size(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
