//! Addresses and ports: every playground has a block 127.A.B.0/24 to itself, so that two run side by side; a fleet has a
//! whole network to itself.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};

use rand::Rng;

use crate::error::{Error, Result};

/// The port that is held for a playground's life, on the block's last address: who holds it owns the block.
const CLAIM_PORT: u16 = 2009;
/// Where a probe port is claimed (each playground binds its own on 127.0.0.1, which all of them share).
const PROBE_CLAIM: Ipv4Addr = Ipv4Addr::new(127, 255, 254, 253);
/// More attempts than there could be playgrounds on a machine.
const ATTEMPTS: usize = 200;

/// The network of hosts that have one to themselves: 10.77.0.0/24, whoever else uses those numbers elsewhere.
const APART: [u8; 3] = [10, 77, 0];
/// The probe port of a balancer whose 127.0.0.1 is its own.
const PROBE: u16 = 8474;

/// A block of addresses: of loopback, claimed until it is dropped, or of a network of its own.
#[derive(Debug)]
pub(crate) struct Block {
    net: [u8; 3],
    /// None where the network is nobody else's.
    claim: Option<TcpListener>,
    claimed_probes: Vec<TcpListener>,
}

impl Block {
    /// The addresses of a network that this playground has to itself.
    pub(crate) fn apart() -> Block {
        Block { net: APART, claim: None, claimed_probes: Vec::new() }
    }

    /// Claims a block at random that nobody has.
    pub(crate) fn claim() -> Result<Block> {
        let mut random = rand::rng();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let (a, b) = (random.random_range(1..=250), random.random_range(0..=250));
            match TcpListener::bind((Ipv4Addr::new(127, a, b, 254), CLAIM_PORT)) {
                Ok(claim) => return Ok(Block { net: [127, a, b], claim: Some(claim), claimed_probes: Vec::new() }),
                Err(error) => last = Some(error),
            }
        }
        let source = last.unwrap_or_else(|| std::io::Error::other("no attempt was made"));
        Err(Error::Io { what: "cannot claim a block of loopback addresses near", object: "127.0.0.0/8".into(), source })
    }

    /// An address of the block; `last` is 1 to 253.
    pub(crate) fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, last)
    }

    /// The first port from `from` on that is free on all these addresses (something outside may listen on 0.0.0.0).
    pub(crate) fn port(&self, from: u16, addresses: &[Ipv4Addr]) -> Result<u16> {
        if self.claim.is_none() {
            return Ok(from);
        }
        let free = |port: &u16| addresses.iter().all(|address| TcpListener::bind((*address, *port)).is_ok());
        (from..from + 500)
            .find(free)
            .ok_or_else(|| Error::Unknown(format!("no port from {from} on is free on the playground's addresses")))
    }

    /// A port that is free on 127.0.0.1 and that no other playground takes meanwhile.
    pub(crate) fn probe_port(&mut self) -> Result<u16> {
        if self.claim.is_none() {
            return Ok(PROBE);
        }
        let mut random = rand::rng();
        for _ in 0..ATTEMPTS {
            // Below the range from which the kernel picks ports for outgoing connections.
            let port = random.random_range(12_000..30_000);
            let Ok(claim) = TcpListener::bind((PROBE_CLAIM, port)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                self.claimed_probes.push(claim);
                return Ok(port);
            }
        }
        Err(Error::Unknown("no free port was found on 127.0.0.1".into()))
    }
}

/// An address and a port.
pub(crate) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(address, port))
}
