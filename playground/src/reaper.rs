//! Cleaning up, whatever happened to the owner: a process of its own holds the read end of a pipe whose write end only
//! the owner has. When the owner ends, in whatever way, the pipe closes, and the reaper ends the playground's processes
//! and removes its directory.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::{Error, Naming, Result};
use crate::process;
use crate::wait::until;

/// Prefix of a playground's directory: nothing else is ever removed.
pub const PREFIX: &str = "bgpg-";
/// What a child that stands by says.
const READY: &str = "ready";
/// Killing some dozens of processes and removing some megabytes, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(20);

/// The reaper of one playground, as its owner sees it.
#[derive(Debug)]
pub(crate) struct Reaper {
    child: Child,
}

impl Reaper {
    /// Starts it and waits until it stands by.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Reaper> {
        let mut child = Command::new(binary)
            .arg("reap")
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .naming("cannot run", binary)?;
        wait_ready(&mut child, &format!("{} reap {}", binary.display(), dir.display()))?;
        Ok(Reaper { child })
    }

    /// Closes the pipe and waits until everything is gone.
    pub(crate) fn finish(&mut self) {
        drop(self.child.stdin.take());
        let ended = until(BOUND + Duration::from_secs(5), "the reaper", || self.child.try_wait().ok().flatten());
        if ended.is_err() {
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// Waits until a child that lives as long as its stdin has said that it stands by.
pub(crate) fn wait_ready(child: &mut Child, command: &str) -> Result<()> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).naming("cannot read from", command)?;
    }
    if line.trim() == READY {
        return Ok(());
    }
    let _gone = child.kill();
    let _gone = child.wait();
    Err(Error::Failed { command: command.to_owned(), status: "not ready".into(), said: line })
}

/// Says so, to whoever waits with [`wait_ready`].
#[expect(clippy::print_stdout, reason = "the owner waits for this word")]
pub(crate) fn say_ready() {
    println!("{READY}");
}

/// The reaper's own life: says that it is ready, waits for the owner's end, cleans up.
pub fn live(dir: &Path) -> Result<()> {
    // Away from the terminal: the Ctrl-C that ends the owner must not end the reaper.
    let _leader_already = nix::unistd::setsid();
    say_ready();
    let mut nothing = Vec::new();
    let _closed = std::io::stdin().read_to_end(&mut nothing);
    end(dir)
}

/// Ends every process of the playground in `dir`, unmounts what is mounted there and removes it.
pub fn end(dir: &Path) -> Result<()> {
    let named = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if !named || !dir.is_absolute() {
        return Err(Error::Unknown(format!("`{}` is no playground's directory; it was not touched", dir.display())));
    }
    let deadline = Instant::now() + BOUND;
    let gone = || {
        let left = process::of_playground(dir);
        left.iter().for_each(|process| process::signal(process.pid, Signal::SIGKILL));
        left.is_empty().then_some(())
    };
    let killed = until(BOUND, "ending the playground's processes", gone);
    unmount(dir);
    // A process that was just killed may have written a last file between the listing and the removal.
    while dir.exists() && Instant::now() < deadline {
        make_removable(dir);
        if let Err(error) = fs::remove_dir_all(dir)
            && Instant::now() + Duration::from_secs(1) > deadline
        {
            return Err(error).naming("cannot remove", dir);
        }
    }
    killed
}

/// Takes away what tests mounted below the directory (a small disk).
fn unmount(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| Path::new(at).starts_with(dir));
    for point in below {
        let _stays = Command::new("umount").arg("-l").arg(point).stdin(Stdio::null()).output();
    }
}

/// Gives back the rights that a test took from directories: without them an ordinary user cannot empty them.
fn make_removable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(about) = fs::symlink_metadata(dir) else { return };
    if !about.is_dir() {
        return;
    }
    if about.permissions().mode() & 0o700 != 0o700 {
        let _refused = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    entries.flatten().for_each(|entry| make_removable(&entry.path()));
}
