//! A journal opened for one command: its state, its appends.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bluegreen_core::{
    lock::{Hold, Queue, Queued, Ticket},
    rollout::{By, Entry, Event, FORMAT, Moved, State, encode},
};

use super::{
    records::{Records, parse},
    store::{End, Store, StoreError},
    words,
};
use crate::engine::{Journal, JournalError};

/// Why a journal was not opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another command has the lock, or waits for it since before.
    #[error("another bg is under way on this site: {}. Nothing was touched", taken(.0))]
    Locked(Vec<Queued>),
    /// Somebody holds the lock by hand, or the journal is an unfinished copy.
    #[error("{}. Nothing was touched", words::hold(.0))]
    Held(Box<Hold>),
    /// The turn did not come in time.
    #[error("the lock did not become free within {}: {}. Nothing was touched", words::duration(*.waited), taken(.ahead))]
    NotFree {
        /// Who is ahead; the first has it.
        ahead: Vec<Queued>,
        /// How long was waited.
        waited: Duration,
    },
    /// A newer deploy queued behind this one, which was to give way then.
    #[error("gave way to a newer release: {0} waits behind it. Nothing was touched")]
    Overtaken(Box<Ticket>),
    /// Ctrl-C before it had the lock.
    #[error("stopped as asked before it had the lock. Nothing was touched")]
    Stopped,
    /// The site goes on in another journal.
    #[error("{}. Nothing was touched", words::moved(.0))]
    Moved(Box<Moved>),
    /// A line was written by a newer program.
    #[error("the journal `{name}` cannot be read from line {line} on: {why}. Nothing was touched")]
    Newer {
        /// The journal.
        name: String,
        /// The line, from 1.
        line: usize,
        /// Which format it is in.
        why: String,
    },
    /// A line is damaged, or does not follow.
    #[error("the journal `{name}` is damaged at line {line}: {why}. Nothing was touched")]
    Damaged {
        /// The journal.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store said no.
    #[error("{}", untouched(.0))]
    Store(#[from] StoreError),
}

/// A lost lock says itself how far it came.
fn untouched(error: &StoreError) -> String {
    if matches!(error, StoreError::Lost(_)) { error.to_string() } else { format!("{error}. Nothing was touched") }
}

/// Who has the lock and how many are behind; with nobody left in the queue, nothing is known of it.
fn taken(tickets: &[Queued]) -> String {
    let Some((holder, others)) = tickets.split_first() else { return "it has left since".to_owned() };
    let holder = words::ticket(&holder.ticket);
    match others.len() {
        0 => holder,
        1 => format!("{holder}; 1 more waits behind it"),
        count => format!("{holder}; {count} more wait behind it"),
    }
}

/// What reading a journal without its lock gives.
#[derive(Debug)]
pub struct Reading {
    /// Every whole record.
    pub entries: Vec<Entry>,
    /// What replaying them gives.
    pub state: State,
    /// What was dropped, in words.
    pub warning: Option<String>,
    /// Who has the lock and who waits for it.
    pub queue: Queue,
}

/// Reads the journal without taking its lock. A missing journal is an empty one.
pub async fn read(store: &dyn Store) -> Result<Reading, OpenError> {
    let (queue, records) = store.look().await?;
    let Records { entries, state, warning, .. } = parse(&store.name(), &records)?;
    Ok(Reading { entries, state, warning, queue })
}

/// An open journal. Its process has the lock until the store is left.
pub struct OpenJournal {
    store: Arc<dyn Store>,
    state: State,
    end: End,
    by: By,
    /// What was dropped when it was opened, in words.
    pub warning: Option<String>,
}

impl OpenJournal {
    /// Replays the journal for appending. The turn must have been taken. A closed journal is refused.
    pub async fn open(store: Arc<dyn Store>, by: By) -> Result<OpenJournal, OpenError> {
        let Records { state, warning, end, .. } = parse(&store.name(), &store.read().await?)?;
        if let Some(moved) = &state.moved {
            return Err(OpenError::Moved(Box::new(moved.clone())));
        }
        Ok(OpenJournal { store, state, end, by, warning })
    }
}

#[async_trait(?Send)]
impl Journal for OpenJournal {
    fn state(&self) -> &State {
        &self.state
    }

    async fn append(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        let entry = Entry {
            v: FORMAT,
            index: self.state.length,
            at: jiff::Timestamp::now().to_string(),
            by: self.by.clone(),
            events,
        };
        let mut next = self.state.clone();
        next.apply(&entry).map_err(|error| {
            not_appended(&self.store.name(), &error.to_string(), "report that: it is an error of bg's own")
        })?;
        match self.store.append(self.end, &encode(&entry)).await {
            Ok(end) => {
                self.end = end;
                self.state = next;
                Ok(())
            }
            Err(error) => Err(error.in_append(&self.store.name())),
        }
    }
}

impl StoreError {
    /// The same of an append to the journal of that name.
    pub fn in_append(self, name: &str) -> JournalError {
        let hint = self.hint();
        match self {
            StoreError::Unknown(message) => JournalError { message, hint: hint.to_owned(), is_unknown: true },
            StoreError::Lost(message) => JournalError { message, hint: hint.to_owned(), is_unknown: false },
            StoreError::Failed(why) | StoreError::Mendable { why, .. } | StoreError::Conflict(why) => {
                not_appended(name, &why, hint)
            }
        }
    }
}

fn not_appended(name: &str, why: &str, hint: &str) -> JournalError {
    let message = format!(
        "the journal `{name}` could not be appended to: {why}. What it holds is unchanged, and nothing more was done"
    );
    JournalError { message, hint: hint.to_owned(), is_unknown: false }
}
