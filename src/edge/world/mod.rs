//! The engine's world on real hosts: what each step of a plan means for nginx and for the servers.

mod back;
mod balancers;
mod check;
mod drain;
mod ours;
mod progress;
mod revert;
mod shift;
mod trouble;
mod upgrade;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bluegreen_core::{
    inventory::{Inventory, Place, Pool, Words},
    release::{Release, Version},
    rollout::{Direction, Event, State, Step},
};
use tokio::sync::{Mutex, OnceCell};

use super::{
    artifact::Packed,
    balancer::Balancers,
    host::{Hosts, Run},
};
pub use balancers::{conf_digest, render_all};
pub use ours::{foreign, newer_copy, other_journal, overtaken, refuse_foreign, refuse_foreign_server};
pub use trouble::Trouble;

use crate::engine::{Failure, Report, Reporter, Survey, Work, World};
use bluegreen_core::{Half, nginx::conf::Templates};

/// The world of one site, for one command.
pub struct Live {
    /// The site.
    pub inventory: Arc<Inventory>,
    /// Its hosts' connections.
    pub hosts: Hosts,
    /// Its balancers.
    pub balancers: Balancers,
    /// The templates of http.conf and server.conf.
    pub templates: Templates,
    /// Where relative paths of the inventory begin.
    pub base: PathBuf,
    /// Where progress goes.
    pub reporter: Reporter,
    /// Artifacts by pool and sha256, inspected once; a deploy puts its own here before it begins.
    pub packed: Mutex<HashMap<String, Arc<Packed>>>,
    /// The balancers that the way back found living.
    pub living: OnceCell<Vec<String>>,
}

/// A place with everything that a step needs to know about it.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    /// Its pool.
    pub pool: &'a Pool,
    /// The server.
    pub place: &'a Place,
    /// Its half.
    pub half: Half,
}

impl Live {
    /// Something that the user should know before the first step.
    pub fn warn(&self, text: &str) {
        self.note(None, text);
    }

    /// http.conf and server.conf as they stand on a balancer; empty where there are none or they cannot be read.
    pub async fn conf_texts(&self, host: &str) -> (String, String) {
        let Some(balancer) = self.inventory.balancer(host) else { return Default::default() };
        let read = async |name: &str| {
            let run = Run::new("read configuration", ["cat", "--", &format!("{}/{name}", balancer.dir)]).standing();
            let output = self.hosts.get(host).run(run).await;
            output.ok().filter(|output| output.is_success()).map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        };
        (read("http.conf").await.unwrap_or_default(), read("server.conf").await.unwrap_or_default())
    }

    pub(super) fn note(&self, host: Option<&str>, text: impl Into<String>) {
        (self.reporter)(Report::Note { host: host.map(str::to_owned), text: text.into() });
    }

    /// Begins to open the connections that changing this half will need.
    pub fn connect_ahead(&self, half: Half) {
        let servers = self.inventory.places(half).map(|(_, place)| place.host.clone());
        self.hosts.connect_ahead(self.balancers.names().into_iter().chain(servers));
    }

    /// The places of one half.
    pub fn spots(&self, half: Half) -> Vec<Spot<'_>> {
        self.inventory.places(half).map(|(pool, place)| Spot { pool, place, half }).collect()
    }

    /// The template words for one place.
    pub fn words(&self, spot: Spot<'_>, release: &Release) -> Words {
        Words {
            release: release.label.clone(),
            version: release.version.to_string(),
            site: self.inventory.site.clone(),
            pool: spot.pool.name.clone(),
            half: spot.half.as_str().to_owned(),
            host: spot.place.host.clone(),
            port: spot.place.port.to_string(),
        }
    }
}

/// A release that the journal made.
pub(super) fn release_of(state: &State, version: Version) -> Result<&Release, Failure> {
    state.releases.get(&version).ok_or_else(|| Trouble::NoRelease { version }.into())
}

/// Whether a step is about nginx, and not about the servers behind it.
fn is_of_balancers(step: &Step) -> bool {
    match step {
        Step::CreateDirs
        | Step::WriteConf { .. }
        | Step::ReloadConf { .. }
        | Step::Prepare { .. }
        | Step::Commit { .. }
        | Step::ArmRevert { .. }
        | Step::DisarmRevert
        | Step::Follow { .. } => true,
        Step::Drain { .. } | Step::Place { .. } | Step::Activate { .. } | Step::Check { .. } | Step::Prune { .. } => {
            false
        }
    }
}

#[async_trait(?Send)]
impl World for Live {
    async fn survey(&self, state: &State, step: &Step) -> Result<Survey, Failure> {
        self.survey_balancers(state, step).await
    }

    async fn is_ours(&self, state: &State, step: &Step) -> Result<(), Failure> {
        self.hosts_are_ours(state, step).await
    }

    async fn perform(&self, work: Work<'_>) -> Result<Vec<String>, Failure> {
        if is_of_balancers(work.step) {
            self.on_hosts(self.balancers.names());
        }
        match work.step {
            Step::CreateDirs => self.create_dirs().await,
            Step::WriteConf { revision } => self.write_conf(*revision).await,
            Step::ReloadConf { revision } => self.reload_conf(*revision).await,
            Step::Prepare { to, direction } => self.prepare(work, to, *direction).await,
            Step::Commit { to, direction: Direction::Forward } => self.commit_forward(work, to).await,
            Step::Commit { to, direction: Direction::Backward } => self.commit_backward(work, to).await,
            Step::ArmRevert { after_ms } => self.arm(work, *after_ms).await,
            Step::DisarmRevert => self.disarm(work).await,
            Step::Follow { generation, to } => self.follow(work, *generation, to).await,
            Step::Drain { half, release } => self.drain(work, *half, *release).await,
            Step::Place { half, release } => self.place(work, *half, *release).await,
            Step::Activate { half, release } => self.activate(work, *half, *release).await,
            Step::Check { half, release } => self.check(work, *half, *release).await,
            Step::Prune { protect } => self.prune(work, protect).await,
        }
    }

    async fn put_back(&self, work: Work<'_>) -> Result<(), Vec<(String, String)>> {
        self.put_back_all(work).await
    }

    fn settled_by(&self, step: &Step) -> Vec<Event> {
        // Not when the files are written: until nginx runs them, the balancers are still to be synced.
        let Step::ReloadConf { revision } = step else { return Vec::new() };
        let digest = conf_digest(&self.inventory, &self.templates).ok();
        digest.map(|digest| Event::Configured { revision: *revision, digest }).into_iter().collect()
    }
}
