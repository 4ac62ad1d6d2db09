//! The journal as a file of lines in a directory on the operator's machine: `journal.jsonl`, and `lock`, which a changing
//! command holds (`flock`) for its whole life. Reading takes no lock.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bluegreen_core::rollout::{By, DecodeError, Entry, Event, FORMAT, State, decode, encode};
use nix::fcntl::{Flock, FlockArg};

use crate::engine::{Journal, JournalError};

const JOURNAL: &str = "journal.jsonl";
const LOCK: &str = "lock";

/// Why a journal was not opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another command holds the lock; who, as far as it said.
    #[error("another bg is under way on this site{}", .holder.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    Locked {
        /// What the holder wrote about itself.
        holder: Option<String>,
    },
    /// A line is damaged, from the future, or does not follow.
    #[error("the journal `{}` is damaged at line {line}: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The file system said no.
    #[error("the journal `{}` could not be {doing}: {error}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: `opened`, `read`, …
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

fn io_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |error| OpenError::Io { path: path.to_owned(), doing, error }
}

/// What reading a journal gives.
#[derive(Debug)]
pub struct Reading {
    /// Every whole record.
    pub entries: Vec<Entry>,
    /// What replaying them gives.
    pub state: State,
    /// What was dropped, in words.
    pub warning: Option<String>,
    /// Who holds the lock, when somebody does; empty when the holder said nothing about itself.
    pub holder: Option<String>,
    /// The length of the whole records in bytes.
    length: u64,
    /// Whether the last whole record lacks its newline.
    unterminated: bool,
}

/// Reads the journal in `dir` without taking its lock. A missing journal is an empty one.
pub fn read(dir: &Path) -> Result<Reading, OpenError> {
    let mut reading = read_records(&dir.join(JOURNAL))?;
    let lock = dir.join(LOCK);
    if let Ok(file) = File::open(&lock)
        && Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
    {
        reading.holder = Some(holder(&lock).unwrap_or_default());
    }
    Ok(reading)
}

fn holder(lock: &Path) -> Option<String> {
    let text = fs::read_to_string(lock).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn read_records(path: &Path) -> Result<Reading, OpenError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    parse(path, &bytes)
}

/// Splits the file into records. Only a last line without its newline can be torn by a crash, since a record is written
/// with one write: it is dropped with a warning. Anything else that is not a record is damage, never guessed at.
fn parse(path: &Path, bytes: &[u8]) -> Result<Reading, OpenError> {
    let damaged = |line: usize, why: String| OpenError::Damaged { path: path.to_owned(), line, why };
    let mut reading = Reading {
        entries: Vec::new(),
        state: State::default(),
        warning: None,
        holder: None,
        length: 0,
        unterminated: false,
    };
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let whole = line.ends_with(b"\n");
        let text = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line));
        let entry = match text.map_err(|_| DecodeError::Form).and_then(decode) {
            Ok(entry) => entry,
            Err(why @ DecodeError::Future(_)) => return Err(damaged(number + 1, why.to_string())),
            Err(_) if !whole && !is_changed_at_its_end(text.unwrap_or_default()) => {
                reading.warning = Some(format!(
                    "the last record of `{}` (line {}) was torn by a crash before it was complete, and is not counted",
                    path.display(),
                    number + 1
                ));
                break;
            }
            Err(why) => return Err(damaged(number + 1, why.to_string())),
        };
        reading.state.apply(&entry).map_err(|error| damaged(number + 1, error.why))?;
        reading.entries.push(entry);
        reading.length += line.len() as u64;
        reading.unterminated = !whole;
    }
    Ok(reading)
}

/// Whether an unterminated line is a whole record whose newline was changed: damage, not a torn write.
fn is_changed_at_its_end(line: &str) -> bool {
    let mut chars = line.chars();
    chars.next_back().is_some() && decode(chars.as_str()).is_ok()
}

/// An open journal. Holds the lock until it is dropped.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    _lock: Flock<File>,
    state: State,
    length: u64,
    unterminated: bool,
    by: By,
    /// What was dropped when it was opened, in words.
    pub warning: Option<String>,
}

impl FileJournal {
    /// Opens the journal in `dir` for appending, takes its lock, and replays it. The directory is created (0700) when it
    /// is missing; a second opener is refused while this one lives. `command` is what the lock says it is held for.
    pub fn open(dir: &Path, by: By, command: &str) -> Result<FileJournal, OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error(dir, "created"))?;
        let lock = take_lock(&dir.join(LOCK), &by, command)?;
        let path = dir.join(JOURNAL);
        let fresh = !path.exists();
        let file = open_private(&path)?;
        if fresh {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir, "made durable"))?;
        }
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).map_err(io_error(&path, "read"))?;
        let reading = parse(&path, &bytes)?;
        Ok(FileJournal {
            path,
            file,
            _lock: lock,
            state: reading.state,
            length: reading.length,
            unterminated: reading.unterminated,
            by,
            warning: reading.warning,
        })
    }

    fn failed(&self, why: &str) -> JournalError {
        JournalError {
            message: format!(
                "the journal `{}` could not be appended to: {why}. What it holds is unchanged, and nothing more was done",
                self.path.display()
            ),
        }
    }

    /// The file must be the one that was opened and as long as it was left: anything else is another writer's doing.
    fn unchanged(&self) -> Result<(), JournalError> {
        let ours = self.file.metadata().map_err(|error| self.failed(&error.to_string()))?;
        let there = fs::metadata(&self.path);
        if !there.is_ok_and(|there| there.ino() == ours.ino() && there.dev() == ours.dev()) {
            return Err(self.failed("it was deleted or replaced while this command was under way"));
        }
        if ours.len() < self.length {
            return Err(self.failed("it was cut short while this command was under way"));
        }
        Ok(())
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        // What lies behind the last whole record is a torn one.
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()
    }
}

/// How long an opener tries: a `status` that looks whether the lock is held takes it, shared, for some microseconds.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);

fn lock_within(mut file: File, patience: Duration) -> Option<Flock<File>> {
    let deadline = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((_, _)) if Instant::now() >= deadline => return None,
            Err((unlocked, _)) => file = unlocked,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Opens a file for reading and writing, made 0600 when it is missing; what it holds stays.
fn open_private(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(io_error(path, "opened"))
}

fn take_lock(path: &Path, by: &By, command: &str) -> Result<Flock<File>, OpenError> {
    let file = open_private(path)?;
    let mut lock = lock_within(file, LOCK_PATIENCE).ok_or_else(|| OpenError::Locked { holder: holder(path) })?;
    // For whoever is refused meanwhile; nothing depends on it.
    let said = format!("`{command}` by {}@{} (process {})\n", by.user, by.host, by.pid);
    let _ = lock.set_len(0).and_then(|()| lock.write_all(said.as_bytes()));
    Ok(lock)
}

impl Journal for FileJournal {
    fn state(&self) -> &State {
        &self.state
    }

    fn append(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        self.unchanged()?;
        let entry = Entry {
            v: FORMAT,
            index: self.state.length,
            at: jiff::Timestamp::now().to_string(),
            by: self.by.clone(),
            events,
        };
        let mut next = self.state.clone();
        next.apply(&entry).map_err(|error| self.failed(&error.to_string()))?;
        let newline = if self.unterminated { "\n" } else { "" };
        let line = format!("{newline}{}\n", encode(&entry));
        if let Err(error) = self.write(&line) {
            // Best effort: a torn tail would be dropped at the next opening anyway.
            let _ = self.file.set_len(self.length);
            return Err(self.failed(&error.to_string()));
        }
        self.length += line.len() as u64;
        self.unterminated = false;
        self.state = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by() -> By {
        By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 }
    }

    fn created() -> Vec<Event> {
        vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]
    }

    fn synced(n: u32) -> Vec<Event> {
        vec![Event::Synced { digest: format!("d{n}"), hosts: Vec::new() }]
    }

    fn three_records() -> (tempfile::TempDir, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::open(dir.path(), by(), "sync").unwrap();
        journal.append(created()).unwrap();
        journal.append(synced(1)).unwrap();
        journal.append(synced(2)).unwrap();
        drop(journal);
        let bytes = fs::read(dir.path().join(JOURNAL)).unwrap();
        (dir, bytes)
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let (dir, _) = three_records();
        let reading = read(dir.path()).unwrap();
        assert_eq!(reading.entries.len(), 3);
        assert_eq!(reading.state.digests, ["d1", "d2"]);
        assert_eq!(reading.holder, None);
        assert_eq!(reading.warning, None);
    }

    #[test]
    fn a_missing_journal_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none")).unwrap().state, State::default());
    }

    #[test]
    fn a_second_opener_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = FileJournal::open(dir.path(), by(), "flip").unwrap();
        let error = FileJournal::open(dir.path(), by(), "abort").unwrap_err();
        assert!(
            matches!(&error, OpenError::Locked { holder: Some(who) } if who.contains("`flip` by anna@desk")),
            "{error}"
        );
        assert!(read(dir.path()).unwrap().holder.unwrap().contains("flip"));
        drop(first);
        FileJournal::open(dir.path(), by(), "abort").unwrap();
    }

    #[test]
    fn a_record_torn_at_any_byte_is_dropped_with_a_warning_and_written_over() {
        let (dir, bytes) = three_records();
        let path = dir.path().join(JOURNAL);
        let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        for cut in last..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let mut journal = FileJournal::open(dir.path(), by(), "sync").unwrap();
            let whole = cut == bytes.len() - 1;
            let count = if whole { 3 } else { 2 };
            assert_eq!(journal.state().length, count, "cut at {cut}");
            assert_eq!(journal.warning.is_some(), !whole && cut > last, "cut at {cut}");
            journal.append(synced(9)).unwrap();
            assert_eq!(read(dir.path()).unwrap().state.digest.as_deref(), Some("d9"), "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_anywhere_stops_with_the_line() {
        let (dir, bytes) = three_records();
        let path = dir.path().join(JOURNAL);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            match read(dir.path()) {
                Err(OpenError::Damaged { line, .. }) => assert!((1..=3).contains(&line)),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_journal_that_is_deleted_meanwhile_is_not_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::open(dir.path(), by(), "sync").unwrap();
        journal.append(created()).unwrap();
        fs::remove_file(dir.path().join(JOURNAL)).unwrap();
        let error = journal.append(synced(1)).unwrap_err();
        assert!(error.message.contains("deleted"), "{error}");
    }
}
