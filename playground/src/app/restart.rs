//! The `restart` of the playground's inventory: a small supervisor that runs on the host, over ssh.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Serving, log_file};
use crate::error::{Error, Naming, Result, last_lines};
use crate::process;
use crate::wait::{listens, until};

/// How long the old application may take to finish its requests after SIGTERM, before it is killed.
const STOP: Duration = Duration::from_secs(5);
/// How long a killed process takes to disappear.
const KILLED: Duration = Duration::from_secs(5);
/// How long the new application may take until it listens.
const START: Duration = Duration::from_secs(60);

/// What is to be restarted.
#[derive(Debug, Clone)]
pub struct Restart {
    /// The deploy root.
    pub root: PathBuf,
    /// The port, on the host's own address.
    pub port: u16,
    /// The pool's name.
    pub pool: String,
    /// The half's name.
    pub half: String,
}

/// Where the process id of an application is kept, below its host's directory.
pub fn pid_file(host_dir: &Path, pool: &str, port: u16) -> PathBuf {
    host_dir.join("run").join(format!("{pool}-{port}.pid"))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| Error::Unknown(format!("`{name}` is not set: this runs on a playground's host only")))
}

/// Stops the application that runs there, if any: SIGTERM, then SIGKILL.
pub fn stop(host_dir: &Path, pool: &str, port: u16) -> Result<()> {
    let file = pid_file(host_dir, pool, port);
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let Ok(pid) = text.trim().parse::<i32>() else { return Ok(()) };
    // The number may have been given to another process since: only an application of this port is touched.
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    let ours = words.get(1) == Some(&b"app".as_slice()) && words.contains(&host_dir.display().to_string().as_bytes());
    if !ours {
        return Ok(());
    }
    process::signal(pid, Signal::SIGTERM);
    let gone = || (!process::is_running(pid)).then_some(());
    if until(STOP, "the old application's end", gone).is_err() {
        process::signal(pid, Signal::SIGKILL);
        until(KILLED, &format!("killing process {pid}"), gone)?;
    }
    Ok(())
}

/// Stops the old application, starts the one that `current` points to, and waits until it listens.
pub fn restart(what: &Restart) -> Result<()> {
    let host_dir = PathBuf::from(variable("BG_HOST_DIR")?);
    let address = variable("BG_ADDRESS")?;
    let listen: SocketAddr = format!("{address}:{}", what.port)
        .parse()
        .map_err(|_| Error::Unknown(format!("`{address}:{}` is no address", what.port)))?;
    stop(&host_dir, &what.pool, what.port)?;
    let log_path = log_file(&host_dir, &what.pool, what.port);
    let log = File::options().create(true).append(true).open(&log_path).naming("cannot write", &log_path)?;
    let out = log.try_clone().naming("cannot write", &log_path)?;
    let me = env::current_exe().naming("cannot find", "this program")?;
    let mut child = Command::new(me)
        .arg("app")
        .args(["--host-dir".as_ref(), host_dir.as_os_str(), "--root".as_ref(), what.root.as_os_str()])
        .args(["--listen", &listen.to_string(), "--pool", &what.pool, "--half", &what.half])
        .current_dir(&host_dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(log)
        .spawn()
        .naming("cannot run", "the application")?;
    let pid = pid_file(&host_dir, &what.pool, what.port);
    fs::write(&pid, child.id().to_string()).naming("cannot write", &pid)?;
    let ended = until(START, &format!("the application listening on {listen}"), || {
        let ended = child.try_wait().ok().flatten();
        (ended.is_some() || listens(listen)).then_some(ended)
    })?;
    match ended {
        None => Ok(()),
        Some(status) => {
            let said = last_lines(&fs::read_to_string(&log_path).unwrap_or_default(), 5);
            Err(Error::Failed {
                command: format!("the application of {}", what.pool),
                status: status.to_string(),
                said,
            })
        }
    }
}

/// What the `app` subcommand serves, its host's name taken from the environment.
impl Serving {
    /// The host is `$BG_HOST`, or this machine's name where that is missing.
    pub fn new(root: PathBuf, listen: SocketAddr, pool: String, half: String) -> Serving {
        let host = env::var("BG_HOST").unwrap_or_else(|_| "localhost".into());
        Serving { root, listen, pool, half, host }
    }
}
