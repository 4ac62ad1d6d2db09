//! What the hosts say about an interrupted command, beyond what every `status` asks: only reads.

use std::{collections::HashMap, net::IpAddr};

use bluegreen_core::{
    Half,
    inventory::{Inventory, Place},
    nginx::{conf::parse_first_line, state},
    rollout::{
        OpenCommand, State, Step,
        explain::{BalancerSeen, InFlight, OnBalancer, OnPlace, PlaceSeen, TreeSeen},
    },
};
use ipnet::IpNet;
use tokio::time::{Instant, timeout_at};

use crate::edge::{
    balancer::{self, Balancers, ConfFile, Error, Look, Presence, Standing},
    host::{Hosts, fan_out},
    server::{self, Bounds, Seen},
};

/// What a look at a balancer says, as `journal` sees it.
pub fn on_balancer(look: &Look, journal: &str) -> OnBalancer {
    let tree = match look.standing(journal) {
        Standing::Ours(said) => TreeSeen::Ours { generation: said.generation, traffic: said.traffic },
        Standing::Nothing => TreeSeen::Nothing,
        standing => TreeSeen::Else(standing.differs()),
    };
    let revision = match &look.http {
        ConfFile::Present { first_line, .. } => parse_first_line(first_line).map(|line| line.revision),
        ConfFile::Absent | ConfFile::Unreadable => None,
    };
    OnBalancer {
        has_dirs: [look.dir, look.live.0, look.gens_dir.0].iter().all(|dir| *dir == Presence::Present),
        tree,
        generations: look.generations.clone(),
        revision,
        running: None,
        in_flight: None,
    }
}

/// What a look at a server of `site` says.
pub fn on_place(seen: &Seen, site: &str) -> OnPlace {
    let marker = seen.marker.as_ref().filter(|marker| marker.site == site);
    let mut placed: Vec<String> = seen.releases.iter().map(|kept| kept.name.clone()).collect();
    placed.sort_by_key(|name| (name.len(), name.clone()));
    OnPlace {
        release: marker.and_then(|marker| marker.release.clone()),
        activating: marker.and_then(|marker| marker.activating.clone()),
        current: seen.current.clone(),
        placed,
        peers: None,
    }
}

/// The balancers as a dry run looked at them.
pub(super) fn looked(
    inventory: &Inventory,
    state: &State,
    looks: &[(String, Result<Look, Error>)],
) -> Vec<BalancerSeen> {
    let journal = state.journal.as_deref().unwrap_or_default();
    let seen = |(host, look): &(String, Result<Look, Error>)| BalancerSeen {
        host: host.clone(),
        dir: inventory.balancer(host).map(|balancer| balancer.dir.clone()).unwrap_or_default(),
        answer: look.as_ref().map(|look| on_balancer(look, journal)).map_err(Error::without_host),
    };
    looks.iter().map(seen).collect()
}

/// Established peers of each server, by host and port.
type Peers = HashMap<(String, u16), Vec<(String, usize)>>;

/// What only an open step makes worth asking.
#[derive(Debug, Default)]
pub struct More {
    running: HashMap<String, Result<u64, String>>,
    in_flight: HashMap<String, Result<InFlight, String>>,
    peers: Peers,
}

impl More {
    /// Adds it to what was seen of the balancers.
    pub fn to_balancers(&mut self, balancers: &mut [BalancerSeen]) {
        for seen in balancers {
            if let Ok(answer) = &mut seen.answer {
                answer.running = self.running.remove(&seen.host);
                answer.in_flight = self.in_flight.remove(&seen.host);
            }
        }
    }

    /// Adds it to what was seen of a server with this port.
    pub fn to_place(&mut self, seen: &mut PlaceSeen, port: u16) {
        if let Ok(answer) = &mut seen.answer {
            answer.peers = self.peers.remove(&(seen.host.clone(), port));
        }
    }
}

/// Asks the balancers that answered, and the servers, what the open step makes worth asking. Each question is given up
/// at `until`.
pub async fn ask_more(
    inventory: &Inventory,
    balancers: &Balancers,
    hosts: &Hosts,
    state: &State,
    answering: &[String],
    until: Instant,
) -> More {
    let mut more = More::default();
    match state.open.as_ref().and_then(OpenCommand::at).map(|planned| &planned.step) {
        Some(Step::ReloadConf { .. }) => {
            let asked = fan_out(answering.to_vec(), hosts.parallel(), |host| async move {
                let answer = timeout_at(until, balancers.state(&host, "all/00/00")).await;
                in_time(answer).map(|answer| answer.revision)
            });
            more.running = asked.await.into_iter().collect();
        }
        Some(Step::Drain { half, .. }) => {
            let asked = fan_out(answering.to_vec(), hosts.parallel(), |host| async move {
                in_time(timeout_at(until, in_flight(balancers, &host, *half)).await)
            });
            let (in_flight, peers) = tokio::join!(asked, peers(inventory, balancers, hosts, answering, *half, until));
            more.in_flight = in_flight.into_iter().collect();
            more.peers = peers;
        }
        _ => {}
    }
    more
}

fn in_time<T>(answer: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T, String> {
    match answer {
        Ok(answer) => answer.map_err(|error| error.without_host()),
        Err(_) => Err("it did not answer in time".to_owned()),
    }
}

async fn in_flight(balancers: &Balancers, host: &str, half: Half) -> Result<InFlight, Error> {
    let (half, both) = tokio::join!(balancers.inflight(host, half.into()), balancers.inflight(host, state::Seen::Both));
    let count = |count| match count {
        balancer::InFlight::None => 0,
        balancer::InFlight::AtLeast(n) => n,
    };
    Ok(InFlight { half: count(half?), both: count(both?) })
}

/// Who is connected to the half's servers and is no balancer. Nobody can be told a balancer from a stranger while one
/// balancer's addresses are not known, so then there is no answer.
async fn peers(
    inventory: &Inventory,
    balancers: &Balancers,
    hosts: &Hosts,
    answering: &[String],
    half: Half,
    until: Instant,
) -> Peers {
    if answering.len() < inventory.balancers.len() {
        return Peers::new();
    }
    let addresses = fan_out(answering.to_vec(), hosts.parallel(), |host| async move {
        in_time(timeout_at(until, balancers.addresses(&host)).await)
    });
    let known: Result<Vec<Vec<IpNet>>, String> = addresses.await.into_iter().map(|(_, addresses)| addresses).collect();
    let Ok(known) = known.map(|known| known.concat()) else { return Peers::new() };
    let known = &known;
    let found = fan_out(inventory.places(half), hosts.parallel(), |(pool, place)| async move {
        let expected: Vec<IpNet> = known.iter().chain(&pool.drain.ignore).copied().collect();
        timeout_at(until, server::peers(hosts, place, &expected, &Bounds::default())).await.ok()?.ok()
    });
    let told = |((_, place), peers): ((_, &Place), Option<Vec<server::Peer>>)| {
        let peers = peers?.into_iter().map(|peer| (IpAddr::to_string(&peer.address), peer.connections)).collect();
        Some(((place.host.clone(), place.port), peers))
    };
    found.await.into_iter().filter_map(told).collect()
}
