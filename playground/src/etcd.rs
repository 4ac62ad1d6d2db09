//! etcd from Debian on loopback: one member or several, which can be killed, stopped and started again one by one.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::base;
use crate::block::{Block, at};
use crate::error::{Error, Naming, Result, last_lines};
use crate::get::request;
use crate::process::{self, MARK};
use crate::programs::{self, app_binary};
use crate::reaper::{self, Reaper};
use crate::wait::until;

/// Starting and electing a leader takes a second, on an idle machine.
const BOUND: Duration = Duration::from_secs(60);
/// An answer of one that is up.
const READY: &str = "\"health\":\"true\"";

/// The user that a secured etcd lets in.
pub const USER: &str = "bg";
/// The user's password.
pub const PASSWORD: &str = "open, sesame #1";

/// Whether every thread of a process is stopped: a busy one may answer for a moment after the signal was sent.
fn is_stopped(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    threads.map(|thread| fs::read_to_string(thread.path().join("stat")).ok().and_then(state)).all(|it| it == Some('T'))
}

/// A cluster. Everything is gone when the value is dropped, or its process.
#[derive(Debug)]
pub struct Etcd {
    dir: PathBuf,
    members: Vec<Member>,
    is_secured: bool,
    program: PathBuf,
    reaper: Reaper,
    _block: Block,
}

#[derive(Debug)]
struct Member {
    client: SocketAddr,
    peer: SocketAddr,
    child: Option<Child>,
}

impl Etcd {
    /// Starts so many members and waits until they have a leader.
    pub fn start(members: u8) -> Result<Etcd> {
        let program = programs::find("etcd").ok_or(Error::Missing { program: "etcd", package: "etcd-server" })?;
        let block = Block::claim()?;
        let addresses: Vec<_> = (1..=members).map(|last| block.address(last)).collect();
        let (client, peer) = (block.port(2379, &addresses)?, block.port(2579, &addresses)?);
        let members = addresses.iter().map(|&address| Member {
            client: at(address, client),
            peer: at(address, peer),
            child: None,
        });
        let dir = base::create()?;
        let reaper = Reaper::start(&app_binary()?, &dir)?;
        let mut etcd = Etcd { dir, members: members.collect(), is_secured: false, program, reaper, _block: block };
        etcd.start_all()?;
        Ok(etcd)
    }

    /// One member that speaks only TLS, takes only clients with a certificate of its authority (`ca.pem`, `client.pem`,
    /// `client.key` in [`Etcd::dir`]), and lets only [`USER`] at the keys below `/bg/`.
    pub fn secured() -> Result<Etcd> {
        let mut etcd = Etcd::start(1)?;
        etcd.certificates()?;
        let key = "L2JnLw=="; // /bg/
        let range_end = "L2JnMA=="; // /bg0
        for (path, body) in [
            ("user/add", "{\"name\":\"root\",\"password\":\"root's own\"}".to_owned()),
            ("user/add", format!("{{\"name\":\"{USER}\",\"password\":\"{PASSWORD}\"}}")),
            ("role/add", "{\"name\":\"bg\"}".to_owned()),
            ("user/grant", "{\"user\":\"root\",\"role\":\"root\"}".to_owned()),
            ("user/grant", format!("{{\"user\":\"{USER}\",\"role\":\"bg\"}}")),
            (
                "role/grant",
                format!(
                    "{{\"name\":\"bg\",\"perm\":{{\"permType\":\"READWRITE\",\"key\":\"{key}\",\"range_end\":\"{range_end}\"}}}}"
                ),
            ),
            ("enable", "{}".to_owned()),
        ] {
            etcd.administer(path, &body)?;
        }
        etcd.kill(0);
        etcd.is_secured = true;
        etcd.start_all()?;
        Ok(etcd)
    }

    /// Where certificates and logs are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The journal's location, as an inventory says it.
    pub fn location(&self, prefix: &str) -> String {
        let endpoints: Vec<String> = self.endpoints();
        format!("etcd:{}{prefix}", endpoints.join(","))
    }

    /// `http://ADDRESS:PORT` of each member.
    pub fn endpoints(&self) -> Vec<String> {
        let scheme = if self.is_secured { "https" } else { "http" };
        self.members.iter().map(|member| format!("{scheme}://{}", member.client)).collect()
    }

    /// The member that leads.
    pub fn leader(&self) -> Result<usize> {
        let leads = |member: &Member| {
            let metrics = member.child.as_ref().and_then(|_| request(member.client, "GET", "/metrics", &[], b"").ok());
            metrics.is_some_and(|metrics| metrics.body.contains("\netcd_server_is_leader 1\n"))
        };
        until(BOUND, "electing a leader of etcd", || self.members.iter().position(leads))
    }

    /// Ends a member as a power cut does.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }

    /// Lets a member hang: it keeps its connections and does not answer. When this returns, none of its threads runs.
    pub fn freeze(&self, member: usize) {
        self.signal(member, Signal::SIGSTOP);
        let Some(id) = self.members[member].child.as_ref().map(Child::id) else { return };
        let stopped = || is_stopped(id).then_some(());
        // One that cannot be stopped is what the caller will see.
        let _seen = until(BOUND, "stopping a member of etcd", stopped);
    }

    /// Lets it go on.
    pub fn thaw(&self, member: usize) {
        self.signal(member, Signal::SIGCONT);
    }

    /// Starts a member that was killed again, and waits until it answers.
    pub fn restart(&mut self, member: usize) -> Result<()> {
        self.spawn(member)?;
        self.wait_healthy(member)
    }

    /// The same for several at once, none of which gets well without the others.
    pub fn restart_together(&mut self, members: &[usize]) -> Result<()> {
        members.iter().try_for_each(|member| self.spawn(*member))?;
        members.iter().try_for_each(|member| self.wait_healthy(*member))
    }

    fn signal(&self, member: usize, signal: Signal) {
        if let Some(child) = &self.members[member].child {
            process::signal(i32::try_from(child.id()).unwrap_or(0), signal);
        }
    }

    fn start_all(&mut self) -> Result<()> {
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.restart_together(&all)
    }

    fn spawn(&mut self, member: usize) -> Result<()> {
        let scheme = if self.is_secured { "https" } else { "http" };
        let Member { client, peer, .. } = &self.members[member];
        let (client, peer) = (format!("{scheme}://{client}"), format!("http://{peer}"));
        let named = |(n, member): (usize, &Member)| format!("m{n}=http://{}", member.peer);
        let cluster: Vec<String> = self.members.iter().enumerate().map(named).collect();
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(&self.program);
        command.args(["--name", &format!("m{member}"), "--data-dir", &path(&format!("m{member}"))]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-token", &path("token")]);
        if self.is_secured {
            command.args(["--cert-file", &path("server.pem"), "--key-file", &path("server.key")]);
            command.args(["--client-cert-auth", "--trusted-ca-file", &path("ca.pem")]);
        }
        let log = File::create(self.log(member)).naming("cannot create", self.log(member))?;
        let said = log.try_clone().naming("cannot write", self.log(member))?;
        command.env_clear().env(MARK, &self.dir).stdin(Stdio::null()).stdout(said).stderr(log);
        self.members[member].child = Some(command.spawn().naming("cannot run", &self.program)?);
        Ok(())
    }

    fn log(&self, member: usize) -> PathBuf {
        self.dir.join(format!("m{member}.log"))
    }

    fn wait_healthy(&self, member: usize) -> Result<()> {
        let address = self.members[member].client;
        let log = || fs::read_to_string(self.log(member)).unwrap_or_default();
        let is_healthy = || match self.is_secured {
            // It answers no question without a certificate.
            true => log().contains("serving client").then_some(()),
            false => {
                let answer = request(address, "GET", "/health", &[], b"").ok()?;
                answer.body.contains(READY).then_some(())
            }
        };
        until(BOUND, "starting etcd", is_healthy).map_err(|error| match error {
            Error::TooSlow { what, bound_ms, .. } => Error::TooSlow { what, bound_ms, said: last_lines(&log(), 5) },
            other => other,
        })
    }

    fn administer(&self, path: &str, body: &str) -> Result<()> {
        let answer = request(self.members[0].client, "POST", &format!("/v3/auth/{path}"), &[], body.as_bytes())?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(Error::Failed { command: format!("etcd: {path}"), status: answer.status.to_string(), said: answer.body })
    }

    /// An authority, and certificates of it for the member and for a client.
    fn certificates(&self) -> Result<()> {
        let san = format!("subjectAltName=IP:{}", self.members[0].client.ip());
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let authority = "-subj /CN=authority -keyout ca.key -out ca.pem";
        let openssl = |words: String, more: &[&str]| -> Result<()> {
            let mut command = Command::new("openssl");
            command.args(words.split_whitespace()).args(more).current_dir(&self.dir).stdin(Stdio::null());
            let out = command.output().naming("cannot run", "openssl")?;
            if out.status.success() {
                return Ok(());
            }
            let said = last_lines(&String::from_utf8_lossy(&out.stderr), 5);
            Err(Error::Failed { command: format!("openssl {words}"), status: out.status.to_string(), said })
        };
        openssl(format!("{new} {authority}"), &[])?;
        for name in ["server", "client"] {
            let own = format!("-subj /CN={name} -keyout {name}.key -out {name}.pem -CA ca.pem -CAkey ca.key");
            openssl(format!("{new} {own}"), &["-addext", &san, "-addext", "basicConstraints=critical,CA:FALSE"])?;
        }
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill(member));
        self.reaper.finish();
        // The reaper did this already, unless somebody ended it.
        let _best_effort = if self.dir.exists() { reaper::end(&self.dir) } else { Ok(()) };
    }
}
