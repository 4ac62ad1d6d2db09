//! A journal opened for one command: its turn in the queue, its state, its appends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bluegreen_core::{
    lock::{Hold, Queue, Queued, Ticket, Turn},
    rollout::{By, Entry, Event, FORMAT, State, encode},
};

use super::{
    records::{Records, parse},
    store::{End, Store, StoreError},
};
use crate::engine::{Journal, JournalError};

/// Why a journal was not opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another command has the lock; who, as far as it said.
    #[error("another bg is under way on this site{}", .holder.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    Locked {
        /// What the holder said of itself.
        holder: Option<String>,
    },
    /// Somebody holds the lock by hand.
    #[error("the site is {0}. Nothing was touched")]
    Held(Box<Hold>),
    /// The turn did not come in time.
    #[error("the site's lock did not become free within {}: {holder} has it. Nothing was touched", words(*.waited))]
    NotFree {
        /// Who has it.
        holder: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A newer deploy queued behind this one, which was to give way then.
    #[error("gave way to the newer {0}, which waits behind it. Nothing was touched")]
    Overtaken(Box<Ticket>),
    /// Ctrl-C while it waited.
    #[error("stopped as asked while waiting for the site's lock. Nothing was touched")]
    Stopped,
    /// A line is damaged, from the future, or does not follow.
    #[error("the journal `{name}` is damaged at line {line}: {why}")]
    Damaged {
        /// The journal.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A duration as people say it: `90 s`, `10 min`.
fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 120 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
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

/// How a command goes about the lock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// Waits so long for its turn; `None`: it is refused at once.
    pub wait: Option<Duration>,
    /// Gives way to a deploy that queued behind it.
    pub skip_superseded: bool,
}

/// Takes a place in the queue and waits for its turn. `waiting` is told whenever it changes who is ahead, and asked
/// whether to stop. On an error the place is given back.
pub async fn take_turn(
    store: &dyn Store,
    ticket: &Ticket,
    patience: Patience,
    waiting: &mut (dyn FnMut(&[Queued]) -> bool + Send),
) -> Result<(), OpenError> {
    let id = store.enter(ticket).await?;
    let taken = match turn(store, &id, patience, waiting).await {
        Ok(()) => store.begin().await.map_err(OpenError::from),
        Err(error) => Err(error),
    };
    if taken.is_err() {
        store.leave().await;
    }
    taken
}

async fn turn(
    store: &dyn Store,
    id: &str,
    patience: Patience,
    waiting: &mut (dyn FnMut(&[Queued]) -> bool + Send),
) -> Result<(), OpenError> {
    let begun = Instant::now();
    let mut told: Option<Vec<Queued>> = None;
    loop {
        let queue = store.queue().await?;
        if let Some(hold) = queue.hold.clone() {
            return Err(OpenError::Held(Box::new(hold)));
        }
        let ahead = match queue.turn(id) {
            Turn::Ours => {
                let newer = queue.overtaken_by(id).filter(|_| patience.skip_superseded);
                return newer.map_or(Ok(()), |newer| Err(OpenError::Overtaken(Box::new(newer.clone()))));
            }
            Turn::Gone => return Err(lost(&store.name()).into()),
            Turn::Behind(ahead) => ahead,
        };
        let holder = ahead[0].ticket.to_string();
        let Some(wait) = patience.wait else { return Err(OpenError::Locked { holder: Some(holder) }) };
        if begun.elapsed() >= wait {
            return Err(OpenError::NotFree { holder, waited: wait });
        }
        let is_news = told.as_deref() != Some(ahead);
        if waiting(if is_news { ahead } else { &[] }) {
            return Err(OpenError::Stopped);
        }
        if is_news {
            told = Some(ahead.to_vec());
        }
        tokio::time::sleep(store.pause().min(wait.saturating_sub(begun.elapsed()))).await;
    }
}

/// The lease is over.
pub(super) fn lost(name: &str) -> StoreError {
    StoreError::Lost(format!(
        "this command lost the lock of the journal `{name}`: its lease was not renewed in time (the connection was gone, or \
         this machine slept), and another command may have it now. Nothing more was done"
    ))
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
    /// Replays the journal for appending. The turn must have been taken.
    pub async fn open(store: Arc<dyn Store>, by: By) -> Result<OpenJournal, OpenError> {
        let Records { state, warning, end, .. } = parse(&store.name(), &store.read().await?)?;
        Ok(OpenJournal { store, state, end, by, warning })
    }

    fn failed(&self, why: &str) -> JournalError {
        JournalError {
            message: format!(
                "the journal `{}` could not be appended to: {why}. What it holds is unchanged, and nothing more was done",
                self.store.name()
            ),
            hint: "make room or mend that".to_owned(),
            is_unknown: false,
        }
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
        next.apply(&entry).map_err(|error| self.failed(&error.to_string()))?;
        match self.store.append(self.end, &encode(&entry)).await {
            Ok(end) => {
                self.end = end;
                self.state = next;
                Ok(())
            }
            Err(StoreError::Failed(why) | StoreError::Conflict(why)) => Err(self.failed(&why)),
            Err(StoreError::Unknown(message)) => Err(JournalError {
                message,
                hint: "see where the site stands with `bg status`".to_owned(),
                is_unknown: true,
            }),
            Err(StoreError::Lost(message)) => {
                Err(JournalError { message, hint: "see who is at work with `bg status`".to_owned(), is_unknown: false })
            }
        }
    }
}
