//! What the hosts' answers mean, with what the journal says in mind.

use bluegreen_core::{
    half::Half,
    inventory::{Deploy, Inventory},
    nginx::{conf::Templates, tree::tree},
    rollout::{
        State,
        explain::{self, Explained, explain},
    },
    text::plain,
    traffic::Traffic,
};
use serde::{Serialize, Serializer};

use super::{
    ask::{Health, Looks, PlaceAnswer, Silences, Spot, spots},
    report, serves,
};
use crate::{
    edge::{
        balancer::{Current, Look, Standing, TrafficSeen},
        check::conf_differences,
        health::Verdict,
        server::Fence,
    },
    site::explain::{More, on_balancer, on_place},
};

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
    /// Whether nginx answers for this site on the probe port; `None` where that is not known, or not to be expected yet.
    pub nginx_answers: Option<bool>,
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
}

/// What a host said, line by line, without what could drive a terminal.
fn harmless(said: &mut Option<String>) {
    if let Some(said) = said {
        *said = said.lines().map(plain).collect::<Vec<_>>().join("\n");
    }
}

impl Seen {
    /// The same, fit to be shown: a marker or a link may hold anything.
    fn harmless(mut self) -> Seen {
        for (_, pool) in &mut self.pools {
            for place in pool.blue.iter_mut().chain(&mut pool.green) {
                harmless(&mut place.release);
                harmless(&mut place.note);
            }
        }
        self.balancers.iter_mut().for_each(|balancer| harmless(&mut balancer.note));
        for found in self.explained.iter_mut().flat_map(|explained| &mut explained.found) {
            found.what = plain(&found.what);
        }
        self
    }
}

fn as_traffic<S: Serializer>(traffic: &Option<Traffic>, serializer: S) -> Result<S::Ok, S::Error> {
    traffic.as_ref().map(report::traffic).serialize(serializer)
}

/// Who may change the servers, by host.
pub fn fences(inventory: &Inventory, places: &[PlaceAnswer]) -> Vec<(String, Fence)> {
    let fence = |((_, _, place), answer): (Spot<'_>, &PlaceAnswer)| {
        Some((place.host.clone(), answer.found.as_ref().ok()?.fence.clone()?))
    };
    spots(inventory).into_iter().zip(places).filter_map(fence).collect()
}

/// What is expected of the hosts.
pub struct Seeing<'a> {
    /// The site.
    pub inventory: &'a Inventory,
    /// What its balancers' files are rendered from.
    pub templates: &'a Templates,
    /// Where the journal says that it stands; `None` when the journal cannot be read.
    pub state: Option<&'a State>,
    /// Whether a command is open in it that nobody carries on.
    pub is_interrupted: bool,
}

impl Seeing<'_> {
    /// What the answers mean.
    pub fn all(&self, looks: &Looks, silences: &Silences, places: &[PlaceAnswer], mut more: More) -> Seen {
        let mut balancers = Vec::new();
        let mut facts = explain::Seen { balancers: Vec::new(), places: Vec::new() };
        for ((host, look), silence) in looks.iter().zip(silences) {
            facts.balancers.push(self.balancer_facts(host, look));
            balancers.push(match look {
                Ok(look) => self.balancer(look, silence.as_deref()),
                Err((why, _)) => unreached(host.clone(), why.clone()),
            });
        }
        more.to_balancers(&mut facts.balancers);
        let mut pools: Vec<(String, PoolSeen)> = Vec::new();
        for pool in &self.inventory.pools {
            pools.push((pool.name.clone(), PoolSeen { blue: Vec::new(), green: Vec::new() }));
        }
        for (spot, answer) in spots(self.inventory).into_iter().zip(places) {
            let (half, pool, place) = spot;
            let mut fact = self.place_facts(spot, answer);
            more.to_place(&mut fact, place.port);
            facts.places.push(fact);
            let Some((_, of_pool)) = pools.iter_mut().find(|(name, _)| *name == pool.name) else { continue };
            match half {
                Half::Blue => of_pool.blue.push(self.place(place.host.clone(), answer)),
                Half::Green => of_pool.green.push(self.place(place.host.clone(), answer)),
            }
        }
        let state = self.state.filter(|_| self.is_interrupted);
        let (digest, segments) = (self.inventory.digest(), self.inventory.segment_names());
        let explained = state.and_then(|state| explain(state, &digest, &segments, &facts));
        Seen { pools, balancers, explained }.harmless()
    }

    fn balancer_facts(&self, host: &str, look: &Result<Look, (String, String)>) -> explain::BalancerSeen {
        let journal = self.state.and_then(|state| state.journal.as_deref()).unwrap_or_default();
        let dir = self.inventory.balancer(host).map(|balancer| balancer.dir.clone()).unwrap_or_default();
        let answer = look.as_ref().map(|look| on_balancer(look, journal)).map_err(|(_, why)| why.clone());
        explain::BalancerSeen { host: host.to_owned(), dir, answer }
    }

    fn balancer(&self, look: &Look, silence: Option<&str>) -> BalancerSeen {
        let generation = match look.current {
            Current::Generation(number) => Some(number),
            Current::None | Current::Other(_) => None,
        };
        let wrong = self.state.filter(|state| state.stage.is_some()).map(|state| self.differs(look, state));
        let in_sync = wrong.as_ref().map(Option::is_none);
        let note = wrong.unwrap_or_else(|| self.foreign(look));
        let (nginx_answers, silent) = self.nginx(&look.host, silence);
        let notes: Vec<String> = [note, silent].into_iter().flatten().collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let traffic = serves::traffic(look);
        BalancerSeen { host: look.host.clone(), reachable: true, generation, in_sync, nginx_answers, note, traffic }
    }

    /// Whether nginx answers on a balancer, and what is to be said where it does not: of a site that is set up. Since only its
    /// probe port was asked, no more is said than that.
    fn nginx(&self, host: &str, silence: Option<&str>) -> (Option<bool>, Option<String>) {
        let (Some(state), Some(balancer)) =
            (self.state.filter(|state| state.stage.is_some()), self.inventory.balancer(host))
        else {
            return (None, None);
        };
        let Some(why) = silence else { return (Some(true), None) };
        let port = format!("its probe port 127.0.0.1:{}", balancer.probe);
        if state.rollouts == 0 {
            // No rollout begins before the user has added the includes.
            let note = format!(
                "nginx does not answer for this site on {port}: it does not include bg's files yet, or does not run; \
                 `bg check --hosts` says more"
            );
            return (None, Some(note));
        }
        let note = format!(
            "nginx does not answer for this site on {port}: {why}. Where it is dead or hangs, clients of this balancer get \
             nothing: `bg check --hosts` says more"
        );
        (Some(false), Some(note))
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

    fn place_facts(&self, (half, pool, place): Spot<'_>, answer: &PlaceAnswer) -> explain::PlaceSeen {
        let found = answer.found.as_ref();
        explain::PlaceSeen {
            host: place.host.clone(),
            pool: pool.name.clone(),
            half,
            unpacks: matches!(pool.deploy, Deploy::Unpack { .. }),
            answer: found.map(|found| on_place(found, &self.inventory.site)).map_err(|(_, why)| why.clone()),
            health: match &answer.health {
                Health::Known(verdict) => Some(short(verdict)),
                Health::Unknown(_) => None,
            },
            named: answer.named.clone(),
        }
    }

    fn place(&self, host: String, answer: &PlaceAnswer) -> PlaceSeen {
        let mut seen = PlaceSeen { host, release: None, healthy: None, note: None };
        match &answer.found {
            Ok(found) => {
                let marker = found.marker.as_ref().filter(|marker| marker.site == self.inventory.site);
                seen.release = marker.and_then(|marker| marker.release.clone());
                let activating = marker.and_then(|marker| marker.activating.clone()).filter(|_| seen.release.is_none());
                seen.note = activating.map(|release| format!("the activation of {release} is not finished"));
            }
            Err((why, _)) => seen.note = Some(why.clone()),
        }
        match &answer.health {
            Health::Known(Verdict::Healthy) => seen.healthy = Some(true),
            Health::Known(unhealthy) => {
                seen.healthy = Some(false);
                let missed = answer.found.as_ref().err().map(|(why, _)| format!("{why}; ")).unwrap_or_default();
                seen.note = Some(format!("{missed}{unhealthy}"));
            }
            Health::Unknown(why) => seen.note = seen.note.or_else(|| Some(why.clone())),
        }
        seen
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
    let (generation, in_sync, nginx_answers, traffic) = (None, None, None, None);
    BalancerSeen { host, reachable: false, generation, in_sync, nginx_answers, note: Some(why), traffic }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_cannot_drive_the_terminal() {
        let release = Some("v2\u{1b}]0;title\u{7}".to_owned());
        let place =
            PlaceSeen { host: "web1".to_owned(), release, healthy: None, note: Some("a\u{1b}[2J\nb".to_owned()) };
        let pools = vec![("web".to_owned(), PoolSeen { blue: vec![place], green: Vec::new() })];
        let seen = Seen { pools, balancers: Vec::new(), explained: None }.harmless();
        let place = &seen.pools[0].1.blue[0];
        assert_eq!(place.release.as_deref(), Some("v2\u{fffd}]0;title\u{fffd}"));
        assert_eq!(place.note.as_deref(), Some("a\u{fffd}[2J\nb"), "lines stay lines");
    }
}
