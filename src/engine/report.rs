//! Work emits reports; one renderer in `cli/` draws them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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
    /// The hosts that the step is about, in the inventory's order; one may stand there twice.
    StepHosts(Vec<String>),
    /// How far something is.
    Progress(Progress),
    /// Something about one host or the whole step that is worth keeping.
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
    /// The command has the lock: how long it waited, or what it finds now.
    Turn(String),
    /// A commit failed and every balancer is being put back.
    PuttingBack,
    /// That is over.
    PutBack {
        /// Whether every balancer has what it had before.
        is_whole: bool,
        /// How long it took.
        elapsed: Duration,
    },
}

/// How far something is, on one host or in the whole step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The host; `None`: the whole step.
    pub host: Option<String>,
    /// Which of several things on that host: the pool.
    pub part: Option<String>,
    /// What there is to say of it.
    pub doing: Doing,
    /// When it is given up, at the latest.
    pub until: Option<Instant>,
    /// The same as a line of a log; `None`: it is not worth one.
    pub line: Option<String>,
}

/// What is being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// This, in words: what is done or waited for.
    Says(String),
    /// So many bytes were sent.
    Sends {
        /// Bytes that are there.
        done: u64,
        /// All of them.
        of: u64,
    },
    /// Its health is asked again and again.
    Checks {
        /// Good answers in a row.
        done: u32,
        /// How many are needed.
        of: u32,
        /// What the last answer was, unless it was good.
        said: Option<String>,
    },
    /// It is through with the step; what is worth saying, or nothing.
    Done(String),
    /// It did not get through, and why.
    Failed(String),
}

impl Progress {
    /// Of one host.
    pub fn of(host: &str, doing: Doing) -> Progress {
        Progress { host: Some(host.to_owned()), part: None, doing, until: None, line: None }
    }

    /// Of the whole step.
    pub fn whole(doing: Doing) -> Progress {
        Progress { host: None, part: None, doing, until: None, line: None }
    }

    /// The same of one thing on that host.
    pub fn part(mut self, part: &str) -> Progress {
        self.part = Some(part.to_owned());
        self
    }

    /// The same with the moment when it is given up.
    pub fn until(mut self, until: Instant) -> Progress {
        self.until = Some(until);
        self
    }

    /// The same, worth a line in a log.
    pub fn line(mut self, line: impl Into<String>) -> Progress {
        self.line = Some(line.into());
        self
    }
}

/// Where reports go.
pub type Reporter = Arc<dyn Fn(Report) + Send + Sync>;
