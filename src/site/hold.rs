//! `bg lock` and `bg unlock`: the site held by hand. It has no lease, and is never waited for.

use bluegreen_core::lock::Hold;
use jiff::Timestamp;

use super::{
    Finished, Refusal, Site, by,
    lock::{follow, now},
};
use crate::{
    edge::journal::{self, OpenError, words},
    engine::{Exit, Outcome, goes_back, goes_back_at, sentence, ways_on},
};

/// How often a lock that changes under the hands is tried again.
const TRIES: usize = 3;

impl Site {
    /// From now on no command begins; one that is under way goes on.
    pub(super) async fn hold(&self, why: Option<String>, dry_run: bool) -> Result<Finished, Outcome> {
        let reading = journal::read(self.store.as_ref()).await?;
        let state = reading.state;
        self.same_site(&state)?;
        if let Some(moved) = state.moved {
            return Err(Outcome::from(OpenError::Moved(Box::new(moved))));
        }
        if state.journal.is_none() {
            return Err(Refusal::NothingToHold.into());
        }
        if let Some(hold) = reading.queue.hold {
            return Err(Outcome::from(OpenError::Held(Box::new(hold))));
        }
        let (armed, goes_back_at) = (state.armed.is_some(), state.armed.as_ref().and_then(goes_back_at));
        let finished = |message: String| {
            let outcome = Outcome { exit: Exit::Done, message, hint: Some("`bg unlock` releases it".to_owned()) };
            Finished { outcome, state: Some(state), text: None }
        };
        if dry_run {
            return Ok(finished("dry run: nothing was touched; `bg lock` would hold the site".to_owned()));
        }
        let hold = Hold { by: by(), since: now(), why, copy_of: None };
        if !self.store.set_hold(None, Some(&hold)).await? {
            return Err(self.held_meanwhile().await);
        }
        // Looked at after the hold stands: whoever is not seen here sees the hold.
        let tickets = self.store.queue().await.map(|queue| queue.tickets).unwrap_or_default();
        let mut message = "the site is held by hand: no command begins until `bg unlock`".to_owned();
        if armed {
            let when = goes_back(goes_back_at, Timestamp::now());
            message.push_str(&format!("; the traffic {when}, and `bg confirm` is not held up"));
        }
        if let Some((under_way, waiting)) = tickets.split_first() {
            message.push_str(&format!("; {} is under way and goes on to its end", under_way.ticket));
            if !waiting.is_empty() {
                message.push_str(&format!(", and what waits for the lock is refused ({})", waiting.len()));
            }
        }
        Ok(finished(message))
    }

    async fn held_meanwhile(&self) -> Outcome {
        match self.store.queue().await {
            Ok(queue) => match queue.hold {
                Some(hold) => Outcome::from(OpenError::Held(Box::new(hold))),
                None => Refusal::HeldMeanwhile.into(),
            },
            Err(error) => error.into(),
        }
    }

    /// Ends the hold, whoever made it.
    pub(super) async fn release(&self, dry_run: bool) -> Result<Finished, Outcome> {
        let store = self.store.as_ref();
        for _ in 0..TRIES {
            let queue = store.queue().await?;
            // A journal that cannot be read is no reason to hold the site.
            let state = journal::read(store).await.ok().map(|reading| reading.state);
            let finished = |message: String| {
                let moved = state.as_ref().and_then(|state| state.moved.as_ref());
                let message = match moved {
                    Some(moved) => format!("{message}. {}", sentence(&words::moved(moved))),
                    None => message,
                };
                let hint = moved.map(|moved| follow(moved, &by().host)).or_else(|| state.as_ref().map(ways_on));
                let outcome = Outcome { exit: Exit::Done, message, hint };
                Finished { outcome, state: state.clone(), text: None }
            };
            let Some(hold) = &queue.hold else {
                let under_way = queue
                    .holder()
                    .map(|holder| format!(": {holder} is under way, and gives the lock back by itself when it ends"));
                return Ok(finished(format!("the site is not held by hand{}", under_way.unwrap_or_default())));
            };
            if hold.copy_of.is_some() {
                return Err(Outcome::from(OpenError::Held(Box::new(hold.clone()))));
            }
            if dry_run {
                return Ok(finished(format!("dry run: nothing was touched; {}", words::hold(hold))));
            }
            if store.set_hold(Some(hold), None).await? {
                return Ok(finished(format!("released; {}", words::hold(hold).replacen(" is held ", " was held ", 1))));
            }
        }
        Err(Refusal::HoldChanged.into())
    }
}
