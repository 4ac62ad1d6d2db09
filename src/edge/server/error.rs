//! What can go wrong on one server, told apart by what it means and what a person does next.

use crate::edge::artifact::ArtifactError;
use crate::edge::host::HostError;

/// A failure on one server. Blue or green, whoever serves meanwhile is said by the caller.
#[derive(Debug, thiserror::Error)]
#[error("{}", .what.of(.host, .root))]
pub struct ServerError {
    /// The host, by its name in the inventory.
    pub host: String,
    /// The place's root there.
    pub root: String,
    /// What happened.
    pub what: What,
}

/// What happened on the server.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// It could not be reached, or the connection was lost.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The artifact could not be prepared for it on this machine.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The server belongs to another journal.
    #[error(
        "this server belongs to the journal `{journal}` (step {epoch}), not to this one; nothing was changed there"
    )]
    Foreign {
        /// The journal's id.
        journal: String,
        /// Its epoch there.
        epoch: u64,
    },
    /// A later step has overtaken this one.
    #[error("a later step ({found}) of this journal has taken over there, so this one changed nothing")]
    Fenced {
        /// The epoch found.
        found: u64,
    },
    /// The fence was removed or lowered while the step ran.
    #[error("its fence `.bg/fence` was removed or lowered by hand while this ran; nothing was put in place")]
    FenceLost,
    /// The fence is not one that bg wrote.
    #[error(
        "its fence `.bg/fence` is damaged, so nobody can tell who may change this server; nothing was changed there"
    )]
    DamagedFence,
    /// Another change holds the lock.
    #[error(
        "another change is still under way there: `.bg/lock` was held all the time that was waited for it; nothing was changed"
    )]
    Busy,
    /// A program that bg needs is not installed.
    #[error("`{tool}` is missing there; nothing was changed")]
    MissingTool {
        /// The program.
        tool: String,
    },
    /// Too little room, by what the host says.
    #[error("too little room for the release: {} are needed and {} are free; nothing was sent", size(*.needed), size(*.free))]
    NoRoom {
        /// Bytes for the archive and what it unpacks to.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The disk ran full.
    #[error("the disk is full there; what was begun was removed{}", quoted(tail))]
    DiskFull {
        /// The last lines that the host said.
        tail: String,
    },
    /// A release of this number is there that is not this content.
    #[error("the release's directory is there already and bg did not put this content into it; it was left alone")]
    Occupied,
    /// What arrived is not what was sent.
    #[error("what arrived is not what was sent, or could not be unpacked; nothing was put in place")]
    Torn,
    /// An entry of `shared` lies behind a link of the archive.
    #[error("the shared path `{path}` lies behind a link in the artifact; nothing was put in place")]
    SharedBehindLink {
        /// The entry of `shared`.
        path: String,
    },
    /// Activation of a release that was never placed, or was removed.
    #[error("the release is not there, or is not what was placed; nothing was changed")]
    Unplaced,
    /// `current` exists and is no link.
    #[error("`current` is a file or directory where bg needs its link; nothing was changed")]
    CurrentIsNoLink,
    /// The user's command reached its bound.
    #[error("its command did not end within its bound and was ended{}", quoted(tail))]
    CommandSlow {
        /// The last lines of its output.
        tail: String,
    },
    /// The user's command failed.
    #[error("its command failed with status {status}{}", quoted(tail))]
    CommandFailed {
        /// The exit status.
        status: i32,
        /// The last lines of its output.
        tail: String,
    },
    /// The unit keeps crashing.
    #[error("its service does not stay up after the restart, it is {how}{}", quoted(tail))]
    Crashed {
        /// `failed` or `restarting`.
        how: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A tool failed in a way that bg does not know.
    #[error("`{name}` failed with status {status}{}", quoted(tail))]
    Failed {
        /// What bg was doing.
        name: &'static str,
        /// The script's exit status.
        status: i32,
        /// The last lines that it said.
        tail: String,
    },
    /// The answer was not understood.
    #[error("its answer was not understood: {said}")]
    Garbled {
        /// The line in question.
        said: String,
    },
    /// A value that no script may get.
    #[error("{detail}; nothing was sent")]
    Unsendable {
        /// What is wrong with it.
        detail: String,
    },
}

impl ServerError {
    /// `what` on a server.
    pub(super) fn at(host: &str, root: &str, what: What) -> ServerError {
        ServerError { host: host.to_owned(), root: root.to_owned(), what }
    }

    /// What happened, in words that follow the server's name where another message has named it.
    pub fn without_host(&self) -> String {
        match &self.what {
            What::Host(error) => error.without_host(),
            what => what.to_string(),
        }
    }

    /// Whether somebody else's work stands in the way: to be refused, not retried.
    pub fn is_refused(&self) -> bool {
        matches!(self.what, What::Foreign { .. } | What::Fenced { .. } | What::DamagedFence | What::FenceLost)
    }

    /// Whether it is not known how far the step got.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(&self.what, What::Host(error) if error.is_outcome_unknown())
    }
}

impl What {
    fn of(&self, host: &str, root: &str) -> String {
        match self {
            // It names the host itself.
            What::Host(error) => error.to_string(),
            what => format!("`{host}`, `{root}`: {what}"),
        }
    }
}

/// Bytes as people say them: `1.0 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// What a host said, in lines of its own, indented.
fn quoted(tail: &str) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!(":\n{}", tail.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}
