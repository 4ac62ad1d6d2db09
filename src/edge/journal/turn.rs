//! A command's turn: its place in the queue for the site's lock, and the wait until it is the first.

use std::time::{Duration, Instant};

use bluegreen_core::lock::{Hold, Queue, Queued, Ticket, Turn};

use super::{
    open::OpenError,
    store::{Store, StoreError},
};

/// So long may a journal not answer whoever waits: it is asked many times in an hour, and a connection that went may come
/// back. The place in the queue is kept by the lease, or found to be lost.
const UNANSWERED: Duration = Duration::from_secs(30);

/// How a command goes about the lock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// Waits so long for its turn; `None`: it is refused at once.
    pub wait: Option<Duration>,
    /// Gives way to a deploy that queued behind it.
    pub skip_superseded: bool,
    /// The lock by hand is no matter to it: it keeps what is, and begins nothing.
    pub despite_hold: bool,
}

impl Patience {
    /// Whether the lock by hand stands in its way. An unfinished copy stands in everybody's.
    pub fn is_stopped_by(&self, hold: &Hold) -> bool {
        hold.copy_of.is_some() || !self.despite_hold
    }
}

/// How it stands for whoever waits, each time that the queue was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// Who is ahead; the first has the lock. Nobody, when the turn has come or the queue could not be read.
    pub ahead: &'a [Queued],
    /// The newer deploy that this one will give way to, should it still be there then.
    pub newer: Option<&'a Ticket>,
    /// Whether that is another answer than the last one.
    pub is_news: bool,
}

/// Takes a place in the queue and waits for its turn. `waiting` is told how it stands, and answers whether to stop. On an
/// error the place is given back.
pub async fn take_turn(
    store: &dyn Store,
    ticket: &Ticket,
    patience: Patience,
    waiting: &mut (dyn FnMut(Waiting<'_>) -> bool + Send),
) -> Result<(), OpenError> {
    Place::enter(store, ticket).await?.turn(patience, waiting).await
}

/// A place in the queue. It is kept until [`Store::leave`].
pub struct Place<'a> {
    store: &'a dyn Store,
    id: String,
    since: Instant,
}

impl Place<'_> {
    /// Takes the place at the end.
    pub async fn enter<'a>(store: &'a dyn Store, ticket: &Ticket) -> Result<Place<'a>, OpenError> {
        let id = store.enter(ticket).await?;
        Ok(Place { store, id, since: Instant::now() })
    }

    /// Waits for the turn, from when the place was taken; then this process has the lock. On an error the place is given
    /// back.
    pub async fn turn(
        self,
        patience: Patience,
        waiting: &mut (dyn FnMut(Waiting<'_>) -> bool + Send),
    ) -> Result<(), OpenError> {
        let taken = match self.wait(patience, waiting).await {
            Ok(()) => self.store.begin().await.map_err(OpenError::from),
            Err(error) => Err(error),
        };
        if taken.is_err() {
            self.store.leave().await;
        }
        taken
    }

    async fn wait(
        &self,
        patience: Patience,
        waiting: &mut (dyn FnMut(Waiting<'_>) -> bool + Send),
    ) -> Result<(), OpenError> {
        let mut told: Option<(Vec<Queued>, Option<Ticket>)> = None;
        let mut answered = Instant::now();
        loop {
            let queue = match self.store.queue().await {
                Ok(queue) => queue,
                Err(StoreError::Failed(_) | StoreError::Mendable { .. })
                    if told.is_some() && answered.elapsed() < UNANSWERED =>
                {
                    if waiting(Waiting { ahead: &[], newer: None, is_news: false }) {
                        return Err(OpenError::Stopped);
                    }
                    tokio::time::sleep(self.store.pause()).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            answered = Instant::now();
            if let Some(hold) = queue.hold.as_ref().filter(|hold| patience.is_stopped_by(hold)) {
                return Err(OpenError::Held(Box::new(hold.clone())));
            }
            let newer = queue.overtaken_by(&self.id).filter(|_| patience.skip_superseded);
            let Some(ahead) = self.ahead(&queue)? else {
                if waiting(Waiting { ahead: &[], newer, is_news: false }) {
                    return Err(OpenError::Stopped);
                }
                return newer.map_or(Ok(()), |newer| Err(OpenError::Overtaken(Box::new(newer.clone()))));
            };
            let left = self.left(patience, ahead)?;
            let now = Some((ahead.to_vec(), newer.cloned()));
            if waiting(Waiting { ahead, newer, is_news: now != told }) {
                return Err(OpenError::Stopped);
            }
            told = now;
            self.store.changed(self.store.pause().min(left)).await;
        }
    }

    /// Who is ahead; `None`: it is this one's turn.
    fn ahead<'q>(&self, queue: &'q Queue) -> Result<Option<&'q [Queued]>, OpenError> {
        match queue.turn(&self.id) {
            Turn::Ours => Ok(None),
            Turn::Behind(ahead) => Ok(Some(ahead)),
            Turn::Gone => Err(OpenError::Store(StoreError::Lost(format!(
                "this command lost its place in the queue of the journal `{}`: its lease was not renewed in time (the \
                 connection was gone, or this machine slept). Nothing was touched",
                self.store.name()
            )))),
        }
    }

    /// How long it goes on waiting.
    fn left(&self, patience: Patience, ahead: &[Queued]) -> Result<Duration, OpenError> {
        let Some(wait) = patience.wait else { return Err(OpenError::Locked(ahead.to_vec())) };
        match wait.checked_sub(self.since.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(OpenError::NotFree { ahead: ahead.to_vec(), waited: wait }),
        }
    }
}

/// The lease is over.
pub(super) fn lost(name: &str) -> StoreError {
    StoreError::Lost(format!(
        "this command lost the lock of the journal `{name}`: its lease was not renewed in time (the connection was gone, or \
         this machine slept), and another command may have it now. Nothing more was done"
    ))
}
