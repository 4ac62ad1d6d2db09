//! Ctrl-Z where something is drawn: it is taken off the screen before the program stops, and drawn again after `fg`.

use std::{io, thread};

use nix::sys::signal::{SigSet, Signal, raise};
use tokio::signal::unix::{SignalKind, signal};

use super::progress::Telling;

/// The signal of Ctrl-Z, held back in this thread and in all that it starts from now on. What bg starts inherits that: ssh
/// does, in a session of its own, where no Ctrl-Z comes.
pub struct Suspend {
    signals: SigSet,
}

impl Suspend {
    /// Holds it back: before any other thread runs, or the system would give the signal to that one.
    pub fn hold_back() -> io::Result<Suspend> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTSTP);
        signals.thread_block()?;
        Ok(Suspend { signals })
    }

    /// From now on each one stops the program, for as long as the program runs.
    pub fn watch(self, telling: Telling) {
        let watch = move || {
            while self.signals.wait().is_ok() {
                telling.pause();
                // Let in, it does what it always does: nothing in a group that no shell could continue, so it is not SIGSTOP.
                let stopped = self.signals.thread_unblock().and_then(|()| raise(Signal::SIGTSTP));
                let held = self.signals.thread_block();
                telling.go_on();
                if stopped.and(held).is_err() {
                    return;
                }
            }
        };
        // Without a thread Ctrl-Z does nothing, and the work goes on.
        let _ = thread::Builder::new().name("suspend".to_owned()).spawn(watch);
    }
}

/// After a stop that nobody is asked about, and `fg`, the shell has written below what was drawn.
pub async fn watch_return(telling: Telling) {
    let Ok(mut returns) = signal(SignalKind::from_raw(Signal::SIGCONT as i32)) else { return };
    while returns.recv().await.is_some() {
        telling.draw_anew();
    }
}
