//! The journal as a directory on this machine: `journal.jsonl`, `lock`, which the command that changes the site holds
//! (`flock`) for its whole life, `queue/` with a ticket of each command that has the lock or waits for it, and `hold.json`
//! while the lock is held by hand. A ticket lives as long as somebody holds a `flock` on it: the kernel is the lease.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bluegreen_core::lock::{Hold, Queue, Queued, Ticket};
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::{
    store::{End, Store, StoreError},
    turn::lost,
};

const JOURNAL: &str = "journal.jsonl";
const LOCK: &str = "lock";
const QUEUE: &str = "queue";
const HOLD: &str = "hold.json";
/// What is not whole yet.
const NEW_HOLD: &str = ".hold";
const NEW_TICKET: &str = ".new";
/// The highest number of ten digits.
const LAST_TICKET: u64 = 9_999_999_999;

/// How long the lock and the queue are tried for: whoever looks at them holds them for some microseconds, whoever enters
/// the queue for one small file.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
/// Looking at the queue costs some system calls.
const PAUSE: Duration = Duration::from_millis(100);

/// A journal in a directory of this machine.
#[derive(Debug)]
pub struct FileStore {
    dir: PathBuf,
    name: String,
    ours: Mutex<Ours>,
}

/// What this process holds.
#[derive(Debug, Default)]
struct Ours {
    ticket: Option<(PathBuf, Flock<File>, String)>,
    lock: Option<Flock<File>>,
    journal: Option<File>,
}

fn failed(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| {
        let said = error.to_string();
        StoreError::of_system(format!("the journal `{path}` could not be {doing}: {said}"), &said)
    }
}

/// Opens a file of this journal for writing, made when it is missing, and never what is no file: a pipe would hold the
/// program up for good.
fn open_private(path: &Path, flags: OFlag) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    regular(options.custom_flags((OFlag::O_NONBLOCK | flags).bits()).open(path)?)
}

/// What `write` makes of a new file at `path`, and nothing there when it fails. Only for who has the right to change the
/// queue: the name is always the same.
fn write_new<T>(path: &Path, write: impl FnOnce(&Path, File) -> io::Result<T>) -> io::Result<T> {
    let _ = fs::remove_file(path);
    let written = open_private(path, OFlag::O_NOFOLLOW).and_then(|file| write(path, file));
    if written.is_err() {
        // Best effort: the next one begins with it too.
        let _ = fs::remove_file(path);
    }
    written
}

fn open_for_reading(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_for_reading(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lock_within(mut file: File, arg: FlockArg, patience: Duration) -> Option<Flock<File>> {
    let deadline = Instant::now() + patience;
    loop {
        match Flock::lock(file, arg) {
            Ok(lock) => return Some(lock),
            Err((_, _)) if Instant::now() >= deadline => return None,
            Err((unlocked, _)) => file = unlocked,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether nobody holds the ticket any more. One that cannot be opened is gone.
fn is_dead(path: &Path) -> bool {
    open_for_reading(path).map_or(true, |file| Flock::lock(file, FlockArg::LockSharedNonblock).is_ok())
}

impl FileStore {
    /// The journal in `dir`; nothing is read or made yet.
    pub fn new(dir: PathBuf) -> FileStore {
        let name = dir.join(JOURNAL).display().to_string();
        FileStore { dir, name, ours: Mutex::default() }
    }

    fn ours(&self) -> MutexGuard<'_, Ours> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    /// The tickets' paths, first come first; none without a queue.
    fn tickets(&self) -> Result<Vec<PathBuf>, StoreError> {
        let dir = self.dir.join(QUEUE);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&dir, "read")(error)),
        };
        let named = |path: &PathBuf| number_of(path).is_some();
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(named).collect();
        paths.sort();
        Ok(paths)
    }

    /// The right to change the queue, and the directories made when they are missing.
    fn queue_lock(&self) -> Result<Flock<File>, StoreError> {
        let dir = self.dir.join(QUEUE);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed(&dir, "created"))?;
        let file = File::open(&dir).map_err(failed(&dir, "opened"))?;
        lock_within(file, FlockArg::LockExclusiveNonblock, QUEUE_PATIENCE).ok_or_else(|| {
            StoreError::Failed(format!(
                "the queue `{}` stayed locked for {} s",
                dir.display(),
                QUEUE_PATIENCE.as_secs()
            ))
        })
    }

    fn write_ticket(&self, ticket: &Ticket) -> Result<(PathBuf, Flock<File>), StoreError> {
        let _queue = self.queue_lock()?;
        let tickets = self.tickets()?;
        let (dead, living): (Vec<&PathBuf>, Vec<&PathBuf>) = tickets.iter().partition(|path| is_dead(path));
        for path in dead {
            // Best effort: it counts for nothing either way.
            let _ = fs::remove_file(path);
        }
        let next = 1 + living.last().and_then(|path| number_of(path)).unwrap_or(0);
        if next > LAST_TICKET {
            let dir = self.dir.join(QUEUE).display().to_string();
            let why =
                format!("the numbers of the queue `{dir}` are used up by a ticket that bg did not make: remove it");
            return Err(StoreError::Failed(why));
        }
        let path = self.dir.join(QUEUE).join(format!("{next:010}.json"));
        // Locked before it has its name: nobody may see it and take it for dead.
        let written = write_new(&self.dir.join(QUEUE).join(NEW_TICKET), |new, mut file| {
            file.write_all(serde_json::to_string(ticket)?.as_bytes())?;
            let lock =
                Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))?;
            fs::rename(new, &path)?;
            Ok(lock)
        });
        let lock = written.map_err(failed(&path, "created"))?;
        Ok((path, lock))
    }

    fn hold(&self) -> Result<Option<Hold>, StoreError> {
        let path = self.dir.join(HOLD);
        match read_regular(&path) {
            Ok(bytes) => Ok(Some(Hold::read(&bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "read")(error)),
        }
    }

    fn write_hold(&self, hold: &Hold) -> io::Result<()> {
        write_new(&self.dir.join(NEW_HOLD), |new, mut file| {
            file.write_all(serde_json::to_string(hold)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(new, self.dir.join(HOLD))
        })?;
        File::open(&self.dir)?.sync_all()
    }

    /// That the directory went while this command held something in it: no lease is over then, and nobody else has the lock.
    fn gone(&self) -> Option<String> {
        (!self.dir.exists()).then(|| {
            format!("its directory `{}` is gone: moved or deleted while this command was under way", self.dir.display())
        })
    }

    /// Takes `lock` and opens the journal, which is made when it is missing.
    fn take_lock(&self, said: &str) -> Result<(Flock<File>, File), StoreError> {
        let path = self.dir.join(LOCK);
        // It is written over: a link would lead that elsewhere.
        let file = open_private(&path, OFlag::O_NOFOLLOW).map_err(failed(&path, "opened"))?;
        let Some(mut lock) = lock_within(file, FlockArg::LockExclusiveNonblock, LOCK_PATIENCE) else {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(StoreError::Lost(format!(
                "another program holds the lock `{}`: {}. Nothing was touched",
                path.display(),
                holder.trim()
            )));
        };
        // For whoever looks at it; nothing depends on it.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(format!("{said}\n").as_bytes()));
        let path = self.journal();
        let fresh = !path.exists();
        let file = open_private(&path, OFlag::empty()).map_err(failed(&path, "opened"))?;
        if fresh {
            File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed(&self.dir, "made durable"))?;
        }
        Ok((lock, file))
    }
}

/// The number in a ticket's name: ten digits, so that the names' order is the numbers'.
fn number_of(path: &Path) -> Option<u64> {
    let number = path.file_name()?.to_str()?.strip_suffix(".json")?;
    (number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok())?
}

/// Whether `path` still names the file that was opened.
fn is_same(path: &Path, file: &File) -> bool {
    let (ours, there) = (file.metadata(), fs::metadata(path));
    ours.is_ok_and(|ours| there.is_ok_and(|there| there.ino() == ours.ino() && there.dev() == ours.dev()))
}

/// The file must be the one that was opened, with nothing but a torn record behind what its caller has seen: anything else
/// is another writer's doing.
fn unchanged(path: &Path, mut file: &File, end: End) -> Result<(), StoreError> {
    let conflict = |why: &str| StoreError::Conflict(why.to_owned());
    let ours = file.metadata().map_err(|error| conflict(&error.to_string()))?;
    if !is_same(path, file) {
        return Err(conflict("it was deleted or replaced while this command was under way"));
    }
    if ours.len() < end.bytes {
        return Err(conflict("it was cut short while this command was under way"));
    }
    let mut tail = Vec::new();
    let read = file.seek(SeekFrom::Start(end.bytes)).and_then(|_| file.read_to_end(&mut tail));
    read.map_err(|error| conflict(&error.to_string()))?;
    if tail.contains(&b'\n') {
        return Err(conflict("somebody else appended to it while this command was under way"));
    }
    Ok(())
}

fn write(mut file: &File, end: End, line: &str) -> io::Result<()> {
    // What lies behind the last whole record is a torn one.
    file.set_len(end.bytes)?;
    file.seek(SeekFrom::Start(end.bytes))?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

#[async_trait]
impl Store for FileStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self) -> Result<Vec<u8>, StoreError> {
        match read_regular(&self.journal()) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&self.journal(), "read")(error)),
        }
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        let ours = self.ours().ticket.as_ref().map(|(path, ..)| path.clone());
        if let Some(gone) = ours.as_ref().and_then(|_| self.gone()) {
            return Err(StoreError::Failed(format!("the journal `{}` cannot be read: {gone}", self.name)));
        }
        let mut tickets = Vec::new();
        for path in self.tickets()? {
            // Our own is held by this very process, which a second look at it could not tell.
            if ours.as_ref() != Some(&path) && is_dead(&path) {
                continue;
            }
            // Between the look and the reading it may have been given back.
            let Some(ticket) = read_regular(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
                continue;
            };
            tickets.push(Queued { id: path.display().to_string(), ticket });
        }
        Ok(Queue { hold: self.hold()?, tickets })
    }

    async fn enter(&self, ticket: &Ticket) -> Result<String, StoreError> {
        let (path, lock) = self.write_ticket(ticket)?;
        let id = path.display().to_string();
        self.ours().ticket = Some((path, lock, ticket.to_string()));
        Ok(id)
    }

    async fn begin(&self) -> Result<(), StoreError> {
        let said = self.ours().ticket.as_ref().map(|(_, _, said)| said.clone()).unwrap_or_default();
        let (lock, journal) = self.take_lock(&said)?;
        let mut ours = self.ours();
        ours.lock = Some(lock);
        ours.journal = Some(journal);
        Ok(())
    }

    async fn leave(&self) {
        let mut ours = self.ours();
        ours.journal = None;
        ours.lock = None;
        if let Some((path, lock, _)) = ours.ticket.take() {
            // Under its lock: nobody else removes it, and no other may have the name yet.
            let _ = fs::remove_file(path);
            drop(lock);
        }
    }

    async fn append(&self, end: End, line: &str) -> Result<End, StoreError> {
        let ours = self.ours();
        let (Some(file), Some((path, ticket, _))) = (&ours.journal, &ours.ticket) else {
            return Err(lost(&self.name));
        };
        if !is_same(path, ticket) {
            return Err(self.gone().map_or_else(|| lost(&self.name), StoreError::Conflict));
        }
        unchanged(&self.journal(), file, end)?;
        let newline = if end.unterminated { "\n" } else { "" };
        let line = format!("{newline}{line}\n");
        if let Err(error) = write(file, end, &line) {
            // Best effort: a torn tail would be dropped at the next opening anyway.
            let _ = file.set_len(end.bytes);
            return Err(StoreError::of_system(error.to_string(), &error.to_string()));
        }
        Ok(End { records: end.records + 1, bytes: end.bytes + line.len() as u64, unterminated: false })
    }

    async fn set_hold(&self, from: Option<&Hold>, to: Option<&Hold>) -> Result<bool, StoreError> {
        let _queue = self.queue_lock()?;
        if self.hold()?.as_ref() != from {
            return Ok(false);
        }
        let path = self.dir.join(HOLD);
        match to {
            Some(hold) => self.write_hold(hold).map_err(failed(&path, "written"))?,
            None if from.is_some() => fs::remove_file(&path).map_err(failed(&path, "removed"))?,
            None => {}
        }
        Ok(true)
    }

    fn pause(&self) -> Duration {
        PAUSE
    }
}

#[cfg(test)]
mod tests;
