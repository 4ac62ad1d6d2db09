//! What every kind of journal offers: its records, an append that only follows what its caller has seen, and the queue for
//! the site's lock.

use std::time::Duration;

use async_trait::async_trait;
use bluegreen_core::lock::{Hold, Queue, Ticket};
use nix::time::{ClockId, clock_gettime};

/// How long a command that is not heard of keeps the lock, where no kernel tells of its end: a link that stalls for some
/// seconds, or the election of a leader, ends no rollout, and nobody waits long for a machine that is gone.
pub const LEASE: Duration = Duration::from_secs(15);

/// The time by a clock that goes on while this machine sleeps: a lease is over then too.
pub(super) fn awake_or_not() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;
    clock_gettime(CLOCK).map(Duration::from).expect("this clock is always there")
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, read or written; what it holds is unchanged.
    #[error("{0}")]
    Failed(String),
    /// The same, where it is known what helps.
    #[error("{why}")]
    Mendable {
        /// What happened.
        why: String,
        /// What helps.
        mend: Mend,
    },
    /// The connection went in the middle of an append: whether the record is there is not known.
    #[error("{0}")]
    Unknown(String),
    /// Somebody else appended since its caller read it. Nothing was written.
    #[error("{0}")]
    Conflict(String),
    /// The caller's lease is over: it is not the holder of the lock any more. Nothing was written.
    #[error("{0}")]
    Lost(String),
}

/// What helps a journal that could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Its disk is full.
    Room,
    /// etcd says that its database is.
    RoomInEtcd,
    /// The login user may not use it.
    Rights,
    /// Its host gave no answer.
    Host,
    /// Too few of etcd's members did.
    Members,
}

impl Mend {}

impl StoreError {
    /// A failure of this machine's or that host's system, with what it said.
    pub fn of_system(why: String, said: &str) -> StoreError {
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if says(&["No space left", "quota exceeded", "File too large"]) {
            StoreError::Mendable { why, mend: Mend::Room }
        } else if says(&["Permission denied", "Read-only file system", "Operation not permitted"]) {
            StoreError::Mendable { why, mend: Mend::Rights }
        } else {
            StoreError::Failed(why)
        }
    }
}

/// Where the records that the caller knows end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// Whole records.
    pub records: u64,
    /// Their length in bytes, in a store that is a file of lines.
    pub bytes: u64,
    /// Whether the last whole record lacks its newline.
    pub unterminated: bool,
}

/// One site's journal, wherever it is. What it keeps of its own (a lease, a connection) ends with [`Store::leave`], or
/// within its lease when the process dies.
#[async_trait]
pub trait Store: Send + Sync {
    /// How it is named to the user: its file, or its location as the inventory says it.
    fn name(&self) -> String;

    /// Every record, one a line, as they lie there. A missing journal is an empty one.
    async fn read(&self) -> Result<Vec<u8>, StoreError>;

    /// Who lives and wants the lock, in order.
    async fn queue(&self) -> Result<Queue, StoreError>;

    /// Both at once, the queue first: whoever appended what was read is still in it, or has ended.
    async fn look(&self) -> Result<(Queue, Vec<u8>), StoreError> {
        let queue = self.queue().await?;
        Ok((queue, self.read().await?))
    }

    /// Takes a place at the end of the queue and keeps it while this process lives; returns the ticket's id. Makes the
    /// journal's place (a directory) when it is missing. Not called again before [`Store::leave`].
    async fn enter(&self, ticket: &Ticket) -> Result<String, StoreError>;

    /// Called once, when the ticket is the first: whatever the holder alone takes.
    async fn begin(&self) -> Result<(), StoreError>;

    /// Gives the place in the queue, and with it the lock, back. Best effort: what cannot be reached lets the lease run out.
    async fn leave(&self);

    /// Appends one record (without a newline) behind `end`, durable when this returns, and only while this process has
    /// the lock. Returns the new end.
    async fn append(&self, end: End, line: &str) -> Result<End, StoreError>;

    /// Replaces the lock by hand, when it is `from`; `false` when it is something else.
    async fn set_hold(&self, from: Option<&Hold>, to: Option<&Hold>) -> Result<bool, StoreError>;

    /// How long a waiting command pauses before it looks at the queue again.
    fn pause(&self) -> Duration;

    /// Waits until something may have changed since the queue was looked at last, at most for `within`. A store that
    /// cannot tell waits that long.
    async fn changed(&self, within: Duration) {
        tokio::time::sleep(within).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_tells_what_helps() {
        let hint = |said: &str| StoreError::of_system("it failed".to_owned(), said).hint();
        assert_eq!(hint("No space left on device (os error 28)"), "make room on that disk");
        assert_eq!(hint("mkdir: cannot create directory '/x': Permission denied"), Mend::Rights.as_str());
        assert_eq!(hint("Not a directory (os error 20)"), "mend that");
        assert!(StoreError::Conflict("it was deleted".to_owned()).hint().contains("bring the journal back"));
    }
}
