//! Keys, known_hosts and the ssh_config that reaches the playground's hosts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::error::{Error, Naming, Result, last_lines};
use crate::layout::{Host, Layout};

/// Where the keys are: `keys/` in the playground's directory.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) dir: PathBuf,
}

impl Keys {
    /// Makes the client's key and one key per host, all at once.
    pub(crate) fn generate(layout: &Layout) -> Result<Keys> {
        let keys = Keys { dir: layout.dir.join("keys") };
        let mut files = vec![keys.client()];
        files.extend(layout.hosts().map(|host| keys.host(host)));
        thread::scope(|scope| {
            let running: Vec<_> = files.iter().map(|file| scope.spawn(move || generate(file))).collect();
            running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(panicked())))
        })?;
        fs::copy(keys.client().with_extension("pub"), keys.authorized()).naming("cannot write", keys.authorized())?;
        let mut known = String::new();
        for host in layout.hosts() {
            known.push_str(&keys.known_line(host)?);
        }
        fs::write(keys.known_hosts(), known).naming("cannot write", keys.known_hosts())?;
        Ok(keys)
    }

    /// Replaces a host's key, without telling known_hosts.
    pub(crate) fn replace(&self, host: &Host) -> Result<()> {
        let file = self.host(host);
        fs::remove_file(&file).naming("cannot remove", &file)?;
        generate(&file)
    }

    fn known_line(&self, host: &Host) -> Result<String> {
        let file = self.host(host).with_extension("pub");
        let public = fs::read_to_string(&file).naming("cannot read", &file)?;
        Ok(format!("[{}]:{} {public}", host.address, host.ssh.port()))
    }

    pub(crate) fn client(&self) -> PathBuf {
        self.dir.join("id")
    }

    pub(crate) fn authorized(&self) -> PathBuf {
        self.dir.join("authorized_keys")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// The host's private key.
    pub(crate) fn host(&self, host: &Host) -> PathBuf {
        self.dir.join(format!("{}_host", host.name))
    }

    /// The text of an ssh_config that reaches every host by its name, and nothing of the user's own.
    pub(crate) fn ssh_config(&self, layout: &Layout, user: &str) -> String {
        let mut text = String::new();
        for host in layout.hosts() {
            let (name, address, port) = (&host.name, host.address, host.ssh.port());
            text.push_str(&format!("Host {name}\n  HostName {address}\n  Port {port}\n"));
        }
        let (id, known) = (self.client(), self.known_hosts());
        // OpenSSH's own choice (sntrup761) takes 70 ms of processor time a connection: most of what the tests took.
        text.push_str(&format!(
            "Host *\n  User {user}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
             PasswordAuthentication no\n  KbdInteractiveAuthentication no\n  ForwardAgent no\n  \
             KexAlgorithms curve25519-sha256\n",
            id.display(),
            known.display(),
        ));
        text
    }
}

fn panicked() -> Error {
    Error::Unknown("a thread of the playground panicked".into())
}

fn generate(file: &Path) -> Result<()> {
    let out = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "playground", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Error::Missing { program: "ssh-keygen", package: "openssh-client" })?;
    if out.status.success() {
        return Ok(());
    }
    let said = last_lines(&String::from_utf8_lossy(&out.stderr), 3);
    Err(Error::Failed { command: format!("ssh-keygen -f {}", file.display()), status: out.status.to_string(), said })
}
