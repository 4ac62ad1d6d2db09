//! One command on a host, as data: what runs, what it reads, and how long it may take.

use std::sync::LazyLock;
use std::time::Duration;

use bluegreen_core::quote::shell_line;
use tokio::io::AsyncRead;

/// The watchdog: it is sent with every command that gets a session, and once to every standing shell.
static WATCHDOG: LazyLock<String> = LazyLock::new(|| without_comments(include_str!("watchdog.sh")));
/// What a standing shell reads first, but for the mark that says that it did.
static STANDING: LazyLock<String> = LazyLock::new(|| {
    let standing = without_comments(include_str!("standing.sh"));
    format!("watchdog={}\n{standing}\n", shell_line(&[WATCHDOG.as_str()]))
});

fn without_comments(script: &str) -> String {
    script.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// What a standing shell is sent first. Once it works, it says the mark `begin` of `nonce` on both streams.
pub(crate) fn standing(nonce: &str) -> Vec<u8> {
    format!("{}{}", *STANDING, ready(nonce)).into_bytes()
}

/// Asks a standing shell for the mark `begin` of `nonce` on both streams, once all before was carried out.
pub(crate) fn ready(nonce: &str) -> String {
    format!("ready {nonce}\n")
}

/// Asks a standing shell for the last mark of the command with this nonce, should nobody be there any more to say it.
pub(crate) fn lost(nonce: &str) -> String {
    format!("lost {nonce}\n")
}

/// Has the command that a standing shell runs ended.
pub(crate) const STOP: &[u8] = b"stop\n";
/// Has a standing shell wait until the command has ended.
pub(crate) const OVER: &[u8] = b"over\n";

/// Made anew for each conversation, so that no output can be taken for a mark.
pub(crate) fn nonce() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// How long a command that was asked to end (TERM) has before it is forced (KILL).
pub const KILL_GRACE: Duration = Duration::from_secs(2);
/// A command's bound unless it names another: enough for a small script on a busy host.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes kept of each stream unless the run asks for more.
pub const DEFAULT_MAX_OUTPUT: usize = 1024 * 1024;
/// The kernel takes no longer single argument (128 KiB), and the login shell gets the line as one.
const MAX_LINE: usize = 115 * 1024;

/// What a command reads.
#[derive(Default)]
pub enum Stdin {
    /// Nothing. bg holds the other end: should bg die, the command is ended at once.
    #[default]
    Null,
    /// These bytes, then the end. Should bg die, the command is ended within about a second.
    Bytes(Vec<u8>),
    /// Whatever this gives, likewise. The command itself must check that it got everything (length, digest): an end may
    /// also mean that bg died.
    Reader(Box<dyn AsyncRead + Send + Unpin>),
}

impl std::fmt::Debug for Stdin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stdin::Null => f.write_str("Null"),
            Stdin::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Stdin::Reader(_) => f.write_str("Reader"),
        }
    }
}

/// A command for a host.
#[derive(Debug)]
pub struct Run {
    /// The bound's and the command's name in messages: `nginx -t`, `install`.
    pub name: &'static str,
    /// The words, verbatim; no shell sees into them.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Stdin,
    /// Its bound: then its whole process group is ended.
    pub timeout: Duration,
    /// Whether it runs under `sudo -n`, with its watchdog: an ordinary user could not end root's processes.
    pub sudo: bool,
    /// Bytes kept of each stream, the last ones.
    pub max_output: usize,
    /// Whether it may run in the connection's standing shell: see [`Run::standing`].
    pub standing: bool,
}

impl Run {
    /// `argv`, without input, bounded by [`DEFAULT_TIMEOUT`].
    pub fn new<S: Into<String>>(name: &'static str, argv: impl IntoIterator<Item = S>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        let (timeout, max_output) = (DEFAULT_TIMEOUT, DEFAULT_MAX_OUTPUT);
        Self { name, argv, stdin: Stdin::Null, timeout, sudo: false, max_output, standing: false }
    }

    /// A constant POSIX sh script (`include_str!`), its values as `"$1"`, `"$2"`, ….
    pub fn script<S: Into<String>>(
        name: &'static str,
        script: &'static str,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let words = ["sh", "-c", script, "bg"].map(String::from);
        Self::new(name, words.into_iter().chain(values.into_iter().map(Into::into)))
    }

    /// A shell line of the user's own, as it stands in the inventory.
    pub fn shell(name: &'static str, line: impl Into<String>) -> Self {
        Self::new(name, ["sh".to_owned(), "-c".to_owned(), line.into()])
    }

    /// With this input.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// With this bound.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Under `sudo -n` or not.
    pub fn sudo(mut self, sudo: bool) -> Self {
        self.sudo = sudo;
        self
    }

    /// With at most so many last bytes of each stream kept.
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// In the shell that stands with the connection, where that is free, which saves a session and a login shell. Only for
    /// what leaves nothing behind that writes to its streams: the next command's output would begin with it.
    pub fn standing(mut self) -> Self {
        self.standing = true;
        self
    }

    /// The line that the login shell gets. Errors: words that cannot be sent.
    pub(crate) fn line(&self, nonce: &str) -> Result<String, String> {
        let mode = if matches!(self.stdin, Stdin::Null) { "lifeline" } else { "data" };
        let mut words: Vec<&str> = if self.sudo { vec!["sudo", "-n"] } else { vec![] };
        words.extend(["sh", "-c", &WATCHDOG, "bg"]);
        // exec: no login shell stays in between.
        Ok(format!("exec {} {}", shell_line(&words), self.watched(nonce, mode)?))
    }

    /// What a standing shell is sent. Nothing where this needs a session: it may not run there, it reads more than some
    /// lines, or it cannot be sent at all.
    pub(crate) fn request(&self, nonce: &str) -> Option<Vec<u8>> {
        if !self.standing || self.sudo {
            return None;
        }
        let input = match &self.stdin {
            Stdin::Null => "</dev/null\n".to_owned(),
            Stdin::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).ok()?;
                let is_lines = text.ends_with('\n') && !text.contains('\0') && text.len() <= MAX_LINE;
                // The nonce is in no line of the text by chance.
                is_lines.then(|| format!("<<'{nonce}'\n{text}{nonce}\n"))?
            }
            Stdin::Reader(_) => return None,
        };
        let request = format!("run {} {input}", self.watched(nonce, "told").ok()?);
        Some(request.into_bytes())
    }

    /// The watchdog's arguments, as a shell reads them.
    fn watched(&self, nonce: &str, mode: &str) -> Result<String, String> {
        if self.argv.is_empty() {
            return Err("it has no words".into());
        }
        if self.argv.iter().any(|word| word.contains('\0')) {
            return Err("a word holds a NUL".into());
        }
        let (limit, grace) = (seconds_up(self.timeout).to_string(), KILL_GRACE.as_secs().to_string());
        let mut words = vec![nonce, &limit, &grace, mode];
        words.extend(self.argv.iter().map(String::as_str));
        let words = shell_line(&words);
        // The watchdog's own text and sudo take the rest.
        if words.len() > MAX_LINE {
            Err(format!("it is {} bytes long, {MAX_LINE} is the most", words.len()))
        } else {
            Ok(words)
        }
    }
}

/// Whole seconds, rounded up, at least one: what the host counts in.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_no_shell_takes_is_refused_here() {
        let nul = Run::new("x", ["a\0b"]);
        let long = Run::new("x", ["a".repeat(200_000)]);
        let none = Run::new("x", Vec::<String>::new());
        for run in [nul, long, none] {
            assert!(run.line("n").is_err(), "{run:?}");
        }
    }

    #[test]
    fn under_sudo_the_watchdog_is_too() {
        let line = Run::new("x", ["nginx", "-t"]).sudo(true).line("n").unwrap();
        assert!(line.starts_with("exec sudo -n sh -c '") && line.ends_with("' bg n 30 2 lifeline nginx -t"), "{line}");
    }

    #[test]
    fn the_host_counts_whole_seconds_and_never_none() {
        assert_eq!(seconds_up(Duration::ZERO), 1);
        assert_eq!(seconds_up(Duration::from_millis(1001)), 2);
    }
}
