//! `bg journal copy`: the site moves from one journal to another. At no instant are both open: the new one is held until the
//! old one is closed, whatever kills this command; run again, it goes on where it stopped.

use std::sync::{Arc, atomic::Ordering};

use bluegreen_core::{
    inventory::JournalLocation,
    lock::{Hold, Queue, Ticket, Turn},
    rollout::{Event, State},
};

use super::{Finished, Move, Refusal, Site, by, lock::now, ssh_settings};
use crate::{
    edge::journal::{self, End, OpenError, OpenJournal, Records, Store, StoreError, words},
    engine::{Exit, Journal, Outcome, ways_on},
};

/// One of the two journals.
struct Side {
    /// Its location, as the inventory says it.
    name: String,
    store: Arc<dyn Store>,
}

/// A journal as it was found.
struct Found {
    queue: Queue,
    state: State,
    end: End,
    /// The whole records, as they lie there.
    lines: Vec<String>,
}

impl Side {
    async fn look(&self) -> Result<Found, Outcome> {
        let (queue, bytes) = self.store.look().await?;
        let Records { state, end, entries, .. } = journal::parse(&self.store.name(), &bytes)?;
        let whole = bytes.split(|byte| *byte == b'\n').take(entries.len());
        // They were decoded: they are UTF-8.
        let lines = whole.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        Ok(Found { queue, state, end, lines })
    }
}

impl Site {
    /// Moves the site from one journal to another.
    pub(super) async fn copy_journal(&self, places: &Move, dry_run: bool) -> Result<Finished, Outcome> {
        let (from, to) = (self.side(&places.from), self.side(&places.to));
        if from.name == to.name {
            return Err(Refusal::SamePlace { place: from.name }.into());
        }
        let copied = Copy { site: self, from: &from, to: &to }.run(dry_run).await;
        to.store.leave().await;
        from.store.leave().await;
        copied
    }

    fn side(&self, location: &JournalLocation) -> Side {
        let name = location.to_string();
        let location = location.clone().opened_as(&self.inventory.journal);
        Side { name, store: journal::store(&location, &self.base, ssh_settings(&self.inventory, &self.base)) }
    }
}

/// A move from one journal to another.
struct Copy<'a> {
    site: &'a Site,
    from: &'a Side,
    to: &'a Side,
}

impl Copy<'_> {
    async fn run(&self, dry_run: bool) -> Result<Finished, Outcome> {
        let (from, to) = (self.from.look().await?, self.to.look().await?);
        self.may_leave(&from)?;
        if from.state.moved.is_some() {
            return self.finish(&from, &to, dry_run).await;
        }
        self.may_become(&from, &to)?;
        let count = from.lines.len();
        if dry_run {
            self.is_newest(&from.state).await?;
            let (from_name, to_name) = (&self.from.name, &self.to.name);
            let message = format!(
                "dry run: nothing was touched; {count} records would be copied from `{from_name}` to `{to_name}`, and \
                 `{from_name}` would be closed"
            );
            return Ok(done(&from.state, message, ways_on(&from.state)));
        }
        let ticket = self.ticket();
        let place = self.site.enter(self.from.store.as_ref(), &ticket).await?;
        self.site.wait_for(place, &ticket.command).await?;
        self.take_target(&ticket).await?;
        // Everything again, now that nobody else changes either.
        let (from, to) = (self.from.look().await?, self.to.look().await?);
        self.may_leave(&from)?;
        self.may_become(&from, &to)?;
        self.is_newest(&from.state).await?;
        self.hold(&to).await?;
        self.write(&from, &to).await?;
        self.close().await?;
        self.open_target().await?;
        Ok(done(&from.state, self.moved(from.lines.len()), self.then(&from.state)))
    }

    fn ticket(&self) -> Ticket {
        let waits = self.site.patience.wait.is_some();
        Ticket { by: by(), command: "journal copy".to_owned(), release: None, waits, since: now() }
    }

    /// `from` is a journal of this site, and open, or was moved to `to`.
    fn may_leave(&self, from: &Found) -> Result<(), Outcome> {
        self.site.same_site(&from.state)?;
        if from.state.journal.is_none() {
            return Err(Refusal::NothingToCopy { place: self.from.name.clone() }.into());
        }
        match &from.state.moved {
            Some(moved) if moved.to != self.to.name => Err(Outcome::from(OpenError::Moved(Box::new(moved.clone())))),
            _ => Ok(()),
        }
    }

    /// No host that answers has seen what `from` does not hold: the site would be moved back in time.
    async fn is_newest(&self, from: &State) -> Result<(), Outcome> {
        if from.stage.is_none() && from.open.is_none() {
            // Nothing was ever sent to a host.
            return Ok(());
        }
        self.site.world.all_hosts_are_ours(from).await.map_err(Outcome::from)
    }

    /// `to` is empty, or an unfinished copy of `from`.
    fn may_become(&self, from: &Found, to: &Found) -> Result<(), Outcome> {
        let name = &self.to.name;
        let copy_of = match &to.queue.hold {
            Some(Hold { copy_of: Some(source), .. }) => Some(source),
            Some(hold) => return Err(Outcome::from(OpenError::Held(Box::new(hold.clone())))),
            None => None,
        };
        let is_ours = from.lines.starts_with(&to.lines);
        match copy_of {
            Some(source) if to.lines.is_empty() && !source.is_empty() && *source != self.from.name => {
                Err(Refusal::CopyOfAnother { place: name.clone(), source_place: source.clone() }.into())
            }
            Some(_) if is_ours => Ok(()),
            None if to.lines.is_empty() => Ok(()),
            _ => {
                let whose = match (&to.state.site, &to.state.moved) {
                    (_, Some(moved)) if to.state.journal == from.state.journal => {
                        format!(", which was moved to `{}` and is closed", moved.to)
                    }
                    (Some(site), _) if to.state.journal != from.state.journal => format!(", of the site `{site}`"),
                    _ => String::new(),
                };
                Err(Refusal::NotEmpty { place: name.clone(), whose }.into())
            }
        }
    }

    /// The lock of the new journal, whose hold is no matter to us.
    async fn take_target(&self, ticket: &Ticket) -> Result<(), Outcome> {
        let store = self.to.store.as_ref();
        let id = store.enter(ticket).await?;
        let queue = store.queue().await?;
        match queue.turn(&id) {
            Turn::Ours => store.begin().await.map_err(Outcome::from),
            Turn::Behind(ahead) => Err(Outcome::from(OpenError::Locked(ahead.to_vec()))),
            Turn::Gone => Err(self.failed("its lock was lost")),
        }
    }

    /// From here on nothing begins on the new journal. What was begun as a copy of another one, which was moved to `from`
    /// since, says from now on what it is a copy of.
    async fn hold(&self, to: &Found) -> Result<(), Outcome> {
        let held = to.queue.hold.as_ref();
        if held.is_some_and(|hold| hold.copy_of.as_ref() == Some(&self.from.name)) {
            return Ok(());
        }
        let hold = Hold { by: by(), since: now(), why: None, copy_of: Some(self.from.name.clone()) };
        match self.to.store.set_hold(held, Some(&hold)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.failed("somebody else held it at the same moment")),
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    /// What the new journal lacks, as it lies in the old one; then it is read back.
    async fn write(&self, from: &Found, to: &Found) -> Result<(), Outcome> {
        let count = from.lines.len();
        self.site.world.warn(&format!("copying {count} records to `{}`", self.to.name));
        let mut end = to.end;
        for line in &from.lines[to.lines.len()..] {
            self.stopped(end.records, count)?;
            end = self.to.store.append(end, line).await.map_err(|error| self.failed(&error.to_string()))?;
        }
        self.stopped(end.records, count)?;
        if self.to.look().await?.lines != from.lines {
            return Err(self.failed("what was read back is not what was written"));
        }
        Ok(())
    }

    fn stopped(&self, done: u64, of: usize) -> Result<(), Outcome> {
        if !self.site.interrupted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (from, to) = self.names();
        Err(Refusal::CopyStopped { done, of, from, to }.into())
    }

    /// The old journal's last record. From here on no journal of the site is open until the new one is released.
    async fn close(&self) -> Result<(), Outcome> {
        let failed = |why: String| {
            let (from, to) = self.names();
            Outcome::from(Refusal::NotClosed { why: words::without_reassurance(&why).to_owned(), from, to })
        };
        let opened = OpenJournal::open(self.from.store.clone(), by()).await;
        let mut journal = opened.map_err(|error| failed(error.to_string()))?;
        let moved = vec![Event::Moved { to: self.to.name.clone() }];
        journal.append(moved).await.map_err(|error| failed(error.to_string()))
    }

    /// The new journal's hold goes.
    async fn open_target(&self) -> Result<(), Outcome> {
        let failed = |why: &str| {
            let (from, to) = self.names();
            Outcome::from(Refusal::NotOpened { why: why.to_owned(), from, to })
        };
        let queue = self.to.store.queue().await.map_err(|error: StoreError| failed(&error.to_string()))?;
        let Some(hold) = queue.hold.filter(|hold| hold.copy_of.is_some()) else { return Ok(()) };
        match self.to.store.set_hold(Some(&hold), None).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(failed("its lock by hand changed at the same moment")),
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    /// The old journal is closed already: what was killed behind that is done now.
    async fn finish(&self, from: &Found, to: &Found, dry_run: bool) -> Result<Finished, Outcome> {
        let copied = &from.lines[..from.lines.len() - 1];
        if !to.lines.starts_with(copied) {
            let (from, to) = self.names();
            return Err(Refusal::CopyGone { from, to }.into());
        }
        let said = from.state.moved.as_ref().map(words::moved).unwrap_or_default();
        // Where more is written than was copied, it was opened already.
        let is_held = to.queue.hold.as_ref().is_some_and(|hold| hold.copy_of.is_some());
        if !is_held || to.lines.len() > copied.len() {
            return Ok(done(&to.state, format!("done already; {said}"), self.then(&to.state)));
        }
        if dry_run {
            let message = format!("dry run: nothing was touched; `{}` would be opened", self.to.name);
            return Ok(done(&to.state, message, ways_on(&to.state)));
        }
        self.open_target().await?;
        Ok(done(&to.state, self.moved(copied.len()), self.then(&to.state)))
    }

    fn moved(&self, count: usize) -> String {
        format!(
            "the site's journal is `{}` now: {count} records were copied, read back and compared, and `{}` is closed",
            self.to.name, self.from.name
        )
    }

    fn then(&self, state: &State) -> String {
        if self.site.inventory.journal.to_string() == self.to.name {
            return ways_on(state);
        }
        let whose = match self.to.name.starts_with("file:") {
            true => format!("on this machine, `{}`; no other one reaches it", by().host),
            false => "wherever the site is operated from".to_owned(),
        };
        format!("set `journal = \"{}\"` under `[site]` in the inventory, {whose}", self.to.name)
    }

    fn failed(&self, why: &str) -> Outcome {
        let (from, to) = self.names();
        Refusal::CopyFailed { why: why.to_owned(), from, to }.into()
    }

    /// The old journal's location and the new one's.
    fn names(&self) -> (String, String) {
        (self.from.name.clone(), self.to.name.clone())
    }
}

fn done(state: &State, message: String, hint: String) -> Finished {
    Finished {
        outcome: Outcome { exit: Exit::Done, message, hint: Some(hint) },
        state: Some(state.clone()),
        text: None,
    }
}
