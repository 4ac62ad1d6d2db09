//! Where the processes of a host are started: on this machine, or inside a host's own namespaces.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Naming, Result};
use crate::process;

/// Debian's libfaketime for programs with threads.
pub(crate) const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Where the processes of one host are started. Cheap to clone; clones are the same machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine(Option<Arc<Inside>>);

#[derive(Debug)]
struct Inside {
    mark: String,
    /// The process whose namespaces they are, as it is numbered here; 0 while the host is off.
    first: AtomicI32,
    clock: Mutex<Option<String>>,
}

impl Machine {
    /// A host with namespaces of its own, not started yet, of the playground in `dir`.
    pub(crate) fn apart(dir: &Path) -> Machine {
        let mark = dir.display().to_string();
        Machine(Some(Arc::new(Inside { mark, first: AtomicI32::new(0), clock: Mutex::new(None) })))
    }

    /// Whether it has namespaces of its own.
    pub(crate) fn is_apart(&self) -> bool {
        self.0.is_some()
    }

    /// From now on its namespaces are those of this process; 0: it is off.
    pub(crate) fn set_first(&self, pid: i32) {
        if let Some(inside) = &self.0 {
            inside.first.store(pid, Ordering::SeqCst);
        }
    }

    /// The process whose namespaces they are; 0 where there is none.
    pub(crate) fn first(&self) -> i32 {
        self.0.as_ref().map_or(0, |inside| inside.first.load(Ordering::SeqCst))
    }

    /// Its clock goes wrong by that much (`+1h`) for what is started from now on.
    pub(crate) fn set_clock(&self, offset: &str) -> Result<()> {
        if let Some(inside) = &self.0 {
            *inside.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset.to_owned());
        }
        self.own_memory()
    }

    /// Gives it shared memory of its own, where its clock is wrong: libfaketime leaves a piece there for each process that is
    /// killed or ends without ceremony, which then goes with the host. The playground's directory stays where it is.
    pub(crate) fn own_memory(&self) -> Result<()> {
        const SCRIPT: &str = "set -eu; cd \"$1\"; mount -t tmpfs -o size=16m,mode=1777 playground /dev/shm
            case $1 in /dev/shm/*) mkdir -p \"$1\"; mount --no-canonicalize --rbind . \"$1\" ;; esac";
        let Some(inside) = &self.0 else { return Ok(()) };
        if inside.clock.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Ok(());
        }
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first().to_string(), "--mount", "--", "sh", "-c", SCRIPT, "sh", &inside.mark]);
        let out = command.stdin(Stdio::null()).output().naming("cannot run", "nsenter")?;
        if out.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        Err(Error::Failed { command: "mount -t tmpfs /dev/shm".to_owned(), status: out.status.to_string(), said })
    }

    /// A command that runs there. The process that the caller then has is its parent, where the host is apart.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some(inside) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.first().to_string(), "--mount", "--uts", "--net", "--pid", "--"])
            .env(process::MARK, &inside.mark);
        if let Some(offset) = inside.clock.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            // For the program only: what libfaketime keeps in memory is to be the host's.
            command.arg("env").args(clock(offset).map(|(name, value)| format!("{name}={value}")));
        }
        command.arg(program);
        command
    }
}

/// The environment in which a program's clock, and that of all it starts, is off by `offset` (`+1h`, `-1h`). What measures
/// how long something takes stays right, as on a machine whose clock was set wrong.
pub(crate) fn clock(offset: &str) -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", FAKETIME.to_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
