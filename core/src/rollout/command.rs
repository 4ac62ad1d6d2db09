//! What a user asks for.

use serde::{Deserialize, Serialize};

use crate::{
    release::{Release, Version},
    traffic::SegmentShare,
};

/// A command of the rollout, without its arguments: the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    /// `deploy`.
    #[serde(rename = "deploy")]
    Deploy,
    /// `canary SEGMENT=PERCENT…`.
    #[serde(rename = "canary")]
    Canary,
    /// `canary off`.
    #[serde(rename = "canary off")]
    CanaryOff,
    /// `flip`.
    #[serde(rename = "flip")]
    Flip,
    /// `flip --back`.
    #[serde(rename = "flip --back")]
    FlipBack,
    /// `restore`.
    #[serde(rename = "restore")]
    Restore,
    /// `abort`.
    #[serde(rename = "abort")]
    Abort,
}

impl Verb {
    /// The rows of the table, in its order.
    pub const ALL: [Verb; 7] =
        [Verb::Deploy, Verb::Canary, Verb::CanaryOff, Verb::Flip, Verb::FlipBack, Verb::Restore, Verb::Abort];

    /// The words a user types.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Deploy => "deploy",
            Verb::Canary => "canary",
            Verb::CanaryOff => "canary off",
            Verb::Flip => "flip",
            Verb::FlipBack => "flip --back",
            Verb::Restore => "restore",
            Verb::Abort => "abort",
        }
    }

    /// Whether the command only leads traffic back to blue, and so may end an interrupted one.
    pub fn leads_back(self) -> bool {
        matches!(self, Verb::CanaryOff | Verb::FlipBack | Verb::Abort)
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A command with what it needs to become a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Command {
    /// First use: install `release` on both halves and commit `both`.
    Setup {
        /// The site's first release.
        release: Release,
        /// Configuration revision to write.
        revision: u64,
    },
    /// Take green out, install `release`, check it, then give it `canary`, if any.
    Deploy {
        /// The new release.
        release: Release,
        /// Every segment in order, `all` last.
        canary: Option<Vec<SegmentShare>>,
        /// After how long the balancers take the canary back by themselves, unless it is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revert_after_ms: Option<u64>,
    },
    /// Replace the canary's set of shares.
    Canary {
        /// Every segment in order, `all` last.
        shares: Vec<SegmentShare>,
        /// After how long the balancers go back to the earlier traffic by themselves, unless it is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revert_after_ms: Option<u64>,
    },
    /// All traffic back to blue.
    CanaryOff,
    /// All traffic to green.
    Flip {
        /// After how long the balancers go back to the earlier traffic by themselves, unless it is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revert_after_ms: Option<u64>,
    },
    /// All traffic back to blue.
    FlipBack,
    /// Upgrade blue and return both halves to service.
    Restore,
    /// Undo the rollout.
    Abort,
    /// Bring the balancers up to the inventory and the journal.
    Sync {
        /// The revision to write, when the inventory changes what the configuration says or a file differs.
        revision: Option<u64>,
        /// Whether the traffic tree of some balancer differs and is to be applied again.
        traffic: bool,
    },
    /// Keep a shift that would go back by itself.
    Confirm,
    /// Nobody asks for it: a balancer went back by itself, and the others follow.
    Revert,
}

impl Command {
    /// The table's row; `setup` and `sync` stand outside of it.
    pub fn verb(&self) -> Option<Verb> {
        Some(match self {
            Command::Setup { .. } | Command::Sync { .. } | Command::Confirm | Command::Revert => return None,
            Command::Deploy { .. } => Verb::Deploy,
            Command::Canary { .. } => Verb::Canary,
            Command::CanaryOff => Verb::CanaryOff,
            Command::Flip { .. } => Verb::Flip,
            Command::FlipBack => Verb::FlipBack,
            Command::Restore => Verb::Restore,
            Command::Abort => Verb::Abort,
        })
    }

    /// The words a user types, without arguments.
    pub fn as_str(&self) -> &'static str {
        match self {
            Command::Setup { .. } => "setup",
            Command::Sync { .. } => "sync",
            Command::Confirm => "confirm",
            Command::Revert => "revert",
            other => other.verb().map_or("", Verb::as_str),
        }
    }

    /// After how long the shift goes back by itself, where that was asked for. Milliseconds.
    pub fn revert_after_ms(&self) -> Option<u64> {
        match self {
            Command::Deploy { revert_after_ms, .. }
            | Command::Canary { revert_after_ms, .. }
            | Command::Flip { revert_after_ms } => *revert_after_ms,
            _ => None,
        }
    }

    /// The release that the command makes, if it makes one.
    pub fn release(&self) -> Option<&Release> {
        match self {
            Command::Setup { release, .. } | Command::Deploy { release, .. } => Some(release),
            _ => None,
        }
    }

    /// The version of the release that the command makes, if it makes one.
    pub fn version(&self) -> Option<Version> {
        self.release().map(|release| release.version)
    }
}
