//! What a user asks of a site.

use bluegreen_core::{inventory::JournalLocation, traffic::SegmentShare};

use super::Wanted;

/// What the user asked for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// `setup`.
    Setup(Wanted),
    /// `deploy`, with the canary's shares, every segment in order, and after how long it goes back by itself.
    Deploy(Wanted, Option<Vec<SegmentShare>>, Option<u64>),
    /// `canary SEGMENT=PERCENT…`, every segment in order, and after how long (ms) it goes back by itself.
    Canary(Vec<SegmentShare>, Option<u64>),
    /// `canary off`.
    CanaryOff,
    /// `flip`, and after how long (ms) it goes back by itself.
    Flip(Option<u64>),
    /// `flip --back`.
    FlipBack,
    /// `restore`.
    Restore,
    /// `abort`.
    Abort,
    /// `resume`.
    Resume,
    /// `sync`, of these balancers or of all.
    Sync(Vec<String>),
    /// `lock`, with what for.
    Lock(Option<String>),
    /// `unlock`.
    Unlock,
    /// `confirm`.
    Confirm,
    /// `journal copy FROM TO`.
    CopyJournal(Box<Move>),
}

/// From where to where a journal is moved.
#[derive(Debug, Clone)]
pub struct Move {
    /// Where it is.
    pub from: JournalLocation,
    /// Where it is to be.
    pub to: JournalLocation,
}

impl Asked {
    /// The words a user types, without arguments.
    pub fn as_str(&self) -> &'static str {
        match self {
            Asked::Setup(_) => "setup",
            Asked::Deploy(..) => "deploy",
            Asked::Canary(..) => "canary",
            Asked::CanaryOff => "canary off",
            Asked::Flip(_) => "flip",
            Asked::FlipBack => "flip --back",
            Asked::Restore => "restore",
            Asked::Abort => "abort",
            Asked::Resume => "resume",
            Asked::Sync(_) => "sync",
            Asked::Lock(_) => "lock",
            Asked::Unlock => "unlock",
            Asked::Confirm => "confirm",
            Asked::CopyJournal(..) => "journal copy",
        }
    }

    /// The release that a deploy is to bring.
    pub(super) fn deploys(&self) -> Option<&Wanted> {
        match self {
            Asked::Deploy(wanted, ..) => Some(wanted),
            _ => None,
        }
    }

    /// Whether it takes its turn among the commands that change the site. Copying does so by itself, in both journals.
    pub(super) fn takes_the_lock(&self) -> bool {
        !matches!(self, Asked::Lock(_) | Asked::Unlock | Asked::CopyJournal(..))
    }
}
