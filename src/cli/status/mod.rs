//! `status`: where the site stands. Reads the journal without its lock, and asks every host.

mod ask;
pub mod deadline;
pub mod journal;
mod lock;
mod recent;
mod report;
mod revert;
mod seen;
mod serves;
mod text;

use std::{
    future::{pending, ready},
    io,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bluegreen_core::inventory::Inventory;
use futures::FutureExt as _;
use jiff::{Timestamp, tz::TimeZone};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout},
};

use self::{
    ask::{Looks, PlaceAnswer, Round, Silences},
    deadline::Deadline,
    journal::{Blind, Journal},
    report::Report,
    revert::{Looked, revert},
    seen::{Seeing, fences},
};
use super::{
    Context, Ended,
    error::CliError,
    locate::Located,
    remote::{listen, runtime},
    screen::Screen,
    terminal,
};
use crate::{
    edge::{
        host::{Hosts, SshSettings},
        journal::Store,
    },
    engine::Exit,
    site::{explain::More, ssh_settings},
};

/// Between two drawings of `--watch`, when the journal tells of no change before.
const PAUSE: Duration = Duration::from_secs(2);
/// For reaching a host at all, so that one that is gone is called unreachable and not only late; a quarter of the time that is
/// given, where that is more.
const CONNECT: Duration = Duration::from_secs(2);
/// For leaving the hosts: one that hangs is left to itself.
const LEAVE: Duration = Duration::from_millis(100);

/// Prints where the site stands, once or until Ctrl-C; each time within `within`.
pub fn run(context: &Context, watch: bool, within: Duration) -> Result<Ended, CliError> {
    let begun = Instant::now();
    let located = context.inventory()?;
    runtime()?.block_on(async {
        let connect = CONNECT.max(within / 4);
        let settings = SshSettings { connect_timeout: connect, ..ssh_settings(&located.inventory, &located.base) };
        let hosts = Hosts::impatient(settings.clone(), within / 4);
        let store = located.store(settings);
        let mut stop = listen()?;
        let site = Site {
            located: &located,
            inventory: Arc::new(located.inventory.clone()),
            store: store.as_ref(),
            hosts: &hosts,
        };
        let looked = tokio::select! {
            looked = site.show(context, watch, begun, within) => looked,
            () = stop.asked() => None,
        };
        let _hangs = timeout(LEAVE, async { tokio::join!(hosts.close(), store.leave()) }).await;
        if watch && context.screen.redraws {
            // What the terminal has written there, `^C`, gives way to the prompt.
            context.screen.draw("\r\x1b[J");
        }
        Ok(Ended::Said(match looked {
            Some(exit) => exit,
            // It is how a watch ends.
            None if watch => Exit::Done,
            None => Exit::Interrupted,
        }))
    })
}

/// The site that is looked at, and the ways to it.
struct Site<'a> {
    located: &'a Located,
    inventory: Arc<Inventory>,
    store: &'a dyn Store,
    hosts: &'a Hosts,
}

/// What everybody answered.
struct Answers {
    looks: Looks,
    silences: Silences,
    places: Vec<PlaceAnswer>,
    more: More,
}

impl Site<'_> {
    /// Ends after one look, or when nobody reads any more.
    async fn show(&self, context: &Context, watch: bool, begun: Instant, within: Duration) -> Option<Exit> {
        let mut deadline = Deadline::new(begun, within);
        let mut is_first = true;
        loop {
            let report = self.report(deadline).await;
            let shown = show(context, &report, watch.then_some(is_first));
            is_first = false;
            if let Err(why) = &shown
                && is_lost(why, context.screen)
            {
                // A document of its own would not get there either.
                context.screen.err(&format!("error: where the site stands could not be written to stdout: {why}"));
                return Some(Exit::Failed);
            }
            if !watch || shown.is_err() {
                return Some(match report.blind {
                    Some(Blind::Unreadable | Blind::Lost) => Exit::Failed,
                    _ => Exit::Done,
                });
            }
            self.connect_the_silent(&report);
            self.wait(context, &report).await;
            deadline = Deadline::new(Instant::now(), within);
        }
    }

    /// Until it is time for the next round. A terminal that gets another size meanwhile is drawn on again at once.
    async fn wait(&self, context: &Context, report: &Report) {
        let mut resized = signal(SignalKind::window_change()).ok();
        let mut changed = pin!(self.store.changed(PAUSE));
        loop {
            let resize = async {
                match &mut resized {
                    Some(resized) if context.screen.redraws => resized.recv().await,
                    _ => pending().await,
                }
            };
            tokio::select! {
                () = &mut changed => return,
                _ = resize => drop(redraw(report, context.screen, false)),
            }
        }
    }

    /// Whoever was not reached in time is given all the patience of a connection meanwhile: over a slow line the next round
    /// finds it there.
    fn connect_the_silent(&self, report: &Report) {
        for host in report.silent() {
            let host = self.hosts.get(host);
            // It ends by itself, and what it found out stays with the host.
            tokio::spawn(async move { host.connect().await });
        }
    }

    async fn report(&self, deadline: Deadline) -> Report {
        let round = Round { inventory: &self.inventory, hosts: self.hosts, deadline };
        let read = || journal::read(self.store, &self.inventory.journal, deadline);
        let journal = read().shared();
        let (looks, silences, places, more, mut journal) = tokio::join!(
            round.looks(),
            round.silences(),
            round.places(journal.clone()),
            round.more(journal.clone()),
            journal.clone()
        );
        let mut answers = Answers { looks, silences, places, more };
        let fences = fences(&self.inventory, &answers.places);
        if journal.newer(&answers.looks, &fences).is_some() {
            // A command was quicker: it records what it does before it does it, so the journal has only to be read again.
            let known = journal.length();
            journal = read().await;
            if journal.length() != known {
                let read = ready(journal.clone());
                (answers.places, answers.more) = tokio::join!(round.places(read.clone()), round.more(read));
            }
        }
        if let Some(refusal) = journal.newer(&answers.looks, &fences) {
            journal = journal.outdated(&refusal);
        }
        self.put_together(journal, answers)
    }

    fn put_together(&self, mut journal: Journal, answers: Answers) -> Report {
        let Answers { looks, silences, places, more } = answers;
        let looked: Vec<Looked<'_>> = looks.iter().map(|(host, look)| (host.as_str(), look.as_ref().ok())).collect();
        let revert = journal.state.as_ref().and_then(|state| revert(state, &looked));
        let went_back = revert.as_ref().is_some_and(|revert| revert.went_back.is_some());
        if went_back && journal.queue.tickets.is_empty() {
            // The next command records it; what is shown is what is.
            journal.state = journal.state.map(|state| state.after_revert());
        }
        let is_interrupted = journal.interrupted().is_some();
        let (inventory, templates, state) = (&self.inventory, &self.located.templates, journal.state.as_ref());
        let seen = Seeing { inventory, templates, state, is_interrupted }.all(&looks, &silences, &places, more);
        let report = Report::new(inventory, &self.located.name, journal, seen);
        Report { revert, ..report }
    }
}

/// What was drawn stays on the screen until it is drawn over: home, line by line, and what is left is cleared. The first time
/// the screen is cleared before.
fn redraw(report: &Report, screen: Screen, is_first: bool) -> bool {
    let size = terminal::size().unwrap_or(terminal::USUAL);
    let screen = Screen { width: size.width, ..screen };
    let mut drawn = if is_first { "\x1b[2J\x1b[H" } else { "\x1b[H" }.to_owned();
    let now = Timestamp::now().to_zoned(TimeZone::system()).strftime("%H:%M:%S");
    let foot = screen.paint_out(&format!("{now} {} every 2 s, until Ctrl-C", screen.glyphs.dot), "2");
    // One row is the foot's, and the last one the cursor's.
    let lines = text::render_within(report, screen, &TimeZone::system(), size.height.saturating_sub(3));
    for line in lines.into_iter().chain([String::new(), foot]) {
        drawn.push_str(&line);
        drawn.push_str("\x1b[K\r\n");
    }
    drawn.push_str("\x1b[J");
    screen.draw(&drawn)
}

/// Whether what was to be read later is not there now. A reader or a terminal that is gone is no error of ours.
fn is_lost(why: &io::Error, screen: Screen) -> bool {
    why.kind() != io::ErrorKind::BrokenPipe && !screen.terminal
}

/// Writes it, for whoever reads it.
fn show(context: &Context, report: &Report, watch: Option<bool>) -> io::Result<()> {
    let screen = context.screen;
    let write = |text: &str| screen.write(&screen.named(text));
    match watch {
        _ if screen.json => screen.write(&report.document()),
        Some(is_first) if screen.redraws => {
            redraw(report, screen, is_first).then_some(()).ok_or(io::ErrorKind::BrokenPipe.into())
        }
        Some(is_first) => {
            let gap = if is_first { "" } else { "\n" };
            write(&format!("{gap}{}", text::render(report, screen, &TimeZone::system())))
        }
        None => match terminal::size() {
            Some(size) if screen.redraws && !screen.verbose => {
                // The line that was typed is one row, and the prompt may take two.
                let height = size.height.saturating_sub(3);
                write(&text::render_on(report, screen, &TimeZone::system(), height))
            }
            _ => write(&text::render(report, screen, &TimeZone::system())),
        },
    }
}
