//! Which processes belong to a playground, read from /proc, and how they are ended.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that every process on a playground's host has in its environment: the playground's directory.
pub const MARK: &str = "BG_PLAYGROUND";
/// Programs that name the playground's directory only on their command line or as their working directory.
const OURS: [&str; 6] = ["nginx", "sshd", "ssh", "bg", "bluegreen", "bg-playground"];

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// The program's name, 15 characters at most.
    pub name: String,
    /// Its command line, or what it shows instead.
    pub command: String,
}

/// Whether that process still runs (one that ended and was not waited for does not).
pub fn is_running(pid: i32) -> bool {
    stat(pid).is_some()
}

/// Name and parent; nothing of a process that has ended.
fn stat(pid: i32) -> Option<(String, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some((name, parent))
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', " ").trim().to_owned()
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let (name, parent) = stat(pid)?;
        let command = words(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        Some(Process { pid, parent, name, command })
    })
    .collect()
}

/// Whether the process was started by the playground in `dir`, or on one of its hosts.
fn belongs(process: &Process, dir: &str) -> bool {
    let mark = format!("{MARK}={dir}");
    let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
        return true;
    }
    if !OURS.contains(&process.name.as_str()) {
        return false;
    }
    let inside = |path: &Path| path == Path::new(dir) || path.starts_with(dir);
    let names = process.command.split([' ', '=']).any(|word| inside(Path::new(word)));
    names || fs::read_link(format!("/proc/{}/cwd", process.pid)).is_ok_and(|cwd| inside(&cwd))
}

/// The processes of the playground in `dir` and all their descendants, without this process and its ancestors.
pub fn of_playground(dir: &Path) -> Vec<Process> {
    let dir = dir.display().to_string();
    let all = all();
    let parents: HashMap<i32, i32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let mut spared = HashSet::new();
    let mut pid = i32::try_from(std::process::id()).unwrap_or(0);
    while pid > 0 && spared.insert(pid) {
        pid = parents.get(&pid).copied().unwrap_or(0);
    }
    let mut ours: HashSet<i32> =
        all.iter().filter(|process| !spared.contains(&process.pid) && belongs(process, &dir)).map(|p| p.pid).collect();
    loop {
        let more: Vec<i32> = all
            .iter()
            .filter(|process| ours.contains(&process.parent) && !ours.contains(&process.pid))
            .filter(|process| !spared.contains(&process.pid))
            .map(|process| process.pid)
            .collect();
        if more.is_empty() {
            break;
        }
        ours.extend(more);
    }
    all.into_iter().filter(|process| ours.contains(&process.pid)).collect()
}

/// The descendants of a process, the process itself not among them.
pub fn descendants(of: i32) -> Vec<Process> {
    let all = all();
    let mut ours = HashSet::from([of]);
    let mut found = Vec::new();
    loop {
        let more: Vec<&Process> = all.iter().filter(|p| ours.contains(&p.parent) && !ours.contains(&p.pid)).collect();
        if more.is_empty() {
            return found;
        }
        ours.extend(more.iter().map(|process| process.pid));
        found.extend(more.into_iter().cloned());
    }
}

/// Sends a signal; a process that is gone already is fine.
pub fn signal(pid: i32, signal: Signal) {
    let _gone = kill(Pid::from_raw(pid), signal);
}
