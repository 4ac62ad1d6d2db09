//! The records of a journal as lines: what is whole, what is torn, what is damaged.

use bluegreen_core::rollout::{DecodeError, Entry, State, decode};

use super::{OpenError, store::End};

/// What the records of a journal say.
#[derive(Debug)]
pub struct Records {
    /// Every whole record.
    pub entries: Vec<Entry>,
    /// What replaying them gives.
    pub state: State,
    /// What was dropped, in words.
    pub warning: Option<String>,
    /// Where they end.
    pub end: End,
}

/// Splits `bytes` into records. Only a last line without its newline can be torn by a crash, since a record is written
/// with one write: it is dropped with a warning. Anything else that is not a record is damage, never guessed at. `name` is
/// the journal's in messages.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Records, OpenError> {
    let damaged = |line: usize, why: String| OpenError::Damaged { name: name.to_owned(), line, why };
    let mut records = Records { entries: Vec::new(), state: State::default(), warning: None, end: End::default() };
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let whole = line.ends_with(b"\n");
        let text = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line));
        let entry = match text.map_err(|_| DecodeError::Form).and_then(decode) {
            Ok(entry) => entry,
            Err(why @ DecodeError::Future(_)) => {
                return Err(OpenError::Newer { name: name.to_owned(), line: number + 1, why: why.to_string() });
            }
            Err(_) if !whole && !is_changed_at_its_end(line) => {
                records.warning = Some(format!(
                    "the last record of `{name}` (line {}) was torn by a crash before it was complete, and is not counted",
                    number + 1
                ));
                break;
            }
            Err(why) => return Err(damaged(number + 1, why.to_string())),
        };
        records.state.apply(&entry).map_err(|error| damaged(number + 1, error.why))?;
        records.entries.push(entry);
        records.end.records += 1;
        records.end.bytes += line.len() as u64;
        records.end.unterminated = !whole;
    }
    Ok(records)
}

/// Whether an unterminated line is a whole record whose newline was changed, to whatever byte: damage, not a torn write.
fn is_changed_at_its_end(line: &[u8]) -> bool {
    let record = line.split_last().and_then(|(_, record)| std::str::from_utf8(record).ok());
    record.is_some_and(|record| decode(record).is_ok())
}
