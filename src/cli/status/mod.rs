//! `status`: where the site stands. Reads the journal without its lock, and asks every host.

mod ask;
mod journal;
mod lock;
mod recent;
mod report;
mod revert;
mod serves;
mod text;

use std::{sync::Arc, time::Duration};

use bluegreen_core::half::Half;
use jiff::tz::TimeZone;
use tokio::time::timeout;

use self::{
    ask::{Asking, ROUND},
    journal::Blind,
    report::Report,
    revert::{Looked, revert},
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
            return Some(if report.blind == Some(Blind::Unreadable) { Exit::Failed } else { Exit::Done });
        }
        store.changed(PAUSE).await;
    }
}

async fn report(located: &Located, store: &dyn Store, hosts: &Hosts) -> Report {
    // The hosts' connections are opened meanwhile: it may be elsewhere, and out of reach.
    let names = all_hosts(located);
    let (mut journal, _) =
        tokio::join!(journal::read(store, &located.inventory.journal, ROUND), timeout(ROUND, hosts.connect(&names)));
    let inventory = Arc::new(located.inventory.clone());
    let looks = ask::look(&inventory, hosts).await;
    let looked: Vec<Looked<'_>> = looks.iter().map(|(host, look)| (host.as_str(), look.as_ref().ok())).collect();
    let revert = journal.state.as_ref().and_then(|state| revert(state, &looked));
    let went_back = revert.as_ref().is_some_and(|revert| revert.went_back.is_some());
    if went_back && journal.queue.tickets.is_empty() {
        // The next command records it; what is shown is what is.
        journal.state = journal.state.map(|state| state.after_revert());
    }
    let state = journal.state.as_ref();
    let is_interrupted = journal.queue.tickets.is_empty() && state.is_some_and(|state| state.open.is_some());
    let asking = Asking { inventory: &inventory, templates: &located.templates, state, is_interrupted, hosts };
    let seen = asking.all(looks).await;
    let report = Report::new(&located.inventory.site, &located.name, journal, seen);
    Report { revert, ..report }
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
