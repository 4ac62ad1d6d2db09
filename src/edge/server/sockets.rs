//! Who listens on a server's port, and who is connected to it, from the kernel's own table.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bluegreen_core::inventory::Place;
use ipnet::IpNet;

use super::Bounds;
use super::error::{ServerError, What};
use super::script::{SOCKETS, ask};
use crate::edge::host::{Hosts, Stdin};

/// More is never kept of the answer: some hundred thousand connections.
const MAX_ANSWER: usize = 16 << 20;

/// Somebody with established connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// From where.
    pub address: IpAddr,
    /// How many connections.
    pub connections: usize,
}

/// Whether a server's port is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupancy {
    /// Something listens on it, at the place's address or at every one.
    pub listening: bool,
    /// Whoever is connected.
    pub peers: Vec<Peer>,
}

impl Occupancy {
    /// Whether something may be serving there: setup leaves it alone, unless its marker is from this setup.
    pub fn is_in_use(&self) -> bool {
        self.listening || !self.peers.is_empty()
    }
}

/// Who has established connections to the server's port and is in none of `expected` (the balancers' addresses and
/// `drain.ignore`), most connections first. Peers on the host itself count like any other: whoever they are, they are
/// using the server.
pub async fn peers(
    hosts: &Hosts,
    place: &Place,
    expected: &[IpNet],
    bounds: &Bounds,
) -> Result<Vec<Peer>, ServerError> {
    Ok(table(hosts, place, bounds).await?.peers(place, expected))
}

/// Whether the server's port is in use.
pub async fn occupancy(hosts: &Hosts, place: &Place, bounds: &Bounds) -> Result<Occupancy, ServerError> {
    let table = table(hosts, place, bounds).await?;
    Ok(Occupancy { listening: table.listens(place), peers: table.peers(place, &[]) })
}

/// The host's own addresses: what others see it connect from, as far as nothing translates them in between.
pub async fn addresses(hosts: &Hosts, host: &str, bounds: &Bounds) -> Result<Vec<IpAddr>, ServerError> {
    // No socket has port 0.
    let run = SOCKETS.run(vec!["0000".to_owned()], bounds.script, Stdin::Null);
    let lines = ask(&hosts.get(host), "-", run).await?;
    let mut own = Table::read(&lines).map_err(|what| ServerError::at(host, "-", what))?.own;
    own.sort_unstable();
    own.dedup();
    Ok(own)
}

async fn table(hosts: &Hosts, place: &Place, bounds: &Bounds) -> Result<Table, ServerError> {
    let run = SOCKETS.run(vec![format!("{:04X}", place.port)], bounds.script, Stdin::Null).max_output(MAX_ANSWER);
    let lines = ask(&hosts.get(&place.host), &place.root, run).await?;
    Table::read(&lines).map_err(|what| ServerError::at(&place.host, &place.root, what))
}

/// What `sockets.sh` told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    own: Vec<IpAddr>,
    listening: Vec<IpAddr>,
    /// Local and remote address of each connection.
    established: Vec<(IpAddr, IpAddr)>,
}

impl Table {
    pub(super) fn read(lines: &[String]) -> Result<Table, What> {
        let mut table = Table::default();
        for line in lines {
            let garbled = || What::Garbled { said: line.clone() };
            if let Some(address) = line.strip_prefix("at ") {
                // An address with a zone is nobody's from afar.
                table.own.extend(address.parse::<IpAddr>());
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            let [local, remote, state] = words[..] else { return Err(garbled()) };
            let local = address(local).ok_or_else(garbled)?;
            match state {
                "0A" => table.listening.push(local),
                _ => table.established.push((local, address(remote).ok_or_else(garbled)?)),
            }
        }
        Ok(table)
    }

    /// Only connections to the place's own address count where something listens on exactly that, or nothing does on
    /// every address; else, behind a listener on every address or a translated address, all of the port do.
    pub(super) fn peers(&self, place: &Place, expected: &[IpNet]) -> Vec<Peer> {
        let everywhere = self.listening.iter().any(IpAddr::is_unspecified);
        let exact = address_of(place).filter(|at| self.listening.contains(at) || self.is_own(at) && !everywhere);
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (local, remote) in &self.established {
            let ours = exact.is_none_or(|address| address == *local);
            if ours && !expected.iter().any(|net| net.contains(remote)) {
                *counts.entry(*remote).or_default() += 1;
            }
        }
        let mut peers: Vec<Peer> =
            counts.into_iter().map(|(address, connections)| Peer { address, connections }).collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.connections));
        peers
    }

    fn is_own(&self, address: &IpAddr) -> bool {
        address.is_loopback() || self.own.contains(address)
    }

    /// A listener on another of the host's addresses is another server, but only if the place's is one of them too:
    /// through a translated address any of them may be reached.
    pub(super) fn listens(&self, place: &Place) -> bool {
        let exact = address_of(place).filter(|address| self.is_own(address));
        self.listening.iter().any(|at| at.is_unspecified() || exact.is_none_or(|address| address == *at))
    }
}

/// The place's address, unless it is a name.
fn address_of(place: &Place) -> Option<IpAddr> {
    place.address.parse().ok()
}

/// The address of `0100007F:0BB8`: the bytes of each group of four stand in the order of a little-endian machine. An
/// IPv4 address within IPv6 is given as IPv4.
fn address(end: &str) -> Option<IpAddr> {
    let hex = end.split_once(':')?.0;
    let groups: Vec<[u8; 4]> = (0..hex.len())
        .step_by(8)
        .map(|at| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_le_bytes()))
        .collect::<Option<_>>()?;
    match groups[..] {
        [v4] => Some(Ipv4Addr::from(v4).into()),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [a, b, c, d].concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}
