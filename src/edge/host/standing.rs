//! The shell that stands as long as its connection, lent to one command at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::output::Marks;
use super::run::{OVER, STOP, nonce, ready};
use super::session::Pipes;

/// How long a command that nobody waits for any more may take to end, on a busy host too. Then the shell ends with it.
const LETS_GO: Duration = Duration::from_secs(20);

/// For so long a shell that somebody has is waited for: opening a session for a script takes a host about as long, and more
/// work than most scripts.
const SOON: Duration = Duration::from_millis(20);

/// Where it is: with the connection, lent, or gone for good. Clones are the same place.
#[derive(Clone)]
pub(crate) struct Standing {
    place: Arc<Mutex<Place>>,
    came_back: Arc<Notify>,
}

enum Place {
    Home(Pipes),
    Lent,
    Gone,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_gone() { "Standing(gone)" } else { "Standing" })
    }
}

impl Standing {
    /// With this shell, which waits for its first command.
    pub(crate) fn new(pipes: Pipes) -> Standing {
        Standing { place: Arc::new(Mutex::new(Place::Home(pipes))), came_back: Arc::default() }
    }

    /// The shell, unless it is gone or whoever has it keeps it.
    pub(crate) async fn lend_soon(&self) -> Option<Lent> {
        let patience = Instant::now() + SOON;
        loop {
            let lent = self.lend();
            if lent.is_some() || self.is_gone() {
                return lent;
            }
            // One that comes back between the two is remembered.
            timeout_at(patience, self.came_back.notified()).await.ok()?;
        }
    }

    fn lend(&self) -> Option<Lent> {
        let mut place = self.place.lock().ok()?;
        match std::mem::replace(&mut *place, Place::Lent) {
            Place::Home(pipes) => Some(Lent { pipes: Some(pipes), home: self.clone(), state: State::Free }),
            other => {
                *place = other;
                None
            }
        }
    }

    /// Whether it is gone, and with it what holds the connection: nothing new may begin on it.
    pub(crate) fn is_gone(&self) -> bool {
        self.place.lock().is_ok_and(|place| matches!(*place, Place::Gone))
    }

    /// Ends the shell. `false`: somebody has it, and it ends when it comes back.
    pub(crate) fn end(&self) -> bool {
        let Ok(mut place) = self.place.lock() else { return false };
        matches!(std::mem::replace(&mut *place, Place::Gone), Place::Home(_))
    }

    fn put_back(&self, pipes: Pipes) {
        if let Ok(mut place) = self.place.lock()
            && matches!(*place, Place::Lent)
        {
            *place = Place::Home(pipes);
            self.came_back.notify_one();
        }
    }
}

/// What is known of a lent shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for a command.
    Free,
    /// It runs a command.
    Running,
    /// It is of no use any more: its streams broke, or a part of a command was sent, and nothing that follows would be
    /// understood.
    Broken,
}

/// The shell in one user's hands. Dropped, it goes home; when it runs a command still, after that was ended.
pub(crate) struct Lent {
    pipes: Option<Pipes>,
    home: Standing,
    pub(crate) state: State,
}

impl Lent {
    /// Its streams. Nothing once they broke.
    pub(crate) fn pipes(&mut self) -> Option<&mut Pipes> {
        self.pipes.as_mut()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut pipes) = self.pipes.take() else { return };
        let home = self.home.clone();
        match (self.state, Handle::try_current()) {
            (State::Free, _) => home.put_back(pipes),
            // Its user went away (a bound of its own, a command that ends): the command must not run on.
            (State::Running, Ok(runtime)) => {
                runtime.spawn(async move {
                    if timeout(LETS_GO, settle(&mut pipes)).await == Ok(true) {
                        home.put_back(pipes);
                    } else {
                        home.end();
                    }
                });
            }
            // With the pipes its input closes, and the host ends what ran.
            _ => {
                home.end();
            }
        }
    }
}

/// Ends the command that runs, and waits until nothing of it is to come any more. Whether the shell works.
async fn settle(pipes: &mut Pipes) -> bool {
    let nonce = nonce();
    let request = [STOP, OVER, ready(&nonce).as_bytes()].concat();
    pipes.input.write_all(&request).await.is_ok() && is_ready(pipes, &mut Marks::of_both(&nonce)).await
}

/// Reads until both streams brought the mark `begin`; what came before it is the marks' noise. `false`: standard output ended
/// before.
pub(crate) async fn is_ready(pipes: &mut Pipes, marks: &mut [Marks; 2]) -> bool {
    let (mut out, mut err) = (vec![0; 4096], vec![0; 4096]);
    let mut is_open = true;
    loop {
        let waits = [0, 1].map(|stream: usize| marks[stream].noise().is_some());
        if waits == [false, false] {
            return true;
        }
        let (stream, read) = tokio::select! {
            read = pipes.stdout.read(&mut out), if waits[0] => (0, read),
            read = pipes.stderr.read(&mut err), if is_open && waits[1] => (1, read),
            else => return false,
        };
        let (count, buffer) = (read.unwrap_or(0), if stream == 0 { &out } else { &err });
        marks[stream].push(&buffer[..count], &mut Vec::new());
        match (stream, count) {
            (0, 0) => return false,
            (1, 0) => is_open = false,
            _ => {}
        }
    }
}
