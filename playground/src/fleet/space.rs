//! A network namespace: what is done in it is done with its interfaces, addresses and rules.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::error::{Error, Naming, Result, last_lines};

/// An open network namespace; it lives at least as long as this.
#[derive(Debug)]
pub(super) struct Space(File);

impl Space {
    /// The one that this process is in.
    pub(super) fn of(pid: i32) -> Result<Space> {
        let path = format!("/proc/{pid}/ns/net");
        Ok(Space(File::open(&path).naming("cannot open", &path)?))
    }

    /// The one that this thread is in.
    pub(super) fn current() -> Result<Space> {
        let path = "/proc/thread-self/ns/net";
        Ok(Space(File::open(path).naming("cannot open", path)?))
    }

    /// Takes this thread there, and with it the threads and processes that it starts from now on.
    pub(super) fn enter(&self) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Io {
            what: "cannot enter",
            object: "a network namespace".into(),
            source: errno.into(),
        })
    }

    /// Does this there, on a thread of its own.
    pub(super) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let there = scope.spawn(|| self.enter().map(|()| work()));
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// `ip -batch`, all lines or none that follows a failing one.
    pub(super) fn ip(&self, lines: &str) -> Result<()> {
        self.tell(Command::new("ip").args(["-batch", "-"]), lines)
    }

    /// `iptables` with these words.
    pub(super) fn iptables(&self, words: &str) -> Result<()> {
        self.tell(Command::new("iptables").args(words.split(' ')), "")
    }

    /// `tc` with these words.
    pub(super) fn tc(&self, words: &str) -> Result<()> {
        self.tell(Command::new("tc").args(words.split(' ')), "")
    }

    fn tell(&self, command: &mut Command, input: &str) -> Result<()> {
        let line = format!("{command:?} {input:?}");
        let run = || {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            child.wait_with_output()
        };
        let out = self.within(run)?.naming("cannot run", &line)?;
        if out.status.success() {
            return Ok(());
        }
        let said = last_lines(&String::from_utf8_lossy(&out.stderr), 3);
        Err(Error::Failed { command: line, status: out.status.to_string(), said })
    }
}
