//! The scripts that run on the journal's host, and how their answers are read.

use base64::Engine as _;
use bluegreen_core::lock::{Hold, Queue, Queued};

use crate::edge::host::Run;

/// The status of a script that stopped on purpose and said why.
pub(super) const STOPPED: i32 = 90;

/// One script: constant text, values as arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    /// Its name in messages.
    name: &'static str,
    /// POSIX sh.
    text: &'static str,
}

macro_rules! script {
    ($constant:ident, $name:literal, $file:literal) => {
        pub(super) const $constant: Script =
            Script { name: $name, text: concat!(include_str!("common.sh"), include_str!($file)) };
    };
}

script!(KEEPER, "keep the journal's lock", "keeper.sh");
script!(LOOK, "read the journal", "look.sh");
script!(SETTLED, "look for the record", "settle.sh");
script!(HOLD, "change the lock by hand", "hold.sh");

impl Script {
    /// Its text, whole as it is sent.
    #[cfg(test)]
    pub fn text(self) -> &'static str {
        self.text
    }

    /// The command with these values.
    pub fn run(self, values: Vec<String>) -> Run {
        Run::script(self.name, self.text, values).standing()
    }
}

/// What a look at a journal gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The lock by hand, as it lies there.
    pub hold: Option<Vec<u8>>,
    /// Who lives and wants the lock.
    pub tickets: Vec<Queued>,
    /// The records, when they were asked for and are there.
    pub journal: Option<Vec<u8>>,
}

impl Look {
    /// `None`: it is not whole.
    pub fn read(mut stdout: &[u8]) -> Option<Look> {
        let mut look = Look::default();
        while let Some(end) = stdout.iter().position(|&byte| byte == b'\n') {
            let line = std::str::from_utf8(&stdout[..end]).ok()?;
            stdout = &stdout[end + 1..];
            let (word, rest) = line.split_once(' ')?;
            match word {
                "hold" => look.hold = Some(from_base64(rest)?),
                "ticket" => {
                    let (content, path) = rest.split_once(' ')?;
                    // One that says nothing is being given back.
                    let ticket = from_base64(content).and_then(|bytes| serde_json::from_slice(&bytes).ok());
                    look.tickets.extend(ticket.map(|ticket| Queued { id: path.to_owned(), ticket }));
                }
                "journal" => {
                    let length: usize = rest.parse().ok()?;
                    look.journal = (stdout.len() == length).then(|| stdout.to_owned());
                    return look.journal.is_some().then_some(look);
                }
                _ => return None,
            }
        }
        stdout.is_empty().then_some(look)
    }

    /// The lock by hand.
    pub fn hold(&self) -> Option<Hold> {
        self.hold.as_deref().map(Hold::read)
    }

    /// Who has the lock and who waits, taken out of it.
    pub fn queue(&mut self) -> Queue {
        Queue { hold: self.hold(), tickets: std::mem::take(&mut self.tickets) }
    }
}

/// A value for a script that takes base64.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What a script said in base64.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read_only_when_it_is_whole() {
        let ticket = r#"{"by":{"user":"anna","host":"desk","pid":7},"command":"flip","since":"2026-01-01T00:00:00Z"}"#;
        let text =
            format!("hold {}\nticket {} /j/queue/0000000001.json\n", to_base64(b"{}"), to_base64(ticket.as_bytes()));
        let queue = Look::read(text.as_bytes()).unwrap();
        assert_eq!(queue.hold, Some(b"{}".to_vec()));
        assert_eq!(queue.tickets[0].id, "/j/queue/0000000001.json");
        assert_eq!(queue.tickets[0].ticket.command, "flip");
        assert_eq!(queue.journal, None);
        assert!(queue.hold().unwrap().why.unwrap().contains("cannot be read"));
        let all = format!("{text}journal 6\na\nbé");
        assert!(Look::read(&all.as_bytes()[..all.len() - 1]).is_none());
        assert_eq!(Look::read(b""), Some(Look::default()));
        assert_eq!(Look::read(b"journal 4\na\n\xffb").unwrap().journal, Some(b"a\n\xffb".to_vec()));
        assert!(Look::read(b"journal 4\na\n\xff").is_none());
        assert!(Look::read(b"journ").is_none());
    }
}
