//! What can stop a step, each kind with its words. What it means for the command, and the hints, stand in `errors.rs`.

use std::time::Duration;

use bluegreen_core::{Half, nginx::conf::RenderError, release::Version};

use super::back::PATIENCE;
use crate::{
    edge::{
        artifact::ArtifactError,
        balancer::{self, two_phase::NotAll},
        health::{ProbeError, Unhealthy, Verdict},
        host::seconds,
        server::ServerError,
    },
    engine::{alike, and_then},
};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Balancers where the directories could not be made.
    #[error("{}", alike(.0.iter().map(|error| (error.host.clone(), error.to_string()))).join("; "))]
    NoDirs(Vec<balancer::Error>),
    /// The inventory cannot be rendered.
    #[error(transparent)]
    Unrenderable(#[from] RenderError),
    /// nginx's files were not taken up everywhere.
    #[error(transparent)]
    NotAll(#[from] NotAll),
    /// A balancer that could not be prepared for a shift.
    #[error("{}", unprepared(.0))]
    Unprepared(balancer::Error),
    /// A shift forward that a balancer did not make; every one is put back.
    #[error("the switch to {to} failed: {first}{}", and_more(*.more))]
    NotSwitched {
        /// The traffic.
        to: String,
        /// Who failed, and what it said.
        first: String,
        /// How many more failed.
        more: usize,
    },
    /// A way back that did not get everywhere.
    #[error(
        "the way back to {to} did not reach every balancer: {}. Every other balancer is back, and no server was touched",
        .failures.join("; ")
    )]
    NotBack {
        /// The traffic.
        to: String,
        /// Who failed, and what each said.
        failures: Vec<String>,
    },
    /// The same after balancers that went back by themselves.
    #[error(
        "not every balancer followed to {to}: {}. Every other balancer is there, and no server was touched",
        .failures.join("; ")
    )]
    NotFollowed {
        /// The traffic.
        to: String,
        /// Who failed, and what each said.
        failures: Vec<String>,
    },
    /// A confirmation that came too late.
    #[error("the traffic went back by itself meanwhile on {}", .hosts.join(", "))]
    WentBack {
        /// The balancers, in backticks.
        hosts: Vec<String>,
    },
    /// A confirmation that did not get everywhere.
    #[error(
        "not every balancer could be told to keep the traffic: {}. Every other one keeps it; once one has gone back, the next \
         command takes them all back",
        .untold.join("; ")
    )]
    Untold {
        /// Who was not told, and why.
        untold: Vec<String>,
    },
    /// Public traffic may reach the half that is to be touched.
    #[error("{half} may get public traffic ({traffic}), so its servers were not touched")]
    Reached {
        /// The half.
        half: Half,
        /// What the balancers have.
        traffic: String,
    },
    /// The balancers were not seen to have what they should.
    #[error("the balancers' traffic is not confirmed, so no server was touched")]
    Unconfirmed,
    /// A balancer that cannot be shown to keep public traffic away.
    #[error(
        "`{host}` is not known to keep public traffic away from {half}, so no server of {half} was touched by this step: {why}"
    )]
    Unguarded {
        /// The balancer.
        host: String,
        /// The half.
        half: Half,
        /// What is wrong there.
        why: String,
    },
    /// A drain that ran out of time.
    #[error(
        "{half} was not drained within {}: {words}. Its servers were not touched and still answer those requests; {} carries \
         the site",
        seconds(*.after), .half.other()
    )]
    NotDrained {
        /// The half.
        half: Half,
        /// How long was waited.
        after: Duration,
        /// What is still in the way.
        words: String,
    },
    /// A balancer that does not say what a drain must know.
    #[error("`{}`: {what} could not be read, so no server was touched by this step: {}", .error.host, .error.without_host())]
    Unread {
        /// What could not be read: `its addresses`.
        what: &'static str,
        /// Why.
        error: balancer::Error,
    },
    /// A balancer that does not say what is in flight.
    #[error(
        "`{}` does not say what is in flight, so {half}'s servers were not touched: {}", .error.host, .error.without_host()
    )]
    Uncounted {
        /// The half that is drained.
        half: Half,
        /// Why.
        error: balancer::Error,
    },
    /// A server that could not be worked on.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The journal does not know what it must.
    #[error("the journal knows no release {version}")]
    NoRelease {
        /// The release.
        version: Version,
    },
    /// A release that has nothing for a pool.
    #[error("{version} has no artifact for the pool `{pool}`")]
    NoArtifact {
        /// The release.
        version: Version,
        /// The pool.
        pool: String,
    },
    /// An artifact that is not what it was.
    #[error("the artifact `{path}` of {version} has changed since the release was made, so it was not sent")]
    Changed {
        /// Where it lies.
        path: String,
        /// The release.
        version: Version,
    },
    /// An artifact that cannot be used any more.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Nobody knows what a half runs.
    #[error("the hosts of {half} are not known to run one release")]
    Disagree {
        /// The half.
        half: Half,
    },
    /// A server that runs something else.
    #[error(
        "`{host}` ({pool}) does not run {version}: its marker in `{root}/.bg` {}{}",
        marked(.marker.as_deref()), .current.as_ref().map(|current| format!(" and `current` is {current}")).unwrap_or_default()
    )]
    RunsAnother {
        /// The server.
        host: String,
        /// Its pool.
        pool: String,
        /// Its root.
        root: String,
        /// What it should run.
        version: Version,
        /// The release that its marker names.
        marker: Option<String>,
        /// What `current` points to.
        current: Option<String>,
    },
    /// A server that is not healthy right before a shift.
    #[error("`{host}` ({pool}) is not healthy: {verdict}")]
    NotHealthy {
        /// The server.
        host: String,
        /// Its pool.
        pool: String,
        /// What was found.
        verdict: Verdict,
    },
    /// A server that did not become healthy after an installation; or nobody could see whether it did.
    #[error("{unhealthy}")]
    StaysUnhealthy {
        /// What was found.
        unhealthy: Unhealthy,
        /// Whether the next try restarts it: only a deploy brings another release.
        is_restarted: bool,
    },
    /// A server that a shift back does not wait for.
    #[error("`{host}` ({pool}) did not answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// The server.
        host: String,
        /// Its pool.
        pool: String,
    },
    /// A server whose health could not be asked.
    #[error("`{host}` ({pool}): its health could not be asked: {error}")]
    Unasked {
        /// The server.
        host: String,
        /// Its pool.
        pool: String,
        /// Why.
        error: ProbeError,
    },
    /// A shift back to nothing that is healthy.
    #[error("no place of {half} in the pool `{pool}` is healthy, so traffic stays where it is: {}", .said.join("; "))]
    NoneHealthy {
        /// The half.
        half: Half,
        /// The first pool without a healthy place.
        pool: String,
        /// What each said.
        said: Vec<String>,
    },
    /// A host of another journal.
    #[error("`{host}` belongs to another journal, `{journal}`{}; nothing was touched", numbered(", rollout", *.rollout, ""))]
    Foreign {
        /// The host.
        host: String,
        /// The other journal's id.
        journal: String,
        /// Its rollout, where that is known.
        rollout: Option<u64>,
    },
    /// A balancer that runs another journal's tree.
    #[error(
        "`{host}` runs generation {generation} of another journal, `{journal}`{}; nothing was touched",
        numbered(" (rollout", *.rollout, ")")
    )]
    ForeignTree {
        /// The balancer.
        host: String,
        /// The generation.
        generation: u64,
        /// The other journal's id.
        journal: String,
        /// Its rollout, where that is known.
        rollout: Option<u64>,
    },
    /// A server that has seen more than this copy of the journal holds.
    #[error(
        "`{host}` has seen record {seen} of this journal, which ends here with record {last}: it is an outdated copy. Nothing \
         was touched"
    )]
    Overtaken {
        /// The server.
        host: String,
        /// The record.
        seen: u64,
        /// The last one here.
        last: u64,
    },
    /// A balancer that runs what this copy of the journal never chose.
    #[error(
        "`{host}` runs generation {generation} of this journal, which ends here with generation {highest}: it is an outdated \
         copy. Nothing was touched"
    )]
    Newer {
        /// The balancer.
        host: String,
        /// What it runs.
        generation: u64,
        /// The highest that this copy chose.
        highest: u64,
    },
    /// A balancer that has what this copy of the journal never chose.
    #[error(
        "`{host}` has generation {generation}, and this journal has never chosen a higher one than {highest}: the journal is \
         probably an outdated copy, or somebody made that generation by hand. Nothing was touched"
    )]
    PerhapsNewer {
        /// The balancer.
        host: String,
        /// The generation.
        generation: u64,
        /// The highest that this copy chose.
        highest: u64,
    },
}

fn unprepared(error: &balancer::Error) -> String {
    let what = match error.is_unreachable() {
        true => error.to_string(),
        false => format!("`{}` could not be prepared: {}", error.host, error.kind),
    };
    and_then(&what, "No balancer was switched and no server was touched")
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

fn marked(release: Option<&str>) -> String {
    release.map_or_else(|| "names no release".to_owned(), |release| format!("says {release}"))
}

fn numbered(before: &str, number: Option<u64>, after: &str) -> String {
    number.map(|number| format!("{before} r{number}{after}")).unwrap_or_default()
}
