//! `check --hosts`: whether every host answers and has the rights, tools and space that bg needs, and whether nginx is wired.
//! Reads only.

mod balancer;
mod server;

use std::sync::Arc;

use bluegreen_core::{half::Half, inventory::Inventory, nginx::conf::Templates, rollout::State};

pub use balancer::conf_differences;

use super::{
    balancer::Balancers,
    host::{Hosts, fan_out},
};
use crate::engine::{Failure, sentence};

/// What comes next after a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is mended by hand.
    Mend,
    /// `setup` mends it, or says what to add to nginx's configuration.
    Setup,
    /// The journal that the host belongs to must be brought back; until then every change is refused.
    Journal,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, its objects in backticks.
    pub message: String,
    /// How to mend it; may be empty where the message says it.
    pub fix: String,
    /// What comes next.
    pub next: Next,
}

impl Finding {
    fn new(message: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { message: message.into(), fix: fix.into(), next: Next::Mend }
    }

    /// A host that could not be asked, with what helps.
    fn unanswered(error: &impl std::fmt::Display, hint: Option<String>) -> Finding {
        Finding::new(error.to_string(), hint.map(|hint| sentence(&hint)).unwrap_or_default())
    }

    fn then(self, next: Next) -> Finding {
        Finding { next, ..self }
    }
}

/// What was found on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostReport {
    /// How ssh reaches it.
    pub host: String,
    /// What it is: `balancer`, `web/green`.
    pub role: String,
    /// Empty: all is well.
    pub findings: Vec<Finding>,
    /// What was looked at and is well, in a few words each.
    pub well: Vec<String>,
    /// The refusal of an outdated copy of the journal, when this host has seen what the journal does not hold.
    pub newer: Option<Failure>,
}

impl HostReport {
    fn new(host: &str, role: impl Into<String>) -> HostReport {
        HostReport { host: host.to_owned(), role: role.into(), findings: Vec::new(), well: Vec::new(), newer: None }
    }
}

/// What to check, and what is expected there.
pub struct Checking<'a> {
    /// The site.
    pub inventory: &'a Arc<Inventory>,
    /// What its balancers' files are rendered from.
    pub templates: &'a Templates,
    /// Where the journal says that the site stands; `None`: it does not say it, and what depends on that is not asked.
    pub state: Option<&'a State>,
    /// The hosts.
    pub hosts: &'a Hosts,
}

impl Checking<'_> {
    /// Whether nothing needs to serve yet.
    fn is_before_setup(&self) -> bool {
        self.state.is_some_and(|state| state.stage.is_none())
    }

    /// Every host of the inventory, balancers first; all are asked at once, as many as `[ssh] parallel` allows.
    pub async fn all(&self) -> Vec<HostReport> {
        let balancers = Balancers::new(self.inventory.clone(), self.hosts.clone());
        let names = balancers.names();
        // First the connections: a server's health is asked through the balancers that answer.
        let connected = self.hosts.connect(&names).await;
        let viewpoints: Vec<String> =
            connected.into_iter().filter(|(_, result)| result.is_ok()).map(|(host, _)| host).collect();
        let (checked, servers) = tokio::join!(
            fan_out(names, self.hosts.parallel(), |host| self.balancer(&balancers, host)),
            self.servers(&viewpoints),
        );
        checked.into_iter().map(|(_, report)| report).chain(servers).collect()
    }

    async fn servers(&self, viewpoints: &[String]) -> Vec<HostReport> {
        let spots = Half::ALL.into_iter().flat_map(|half| self.inventory.places(half).map(move |spot| (half, spot)));
        let checked =
            fan_out(spots, self.hosts.parallel(), |(half, (pool, place))| self.server(viewpoints, half, pool, place));
        checked.await.into_iter().map(|(_, report)| report).collect()
    }
}
