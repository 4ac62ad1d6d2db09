//! What the engine reports: a live tree on a terminal, plain lines anywhere else.

mod draw;
mod live;
mod plain;
mod record;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use self::{live::Live, plain::Plain};
use super::screen::Screen;
use crate::engine::Reporter;

/// What is said while a command works. Clones are one.
#[derive(Clone)]
pub struct Telling {
    screen: Screen,
    /// Where it is drawn rather than said in lines.
    live: Option<Arc<Live>>,
}

impl Telling {
    /// Begins, as `screen` allows.
    pub fn new(screen: Screen) -> Telling {
        Telling { screen, live: screen.live.then(|| Arc::new(Live::start(screen))) }
    }

    /// The engine's reporter. `-q`: nothing.
    pub fn reporter(&self) -> Reporter {
        if let Some(live) = self.live.clone() {
            return Arc::new(move |report| live.report(report));
        }
        let (screen, plain) = (self.screen, Mutex::new(Plain::default()));
        Arc::new(move |report| {
            if screen.quiet {
                return;
            }
            // A panic while drawing leaves nothing half-done that matters.
            let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
            for line in plain.lines(report, screen.verbose) {
                screen.err(&line);
            }
        })
    }

    /// A line in between that stays.
    pub fn say(&self, text: &str) {
        match &self.live {
            Some(live) => live.say(self.screen.named_err(text)),
            None => self.screen.err(text),
        }
    }

    /// Begins something that is none of a plan's steps; it leaves nothing behind.
    pub fn runs(&self, words: &str) {
        if let Some(live) = &self.live {
            live.runs(words);
        }
    }

    /// Writes what is not ours to the same terminal: above what is drawn.
    pub fn aside(&self, write: impl FnOnce()) {
        match &self.live {
            Some(live) => live.aside(write),
            None => write(),
        }
    }

    /// The terminal may show something else by now: what is drawn next is drawn below it.
    pub fn draw_anew(&self) {
        if let Some(live) = &self.live {
            live.draw_anew();
        }
    }

    /// Takes what is drawn off the screen, and draws nothing until [`Telling::go_on`].
    pub fn pause(&self) {
        if let Some(live) = &self.live {
            live.pause();
        }
    }

    /// Draws again, below of what the terminal shows then.
    pub fn go_on(&self) {
        if let Some(live) = &self.live {
            live.go_on();
        }
    }

    /// Nothing is drawn any more, and what is to stay stands: before anything else is printed.
    pub fn finish(&self) {
        if let Some(live) = &self.live {
            live.finish();
        }
    }
}

/// `0.3 s`, `12 s`, `3 min 20 s`.
pub fn seconds(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    match whole {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}
