//! The ssh process that holds a connection. bg owns it: it dies with bg, however bg dies, because its stdin is a pipe
//! that only bg holds. Its own session is the standing shell's.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::SshSettings;
use super::error::HostError;
use super::output::{Marks, last_lines};
use super::run::{nonce, standing};
use super::session::{Pipes, said_instead};
use super::standing::is_ready;

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
    "PermitLocalCommand=no",
    "LogLevel=INFO",
];

/// What else the process that holds a connection is told.
const MASTER_OPTIONS: &[&str] = &["ControlPersist=no"];
/// What else the process of a single command is told: to use nobody's connection.
const ALONE_OPTIONS: &[&str] = &["ControlMaster=no", "ControlPath=none"];
/// ssh's own status, which a command's may be too.
const SSH_FAILED: i32 = 255;

/// A running master.
#[derive(Debug)]
pub(crate) struct Master {
    child: Group,
    log: Log,
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
        let pipes = Pipes::of(&mut child).ok_or_else(|| local("ssh was started without pipes".into()))?;
        Ok((Group(child), pipes))
    }

    /// Waits for its end. Whether it ended with the command's own status, and not with one of ssh's (255).
    pub(crate) async fn ended(mut self) -> bool {
        self.0.wait().await.is_ok_and(|status| status.code().is_some_and(|code| code != SSH_FAILED))
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
    /// Connects to `host`, its control socket at `socket`, and has the standing shell begin. One attempt; at most
    /// `connect_timeout` + [`LOGIN`]. Dropping the future ends the attempt and its processes.
    pub(crate) async fn start(
        host: &str,
        settings: &SshSettings,
        socket: &Path,
        log: &Path,
    ) -> Result<(Self, Pipes), HostError> {
        let local = |detail: String| HostError::Local { host: host.to_owned(), detail };
        let arguments = arguments(host, settings, socket, log);
        let mut log = Log::make(log).map_err(|error| local(format!("no file for ssh's messages: {error}")))?;
        let mut child = spawn(&arguments).map_err(|e| local(format!("ssh could not be started: {e}")))?;
        let pipes = Pipes::of(&mut child);
        let mut child = Group(child);
        let mut pipes = pipes.ok_or_else(|| local("ssh was started without pipes".into()))?;
        let nonce = nonce();
        let bound = settings.connect_timeout + LOGIN;
        let mut marks = Marks::of_both(&nonce);
        let ready = async {
            // The pipe takes it all before there is anybody to read it. What broke is told by what follows.
            let _ = pipes.input.write_all(&standing(&nonce)).await;
            is_ready(&mut pipes, &mut marks).await
        };
        let is_late = match timeout(bound, ready).await {
            Ok(true) => {
                log.forget_name();
                return Ok((Self { child, log }, pipes));
            }
            Ok(false) => false,
            Err(_) => true,
        };
        if !is_late {
            // It is leaving: the reason is complete once its stderr is closed, which a jump host's ssh may delay.
            let _ = timeout(LEAVE, rest(&mut pipes, &mut marks[1])).await;
            let status = timeout(LEAVE, child.0.wait()).await;
            let code = status.ok().and_then(Result::ok).and_then(|status| status.code());
            if code.is_some_and(|code| code != SSH_FAILED) {
                // The login went well, and there was no shell behind it.
                return Err(HostError::NotRun { host: host.to_owned(), name: "sh", detail: said_instead(&marks) });
            }
        }
        // A jump host's ssh speaks on the shell's standard error, and it is the one that knows why.
        let said = format!("{}\n{}", marks[1].noise().unwrap_or_default(), log.text());
        Err(match is_late {
            true => HostError::ConnectTimedOut { host: host.to_owned(), after: bound, detail: explain(&said) },
            false => classify(host, &said, settings.connect_timeout),
        })
    }

    /// Whether the connection still stands, as far as is known here.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    /// What ssh said last: why a forwarded connection failed, for instance.
    pub(crate) fn said(&self) -> String {
        last_lines(&self.log.text(), 3)
    }

    /// Ends the connection. `gently`: its input was closed, and it may leave by itself before it is killed.
    pub(crate) async fn close(mut self, gently: bool) {
        if !gently || timeout(LEAVE, self.child.0.wait()).await.is_err() {
            let _ = self.child.0.kill().await;
        }
    }
}

/// Where ssh writes what it has to say itself: its standard error is the shell's. A file, because ssh closes every other
/// descriptor, and would wait for ever for the reader of a named pipe if bg died before it opened that. Few lines come, and with the
/// last of the two processes it is gone.
#[derive(Debug)]
struct Log {
    /// Its name is only needed until ssh has opened it.
    path: Option<PathBuf>,
    file: File,
}

impl Log {
    fn make(path: &Path) -> std::io::Result<Log> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Log { path: Some(path.to_owned()), file })
    }

    /// The last that came.
    fn text(&self) -> String {
        let length = self.file.metadata().map_or(0, |it| it.len());
        let mut last = vec![0; MAX_SAID];
        let count = self.file.read_at(&mut last, length.saturating_sub(MAX_SAID as u64)).unwrap_or_default();
        String::from_utf8_lossy(&last[..count]).into_owned()
    }

    fn forget_name(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.forget_name();
    }
}

/// What comes on standard error until that ends.
async fn rest(pipes: &mut Pipes, marks: &mut Marks) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipes.stderr.read(&mut buffer).await {
        marks.push(&buffer[..count], &mut Vec::new());
    }
}

fn arguments(host: &str, settings: &SshSettings, socket: &Path, log: &Path) -> Vec<String> {
    let mut arguments = vec!["-M".to_owned(), "-T".to_owned(), "-S".to_owned(), socket.display().to_string()];
    arguments.extend(["-E".to_owned(), log.display().to_string()]);
    arguments.extend(options(settings, MASTER_OPTIONS));
    // The shell reads its commands; with bg, and so the pipe to its stdin, it ends, and with it the connection.
    arguments.extend(["--".to_owned(), host.to_owned(), "exec sh".to_owned()]);
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
        // ssh runs the user's ProxyCommand with $SHELL, which is no shell for some accounts.
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
            let arguments = arguments("lb1", &settings, Path::new("/tmp/s"), Path::new("/tmp/l"));
            assert!(arguments.contains(&format!("ServerAliveInterval={interval}")), "{connect_ms}: {arguments:?}");
        }
    }

    #[test]
    fn a_host_is_never_an_option() {
        let settings = SshSettings { user: Some("deploy".into()), ..SshSettings::default() };
        let arguments = arguments("-oProxyCommand=id", &settings, Path::new("/tmp/s"), Path::new("/tmp/l"));
        let dashes = arguments.iter().position(|a| a == "--").unwrap();
        assert_eq!(arguments[dashes + 1], "-oProxyCommand=id");
    }
}
