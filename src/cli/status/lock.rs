//! Who has the site's lock, who holds it by hand, who waits, and where a closed journal went.

use bluegreen_core::{
    lock::{Queue, Queued},
    rollout::Moved,
};
use serde::Serialize;

use crate::edge::journal::words;

/// Why a command that changes the site is refused or has to wait.
#[derive(Debug, Clone, Serialize)]
pub struct Lock {
    /// The login name of whoever has it.
    pub holder: String,
    /// The machine.
    pub host: String,
    /// When it was asked for: RFC 3339, UTC.
    pub since: String,
    /// What for: the reason that was given by hand, or the command.
    pub why: Option<String>,
    /// The process; of a lock by hand the one that made it, which is gone.
    pub pid: u32,
    /// The command that has it; `None`: it is held by hand.
    pub command: Option<String>,
    /// Whether it is held by hand: then nothing waits for it.
    pub manual: bool,
    /// The location of the journal that this one is an unfinished copy of.
    pub copy_of: Option<String>,
    /// Whether nobody can say what it is held for.
    #[serde(skip)]
    pub is_unreadable: bool,
    /// Who waits for it, first come first served.
    pub waiting: Vec<Waits>,
    /// For people.
    #[serde(skip)]
    pub text: String,
}

/// A command that waits.
#[derive(Debug, Clone, Serialize)]
pub struct Waits {
    /// The login name of whoever runs it.
    pub holder: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The words a user types, without arguments.
    pub command: String,
    /// The label of the release that it is to bring, of a deploy.
    pub release: Option<String>,
    /// Since when it waits: RFC 3339, UTC.
    pub since: String,
    /// For people.
    #[serde(skip)]
    pub text: String,
}

/// Where the site went.
#[derive(Debug, Clone, Serialize)]
pub struct Gone {
    /// The location of its journal now.
    pub to: String,
    /// Who moved it.
    pub by: String,
    /// When: RFC 3339, UTC.
    pub since: String,
}

impl From<&Moved> for Gone {
    fn from(moved: &Moved) -> Gone {
        Gone { to: moved.to.clone(), by: format!("{}@{}", moved.by.user, moved.by.host), since: moved.since.clone() }
    }
}

impl From<&Queued> for Waits {
    fn from(queued: &Queued) -> Waits {
        let ticket = &queued.ticket;
        Waits {
            holder: ticket.by.user.clone(),
            host: ticket.by.host.clone(),
            pid: ticket.by.pid,
            command: ticket.command.clone(),
            release: ticket.release.clone(),
            since: ticket.since.clone(),
            text: words::ticket(ticket),
        }
    }
}

impl Lock {
    /// What stands in the way of the next command; a hold does so longer than the command that is under way.
    pub fn of(queue: &Queue) -> Option<Lock> {
        let waiting = queue.tickets.iter().skip(1).map(Waits::from).collect();
        if let Some(hold) = &queue.hold {
            return Some(Lock {
                holder: hold.by.user.clone(),
                host: hold.by.host.clone(),
                since: hold.since.clone(),
                why: hold.why.clone(),
                pid: hold.by.pid,
                command: None,
                manual: true,
                copy_of: hold.copy_of.clone().filter(|from| !from.is_empty()),
                is_unreadable: hold.is_unreadable(),
                waiting,
                text: words::hold(hold),
            });
        }
        let holder = Waits::from(queue.tickets.first()?);
        let what = holder.release.as_ref().map(|release| format!(" of {release}")).unwrap_or_default();
        Some(Lock {
            why: Some(format!("{}{what}", holder.command)),
            holder: holder.holder,
            host: holder.host,
            since: holder.since,
            pid: holder.pid,
            command: Some(holder.command),
            manual: false,
            copy_of: None,
            is_unreadable: false,
            waiting,
            text: holder.text,
        })
    }
}
