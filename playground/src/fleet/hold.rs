//! Namespaces live as long as a process in them: this one, which lives as long as its stdin, and that as long as the owner.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::error::{Error, Naming, Result};
use crate::process;
use crate::reaper::{say_ready, wait_ready};
use crate::wait::until;

/// A killed process is gone within milliseconds; with it its namespaces' other processes.
const GONE: Duration = Duration::from_secs(10);

/// A process that holds namespaces, as its owner sees it; killed when this is dropped.
#[derive(Debug)]
pub(super) struct Holder {
    child: Child,
    pub(super) pid: i32,
}

impl Holder {
    /// A network namespace, for the playground in `dir`.
    pub(super) fn network(binary: &Path, dir: &Path) -> Result<Holder> {
        Holder::start(binary, dir, None)
    }

    /// A host: network, mounts, processes and name of its own. The holder is its process 1.
    pub(super) fn host(binary: &Path, dir: &Path, name: &str) -> Result<Holder> {
        Holder::start(binary, dir, Some(name))
    }

    fn start(binary: &Path, dir: &Path, name: Option<&str>) -> Result<Holder> {
        let mut command = Command::new("unshare");
        command.arg("--net");
        if name.is_some() {
            command.args(["--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]);
        }
        command.arg(binary).arg("hold");
        if let Some(name) = name {
            command.args(["--name", name]);
        }
        command.env(process::MARK, dir).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().naming("cannot run", "unshare")?;
        wait_ready(&mut child, &format!("{command:?}"))?;
        let outer = i32::try_from(child.id()).unwrap_or(0);
        let mut holder = Holder { child, pid: outer };
        if name.is_some() {
            let first = process::descendants(outer).first().map(|process| process.pid);
            holder.pid = first.ok_or_else(|| Error::Unknown("a host's first process ended at once".into()))?;
        }
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        process::signal(self.pid, Signal::SIGKILL);
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        let _bounded = until(GONE, "the end of a host", || (!process::is_running(self.pid)).then_some(()));
    }
}

/// The holder's own life. `name`: it is process 1 of that host, and waits for what nobody else waits for.
pub fn hold(name: Option<&str>) -> Result<()> {
    // Away from the terminal: the Ctrl-C that ends the owner must not end a host before the owner's own end does.
    let _leader_already = nix::unistd::setsid();
    if let Some(name) = name {
        nix::unistd::sethostname(name).map_err(|errno| Error::Io {
            what: "cannot set",
            object: "the host's name".into(),
            source: errno.into(),
        })?;
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        let _blocked = ended.thread_block();
        thread::spawn(move || {
            while ended.wait().is_ok() {
                while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
            }
        });
    }
    say_ready();
    let mut nothing = Vec::new();
    let _closed = std::io::stdin().read_to_end(&mut nothing);
    Ok(())
}
