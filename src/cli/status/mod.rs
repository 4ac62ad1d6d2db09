//! `status`: where the site stands. Reads the journal without its lock, and asks every host.

mod ask;
pub mod journal;
mod lock;
mod recent;
mod report;
mod revert;
mod serves;
mod text;

use std::{sync::Arc, time::Duration};

use bluegreen_core::{half::Half, inventory::Inventory};
use jiff::tz::TimeZone;
use tokio::time::timeout;

use self::{
    ask::{Asking, Looks, ROUND, Seen},
    journal::{Blind, Journal},
    report::Report,
    revert::{Looked, Revert, revert},
};
use super::{
    Context, Ended,
    error::CliError,
    locate::Located,
    remote::{hosts, listen, runtime},
};
use crate::{
    edge::{
        host::{Hosts, SshSettings},
        journal::Store,
        server::Fence,
    },
    engine::Exit,
    site::ssh_settings,
};

/// Between two drawings of `--watch`, when the journal tells of no change before.
const PAUSE: Duration = Duration::from_secs(2);
/// `status` is to be quick; a host that needs longer is unknown in it.
const CONNECT: Duration = Duration::from_secs(2);

/// Prints where the site stands, once or until Ctrl-C.
pub fn run(context: &Context, watch: bool) -> Result<Ended, CliError> {
    let located = context.inventory()?;
    runtime()?.block_on(async {
        let hosts = hosts(&located, CONNECT);
        let settings = ssh_settings(&located.inventory, &located.base);
        let store = located.store(SshSettings { connect_timeout: CONNECT, ..settings });
        let mut stop = listen()?;
        let looked = tokio::select! {
            looked = look(context, &located, store.as_ref(), &hosts, watch) => looked,
            () = stop.asked() => None,
        };
        tokio::join!(hosts.close(), store.leave());
        Ok(Ended::Said(match looked {
            Some(exit) => exit,
            // It is how a watch ends.
            None if watch => Exit::Done,
            None => Exit::Interrupted,
        }))
    })
}

/// Ends after one look, or when nobody reads any more.
async fn look(context: &Context, located: &Located, store: &dyn Store, hosts: &Hosts, watch: bool) -> Option<Exit> {
    loop {
        let report = report(located, store, hosts).await;
        let is_read = show(context, &report, watch);
        if !watch || !is_read {
            return Some(if matches!(report.blind, Some(Blind::Unreadable | Blind::Lost)) {
                Exit::Failed
            } else {
                Exit::Done
            });
        }
        store.changed(PAUSE).await;
    }
}

async fn report(located: &Located, store: &dyn Store, hosts: &Hosts) -> Report {
    // The hosts' connections are opened meanwhile: it may be elsewhere, and out of reach.
    let names = all_hosts(located);
    let (journal, _) =
        tokio::join!(journal::read(store, &located.inventory.journal, ROUND), timeout(ROUND, hosts.connect(&names)));
    let inventory = Arc::new(located.inventory.clone());
    let looks = ask::look(&inventory, hosts).await;
    let journal = newest(located, store, journal, &looks, &[]).await;
    let seeing = Seeing { located, inventory: &inventory, hosts, looks: &looks };
    let (journal, revert, seen) = seeing.all(journal).await;
    let known = journal.length();
    let journal = newest(located, store, journal, &looks, &seen.fences).await;
    let (journal, revert, seen) = match journal.length() == known {
        true => (journal, revert, seen),
        // It was read again: what was expected of the hosts was not what it says.
        false => seeing.all(journal).await,
    };
    let report = Report::new(&located.inventory, &located.name, journal, seen);
    Report { revert, ..report }
}

/// The journal, or that it is an outdated copy. It was read before the hosts were asked: a command that was quicker has only
/// to be read again, for it records what it does before it does it.
async fn newest(
    located: &Located,
    store: &dyn Store,
    journal: Journal,
    looks: &Looks,
    fences: &[(String, Fence)],
) -> Journal {
    if journal.newer(looks, fences).is_none() {
        return journal;
    }
    let journal = journal::read(store, &located.inventory.journal, ROUND).await;
    match journal.newer(looks, fences) {
        Some(refusal) => journal.outdated(&refusal),
        None => journal,
    }
}

/// Whom to ask, beside the balancers, which were asked already.
struct Seeing<'a> {
    located: &'a Located,
    inventory: &'a Arc<Inventory>,
    hosts: &'a Hosts,
    looks: &'a Looks,
}

impl Seeing<'_> {
    /// What is seen with what `journal` says in mind; and `journal` after what went back by itself.
    async fn all(&self, mut journal: Journal) -> (Journal, Option<Revert>, Seen) {
        let looked: Vec<Looked<'_>> =
            self.looks.iter().map(|(host, look)| (host.as_str(), look.as_ref().ok())).collect();
        let revert = journal.state.as_ref().and_then(|state| revert(state, &looked));
        let went_back = revert.as_ref().is_some_and(|revert| revert.went_back.is_some());
        if went_back && journal.queue.tickets.is_empty() {
            // The next command records it; what is shown is what is.
            journal.state = journal.state.map(|state| state.after_revert());
        }
        let state = journal.state.as_ref();
        let is_interrupted = journal.queue.tickets.is_empty() && state.is_some_and(|state| state.open.is_some());
        let (inventory, templates, hosts) = (self.inventory, &self.located.templates, self.hosts);
        let seen = Asking { inventory, templates, state, is_interrupted, hosts }.all(self.looks).await;
        (journal, revert, seen)
    }
}

fn all_hosts(located: &Located) -> Vec<String> {
    let balancers = located.inventory.balancers.iter().map(|balancer| balancer.host.clone());
    let places = Half::ALL.into_iter().flat_map(|half| located.inventory.places(half));
    balancers.chain(places.map(|(_, place)| place.host.clone())).collect()
}

/// Whether somebody reads it.
fn show(context: &Context, report: &Report, watch: bool) -> bool {
    let screen = context.screen;
    if screen.json {
        return screen.raw(&report.document());
    }
    let text = text::render(report, screen, &TimeZone::system());
    // Home, then clear: the terminal keeps what was scrolled away.
    let clear = if watch && screen.terminal { "\x1b[H\x1b[2J" } else { "" };
    screen.out(&format!("{clear}{text}"))
}
