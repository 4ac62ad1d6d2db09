//! Work emits reports; one renderer in `cli/` draws them.

use std::{sync::Arc, time::Duration};

/// Something that happened while a plan was driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A step begins.
    StepStarted {
        /// Its number, from 1.
        number: usize,
        /// How many the plan has.
        of: usize,
        /// What it does, in words.
        step: String,
    },
    /// Something about one host or the whole step: a count, a state, what is waited for.
    Note {
        /// The host, when it is about one.
        host: Option<String>,
        /// What there is to say.
        text: String,
    },
    /// A step is done.
    StepDone {
        /// What it did, in words.
        step: String,
        /// How long it took.
        elapsed: Duration,
        /// What is worth keeping.
        notes: Vec<String>,
    },
    /// A step failed.
    StepFailed {
        /// What it was to do, in words.
        step: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// How it stands with the site's lock, for a command that waits for it.
    Waiting(String),
    /// A commit failed and every balancer is being put back.
    PuttingBack,
}

/// Where reports go.
pub type Reporter = Arc<dyn Fn(Report) + Send + Sync>;
