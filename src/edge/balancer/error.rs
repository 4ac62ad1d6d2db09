//! What can go wrong with a balancer, as values that the engine can tell apart.

use std::time::Duration;

use crate::edge::host::{HostError, seconds};

/// Something did not go as asked on one balancer.
#[derive(Debug, thiserror::Error)]
#[error("{}", .kind.of(.host))]
pub struct Error {
    /// The balancer, as ssh reaches it.
    pub host: String,
    /// What happened there.
    #[source]
    pub kind: Kind,
}

/// What happened on the balancer.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    /// The inventory has no such balancer.
    #[error("no balancer of the inventory has this name, so nothing was asked of it")]
    Unknown,
    /// ssh or the connection: what stands on the balancer is not known.
    #[error("{0}")]
    Host(#[from] HostError),
    /// The login user may not do this; nothing that nginx reads was changed.
    #[error(
        "no right to run `{command}` there{said}. Nothing that nginx reads was changed. {}", allow(.command)
    )]
    NoRights {
        /// The command, as it was run.
        command: String,
        /// What was said, ready to follow the sentence; may be empty.
        said: String,
    },
    /// Somebody holds a lock for longer than [`super::LOCK_WAIT`].
    #[error("the lock `{file}` is held by another run; nothing was changed there. Try again when it is over")]
    Locked {
        /// The lock file.
        file: String,
    },
    /// bg's directories are not there (yet).
    #[error("`{path}` is not there; nothing was changed. `bg setup` makes it")]
    NoDirs {
        /// What is missing.
        path: String,
    },
    /// A tree of another journal, or of none.
    #[error("{}; bg does not overwrite it, and nothing was changed", foreign(.journal.as_deref(), .at))]
    Foreign {
        /// The journal's id; `None` where the tree names none.
        journal: Option<String>,
        /// `current` or `gen/N`.
        at: String,
    },
    /// A generation as high or higher is current: this step is too late.
    #[error("generation {found} is current there, so this older step was refused; nothing was changed")]
    Fenced {
        /// The current generation.
        found: u64,
    },
    /// `live/current` is no link to `gen/N`.
    #[error(
        "`live/current` is no link to `gen/N` ({link}): somebody changed it by hand, and bg did not touch it. Remove it there (its traffic goes to blue until then), and try again"
    )]
    UnknownCurrent {
        /// What it is, in words.
        link: String,
    },
    /// The current generation has the number, and other content: it is never replaced in place.
    #[error("generation {generation} is current there with other content; bg never changes a current tree in place")]
    CurrentDiffers {
        /// Its number.
        generation: u64,
    },
    /// The generation to commit was not prepared.
    #[error("generation {generation} is not on its disk; `live/current` was not touched")]
    Missing {
        /// Its number.
        generation: u64,
    },
    /// It is to be committed only while it would go back by itself, and it would not.
    #[error(
        "the time after which generation {generation} was to go back by itself is up already; `live/current` was not touched"
    )]
    Unarmed {
        /// Its number.
        generation: u64,
    },
    /// Nothing there would take the traffic back when bg is gone.
    #[error(
        "nothing there keeps the time once bg is gone: its login ends what it leaves behind, systemd does not let the login \
         user linger, and there is no `at`. Run `loginctl enable-linger` for that user, or install `at`"
    )]
    NoTimer,
    /// The generation to commit is not what was prepared.
    #[error("generation {generation} on its disk is not what was prepared ({found}); `live/current` was not touched")]
    Differs {
        /// Its number.
        generation: u64,
        /// The hash that was found, or what is wrong with the directory.
        found: String,
    },
    /// nginx refused http.conf or server.conf; the earlier files stand.
    #[error("{}", conf_refused(.why, .lines))]
    ConfRefused {
        /// At which test.
        why: ConfTest,
        /// The last lines that nginx said.
        lines: Vec<String>,
    },
    /// The inventory's `reload` failed.
    #[error("`{command}` failed, so nginx goes on as before: {}", .lines.join(" · "))]
    ReloadFailed {
        /// The line as it was run.
        command: String,
        /// Its last lines.
        lines: Vec<String>,
    },
    /// The reload was accepted but did not take effect within its bound.
    #[error(
        "nginx did not take revision {revision} up within {}: {what}. The earlier workers go on. {log}",
        seconds(Duration::from_millis(*waited_ms))
    )]
    NotTakenUp {
        /// The revision that was waited for.
        revision: u64,
        /// How long was waited.
        waited_ms: u64,
        /// What was still to be seen.
        what: String,
        /// The error log's new lines, or why they are not known.
        log: String,
    },
    /// The probe port gave no answer of ours.
    #[error("the probe port 127.0.0.1:{port} did not answer as `{site}`: {why}")]
    Probe {
        /// The port.
        port: u16,
        /// The site.
        site: String,
        /// What came instead.
        why: String,
    },
    /// The workers do not see the traffic that was committed.
    #[error(
        "nginx's workers do not see generation {generation}: asked for `{at}` they answered {answered}, expected {expected}"
    )]
    Unconfirmed {
        /// The generation.
        generation: u64,
        /// The question, `SEGMENT/BUCKET/SLOT`.
        at: String,
        /// What was expected.
        expected: String,
        /// What came.
        answered: String,
    },
    /// `nginx -T` could not be read.
    #[error("`{command}` did not give nginx's configuration: {}", .lines.join(" · "))]
    Dump {
        /// The line as it was run.
        command: String,
        /// Its last lines, or what the parser said.
        lines: Vec<String>,
    },
    /// A script broke: full disk, missing tool, or a program error.
    #[error("the step `{script}` broke there (exit {code}): {}", .lines.join(" · "))]
    Broke {
        /// The script's name.
        script: &'static str,
        /// Its exit code; 128 + n when signal n ended it.
        code: i32,
        /// Its last lines.
        lines: Vec<String>,
    },
}

/// Which test of nginx's configuration failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfTest {
    /// bg's minimal configuration around the staged files: they never came into place.
    Staged,
    /// The inventory's `test` with the files in place: they were put back.
    InPlace,
    /// The inventory's `test` fails without the new files too.
    Before,
}

impl Error {
    pub(super) fn new(host: &str, kind: impl Into<Kind>) -> Error {
        Error { host: host.to_owned(), kind: kind.into() }
    }

    /// Whether a tree that bg does not own stands in the way: every changing command refuses (exit 3).
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Foreign { .. } | Kind::UnknownCurrent { .. })
    }

    /// What happened, in words that follow the balancer's name where another message has named it.
    pub fn without_host(&self) -> String {
        match &self.kind {
            Kind::Host(error) => error.without_host(),
            kind => kind.to_string(),
        }
    }

    /// The current generation, where a newer one made this step too late.
    pub fn fenced_by(&self) -> Option<u64> {
        match self.kind {
            Kind::Fenced { found } => Some(found),
            _ => None,
        }
    }

    /// Whether what stands on the balancer now is unknown: the command may or may not have been carried out.
    pub fn is_unknown(&self) -> bool {
        match &self.kind {
            Kind::Host(error) => !error.is_unreachable(),
            kind => matches!(kind, Kind::Broke { .. }),
        }
    }

    /// Whether the balancer could not be reached at all: nothing was asked of it.
    pub fn is_unreachable(&self) -> bool {
        matches!(&self.kind, Kind::Host(error) if error.is_unreachable())
    }
}

impl Kind {
    fn of(&self, host: &str) -> String {
        match self {
            // It names the host itself.
            Kind::Host(error) => error.to_string(),
            kind => format!("`{host}`: {kind}"),
        }
    }
}

fn allow(command: &str) -> &'static str {
    if command.starts_with("sudo ") {
        "Allow it for the login user in sudoers, without a password; or set `sudo = false` in [balancers] where it needs none"
    } else {
        "Give the login user that right, or set `sudo = true` in [balancers]"
    }
}

fn foreign(journal: Option<&str>, at: &str) -> String {
    match journal {
        Some(journal) => format!("`live/{at}` belongs to another journal, `{journal}`"),
        None => format!("`live/{at}` names no journal"),
    }
}

fn conf_refused(why: &ConfTest, lines: &[String]) -> String {
    let said = lines.join(" · ");
    match why {
        ConfTest::Staged => {
            format!("nginx refuses the new http.conf and server.conf, which were not put into place: {said}")
        }
        ConfTest::InPlace => {
            format!("nginx refuses its configuration with the new files, so the earlier ones were put back: {said}")
        }
        ConfTest::Before => {
            format!(
                "nginx refuses its configuration with and without the new files, so the earlier ones stand; mend it first: {said}"
            )
        }
    }
}
