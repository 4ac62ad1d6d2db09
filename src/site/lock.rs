//! The site's lock as commands take it: asked for before anything slow or changing, waited for where the user says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bluegreen_core::{
    lock::{Queue, Ticket},
    release::Release,
    rollout::{Moved, State},
};

use super::{Asked, Site, Wanted, by};
use crate::{
    edge::journal::{self, OpenError, OpenJournal, Place, Store, Waiting, words},
    engine::{Outcome, Report},
};

/// The time now, as tickets and holds say it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Site {
    /// Whether this command waits in the queue, at this moment, or is about to take its place there.
    pub fn waits(&self) -> Arc<AtomicBool> {
        self.waits.clone()
    }

    /// Who waits has the lock before anything is decided: what it waits for changes the site. Where nothing was ever begun
    /// there is nothing to wait for, and a refusal makes no queue either.
    pub(super) async fn lock_first(&self, asked: &Asked) -> Result<(), Outcome> {
        let reading = journal::read(self.store.as_ref()).await?;
        if let Some(moved) = reading.state.moved {
            return Err(Outcome::from(OpenError::Moved(Box::new(moved))));
        }
        let is_begun = reading.state.length > 0 || reading.queue != Queue::default();
        if (is_begun || matches!(asked, Asked::Setup(_)))
            && self.lock(asked.as_str(), asked.deploys()).await?
            && is_about_green(asked)
        {
            self.tell_what_it_meets(&reading.state).await;
        }
        Ok(())
    }

    /// Whoever queued had in mind what green had then, or what was ahead; what came before it may have brought another.
    async fn tell_what_it_meets(&self, then: &State) {
        // One that cannot be read is refused a moment later.
        let Ok(now) = journal::read(self.store.as_ref()).await else { return };
        if let Some(said) = meets(on_green(then), on_green(&now.state)) {
            (self.world.reporter)(Report::Turn(said));
        }
    }

    /// Takes the lock, in turn. A deploy that waits reads its artifacts before: what it brings is what lay there when it was
    /// started, and what cannot be read is said at once. Returns whether it has waited.
    pub(super) async fn lock(&self, command: &str, deploys: Option<&Wanted>) -> Result<bool, Outcome> {
        let release = deploys.map(|wanted| wanted.label.clone().unwrap_or_else(|| "a new release".to_owned()));
        let waits = self.patience.wait.is_some();
        let ticket = Ticket { by: by(), command: command.to_owned(), release, waits, since: now() };
        let place = self.enter(self.store.as_ref(), &ticket).await?;
        if let Some(wanted) = deploys.filter(|_| waits) {
            let reading = journal::read(self.store.as_ref()).await?;
            self.make_release(wanted, reading.state.next_version()).await?;
        }
        let has_waited = self.wait_for(place, command).await?;
        self.has_lock.store(true, Ordering::SeqCst);
        Ok(has_waited)
    }

    /// Takes a place in the queue of `store`. Whoever asks a command to stop that would wait is told of the queue from here
    /// on, as everybody who looks at the queue sees it there.
    pub(super) async fn enter<'a>(&self, store: &'a dyn Store, ticket: &Ticket) -> Result<Place<'a>, OpenError> {
        self.waits.store(ticket.waits, Ordering::SeqCst);
        Place::enter(store, ticket).await
    }

    /// Waits for the turn of `command`, as long as the user says; returns whether it had to.
    pub(super) async fn wait_for(&self, place: Place<'_>, command: &str) -> Result<bool, Outcome> {
        let begun = std::time::Instant::now();
        let mut has_waited = false;
        let mut waiting = |now: Waiting<'_>| {
            has_waited |= !now.ahead.is_empty();
            if now.is_news {
                (self.world.reporter)(Report::Waiting(self.in_queue(now)));
            }
            self.interrupted.load(Ordering::SeqCst)
        };
        let taken = place.turn(self.patience, &mut waiting).await;
        self.waits.store(false, Ordering::SeqCst);
        taken?;
        if has_waited {
            let waited = words::duration(begun.elapsed());
            (self.world.reporter)(Report::Turn(format!("it is the turn of `{command}`, after {waited}")));
        }
        Ok(has_waited)
    }

    /// Who has the lock and who is ahead, for whoever waits.
    fn in_queue(&self, now: Waiting<'_>) -> String {
        let Some((holder, others)) = now.ahead.split_first() else { return String::new() };
        let bound = self.patience.wait.map(words::duration).unwrap_or_default();
        let mut text = format!("waiting for the lock, up to {bound}: {} has it", words::ticket(&holder.ticket));
        if !others.is_empty() {
            let ahead: Vec<String> = others.iter().map(|queued| queued.ticket.to_string()).collect();
            text.push_str(&format!("; before this command also {}", ahead.join(", ")));
        }
        if let Some(newer) = now.newer {
            text.push_str(&format!("; it will give way to {newer}, which is newer, unless that one leaves before"));
        }
        text
    }

    /// The journal, locked for this command. Only `setup` may begin one.
    pub(super) async fn open(&self, command: &str) -> Result<OpenJournal, Outcome> {
        if !self.has_lock.load(Ordering::SeqCst) {
            self.lock(command, None).await?;
        }
        let journal = OpenJournal::open(self.store.clone(), by()).await?;
        if let Some(warning) = &journal.warning {
            self.world.warn(warning);
        }
        Ok(journal)
    }

    /// The state, for dry runs and for what is refused before a journal would be made. Refused while another command has
    /// the lock: what it has open is under way, not interrupted. The lock by hand is no matter to a dry run.
    pub(super) async fn peek(&self, dry_run: bool) -> Result<State, Outcome> {
        let mut reading = journal::read(self.store.as_ref()).await?;
        if let Some(moved) = reading.state.moved {
            return Err(Outcome::from(OpenError::Moved(Box::new(moved))));
        }
        if self.assumes_reverted.load(Ordering::SeqCst) {
            reading.state = reading.state.after_revert();
        }
        if self.has_lock.load(Ordering::SeqCst) {
            return Ok(reading.state);
        }
        if let Some(hold) = reading.queue.hold.filter(|hold| !dry_run && self.patience.is_stopped_by(hold)) {
            return Err(Outcome::from(OpenError::Held(Box::new(hold))));
        }
        if reading.queue.tickets.is_empty() {
            return Ok(reading.state);
        }
        Err(Outcome::from(OpenError::Locked(reading.queue.tickets)))
    }
}

/// Whether what it does depends on the release that green has when its turn comes.
fn is_about_green(asked: &Asked) -> bool {
    use Asked::{Abort, Canary, CanaryOff, Flip, FlipBack, Restore, Resume};
    matches!(asked, Canary(..) | CanaryOff | Flip(_) | FlipBack | Restore | Abort | Resume)
}

fn on_green(state: &State) -> Option<&Release> {
    state.releases.get(&state.green?)
}

/// That a command which has waited meets another release on green than was there when it queued. Where green has none now, the
/// command is refused, and says so.
fn meets(then: Option<&Release>, now: Option<&Release>) -> Option<String> {
    let now = now?;
    if then.is_some_and(|then| then.version == now.version) {
        return None;
    }
    let then = then.map_or_else(|| "no whole release".to_owned(), named);
    Some(format!("it acts on {}, which green has now; when it was queued, green had {then}", named(now)))
}

fn named(release: &Release) -> String {
    let Release { version, label, .. } = release;
    if *label == version.to_string() { label.clone() } else { format!("{version} ({label})") }
}

/// How whoever works on the machine `here` follows a site to its new journal.
pub fn follow(moved: &Moved, here: &str) -> String {
    let Moved { to, by, .. } = moved;
    if to.starts_with("file:") && by.host != here {
        let desk = &by.host;
        return format!(
            "operate the site from `{desk}`, or move the journal on to where every machine reaches it: there, \
             `bg journal copy {to} ssh:HOST:/DIRECTORY`"
        );
    }
    format!("set `journal = \"{to}\"` under `[site]` in the inventory")
}

/// What leads on from a hold that cannot be read: released as a lock by hand, an unfinished copy would be a second journal
/// of the site beside the one that it was copied from.
pub const UNREADABLE_HOLD: &str = "an unfinished copy: `bg journal copy FROM TO` again goes on with it · a lock by hand, and nobody \
     holds the site: remove `hold.json` from the journal's directory, or in etcd the key that ends with `/hold`";

#[cfg(test)]
mod tests {
    use bluegreen_core::{release::Version, rollout::By};

    use super::*;

    #[test]
    fn who_waited_is_told_of_another_release_than_was_there() {
        let release = |version, label: &str| {
            let label = label.to_owned();
            Release { version: Version(version), label, pools: Default::default() }
        };
        let (old, new) = (release(2, "v2"), release(3, "1.5"));
        assert_eq!((meets(Some(&old), Some(&old)), meets(Some(&old), None)), (None, None));
        assert_eq!(
            meets(Some(&old), Some(&new)).unwrap(),
            "it acts on v3 (1.5), which green has now; when it was queued, green had v2"
        );
        assert!(meets(None, Some(&old)).unwrap().ends_with("green had no whole release"));
    }

    #[test]
    fn a_file_is_followed_only_on_its_own_machine() {
        let by = By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 };
        let to = |to: &str| Moved { to: to.to_owned(), by: by.clone(), since: "2026-01-01T00:00:00Z".to_owned() };
        let set = |to: &str| format!("set `journal = \"{to}\"` under `[site]` in the inventory");
        assert_eq!(follow(&to("file:a"), "desk"), set("file:a"));
        assert_eq!(follow(&to("ssh:lb1:/a"), "elsewhere"), set("ssh:lb1:/a"));
        let said = follow(&to("file:a"), "elsewhere");
        assert!(
            said.starts_with("operate the site from `desk`") && said.contains("`bg journal copy file:a ssh:"),
            "{said}"
        );
    }
}
