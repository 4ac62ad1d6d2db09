//! Running bg on the playground: as an operator would, with a home, a directory and an environment of its own.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Naming, Result};
use crate::programs::PATH;
use crate::wait::until;

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on stderr.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    /// The command line, for messages.
    pub command: String,
    /// Whether it was killed because it took longer than the bound.
    pub timed_out: bool,
}

impl Ran {
    /// Whether it exited with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Stops the test, showing everything, unless the exit code is this.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Ran {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (code, late) = (self.code, if self.timed_out { ", killed: it took too long" } else { "" });
        writeln!(f, "$ {} → {code:?} after {} ms{late}", self.command, self.took.as_millis())?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// A command that was started and not yet waited for.
#[derive(Debug)]
pub struct Running {
    child: Child,
    began: Instant,
    command: String,
    readers: Vec<thread::JoinHandle<String>>,
}

/// `TMPDIR` of every bg command: the site's own, so that a test sees what a killed one leaves there.
pub(crate) fn temporary(dir: &Path) -> PathBuf {
    dir.join("tmp")
}

/// Every host of a playground shares the cores of one machine with whatever else is tested there: `status` need not be quick.
const STATUS_TIMEOUT: &str = "8s";

/// A bg command in the playground's directory: nothing of the caller's environment but what is set here.
pub(crate) fn command<S: AsRef<OsStr>>(binary: &Path, dir: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary);
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir.join("home"))
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env("TMPDIR", temporary(dir))
        .env("BG_STATUS_TIMEOUT", STATUS_TIMEOUT)
        .env("RUST_BACKTRACE", "1");
    command
}

impl Running {
    /// Starts it in a process group of its own, its output captured.
    pub fn start(mut command: Command) -> Result<Running> {
        use std::os::unix::process::CommandExt;
        let binary = PathBuf::from(command.get_program());
        let words = std::iter::once(binary.file_name().unwrap_or(command.get_program())).chain(command.get_args());
        let line = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().naming("cannot run", &binary)?;
        let mut readers = Vec::new();
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            readers = vec![read(out), read(err)];
        }
        Ok(Running { child, began: Instant::now(), command: line, readers })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// Sends a signal to it alone, as Ctrl-C in a terminal would be `SIGINT`.
    pub fn signal(&self, signal: Signal) {
        crate::process::signal(self.pid(), signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for its end; kills its process group when the bound is over.
    pub fn wait(mut self, bound: Duration) -> Result<Ran> {
        let ended = until(bound, "the command", || self.child.try_wait().ok().flatten());
        let timed_out = ended.is_err();
        if timed_out {
            let _gone = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        }
        let status = self.child.wait().naming("cannot wait for", &self.command)?;
        let took = self.began.elapsed();
        let mut texts = self.readers.drain(..).map(|reader| reader.join().unwrap_or_default());
        let (stdout, stderr) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        Ok(Ran { code: status.code(), stdout, stderr, took, command: self.command.clone(), timed_out })
    }
}

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _cut = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
