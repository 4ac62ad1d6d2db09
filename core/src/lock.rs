//! Who may change a site: the queue for its lock, as every kind of journal keeps it. The lock is courtesy between operators;
//! what may be carried out is decided by the journal's compare-and-append and by the fences on the hosts.

use serde::{Deserialize, Serialize};

use crate::rollout::By;

/// What a command says of itself while it holds the lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who runs it.
    pub by: By,
    /// The words a user types, without arguments: `deploy`.
    pub command: String,
    /// The label of the release that it is to bring, of a deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// When it asked for the lock: RFC 3339, UTC.
    pub since: String,
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let By { user, host, pid } = &self.by;
        match &self.release {
            Some(release) => write!(f, "`{}` of {release} by {user}@{host} (process {pid})", self.command),
            None => write!(f, "`{}` by {user}@{host} (process {pid})", self.command),
        }
    }
}

/// The lock held by hand: no command begins until somebody releases it by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who holds it.
    pub by: By,
    /// Since when: RFC 3339, UTC.
    pub since: String,
    /// What for, when that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "held by hand by {}@{} since {}", self.by.user, self.by.host, self.since)?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// A ticket in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// What the journal knows it by.
    pub id: String,
    /// What it says.
    pub ticket: Ticket,
}

/// Everybody who lives and wants the lock, first come first served, and whether it is held by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// The lock by hand.
    pub hold: Option<Hold>,
    /// The first one has the lock.
    pub tickets: Vec<Queued>,
}

/// How it stands for one ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn<'a> {
    /// It has the lock.
    Ours,
    /// These are ahead; the first of them has the lock.
    Behind(&'a [Queued]),
    /// It is not in the queue any more: its lease ran out.
    Gone,
}

impl Queue {
    /// The command that has the lock.
    pub fn holder(&self) -> Option<&Ticket> {
        self.tickets.first().map(|queued| &queued.ticket)
    }

    /// How it stands for the ticket `id`. The lock by hand is another question.
    pub fn turn(&self, id: &str) -> Turn<'_> {
        match self.tickets.iter().position(|queued| queued.id == id) {
            Some(0) => Turn::Ours,
            Some(ahead) => Turn::Behind(&self.tickets[..ahead]),
            None => Turn::Gone,
        }
    }

    /// The deploy that queued last behind the ticket `id`, if any: a newer release than the one that `id` is to bring.
    pub fn overtaken_by(&self, id: &str) -> Option<&Ticket> {
        let ours = self.tickets.iter().position(|queued| queued.id == id)?;
        let later = self.tickets[ours + 1..].iter().rev().map(|queued| &queued.ticket);
        later.into_iter().find(|ticket| ticket.release.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by() -> By {
        By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 }
    }

    fn queue(tickets: &[(&str, Option<&str>)]) -> Queue {
        let queued = tickets.iter().map(|(id, release)| Queued {
            id: (*id).to_owned(),
            ticket: Ticket {
                by: by(),
                command: "deploy".to_owned(),
                release: release.map(ToOwned::to_owned),
                since: "2026-01-01T00:00:00Z".to_owned(),
            },
        });
        Queue { hold: None, tickets: queued.collect() }
    }

    #[test]
    fn first_come_is_first_served() {
        let queue = queue(&[("1", None), ("2", None), ("3", None)]);
        assert_eq!(queue.turn("1"), Turn::Ours);
        assert_eq!(queue.turn("3"), Turn::Behind(&queue.tickets[..2]));
        assert_eq!(queue.turn("4"), Turn::Gone);
    }

    #[test]
    fn only_a_later_deploy_overtakes() {
        let queue = queue(&[("1", Some("a")), ("2", None), ("3", Some("c")), ("4", Some("d")), ("5", None)]);
        assert_eq!(queue.overtaken_by("1").and_then(|it| it.release.as_deref()), Some("d"));
        assert_eq!(queue.overtaken_by("3").and_then(|it| it.release.as_deref()), Some("d"));
        assert_eq!(queue.overtaken_by("4"), None);
        assert_eq!(queue.overtaken_by("9"), None);
    }

    #[test]
    fn tickets_and_holds_name_who_and_what() {
        assert_eq!(
            queue(&[("1", Some("1.4"))]).tickets[0].ticket.to_string(),
            "`deploy` of 1.4 by anna@desk (process 7)"
        );
        let hold = Hold { by: by(), since: "2026-01-01T00:00:00Z".to_owned(), why: Some("audit".to_owned()) };
        assert_eq!(hold.to_string(), "held by hand by anna@desk since 2026-01-01T00:00:00Z: audit");
    }
}
