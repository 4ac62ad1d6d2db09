//! The journal's alphabet, and one entry as one line of text.
//!
//! A line is a JSON object that begins with `"sum"`, the first 16 hex digits of the sha256 of the rest, so that a torn or
//! changed line is seen as such. One append is one line: what is decided together is recorded together.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{command::Command, plan::Plan, step::Before};
use crate::hex::hex;
use crate::release::{Release, Version};
use crate::text::plain_string;

/// The version of the format that this program writes, and the highest that it reads.
pub const FORMAT: u32 = 1;

/// Something that was intended, done or seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The journal begins.
    SiteCreated {
        /// The site's name.
        site: String,
        /// The journal's id.
        journal: String,
    },
    /// A release got its number.
    ReleaseMade {
        /// All of it.
        release: Release,
    },
    /// A rollout begins.
    RolloutStarted {
        /// r1, r2, …
        number: u64,
        /// The first bucket that a canary of this rollout takes.
        offset: u8,
        /// The release that an abort returns to.
        from: Version,
    },
    /// A command was expanded into its plan.
    CommandStarted {
        /// The command with its arguments.
        command: Command,
        /// Its steps.
        plan: Plan,
        /// The inventory's digest.
        digest: String,
    },
    /// A step is about to be done; durable before its first byte goes out.
    StepStarted {
        /// Its index in the plan.
        step: usize,
        /// What undoing it needs.
        #[serde(default)]
        before: Before,
    },
    /// A step is done.
    StepDone {
        /// Its index in the plan.
        step: usize,
        /// What it saw that is worth keeping (a drain's number of cut requests, skipped places).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// A step failed. The command goes on only when a `CommandEnded` does not follow.
    StepFailed {
        /// Its index in the plan.
        step: usize,
        /// What happened, as shown.
        why: String,
        /// Whether undoing it has begun: then `resume` finishes the undoing.
        undoing: bool,
    },
    /// The undoing of a failed commit is done: every balancer is on the put-back generation.
    Undone {
        /// The commit's index in the plan.
        step: usize,
    },
    /// The undoing did not reach every balancer. The command stays open.
    UndoFailed {
        /// The commit's index in the plan.
        step: usize,
        /// The balancers that did not confirm, with what each said.
        hosts: Vec<(String, String)>,
    },
    /// Balancers went back by themselves from an armed shift that nobody confirmed; the others are to follow.
    Reverted {
        /// N of the shift: they are on N+1.
        generation: u64,
        /// Which, with when (RFC 3339, UTC) where they recorded it.
        hosts: Vec<(String, Option<String>)>,
    },
    /// The balancers' configuration says this revision now.
    Configured {
        /// The revision.
        revision: u64,
        /// sha256 over the rendered files of all balancers.
        digest: String,
    },
    /// The inventory's digest is accepted as the journal's own.
    Synced {
        /// The inventory's digest.
        digest: String,
        /// Its hosts, one line each: what may not change by itself.
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// The command is over.
    CommandEnded {
        /// Whether it did what it was to do.
        done: bool,
        /// Why it ended otherwise: failed, or superseded by another command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The rollout is over; the site is balanced.
    RolloutEnded {
        /// Its number.
        number: u64,
    },
    /// The site goes on in another journal, which holds everything before this. Nothing follows here.
    Moved {
        /// Where that is, as the inventory is to say it.
        to: String,
    },
}

/// Who appended an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The login name.
    #[serde(deserialize_with = "plain_string")]
    pub user: String,
    /// The machine.
    #[serde(deserialize_with = "plain_string")]
    pub host: String,
    /// The process id.
    pub pid: u32,
}

/// One append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORMAT`].
    pub v: u32,
    /// 0, 1, 2, …: its place in the journal.
    pub index: u64,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// By whom.
    pub by: By,
    /// What; at least one.
    pub events: Vec<Event>,
}

/// Why a line is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not of the form of an entry at all.
    #[error("it is not a record of a journal")]
    Form,
    /// Its checksum does not match: it was changed or torn.
    #[error("its checksum does not match its content")]
    Sum,
    /// It was written by a newer program.
    #[error("it was written in format {0}, and this program reads up to {FORMAT}: use a newer bg")]
    Future(u32),
    /// The checksum is right and the content is not known.
    #[error("it cannot be read: {0}")]
    Content(String),
}

const HEAD: &str = r#"{"sum":""#;
const SUM_DIGITS: usize = 16;

fn checksum(rest: &str) -> String {
    let digest = Sha256::digest(rest.as_bytes());
    hex(&digest[..SUM_DIGITS / 2])
}

/// The entry as one line, without the newline.
pub fn encode(entry: &Entry) -> String {
    // Serializing these types cannot fail: no maps with non-string keys, no foreign Serialize.
    let body = serde_json::to_string(entry).expect("an entry is plain data");
    let rest = &body[1..];
    format!("{HEAD}{}\",{rest}", checksum(rest))
}

/// The entry that `line` (without the newline) holds.
pub fn decode(line: &str) -> Result<Entry, DecodeError> {
    let rest = line.strip_prefix(HEAD).ok_or(DecodeError::Form)?;
    let sum = rest.get(..SUM_DIGITS).ok_or(DecodeError::Form)?;
    let rest = rest[SUM_DIGITS..].strip_prefix("\",").ok_or(DecodeError::Form)?;
    if checksum(rest) != sum {
        return Err(DecodeError::Sum);
    }
    let body = format!("{{{rest}");
    #[derive(Deserialize)]
    struct Format {
        v: u32,
    }
    let format: Format = serde_json::from_str(&body).map_err(|e| DecodeError::Content(e.to_string()))?;
    if format.v > FORMAT {
        return Err(DecodeError::Future(format.v));
    }
    serde_json::from_str(&body).map_err(|e| DecodeError::Content(e.to_string()))
}
