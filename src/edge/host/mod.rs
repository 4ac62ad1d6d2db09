//! Hosts over OpenSSH: one connection per host per command, every wait bounded, and nothing left behind on either side.

mod connection;
mod directory;
mod error;
mod fanout;
mod master;
mod output;
mod run;
mod session;
mod standing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use connection::Connection;
use directory::Directory;
use master::{Group, LOGIN, Master, classify};
use output::{Lines, Tail};

pub use connection::Forward;
pub(crate) use error::seconds;
pub use error::{HostError, QUOTED_LINES};
pub use fanout::fan_out;
pub(crate) use output::last_lines;
pub use output::{Output, printable};
pub use run::{DEFAULT_MAX_OUTPUT, DEFAULT_TIMEOUT, KILL_GRACE, Run, Stdin};
pub use session::Stream;
pub(crate) use session::chain;
use session::{Conversation, Held, Login};

/// Connections being opened at once. Most of such a one is waiting, so few at a time leave processors idle: with 20 hosts,
/// eight at once took 15% longer. More than 10 that have not logged in yet are dropped at random by one sshd (MaxStartups
/// 10:30:100), which all of them meet where they pass one jump host: those are asked again.
const MAX_CONNECTING: usize = 20;
/// Attempts against a server that drops connections before the login.
const MAX_ATTEMPTS: u32 = 6;
/// The first pause after such a drop; it doubles, half of it by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
/// For so long a slow failure to connect stands: a command asks a host several times in a row, and must pay for a dead one
/// once. Not longer, because a wait (for health, a drain) must notice a host that came back.
const FAILURE_STANDS: Duration = Duration::from_secs(20);
/// A failure that came sooner (a refused connection) costs nothing to ask for again.
const SLOW: Duration = Duration::from_millis(500);

/// `[ssh]`: how hosts are reached.
#[derive(Debug, Clone)]
pub struct SshSettings {
    /// The login; otherwise what the ssh config says.
    pub user: Option<String>,
    /// A config file instead of `~/.ssh/config`.
    pub config: Option<PathBuf>,
    /// For the network; the login has some seconds more.
    pub connect_timeout: Duration,
    /// Hosts worked on at once.
    pub parallel: usize,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self { user: None, config: None, connect_timeout: Duration::from_secs(10), parallel: 32 }
    }
}

/// The hosts of one command of bg's. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Hosts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: SshSettings,
    connecting: Semaphore,
    /// How long an attempt is one of those.
    counts_for: Duration,
    hosts: Mutex<HashMap<String, Host>>,
    directory: OnceLock<Arc<Directory>>,
    /// What opens connections before they are asked for.
    ahead: Mutex<Vec<AbortHandle>>,
}

/// One host. Cheap to clone; the connection is opened at the first use, and again should it have broken.
#[derive(Debug, Clone)]
pub struct Host {
    name: Arc<str>,
    slot: Arc<tokio::sync::Mutex<Slot>>,
    /// Weak, or the registry and its hosts would hold each other.
    shared: std::sync::Weak<Shared>,
}

/// What is known of a host's connection.
#[derive(Debug, Default)]
struct Slot {
    standing: Option<Arc<Connection>>,
    /// The last attempt to open it, if that failed slowly, and when. An attempt that was cancelled says nothing of the host.
    failed: Option<(Instant, HostError)>,
}

impl Slot {
    fn recent_failure(&self) -> Option<HostError> {
        let recent = self.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_STANDS);
        recent.map(|(_, error)| error.clone())
    }
}

/// One line that a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it said it.
    pub stream: Stream,
    /// Lossy UTF-8 without its line end; longer than 16 KiB it comes in pieces.
    pub text: String,
}

/// Makes lines of what a command says on its two streams.
struct Delivery<F: FnMut(Line)> {
    stdout: Lines,
    stderr: Lines,
    deliver: F,
}

impl<F: FnMut(Line)> Delivery<F> {
    fn to(deliver: F) -> Self {
        Delivery { stdout: Lines::default(), stderr: Lines::default(), deliver }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        lines.push(bytes, |text| (self.deliver)(Line { stream, text }));
    }

    /// The streams have ended.
    fn finish(&mut self) {
        self.stdout.finish(|text| (self.deliver)(Line { stream: Stream::Stdout, text }));
        self.stderr.finish(|text| (self.deliver)(Line { stream: Stream::Stderr, text }));
    }
}

impl Hosts {
    /// No connection is made yet.
    pub fn new(settings: SshSettings) -> Self {
        Self::impatient(settings, Duration::MAX)
    }

    /// The same; an attempt to connect that takes longer than `counts_for` is no more one of those few that are opened at once:
    /// for whoever must not wait for hosts that hang.
    pub fn impatient(settings: SshSettings, counts_for: Duration) -> Self {
        let (connecting, directory) = (Semaphore::new(MAX_CONNECTING), OnceLock::new());
        let (hosts, ahead) = Default::default();
        Self { shared: Arc::new(Shared { settings, connecting, counts_for, hosts, directory, ahead }) }
    }

    /// The host that ssh knows as `name`. The same name gives the same connection.
    pub fn get(&self, name: &str) -> Host {
        let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Host { name: name.into(), slot: Arc::default(), shared: Arc::downgrade(&self.shared) };
        hosts.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Hosts to be worked on at once.
    pub fn parallel(&self) -> usize {
        self.shared.settings.parallel
    }

    /// Opens the connections to all of these, in parallel; the results are in the names' order.
    pub async fn connect<S: AsRef<str>>(&self, names: &[S]) -> Vec<(String, Result<(), HostError>)> {
        let names = names.iter().map(|name| name.as_ref().to_owned());
        fan_out(names, self.parallel(), |name| async move { self.get(&name).connect().await }).await
    }

    /// Begins to open these connections, as many as are worked on at once, for whoever has something else to do first. Who uses
    /// one waits for it, and is told if it failed.
    pub fn connect_ahead<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) {
        let begin = |name: S| {
            let host = self.get(name.as_ref());
            tokio::spawn(async move { host.connect().await }).abort_handle()
        };
        let begun = names.into_iter().take(self.parallel()).map(begin);
        self.shared.ahead.lock().unwrap_or_else(PoisonError::into_inner).extend(begun);
    }

    /// Those of `names`, in their order, whose connection stands or can be opened within `within`, all asked at once (but no
    /// more than 20 being opened). The attempts at the others are cancelled: no ssh of theirs stays, and
    /// unless they failed by themselves the next use tries anew.
    pub async fn reachable(&self, names: &[String], within: Duration) -> Vec<String> {
        let connect = |name: String| async move { timeout(within, self.get(&name).connect()).await };
        let asked = fan_out(names.iter().cloned(), names.len(), connect).await;
        asked.into_iter().filter_map(|(name, result)| matches!(result, Ok(Ok(()))).then_some(name)).collect()
    }

    /// Closes every connection; what still runs over them is ended. To be called at the end of a command; when it is not,
    /// the masters are killed with the last clone.
    pub async fn close(&self) {
        let ahead = std::mem::take(&mut *self.shared.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        ahead.iter().for_each(AbortHandle::abort);
        let hosts: Vec<Host> = {
            let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.drain().map(|(_, host)| host).collect()
        };
        let count = hosts.len();
        fan_out(hosts, count, |host| async move {
            if let Some(connection) = host.slot.lock().await.standing.take() {
                connection.close().await;
            }
        })
        .await;
    }
}

impl Shared {
    /// One attempt at one command over a connection of its own.
    async fn alone(
        &self,
        host: &str,
        run: Run,
        sink: &mut (dyn FnMut(Stream, &[u8]) + Send),
    ) -> Result<i32, HostError> {
        // Never closed, and every holder is bounded.
        let permit = self.connecting.acquire().await;
        let (talk, line, stdin) = Conversation::about(host, run, sink)?;
        let (ssh, pipes) = Group::alone(host, &self.settings, &line)?;
        let login = Login { within: self.settings.connect_timeout + LOGIN, done: move || drop(permit) };
        match talk.listen(pipes, stdin, ssh.ended(), Some(login)).await? {
            Held::Status(status) => Ok(status),
            Held::NoLogin(said) => Err(classify(host, &said, self.settings.connect_timeout)),
        }
    }

    fn directory(&self, host: &str) -> Result<Arc<Directory>, HostError> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory.clone());
        }
        let made = Directory::create().map_err(|error| HostError::Local {
            host: host.to_owned(),
            detail: format!("no private directory for its connection could be made: {error}"),
        })?;
        // Of two that made one at once, the second's goes with its drop.
        Ok(self.directory.get_or_init(|| Arc::new(made)).clone())
    }

    /// Opens a connection; a server that drops it before the login is asked again, some bounded times.
    async fn open(&self, host: &str) -> Result<Connection, HostError> {
        self.may_be_given(host)?;
        let directory = self.directory(host)?;
        let mut attempts = Attempts::from_now(self.settings.connect_timeout);
        loop {
            let (socket, log) = (directory.socket('m'), directory.socket('l'));
            let started = {
                // Never closed, and every holder is bounded.
                let permit = self.connecting.acquire().await;
                let mut start = pin!(Master::start(host, &self.settings, &socket, &log));
                match timeout(self.counts_for, &mut start).await {
                    Ok(started) => started,
                    Err(_) => {
                        drop(permit);
                        start.await
                    }
                }
            };
            match started {
                Ok(master) => return Ok(Connection::new(host.to_owned(), master, socket, directory)),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    fn may_be_given(&self, host: &str) -> Result<(), HostError> {
        let is_plain = is_host_name(host) && self.settings.user.as_deref().is_none_or(is_user_name);
        if is_plain { Ok(()) } else { Err(HostError::InvalidName { host: host.to_owned() }) }
    }
}

/// Attempts at one connection.
struct Attempts {
    made: u32,
    pause: Duration,
    give_up: Instant,
}

impl Attempts {
    fn from_now(within: Duration) -> Attempts {
        Attempts { made: 1, pause: FIRST_PAUSE, give_up: Instant::now() + within }
    }

    /// Returns when there is to be another attempt, after a pause.
    ///
    /// # Errors
    /// `error`, unless the connection was dropped before the login and may be let in later.
    async fn again(&mut self, error: HostError) -> Result<(), HostError> {
        let HostError::Dropped { host, detail, .. } = error else { return Err(error) };
        if self.made == MAX_ATTEMPTS || Instant::now() >= self.give_up {
            return Err(HostError::Dropped { host, attempts: self.made, detail });
        }
        sleep(self.pause.mul_f64(rand::random_range(0.5..1.5))).await;
        self.made += 1;
        self.pause *= 2;
        Ok(())
    }
}

impl Host {
    /// Its name in the inventory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens the connection, unless it stands.
    pub async fn connect(&self) -> Result<(), HostError> {
        self.connection().await.map(drop)
    }

    /// Runs a command to its end. A status other than 0 is no error; see [`Host::run_ok`].
    pub async fn run(&self, run: Run) -> Result<Output, HostError> {
        let (mut stdout, mut stderr) = (Tail::new(run.max_output), Tail::new(run.max_output));
        let status = {
            let mut sink = |stream: Stream, bytes: &[u8]| match stream {
                Stream::Stdout => stdout.push(bytes),
                Stream::Stderr => stderr.push(bytes),
            };
            self.connection().await?.run(run, &mut sink).await?
        };
        let ((stdout, stdout_cut), (stderr, stderr_cut)) = (stdout.finish(), stderr.finish());
        Ok(Output { status, stdout, stderr, stdout_cut, stderr_cut })
    }

    /// Runs a command that must succeed: another status than 0 is [`HostError::Failed`] with the last lines that it said.
    pub async fn run_ok(&self, run: Run) -> Result<Output, HostError> {
        let name = run.name;
        let output = self.run(run).await?;
        if output.is_success() {
            return Ok(output);
        }
        let (host, tail) = (self.name.to_string(), output.tail(QUOTED_LINES));
        Err(HostError::Failed { host, name, status: output.status, tail })
    }

    /// Runs a command and delivers its lines as they come. Returns the exit status.
    pub async fn stream(&self, run: Run, deliver: impl FnMut(Line) + Send) -> Result<i32, HostError> {
        let mut lines = Delivery::to(deliver);
        let status = self.connection().await?.run(run, &mut |stream, bytes| lines.push(stream, bytes)).await;
        lines.finish();
        status
    }

    /// The same over a connection of its own, which costs less than a shared one for whoever asks a host only once.
    /// `make` gives the command anew for each attempt; nothing was run by an attempt that did not get in.
    pub async fn stream_alone(
        &self,
        make: impl Fn() -> Run,
        deliver: impl FnMut(Line) + Send,
    ) -> Result<i32, HostError> {
        let shared = self.shared()?;
        shared.may_be_given(&self.name)?;
        let mut lines = Delivery::to(deliver);
        let mut attempts = Attempts::from_now(shared.settings.connect_timeout);
        let status = loop {
            match shared.alone(&self.name, make(), &mut |stream, bytes| lines.push(stream, bytes)).await {
                Err(error @ HostError::Dropped { .. }) => attempts.again(error).await?,
                ended => break ended,
            }
        };
        lines.finish();
        status
    }

    /// A socket on this machine that leads to `address:port` as this host sees it. The same target gives the same socket
    /// while anybody holds it.
    pub async fn forward(&self, address: &str, port: u16) -> Result<Forward, HostError> {
        self.connection().await?.forward(address, port).await
    }

    /// What all hosts have in common, until their connections are closed.
    fn shared(&self) -> Result<Arc<Shared>, HostError> {
        let closed =
            || HostError::Local { host: self.name.to_string(), detail: "its connections were closed already".into() };
        self.shared.upgrade().ok_or_else(closed)
    }

    async fn connection(&self) -> Result<Arc<Connection>, HostError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = slot.standing.as_ref() {
            match (connection.is_alive(), connection.is_leaving()) {
                (true, false) => return Ok(connection.clone()),
                // It goes with the last of those who still use it.
                (true, true) => {}
                (false, _) => connection.close().await,
            }
        }
        if let Some(error) = slot.recent_failure() {
            return Err(error);
        }
        let shared = self.shared()?;
        let begun = Instant::now();
        let opened = shared.open(&self.name).await.map(Arc::new);
        let slow = opened.as_ref().err().filter(|error| error.is_of_network() && begun.elapsed() >= SLOW);
        let failed = slow.map(|error| (Instant::now(), error.clone()));
        *slot = Slot { standing: opened.as_ref().ok().cloned(), failed };
        opened
    }
}

/// What ssh can only read as a host: its arguments are guarded by `--`, and these words also reach the user's own
/// ProxyCommand and Match lines.
fn is_host_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    !name.is_empty() && !name.starts_with(['-', ':']) && name.chars().all(plain)
}

/// As [`is_host_name`], for the login.
fn is_user_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}
