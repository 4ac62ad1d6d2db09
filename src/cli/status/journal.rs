//! What the journal says, or why it does not say where the site stands and what to do about that.

use bluegreen_core::{
    inventory::JournalLocation,
    lock::{Hold, Queue},
    rollout::{Moved, State},
};
use jiff::Timestamp;

use super::{
    ask::Looks,
    deadline::Deadline,
    recent::{self, Change},
};
use crate::{
    edge::{
        journal::{OpenError, Store, parse, words},
        server::Fence,
        world::{newer_copy, overtaken},
    },
    engine::{Failure, sentence},
    site::{UNREADABLE_HOLD, by, follow},
};

/// Why no journal says where the site stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blind {
    /// It cannot be read.
    Unreadable,
    /// There is none, and the hosts belong to one.
    Lost,
    /// It is an unfinished copy: what it says is not the whole.
    Copy,
    /// It is closed: the site goes on in another one.
    Moved,
    /// A host has seen what it does not hold: it is an outdated copy.
    Outdated,
}

impl Blind {
    /// As the reason for the stage not being known.
    pub fn because(self) -> &'static str {
        match self {
            Blind::Unreadable => "its journal cannot be read",
            Blind::Lost => "its journal is not here",
            Blind::Copy => "this is not its journal yet",
            Blind::Moved => "this is its journal no more",
            Blind::Outdated => "this journal is outdated",
        }
    }
}

/// What follows from a journal that cannot be read.
const UNTIL_IT_CAN: &str = "Until it can be read, nobody knows what is intended or whether a command is open, and every command \
                            that changes the site is refused; the site goes on serving what the balancers say";

/// What the journal says, as far as it can be read.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// What replaying it gives; `None` where that is not where the site stands.
    pub state: Option<State>,
    /// Why it is not.
    pub blind: Option<Blind>,
    /// Who has its lock, who waits for it, who holds it by hand.
    pub queue: Queue,
    /// What is wrong with it, in words.
    pub problem: Option<String>,
    /// What to do about that, as a hint.
    pub hint: Option<String>,
    /// Where the site went, when it is closed.
    pub moved: Option<Moved>,
    /// What changed in the last hour.
    pub recent: Vec<Change>,
}

impl Journal {
    /// Where it stands, when a command is open in it that nobody carries on.
    pub fn interrupted(&self) -> Option<&State> {
        self.state.as_ref().filter(|state| self.queue.tickets.is_empty() && state.open.is_some())
    }

    fn blind(blind: Blind, queue: Queue, problem: String, hint: String) -> Journal {
        Journal { blind: Some(blind), queue, problem: Some(problem), hint: Some(hint), ..Journal::default() }
    }

    /// How many records it has, where they say where the site stands.
    pub fn length(&self) -> Option<u64> {
        Some(self.state.as_ref()?.length)
    }

    /// The refusal of an outdated copy, when a host was seen to have what this one does not hold.
    pub fn newer(&self, looks: &Looks, fences: &[(String, Fence)]) -> Option<Failure> {
        let state = self.state.as_ref()?;
        let journal = state.journal.as_deref()?;
        let mut looks = looks.iter().filter_map(|(_, look)| look.as_ref().ok());
        let on_balancer = looks.find_map(|look| newer_copy(look, journal, state.generation));
        on_balancer.or_else(|| fences.iter().find_map(|(host, fence)| overtaken(host, fence, state)))
    }

    /// The same once a host was seen to have what this one does not hold, as a command's refusal says it.
    pub fn outdated(self, refusal: &Failure) -> Journal {
        let problem = words::without_reassurance(&refusal.message).to_owned();
        let hint = refusal.hint.as_deref().unwrap_or("use the newest copy of the journal");
        Journal::blind(Blind::Outdated, self.queue, problem, hint.to_owned())
    }

    /// What that means and what to do, as sentences without the last full stop.
    pub fn then(&self) -> Option<String> {
        let hint = sentence(self.hint.as_ref()?);
        Some(if self.blind == Some(Blind::Unreadable) { format!("{UNTIL_IT_CAN}. {hint}") } else { hint })
    }
}

/// Reads it without its lock. `to`: its location, as the inventory says it.
pub async fn read(store: &dyn Store, to: &JournalLocation, deadline: Deadline) -> Journal {
    let problem = |error: &OpenError| words::without_reassurance(&error.to_string()).to_owned();
    let unread = |queue, error: OpenError| {
        Journal::blind(Blind::Unreadable, queue, problem(&error), error.unread_hint().to_owned())
    };
    let (queue, bytes) = match deadline.bound(store.look()).await {
        Some(Ok(looked)) => looked,
        Some(Err(error)) => return unread(Queue::default(), error.into()),
        None => {
            let problem = format!("the journal `{}` was not read within {}", store.name(), deadline.spoken());
            let hint =
                "see to where it is, and to the line to it; over a slow one `bg status --timeout 10s` waits longer";
            return Journal::blind(Blind::Unreadable, Queue::default(), problem, hint.to_owned());
        }
    };
    if let Some(hold) = queue.hold.clone().filter(|hold| hold.copy_of.is_some()) {
        return Journal::blind(Blind::Copy, queue, words::hold(&hold), finishes(&hold, to));
    }
    let records = match parse(&store.name(), &bytes) {
        Ok(records) => records,
        Err(error) => return unread(queue, error),
    };
    if let Some(moved) = records.state.moved {
        // It says how the site stood when it was closed, and not how it stands.
        let hint = follow(&moved, &by().host);
        let closed = Journal::blind(Blind::Moved, queue, words::moved(&moved), hint);
        return Journal { moved: Some(moved), ..closed };
    }
    Journal {
        recent: recent::changes(&records.entries, Timestamp::now()),
        state: Some(records.state),
        queue,
        problem: records.warning,
        ..Journal::default()
    }
}

/// What leads on from an unfinished copy, as a hint.
fn finishes(hold: &Hold, to: &JournalLocation) -> String {
    if hold.is_unreadable() {
        return UNREADABLE_HOLD.to_owned();
    }
    let from = hold.copy_of.as_deref().unwrap_or_default();
    format!(
        "the site's journal still is {}, unless that one says that it is closed, and the site goes on serving what the \
         balancers say. `bg journal copy {from} {to}` again finishes the copy",
        words::place(from, &hold.by)
    )
}
