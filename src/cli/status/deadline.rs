//! One deadline over everything that `status` asks.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Of the time that the user gives, for putting together what is known, printing it and leaving the hosts; a tenth of it, where
/// that is less.
const END: Duration = Duration::from_millis(200);

/// When the asking ends; what is not known by then is said to be unknown.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    begun: Instant,
    within: Duration,
}

impl Deadline {
    /// An answer is wanted within `within` of `begun`.
    pub fn new(begun: Instant, within: Duration) -> Deadline {
        Deadline { at: begun + within.saturating_sub(END.min(within / 10)), begun, within }
    }

    /// `asked` in time; an error is that it was not.
    pub async fn bound<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.at, asked).await.ok()
    }

    /// The same for what something else waits for, which must be asked in time then.
    pub async fn bound_early<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.begun + self.within / 2, asked).await.ok()
    }

    /// When it is.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// What is said of whoever missed it, after its name.
    pub fn missed(&self) -> String {
        format!("did not answer within {}", self.spoken())
    }

    /// `2 s`.
    pub fn spoken(&self) -> String {
        format!("{} s", self.within.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_come_in_time_is_given_up_and_said_to_be() {
        let deadline = Deadline::new(Instant::now(), Duration::from_millis(50));
        assert_eq!(deadline.bound(async { 1 }).await, Some(1));
        assert_eq!(deadline.bound(std::future::pending::<()>()).await, None);
        assert_eq!(deadline.missed(), "did not answer within 0.05 s");
        assert_eq!(Deadline::new(Instant::now(), Duration::from_secs(2)).spoken(), "2 s");
    }
}
