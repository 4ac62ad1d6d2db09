//! What the hosts say: all are asked at once, and one that does not answer in time is unknown.

use std::{sync::Arc, time::Duration};

use bluegreen_core::{
    half::Half,
    inventory::{Deploy, Inventory, Place, Pool},
    nginx::{conf::Templates, tree::tree},
    release::Release,
    rollout::{
        State, Step,
        explain::{self, Explained, explain},
    },
    traffic::Traffic,
};
use serde::{Serialize, Serializer};
use tokio::time::error::Elapsed;

use super::{report, serves};
use crate::edge::{
    balancer::{Balancers, Current, Error, Look, Standing, TrafficSeen},
    check::conf_differences,
    health::{self, Depth, Probe, Verdict},
    host::{Hosts, fan_out},
    server::{self, Bounds, Fence},
};
use crate::site::explain::{More, ask_more, on_balancer, on_place};

/// For one round with one host, its connection included: what is unknown then is said to be. A host that does not answer at
/// all is given up much sooner, by the connect timeout; this is for one that answers over a slow line, where a login with
/// its eight round trips takes some seconds.
pub(super) const ROUND: Duration = Duration::from_secs(8);

/// One server as it was found.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceSeen {
    /// How ssh reaches it.
    pub host: String,
    /// What its marker says.
    pub release: Option<String>,
    /// `None`: it was not asked, or could not be.
    pub healthy: Option<bool>,
    /// What is wrong or unknown about it.
    pub note: Option<String>,
}

/// One balancer as it was found.
#[derive(Debug, Clone, Serialize)]
pub struct BalancerSeen {
    /// How ssh reaches it.
    pub host: String,
    /// Whether it answered.
    pub reachable: bool,
    /// What `live/current` points to.
    pub generation: Option<u64>,
    /// Whether the contents of its tree and of its configuration are the intended ones.
    pub in_sync: Option<bool>,
    /// What differs; while no journal says what is intended, what it serves.
    pub note: Option<String>,
    /// What its whole tree says, whoever's it is.
    #[serde(serialize_with = "as_traffic")]
    pub traffic: Option<Traffic>,
}

/// One pool's servers.
#[derive(Debug, Clone, Serialize)]
pub struct PoolSeen {
    /// The blue half.
    pub blue: Vec<PlaceSeen>,
    /// The green half.
    pub green: Vec<PlaceSeen>,
}

/// Everything that the hosts said.
#[derive(Debug, Clone)]
pub struct Seen {
    /// By name, in the inventory's order.
    pub pools: Vec<(String, PoolSeen)>,
    /// In the inventory's order.
    pub balancers: Vec<BalancerSeen>,
    /// What an interrupted command left behind and what leads on.
    pub explained: Option<Explained>,
    /// Who may change the servers, by host.
    pub fences: Vec<(String, Fence)>,
}

/// What was seen of one server.
struct Server {
    /// For the table.
    shown: PlaceSeen,
    /// For whoever explains an interrupted command.
    fact: explain::PlaceSeen,
    /// Who may change it.
    fence: Option<Fence>,
}

fn as_traffic<S: Serializer>(traffic: &Option<Traffic>, serializer: S) -> Result<S::Ok, S::Error> {
    traffic.as_ref().map(report::traffic).serialize(serializer)
}

/// A server with its half and pool.
type Spot<'a> = (Half, (&'a Pool, &'a Place));

/// Whom to ask, and what is expected of them.
pub struct Asking<'a> {
    /// The site.
    pub inventory: &'a Arc<Inventory>,
    /// What its balancers' files are rendered from.
    pub templates: &'a Templates,
    /// Where the journal says that it stands; `None` when the journal cannot be read.
    pub state: Option<&'a State>,
    /// Whether a command is open in it that nobody carries on.
    pub is_interrupted: bool,
    /// The hosts.
    pub hosts: &'a Hosts,
}

/// What every balancer said, in the inventory's order; an error is why it said nothing, with its name and without.
pub type Looks = Vec<(String, Result<Look, (String, String)>)>;

/// Asks the balancers. The servers' connections are opened meanwhile.
pub async fn look(inventory: &Arc<Inventory>, hosts: &Hosts) -> Looks {
    let balancers = Balancers::new(inventory.clone(), hosts.clone());
    let connect_places = async {
        let places = Half::ALL.into_iter().flat_map(|half| inventory.places(half));
        let names: Vec<&str> = places.map(|(_, place)| place.host.as_str()).collect();
        hosts.connect(&names).await;
    };
    let (looked, _) = tokio::join!(
        fan_out(balancers.names(), hosts.parallel(), |name| {
            let balancers = &balancers;
            async move { tokio::time::timeout(ROUND, balancers.look(&name)).await }
        }),
        tokio::time::timeout(ROUND, connect_places),
    );
    let said = |look: Result<Result<Look, Error>, Elapsed>| match look {
        Ok(look) => look.map_err(|error| (error.to_string(), error.without_host())),
        Err(_) => {
            let why = format!("it did not answer within {} s", ROUND.as_secs_f32());
            Err((why.clone(), why))
        }
    };
    looked.into_iter().map(|(host, look)| (host, said(look))).collect()
}

impl Asking<'_> {
    /// What the balancers said, and then the servers, asked through those that answered.
    pub async fn all(&self, looks: &Looks) -> Seen {
        let balancers = Balancers::new(self.inventory.clone(), self.hosts.clone());
        let mut seen = Vec::new();
        let mut facts = Vec::new();
        for (host, look) in looks {
            facts.push(self.balancer_facts(host, look));
            seen.push(match look {
                Ok(look) => self.balancer(look),
                Err((why, _)) => unreached(host.clone(), why.clone()),
            });
        }
        let viewpoints: Vec<String> = seen.iter().filter(|b| b.reachable).map(|b| b.host.clone()).collect();
        let (places, mut more) = tokio::join!(self.places(&viewpoints), self.more(&balancers, &viewpoints));
        more.to_balancers(&mut facts);
        let mut facts = explain::Seen { balancers: facts, places: Vec::new() };
        for ((_, (_, place)), seen) in &places {
            let mut fact = seen.fact.clone();
            more.to_place(&mut fact, place.port);
            facts.places.push(fact);
        }
        let fences =
            places.iter().filter_map(|((_, (_, place)), seen)| Some((place.host.clone(), seen.fence.clone()?)));
        let fences = fences.collect();
        let pools = self.pools(places);
        let state = self.state.filter(|_| self.is_interrupted);
        let explained =
            state.and_then(|state| explain(state, &self.inventory.digest(), &self.inventory.segment_names(), &facts));
        Seen { pools, balancers: seen, explained, fences }
    }

    fn balancer_facts(&self, host: &str, look: &Result<Look, (String, String)>) -> explain::BalancerSeen {
        let journal = self.state.and_then(|state| state.journal.as_deref()).unwrap_or_default();
        let dir = self.inventory.balancer(host).map(|balancer| balancer.dir.clone()).unwrap_or_default();
        let answer = look.as_ref().map(|look| on_balancer(look, journal)).map_err(|(_, why)| why.clone());
        explain::BalancerSeen { host: host.to_owned(), dir, answer }
    }

    /// What an interrupted step makes worth asking, beside the servers.
    async fn more(&self, balancers: &Balancers, answering: &[String]) -> More {
        match self.state.filter(|_| self.is_interrupted) {
            Some(state) => ask_more(self.inventory, balancers, self.hosts, state, answering, ROUND).await,
            None => More::default(),
        }
    }

    fn balancer(&self, look: &Look) -> BalancerSeen {
        let generation = match look.current {
            Current::Generation(number) => Some(number),
            Current::None | Current::Other(_) => None,
        };
        let wrong = self.state.filter(|state| state.stage.is_some()).map(|state| self.differs(look, state));
        let in_sync = wrong.as_ref().map(Option::is_none);
        let note = wrong.unwrap_or_else(|| self.foreign(look));
        let traffic = serves::traffic(look);
        BalancerSeen { host: look.host.clone(), reachable: true, generation, in_sync, note, traffic }
    }

    /// What stands on a balancer while the journal knows of no site: the work of another journal, or of one that is lost or
    /// cannot be read.
    fn foreign(&self, look: &Look) -> Option<String> {
        let Some(state) = self.state else { return Some(serves::said(look)) };
        let TrafficSeen::Said(said) = &look.traffic else { return None };
        let ours = state.journal.as_ref() == Some(&said.journal);
        let rollout = said.rollout.map(|number| format!(", rollout r{number}")).unwrap_or_default();
        (!ours).then(|| format!("its tree is of another journal, `{}`{rollout}: {}", said.journal, said.traffic))
    }

    /// How a balancer differs from what is intended.
    fn differs(&self, look: &Look, state: &State) -> Option<String> {
        let tree = match look.standing(state.journal.as_deref().unwrap_or_default()) {
            Standing::Ours(said) if said.hash == tree(state.wanted()).hash() => None,
            standing => Some(standing.differs()),
        };
        tree.or_else(|| conf_differences(self.inventory, self.templates, state.revision, look).into_iter().next())
    }

    async fn places<'b>(&'b self, viewpoints: &[String]) -> Vec<(Spot<'b>, Server)> {
        let spots = Half::ALL.into_iter().flat_map(|half| self.inventory.places(half).map(move |spot| (half, spot)));
        fan_out(spots, self.hosts.parallel(), |(half, (pool, place))| self.place(viewpoints, half, pool, place)).await
    }

    fn pools(&self, places: Vec<(Spot<'_>, Server)>) -> Vec<(String, PoolSeen)> {
        let mut pools: Vec<(String, PoolSeen)> = Vec::new();
        for pool in &self.inventory.pools {
            pools.push((pool.name.clone(), PoolSeen { blue: Vec::new(), green: Vec::new() }));
        }
        for ((half, (pool, _)), Server { shown, .. }) in places {
            let Some((_, of_pool)) = pools.iter_mut().find(|(name, _)| *name == pool.name) else { continue };
            match half {
                Half::Blue => of_pool.blue.push(shown),
                Half::Green => of_pool.green.push(shown),
            }
        }
        pools
    }

    async fn place(&self, viewpoints: &[String], half: Half, pool: &Pool, place: &Place) -> Server {
        let bounds = Bounds::default();
        let release = self.state.and_then(|state| state.releases.get(&state.release(half)?));
        let tells = pool.health.release_header.is_some();
        let of_step = self.release_of_step(half).filter(|_| tells);
        let (found, health, told_of_step) = tokio::join!(
            tokio::time::timeout(ROUND, server::look(self.hosts, place, &bounds)),
            tokio::time::timeout(ROUND, self.health(viewpoints, half, pool, place, release)),
            self.health_of_step(viewpoints, half, pool, place, of_step),
        );
        let mut fact = explain::PlaceSeen {
            host: place.host.clone(),
            pool: pool.name.clone(),
            half,
            unpacks: matches!(pool.deploy, Deploy::Unpack { .. }),
            answer: Err("it did not answer in time".to_owned()),
            health: None,
            named: None,
        };
        let mut seen = PlaceSeen { host: place.host.clone(), release: None, healthy: None, note: None };
        let mut fence = None;
        match found {
            Ok(Ok(found)) => {
                fact.answer = Ok(on_place(&found, &self.inventory.site));
                fence = found.fence;
                let marker = found.marker.filter(|marker| marker.site == self.inventory.site);
                seen.release = marker.as_ref().and_then(|marker| marker.release.clone());
                let activating = marker.and_then(|marker| marker.activating.filter(|_| seen.release.is_none()));
                seen.note = activating.map(|release| format!("the activation of {release} is not finished"));
            }
            Ok(Err(error)) => {
                fact.answer = Err(error.without_host());
                seen.note = Some(error.to_string());
            }
            Err(_) => seen.note = Some("it did not answer in time".to_owned()),
        }
        if let Ok(Ok(verdict)) = &health {
            fact.health = Some(short(verdict));
        }
        fact.named = match (of_step, told_of_step, release) {
            (Some(of_step), Some(told), _) => Some((of_step.version.to_string(), told.is_healthy())),
            // It would not be healthy with another.
            (None, _, Some(release)) if tells => Some((release.version.to_string(), true)),
            _ => None,
        };
        match health {
            Ok(Ok(Verdict::Healthy)) => seen.healthy = Some(true),
            Ok(Ok(unhealthy)) => {
                seen.healthy = Some(false);
                seen.note = Some(unhealthy.to_string());
            }
            Ok(Err(unasked)) => seen.note = seen.note.or(unasked),
            Err(_) => seen.note = seen.note.or_else(|| Some("its health was not answered in time".to_owned())),
        }
        Server { shown: seen, fact, fence }
    }

    /// The release that an interrupted step was to bring to `half`, once it has begun to.
    fn release_of_step(&self, half: Half) -> Option<&Release> {
        let state = self.state.filter(|_| self.is_interrupted)?;
        let open = state.open.as_ref().filter(|open| open.step.is_some())?;
        match open.at().map(|planned| &planned.step) {
            Some(Step::Activate { half: of, release }) if *of == half => state.releases.get(release),
            _ => None,
        }
    }

    /// What is found when a place must answer as `release`.
    async fn health_of_step(
        &self,
        viewpoints: &[String],
        half: Half,
        pool: &Pool,
        place: &Place,
        release: Option<&Release>,
    ) -> Option<Verdict> {
        let asked = self.health(viewpoints, half, pool, place, Some(release?));
        tokio::time::timeout(ROUND, asked).await.ok()?.ok()
    }

    /// One request, as before a shift. An error is why it could not be asked.
    async fn health(
        &self,
        viewpoints: &[String],
        half: Half,
        pool: &Pool,
        place: &Place,
        release: Option<&Release>,
    ) -> Result<Verdict, Option<String>> {
        let names = release.map(|release| vec![release.label.clone(), release.version.to_string()]);
        let probe = health::for_place(&self.inventory.site, pool, half, place, release)
            .and_then(|health| Probe::new(self.hosts, viewpoints, place, &health, &names.unwrap_or_default()));
        let probe = probe.map_err(|error| Some(error.to_string()))?;
        probe.check_once(Depth::Quick).await.map_err(|error| Some(error.to_string()))
    }
}

/// Without what it answered, which the table quotes.
fn short(verdict: &Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Healthy => Ok(()),
        Verdict::Unhealthy { reason, from, .. } => Err(format!("{reason}, seen from `{from}`")),
    }
}

fn unreached(host: String, why: String) -> BalancerSeen {
    BalancerSeen { host, reachable: false, generation: None, in_sync: None, note: Some(why), traffic: None }
}
