//! One real sshd on loopback, in a directory of its own, for one test.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bluegreen::edge::host::{Host, Hosts, SshSettings};

/// How long anything may take that is polled for.
pub const BOUND: Duration = Duration::from_secs(60);
/// A port that nobody listens on: too low for one that is given out as a free one.
pub const DEAD: u16 = 1;

/// A running sshd that ssh knows as `box`.
pub struct Sshd {
    dir: tempfile::TempDir,
    pub port: u16,
    process: Child,
}

impl Sshd {
    /// Starts one; `settings` are further lines of its configuration.
    pub fn start(settings: &str) -> Self {
        let mut dir = tempfile::tempdir().unwrap();
        for key in ["host", "other", "user"] {
            keygen(&dir.path().join(key));
        }
        std::fs::copy(dir.path().join("user.pub"), dir.path().join("authorized_keys")).unwrap();
        // A free port may be taken by somebody else before sshd binds it: then another one.
        for _ in 0..10 {
            let port = free_port();
            let process = spawn(dir.path(), port, settings);
            let mut sshd = Self { dir, port, process };
            if sshd.answers() {
                sshd.trust("host");
                sshd.configure("");
                return sshd;
            }
            let taken = std::mem::replace(&mut sshd.dir, tempfile::tempdir().unwrap());
            dir = taken;
        }
        panic!("no sshd came up");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// known_hosts holds this key for the server, or none.
    pub fn trust(&self, key: &str) {
        let key = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap_or_default();
        let line = if key.is_empty() { String::new() } else { format!("[127.0.0.1]:{} {key}", self.port) };
        std::fs::write(self.path("known_hosts"), line).unwrap();
    }

    /// The user's ssh_config, further lines first: they win.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "{more}\nHost box\n HostName 127.0.0.1\n Port {}\nHost *\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n \
             GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking no\n KexAlgorithms curve25519-sha256\n",
            self.port,
            self.path("user").display(),
            self.path("known_hosts").display(),
        );
        std::fs::write(self.path("ssh_config"), text).unwrap();
    }

    pub fn settings(&self) -> SshSettings {
        SshSettings {
            config: Some(self.path("ssh_config")),
            connect_timeout: Duration::from_secs(5),
            ..SshSettings::default()
        }
    }

    pub fn hosts(&self) -> Hosts {
        Hosts::new(self.settings())
    }

    pub fn host(&self) -> (Hosts, Host) {
        let hosts = self.hosts();
        let host = hosts.get("box");
        (hosts, host)
    }

    /// Whether it comes to listen on its port: by its own word, for an answer there may be another's who was quicker.
    fn answers(&mut self) -> bool {
        let end = Instant::now() + BOUND;
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            if std::fs::read_to_string(self.path("sshd.log")).is_ok_and(|log| log.contains("Server listening on ")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(dir: &Path, port: u16, settings: &str) -> Child {
    if nix::unistd::geteuid().is_root() {
        // sshd's privilege separation directory; Debian's unit makes it.
        std::fs::create_dir_all("/run/sshd").unwrap();
        std::fs::set_permissions("/run/sshd", std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let at = |name: &str| dir.join(name).display().to_string();
    let text = format!(
        "{settings}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nUsePAM no\nSetEnv HOME={}\n",
        at("host"),
        at("authorized_keys"),
        // A home without start-up files; of two such lines the first counts.
        dir.display(),
    );
    std::fs::write(dir.join("sshd_config"), text).unwrap();
    let log = std::fs::File::create(dir.join("sshd.log")).unwrap();
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f", &at("sshd_config")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(status.success());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Polls until `condition` holds; panics with `what` when the bound is reached. Returns how long it took.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

/// Whether a process runs (a zombie does not).
pub fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
