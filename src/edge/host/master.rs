//! The ssh process that holds a connection. bg owns it: it dies with bg, however bg dies, because its stdin is a pipe
//! that only bg holds.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::SshSettings;
use super::error::HostError;
use super::output::{Tail, last_lines};
use super::session::Pipes;

/// For the key exchange and the login, beyond the time that a connection may take: PAM and slow DNS on the server.
pub(crate) const LOGIN: Duration = Duration::from_secs(15);
/// A dead network is noticed after three unanswered questions, that is within about twice the connect timeout: who says that
/// hosts answer within two seconds need not wait twenty for one that fell silent. What comes over a slow, busy line counts
/// as an answer, and every running command is heard once a second.
const ALIVE_QUESTIONS: u32 = 3;
/// The longest pause between two such questions.
const ALIVE_INTERVAL_SECONDS: u128 = 5;
/// How long a master may take to leave by itself once its stdin is closed.
const LEAVE: Duration = Duration::from_secs(1);
/// What ssh said last, kept for messages.
const MAX_SAID: usize = 8192;

/// What the local command says when the login is done.
const UP: &str = "up";

/// Settings on the command line, which win over every ssh_config file. Host keys are always checked; what would change
/// how commands run (a tty, a command, forwards) or put another process in charge of the connection is off.
const OPTIONS: &[&str] = &[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "StdinNull=no",
    "ForkAfterAuthentication=no",
    "SessionType=default",
    "ClearAllForwardings=yes",
    "ForwardX11=no",
    "EscapeChar=none",
    "LogLevel=INFO",
];

/// What else the process that holds a connection is told: to say when the login is done.
const MASTER_OPTIONS: &[&str] = &["ControlPersist=no", "PermitLocalCommand=yes", "LocalCommand=echo up"];
/// What else the process of a single command is told: to use nobody's connection.
const ALONE_OPTIONS: &[&str] = &["ControlMaster=no", "ControlPath=none", "PermitLocalCommand=no"];

/// A running master.
#[derive(Debug)]
pub(crate) struct Master {
    child: Group,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Tail>>,
}

/// ssh and what it started to connect through (a jump host's ssh, the user's ProxyCommand), which share its process group
/// and may not notice that it is gone: killed together when this is dropped, a cancelled attempt's too.
#[derive(Debug)]
pub(crate) struct Group(Child);

impl Group {
    /// Starts an ssh that connects to `host` for this line alone. It is ended when this is dropped.
    pub(crate) fn alone(host: &str, settings: &SshSettings, line: &str) -> Result<(Group, Pipes), HostError> {
        let local = |detail: String| HostError::Local { host: host.to_owned(), detail };
        let mut words = vec!["-T".to_owned()];
        words.extend(options(settings, ALONE_OPTIONS));
        words.extend(["--".to_owned(), host.to_owned(), line.to_owned()]);
        let mut child = spawn(&words).map_err(|error| local(format!("ssh could not be started: {error}")))?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(input), Some(stdout), Some(stderr)) => {
                let pipes = Pipes { input: Box::new(input), stdout: Box::new(stdout), stderr: Box::new(stderr) };
                Ok((Group(child), pipes))
            }
            _ => Err(local("ssh was started without pipes".into())),
        }
    }

    /// Waits for its end. Whether it ended with the command's own status, and not with one of ssh's (255).
    pub(crate) async fn ended(mut self) -> bool {
        self.0.wait().await.is_ok_and(|status| status.code().is_some_and(|code| code != 255))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only until it was waited for has it an id, so that the number is nobody else's. No such group: it has not come
        // far enough to start anything, and it is killed itself.
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Master {
    /// Connects to `host`, its control socket at `socket`. One attempt; at most `connect_timeout` + [`LOGIN`]. Dropping the
    /// future ends the attempt and its processes.
    pub(crate) async fn start(host: &str, settings: &SshSettings, socket: &Path) -> Result<Self, HostError> {
        let local = |detail: String| HostError::Local { host: host.to_owned(), detail };
        let mut child =
            spawn(&arguments(host, settings, socket)).map_err(|e| local(format!("ssh could not be started: {e}")))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(local("ssh was started without pipes".into()));
        };
        let said = Arc::new(Mutex::new(Tail::new(MAX_SAID)));
        let listener = tokio::spawn(listen(stderr, said.clone()));
        let bound = settings.connect_timeout + LOGIN;
        let mut stdout = BufReader::new(stdout);
        let child = Group(child);
        match timeout(bound, wait_up(&mut stdout)).await {
            Ok(true) => {
                tokio::spawn(drain(stdout));
                Ok(Self { child, stdin: Some(stdin), said })
            }
            Ok(false) => {
                // It is leaving: the reason is complete once its stderr is closed, which a jump host's ssh may delay.
                let _ = timeout(LEAVE, listener).await;
                Err(classify(host, &text(&said), settings.connect_timeout))
            }
            Err(_) => {
                Err(HostError::ConnectTimedOut { host: host.to_owned(), after: bound, detail: explain(&text(&said)) })
            }
        }
    }

    /// Whether the connection still stands, as far as is known here.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    /// What ssh said last: why a forwarded connection failed, for instance.
    pub(crate) fn said(&self) -> String {
        last_lines(&text(&self.said), 3)
    }

    /// Ends the connection; what does not leave by itself is killed.
    pub(crate) async fn close(mut self) {
        drop(self.stdin.take());
        if timeout(LEAVE, self.child.0.wait()).await.is_err() {
            let _ = self.child.0.kill().await;
        }
    }
}

fn text(said: &Mutex<Tail>) -> String {
    said.lock().map(|tail| tail.text()).unwrap_or_default()
}

fn arguments(host: &str, settings: &SshSettings, socket: &Path) -> Vec<String> {
    let mut arguments = vec!["-M".to_owned(), "-T".to_owned(), "-S".to_owned(), socket.display().to_string()];
    arguments.extend(options(settings, MASTER_OPTIONS));
    // The session exists to hold the connection: it ends when bg, and with it the pipe to its stdin, is gone.
    arguments.extend(["--".to_owned(), host.to_owned(), "exec cat >/dev/null".to_owned()]);
    arguments
}

/// What every ssh is told, and `more`.
fn options(settings: &SshSettings, more: &[&str]) -> Vec<String> {
    let seconds = settings.connect_timeout.as_millis().div_ceil(1000).max(1);
    let timed = [
        format!("ConnectTimeout={seconds}"),
        format!("ServerAliveInterval={}", (seconds / 2).clamp(1, ALIVE_INTERVAL_SECONDS)),
        format!("ServerAliveCountMax={ALIVE_QUESTIONS}"),
    ];
    let options = OPTIONS.iter().chain(more).map(|option| (*option).to_owned()).chain(timed);
    let mut words: Vec<String> = options.flat_map(|option| ["-o".to_owned(), option]).collect();
    if let Some(config) = &settings.config {
        words.extend(["-F".to_owned(), config.display().to_string()]);
    }
    if let Some(user) = &settings.user {
        words.extend(["-l".to_owned(), user.clone()]);
    }
    words
}

/// In a session of its own: Ctrl-C at the terminal is bg's to handle and must not cut a step, and nothing can ask on the tty.
fn spawn(arguments: &[String]) -> std::io::Result<Child> {
    let start = |mut command: Command| {
        // ssh runs its local command with $SHELL, which is no shell for some accounts; a working one is left alone, because
        // the user's ProxyCommand runs with it too.
        if std::env::var_os("SHELL").is_some_and(|shell| !is_shell(Path::new(&shell))) {
            command.env("SHELL", "/bin/sh");
        }
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    };
    let mut command = Command::new("setsid");
    command.arg("ssh");
    start(command).or_else(|error| match error.kind() {
        // Not everywhere is there a setsid(1); a group of its own is the part that matters.
        std::io::ErrorKind::NotFound => {
            let mut command = Command::new("ssh");
            command.process_group(0);
            start(command)
        }
        _ => Err(error),
    })
}

fn is_shell(path: &Path) -> bool {
    path.exists() && !path.file_name().is_some_and(|name| name == "nologin" || name == "false")
}

async fn wait_up(stdout: &mut BufReader<ChildStdout>) -> bool {
    let mut line = Vec::new();
    while matches!(stdout.read_until(b'\n', &mut line).await, Ok(1..)) {
        if line.trim_ascii() == UP.as_bytes() {
            return true;
        }
        line.clear();
    }
    false
}

/// Start-up files may print into the master's session for as long as it lives.
async fn drain(mut stdout: BufReader<ChildStdout>) {
    let mut buffer = [0; 1024];
    while matches!(stdout.read(&mut buffer).await, Ok(1..)) {}
}

async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Tail>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        if let Ok(mut said) = said.lock() {
            said.push(&buffer[..count]);
        }
    }
}

/// The lines that say why, without ssh's frames of `@`.
pub(crate) fn explain(said: &str) -> String {
    let lines: Vec<&str> =
        said.lines().map(|line| line.trim_matches(['@', ' ', '\r'])).filter(|line| !line.is_empty()).collect();
    let text = last_lines(&lines.join("\n"), 4).replace('\n', "; ");
    if text.is_empty() { "ssh said nothing".to_owned() } else { text }
}

/// The first line that contains one of `words`: the reason, where several lines follow from it.
fn line_with(said: &str, words: &[&str]) -> Option<String> {
    said.lines().find(|line| words.iter().any(|word| line.contains(word))).map(|line| last_lines(line, 1))
}

/// What ssh's words mean. The reasons that name themselves come first: behind a jump host, its failure is followed by a
/// closed connection of the outer ssh.
pub(crate) fn classify(host: &str, said: &str, after: Duration) -> HostError {
    let host = host.to_owned();
    if said.contains("IDENTIFICATION HAS CHANGED") || said.contains("REVOKED HOST KEY") {
        let detail =
            line_with(said, &["Offending", "has changed and you", "was revoked"]).unwrap_or_else(|| explain(said));
        return HostError::HostKeyChanged { host, detail };
    }
    if let Some(detail) = line_with(said, &["host key is known for", "Host key verification failed"]) {
        return HostError::HostKeyUnknown { host, detail };
    }
    if let Some(detail) =
        line_with(said, &["Permission denied (", "Too many authentication failures", "No supported authentication"])
    {
        return HostError::PermissionDenied { host, detail };
    }
    if let Some(detail) = line_with(said, &["Could not resolve hostname"]) {
        return HostError::NameNotResolved { host, detail };
    }
    if let Some(detail) = line_with(said, &["timed out", "Timeout, server"]) {
        return HostError::ConnectTimedOut { host, after, detail };
    }
    if let Some(detail) = line_with(said, &["Connection refused", "No route to host", "is unreachable", "open failed"])
    {
        return HostError::Unreachable { host, detail };
    }
    if let Some(detail) = line_with(
        said,
        &[
            "kex_exchange_identification",
            "ssh_exchange_identification",
            "Not allowed at this time",
            "Exceeded MaxStartups",
        ],
    ) {
        return HostError::Dropped { host, attempts: 1, detail };
    }
    HostError::Connect { host, detail: explain(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as OpenSSH 9.2 says them, and what they are taken for.
    const SAID: &[(&str, &str)] = &[
        ("ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", "Unreachable"),
        ("ssh: connect to host 10.9.9.9 port 22: Connection timed out\r\n", "ConnectTimedOut"),
        ("Connection timed out during banner exchange\r\n", "ConnectTimedOut"),
        ("ssh: Could not resolve hostname nope.invalid: Name or service not known\r\n", "NameNotResolved"),
        ("deploy@web1: Permission denied (publickey).\r\n", "PermissionDenied"),
        (
            "No ED25519 host key is known for [127.0.0.1]:22 and you have requested strict checking.\r\nHost key verification failed.\r\n",
            "HostKeyUnknown",
        ),
        (
            "@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@\r\nOffending ED25519 key in /k:1\r\nHost key verification failed.\r\n",
            "HostKeyChanged",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 22\r\n",
            "Dropped",
        ),
        ("kex_exchange_identification: read: Connection reset by peer\r\n", "Dropped"),
        (
            "ssh: connect to host jump port 22: Connection refused\r\nkex_exchange_identification: Connection closed by remote host\r\n",
            "Unreachable",
        ),
        (
            "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\nkex_exchange_identification: Connection closed\r\n",
            "Unreachable",
        ),
        ("Bad owner or permissions on /root/.ssh/config\r\n", "Connect "),
    ];

    #[test]
    fn what_ssh_says_is_told_apart() {
        for (said, kind) in SAID {
            let error = classify("web1", said, Duration::from_secs(10));
            assert!(format!("{error:?}").starts_with(kind), "{said} -> {error:?}");
            assert!(error.to_string().contains("`web1`") && !error.to_string().contains('\r'), "{error}");
            assert!(error.is_unreachable() && error.hint().is_some());
        }
    }

    #[test]
    fn a_silent_host_is_given_up_within_twice_the_connect_timeout() {
        for (connect_ms, interval) in [(100, 1), (2_000, 1), (6_500, 3), (10_000, 5), (60_000, 5)] {
            let settings = SshSettings { connect_timeout: Duration::from_millis(connect_ms), ..SshSettings::default() };
            let arguments = arguments("lb1", &settings, Path::new("/tmp/s"));
            assert!(arguments.contains(&format!("ServerAliveInterval={interval}")), "{connect_ms}: {arguments:?}");
        }
    }

    #[test]
    fn a_host_is_never_an_option() {
        let settings = SshSettings { user: Some("deploy".into()), ..SshSettings::default() };
        let arguments = arguments("-oProxyCommand=id", &settings, Path::new("/tmp/s"));
        let dashes = arguments.iter().position(|a| a == "--").unwrap();
        assert_eq!(arguments[dashes + 1], "-oProxyCommand=id");
    }
}
