//! The closed set of steps that every plan is made of, and what is recorded before each.

use serde::{Deserialize, Serialize};

use crate::{half::Half, inventory::spoken_duration, release::Version, traffic::Traffic};

/// Whether a shift is all or nothing, or goes as far as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// All balancers or none; the half that receives more must be healthy in full.
    Forward,
    /// Back to blue on every balancer that answers; one healthy place per pool is enough.
    Backward,
}

/// One step of a plan. Each is idempotent: doing it twice leaves what doing it once leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// bg's directories on every balancer.
    CreateDirs,
    /// http.conf and server.conf on every balancer: staged, tested, renamed into place, tested.
    WriteConf {
        /// The configuration revision.
        revision: u64,
    },
    /// Reload every nginx that includes bg's files, and wait until the new revision answers alone.
    ReloadConf {
        /// The configuration revision.
        revision: u64,
    },
    /// Phase one of a shift: generations N (the new traffic) and N+1 (the present one) on every balancer, and beside it
    /// one health request to every place of the half that receives more, under a raised fence.
    Prepare {
        /// The traffic that is to come.
        to: Traffic,
        /// All or nothing, or as far as it goes.
        direction: Direction,
    },
    /// Between the two phases: every balancer will go back from N to N+1 by itself, unless it is told otherwise in time.
    ArmRevert {
        /// How long after. Milliseconds.
        after_ms: u64,
    },
    /// The shift is kept: no balancer goes back by itself any more.
    DisarmRevert,
    /// A balancer went back by itself: every other one is taken to the same generation, as far as it goes.
    Follow {
        /// N+1 of the shift that went back.
        generation: u64,
        /// What it holds.
        to: Traffic,
    },
    /// Phase two: switch every balancer to N and see it confirmed by its workers.
    Commit {
        /// The traffic that is to come.
        to: Traffic,
        /// All or nothing, or as far as it goes.
        direction: Direction,
    },
    /// Wait until no request is in flight on the half and no peer is connected to its servers.
    Drain {
        /// The half that is taken out.
        half: Half,
        /// The release that it is to get: places that have it already are left alone.
        release: Version,
    },
    /// Put the release's content on every place of the half, beside the running one.
    Place {
        /// The half that is upgraded.
        half: Half,
        /// The release that it gets.
        release: Version,
    },
    /// Make the release current on every place of the half, restart, and write the marker last.
    Activate {
        /// The half that is upgraded.
        half: Half,
        /// The release that it gets.
        release: Version,
    },
    /// The full check: successes in a row from every point of view, smoke paths, the release header; fences raised.
    Check {
        /// The half that is checked.
        half: Half,
        /// The release that must answer.
        release: Version,
    },
    /// Remove old releases; never the present or the previous one.
    Prune {
        /// Releases that stay whatever `keep` says.
        protect: Vec<Version>,
    },
}

impl Step {
    /// The step's short name, as used in messages, the journal's readers and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Step::CreateDirs => "create directories",
            Step::WriteConf { .. } => "write configuration",
            Step::ReloadConf { .. } => "reload configuration",
            Step::Prepare { .. } => "prepare traffic",
            Step::Commit { .. } => "commit traffic",
            Step::ArmRevert { .. } => "arm the way back",
            Step::DisarmRevert => "disarm the way back",
            Step::Follow { .. } => "follow the way back",
            Step::Drain { .. } => "drain",
            Step::Place { .. } => "place",
            Step::Activate { .. } => "activate",
            Step::Check { .. } => "check",
            Step::Prune { .. } => "prune",
        }
    }

    /// The half whose servers the step may change or restart.
    pub fn touches(&self) -> Option<Half> {
        match self {
            Step::Place { half, .. } | Step::Activate { half, .. } => Some(*half),
            _ => None,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::CreateDirs => write!(f, "create bg's directories on the balancers"),
            Step::WriteConf { revision } => write!(f, "write http.conf and server.conf, revision {revision}"),
            Step::ReloadConf { revision } => write!(f, "reload nginx with revision {revision}"),
            Step::Prepare { to, .. } => write!(f, "prepare: {to}"),
            Step::Commit { to, .. } => write!(f, "switch: {to}"),
            Step::ArmRevert { after_ms } => {
                write!(f, "arm the way back: in {}, unless it is confirmed", spoken_duration(*after_ms))
            }
            Step::DisarmRevert => write!(f, "disarm the way back"),
            Step::Follow { to, .. } => write!(f, "go back too: {to}"),
            Step::Drain { half, .. } => write!(f, "drain {half}"),
            Step::Place { half, release } => write!(f, "place {release} on {half}"),
            Step::Activate { half, release } => write!(f, "activate {release} on {half}"),
            Step::Check { half, release } => write!(f, "check {half} on {release}"),
            Step::Prune { .. } => write!(f, "remove old releases"),
        }
    }
}

/// The right to change a server: a lower number, or another journal, is refused there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The journal's id.
    pub journal: String,
    /// The index of the `StepStarted` that the change belongs to.
    pub n: u64,
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of journal {}", self.n, self.journal)
    }
}

/// What is recorded before a step's first byte goes out: all that undoing it needs, never file contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Prepare and Commit: the generation N that holds the new traffic; N+1 holds the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Prepare and Commit: the traffic that a put-back returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Place and Activate: the release the half had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Version>,
    /// WriteConf: the revision the balancers had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}
