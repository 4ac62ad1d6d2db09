//! What can go wrong between bg and a host, told apart so that every message can say what to do next.

use std::time::Duration;

use super::output::last_lines;

/// Lines of a command's output that an error quotes.
pub const QUOTED_LINES: usize = 8;

/// A failure to reach a host, or of what was asked of it. Every variant names the host by its name in the inventory.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// The name cannot be one of a host: ssh would read it as something else.
    #[error("`{host}` is not a host name that ssh can be given")]
    InvalidName { host: String },
    /// The ssh program or the private directory for its sockets failed on this machine.
    #[error("`{host}`: {detail}")]
    Local { host: String, detail: String },
    /// The name has no address.
    #[error("`{host}`: its name could not be resolved: {detail}")]
    NameNotResolved { host: String, detail: String },
    /// Nothing answers at its address.
    #[error("`{host}` is unreachable: {detail}")]
    Unreachable { host: String, detail: String },
    /// No answer, or no finished login, in time.
    #[error("`{host}` did not let ssh in within {}: {detail}", seconds(*after))]
    ConnectTimedOut { host: String, after: Duration, detail: String },
    /// Its host key is in no known_hosts file.
    #[error("`{host}`: its host key is not known, so nothing was sent to it: {detail}")]
    HostKeyUnknown { host: String, detail: String },
    /// It shows another host key than the known one.
    #[error("`{host}` shows another host key than the known one, so nothing was sent to it: {detail}")]
    HostKeyChanged { host: String, detail: String },
    /// The login was refused.
    #[error("`{host}` refused the login: {detail}")]
    PermissionDenied { host: String, detail: String },
    /// The server dropped every attempt before the login (sshd's MaxStartups, or tcp wrappers).
    #[error("`{host}` dropped the connection before the login, {attempts} times: {detail}")]
    Dropped { host: String, attempts: u32, detail: String },
    /// ssh ended for a reason that bg does not know.
    #[error("`{host}`: ssh could not connect: {detail}")]
    Connect { host: String, detail: String },
    /// The connection is there, but the server opens no session for a command.
    #[error("`{host}` opened no session for `{name}`: {detail}")]
    NoSession { host: String, name: &'static str, detail: String },
    /// The login shell did not run the command (a forced command, `nologin`).
    #[error("`{host}`: the login shell did not run `{name}`: {detail}")]
    NotRun { host: String, name: &'static str, detail: String },
    /// `sudo -n` refused: the login user may not become root there without a password.
    #[error("`{host}`: no sudo right for `{name}`: {detail}")]
    NoSudo { host: String, name: &'static str, detail: String },
    /// The command cannot be sent: a NUL in it, or longer than a shell takes.
    #[error("`{host}`: `{name}` cannot be sent, so nothing was: {detail}")]
    Unsendable { host: String, name: &'static str, detail: String },
    /// What was to be sent to the command could not be read here.
    #[error("`{host}`: what was to be sent to `{name}` could not be read on this machine: {detail}")]
    Input { host: String, name: &'static str, detail: String },
    /// The connection went away while the command ran: whether it did its work is unknown.
    #[error(
        "`{host}`: the connection was lost during `{name}`, and whether it did its work is not known{}",
        quoted(tail)
    )]
    Lost { host: String, name: &'static str, tail: String },
    /// The connection went away while something was asked through it that changes nothing.
    #[error("the connection to `{host}` was lost")]
    Cut { host: String },
    /// The command reached its bound.
    #[error("`{host}`: `{name}` did not end within {} and {}{}", seconds(*after), ending(*ended), quoted(tail))]
    TimedOut { host: String, name: &'static str, after: Duration, ended: bool, tail: String },
    /// The command ended with another status than 0 (from [`Host::run_ok`](super::Host::run_ok)).
    #[error("`{host}`: `{name}` failed with status {status}{}", quoted(tail))]
    Failed { host: String, name: &'static str, status: i32, tail: String },
    /// A port could not be forwarded.
    #[error("`{host}`: no way to {target} through it: {detail}")]
    Forward { host: String, target: String, detail: String },
}

impl HostError {
    /// The host, by its name in the inventory.
    pub fn host(&self) -> &str {
        match self {
            Self::InvalidName { host }
            | Self::Local { host, .. }
            | Self::NameNotResolved { host, .. }
            | Self::Unreachable { host, .. }
            | Self::ConnectTimedOut { host, .. }
            | Self::HostKeyUnknown { host, .. }
            | Self::HostKeyChanged { host, .. }
            | Self::PermissionDenied { host, .. }
            | Self::Dropped { host, .. }
            | Self::Connect { host, .. }
            | Self::NoSession { host, .. }
            | Self::NotRun { host, .. }
            | Self::NoSudo { host, .. }
            | Self::Unsendable { host, .. }
            | Self::Input { host, .. }
            | Self::Lost { host, .. }
            | Self::Cut { host }
            | Self::TimedOut { host, .. }
            | Self::Failed { host, .. }
            | Self::Forward { host, .. } => host,
        }
    }

    /// The message in words that follow the host's name where another message has named it: `it is unreachable: …`.
    pub fn without_host(&self) -> String {
        if let Self::Cut { .. } = self {
            return "the connection to it was lost".to_owned();
        }
        let (text, name) = (self.to_string(), format!("`{}`", self.host()));
        match text.strip_prefix(&name) {
            Some(rest) => rest.strip_prefix(": ").map_or_else(|| format!("it{rest}"), str::to_owned),
            None => text,
        }
    }

    /// Whether nothing was asked of the host at all, because no connection to it stands.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::InvalidName { .. }
                | Self::Local { .. }
                | Self::NameNotResolved { .. }
                | Self::Unreachable { .. }
                | Self::ConnectTimedOut { .. }
                | Self::HostKeyUnknown { .. }
                | Self::HostKeyChanged { .. }
                | Self::PermissionDenied { .. }
                | Self::Dropped { .. }
                | Self::Connect { .. }
        )
    }

    /// Whether the host, or the way to it, gave no answer that could have been waited for: it may be dead. (A wrong key or a
    /// refused login comes from a living host.)
    pub(crate) fn is_of_network(&self) -> bool {
        matches!(
            self,
            Self::NameNotResolved { .. }
                | Self::Unreachable { .. }
                | Self::ConnectTimedOut { .. }
                | Self::Dropped { .. }
        )
    }

    /// Whether the command may have done its work, or a part of it, without bg having seen the end: only a probe can tell.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::TimedOut { .. } | Self::Input { .. })
    }
}

fn ending(ended: bool) -> &'static str {
    if ended { "was ended" } else { "could not be confirmed to have been ended" }
}

/// `10s`, `1.5s`: a duration as messages say it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{}s", (duration.as_secs_f64() * 10.0).round() / 10.0)
}

/// `: last lines`, or nothing.
fn quoted(text: &str) -> String {
    let lines = last_lines(text, QUOTED_LINES);
    match lines.lines().count() {
        0 => String::new(),
        1 => format!(": {lines}"),
        _ => format!(":\n{}", lines.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_named_is_not_named_again() {
        let (host, detail) = (String::from("lb2"), String::from("Connection refused"));
        let unreachable = HostError::Unreachable { host: host.clone(), detail: detail.clone() };
        assert_eq!(unreachable.without_host(), "it is unreachable: Connection refused");
        assert_eq!(HostError::Local { host, detail }.without_host(), "Connection refused");
    }
}
