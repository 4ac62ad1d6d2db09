//! Who may change a site: the queue for its lock, as every kind of journal keeps it. The lock is courtesy between operators;
//! what may be carried out is decided by the journal's compare-and-append and by the fences on the hosts.

use serde::{Deserialize, Serialize};

use crate::{
    rollout::By,
    text::{is_hidden, plain, plain_option, plain_string},
};

/// What a command says of itself while it holds the lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who runs it.
    pub by: By,
    /// The words a user types, without arguments: `deploy`.
    #[serde(deserialize_with = "plain_string")]
    pub command: String,
    /// The label of the release that it is to bring, of a deploy.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "plain_option")]
    pub release: Option<String>,
    /// Whether it stays in the queue until its turn comes; else it leaves as soon as it is not the first.
    #[serde(default)]
    pub waits: bool,
    /// When it asked for the lock: RFC 3339, UTC.
    #[serde(deserialize_with = "plain_string")]
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

/// The journal is held: no command begins until somebody releases it. It has no lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who holds it.
    pub by: By,
    /// Since when: RFC 3339, UTC; empty where that is not known.
    #[serde(deserialize_with = "plain_string")]
    pub since: String,
    /// What for, when that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "plain_option")]
    pub why: Option<String>,
    /// The location of the journal that this one is to become a copy of: it is held until the copy is complete, and nobody
    /// releases it by hand. Empty: see [`Hold::is_unreadable`]. `None`: the lock by hand.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "plain_option")]
    pub copy_of: Option<String>,
}

impl Hold {
    /// As it was written, or what stands for one that cannot be read.
    pub fn read(bytes: &[u8]) -> Hold {
        serde_json::from_slice(bytes).unwrap_or_else(|error| Hold::unreadable(&error.to_string()))
    }

    /// What stands for one that cannot be read. It may be that of an unfinished copy, of which nobody knows any more what it
    /// was to become a copy of; so it is taken for one.
    fn unreadable(why: &str) -> Hold {
        let by = By { user: "somebody".to_owned(), host: "unknown".to_owned(), pid: 0 };
        let why = format!("what was written there cannot be read ({}): a disk or a hand has damaged it", plain(why));
        Hold { by, since: String::new(), why: Some(why), copy_of: Some(String::new()) }
    }

    /// Whether nobody can say who holds it, or what for.
    pub fn is_unreadable(&self) -> bool {
        self.copy_of.as_deref() == Some("")
    }
}

/// The longest reason of a lock by hand, in characters: every refusal repeats it, in a line or two.
pub const LONGEST_WHY: usize = 200;

/// The reason of a lock by hand as it is kept, without the blanks around it.
///
/// # Errors
/// Says what is wrong with it: it must be one line of text, not empty, not longer than [`LONGEST_WHY`], and hide nothing.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().count() > LONGEST_WHY {
        return Err(format!("is longer than {LONGEST_WHY} characters"));
    }
    match text.chars().find(|c| is_hidden(*c)) {
        Some(c) => Err(format!("holds the control character {}", c.escape_default())),
        None => Ok(text.to_owned()),
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

    /// The deploy that queued last behind the ticket `id`, if any: a newer release than the one that `id` is to bring. One
    /// that does not wait is refused while `id` is ahead of it, and overtakes nobody.
    pub fn overtaken_by(&self, id: &str) -> Option<&Ticket> {
        let ours = self.tickets.iter().position(|queued| queued.id == id)?;
        let later = self.tickets[ours + 1..].iter().rev().map(|queued| &queued.ticket);
        later.into_iter().find(|ticket| ticket.waits && ticket.release.is_some())
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
                waits: true,
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
    fn a_deploy_that_does_not_wait_overtakes_nobody() {
        let mut queue = queue(&[("1", Some("a")), ("2", Some("b"))]);
        queue.tickets[1].ticket.waits = false;
        assert_eq!(queue.overtaken_by("1"), None);
    }

    #[test]
    fn tickets_name_who_and_what() {
        assert_eq!(
            queue(&[("1", Some("1.4"))]).tickets[0].ticket.to_string(),
            "`deploy` of 1.4 by anna@desk (process 7)"
        );
    }

    #[test]
    fn a_reason_is_one_short_line_that_hides_nothing() {
        assert_eq!(reason("  the yearly audit "), Ok("the yearly audit".to_owned()));
        assert_eq!(reason(&"ü".repeat(LONGEST_WHY)), Ok("ü".repeat(LONGEST_WHY)));
        for bad in ["", "  ", "a\nb", "a\u{1b}[2J", "a\u{202e}b", "a\u{2028}b", "a\u{0}b", &"x".repeat(LONGEST_WHY + 1)]
        {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }
}
