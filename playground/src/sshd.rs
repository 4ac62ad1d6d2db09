//! A real sshd per host, on the host's own address, whose sessions live in the host's own home directory.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{Error, Naming, Result, last_lines};
use crate::keys::Keys;
use crate::layout::Host;
use crate::machine::Machine;
use crate::process;
use crate::programs::{PATH, Programs};
use crate::wait::{listens, until};

/// sshd starts in a tenth of a second; ten at once on two busy cores take longer.
const START: Duration = Duration::from_secs(60);

/// What every ssh session of a host reads first, where it exists; the only way to give one an environment of its own.
pub(crate) fn profile(host: &Host) -> PathBuf {
    host.dir.join("profile")
}

/// The sshd of one host.
#[derive(Debug)]
pub(crate) struct Sshd {
    host: Host,
    config: PathBuf,
    machine: Machine,
    child: Option<Child>,
}

impl Sshd {
    /// Writes its configuration and the host's directories; does not start it.
    pub(crate) fn prepare(
        host: &Host,
        keys: &Keys,
        dir: &std::path::Path,
        extra: &str,
        machine: &Machine,
    ) -> Result<Sshd> {
        for below in ["home", "run", "srv"] {
            let path = host.dir.join(below);
            fs::create_dir_all(&path).naming("cannot create", &path)?;
        }
        let config = host.dir.join("sshd_config");
        let home = host.dir.join("home");
        let text = format!(
            "ListenAddress {ssh}\nHostKey {key}\nPidFile none\nAuthorizedKeysFile {authorized}\nStrictModes no\n\
             UsePAM no\nUseDNS no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n\
             PermitRootLogin prohibit-password\nPrintMotd no\nLogLevel INFO\n\
             {extra}\
             SetEnv HOME={home} PATH={PATH} {mark}={dir} BG_HOST={name} BG_ADDRESS={address} BG_HOST_DIR={host_dir}\n\
             ForceCommand cd {home} && {{ [ ! -e {profile} ] || . {profile}; }} && exec sh -c \"${{SSH_ORIGINAL_COMMAND:-exec sh}}\"\n",
            ssh = host.ssh,
            key = keys.host(host).display(),
            authorized = keys.authorized().display(),
            home = home.display(),
            profile = profile(host).display(),
            mark = process::MARK,
            dir = dir.display(),
            name = host.name,
            address = host.address,
            host_dir = host.dir.display(),
        );
        fs::write(&config, text).naming("cannot write", &config)?;
        Ok(Sshd { host: host.clone(), config, machine: machine.clone(), child: None })
    }

    fn log(&self) -> PathBuf {
        self.host.dir.join("sshd.log")
    }

    /// Starts it, without waiting.
    pub(crate) fn spawn(&mut self, programs: &Programs) -> Result<()> {
        use std::os::unix::process::CommandExt;
        let log = File::options().create(true).append(true).open(self.log()).naming("cannot write", self.log())?;
        let child = self
            .machine
            .command(&programs.sshd)
            .args(["-D", "-e", "-f"])
            .arg(&self.config)
            .current_dir(&self.host.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .naming("cannot run", &programs.sshd)?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it listens.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let what = format!("sshd of `{}` listening on {}", self.host.name, self.host.ssh);
        let log = self.log();
        let said = || last_lines(&fs::read_to_string(&log).unwrap_or_default(), 5);
        let listening = until(START, &what, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            (ended.is_some() || listens(self.host.ssh)).then_some(ended)
        });
        match listening {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let command = format!("sshd -f {}", self.config.display());
                Err(Error::Failed { command, status: status.to_string(), said: said() })
            }
            Err(Error::TooSlow { what, bound_ms, .. }) => Err(Error::TooSlow { what, bound_ms, said: said() }),
            Err(other) => Err(other),
        }
    }

    /// Processes of the host's open ssh sessions, sshd's own among them.
    pub(crate) fn sessions(&self) -> Vec<process::Process> {
        self.child.as_ref().map_or_else(Vec::new, |child| process::descendants(i32::try_from(child.id()).unwrap_or(0)))
    }

    /// Ends sshd and cuts every open connection, as when a host goes down. Started applications live on.
    pub(crate) fn stop(&mut self) {
        let sessions = self.sessions();
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
        sessions.iter().for_each(|session| process::signal(session.pid, Signal::SIGKILL));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
