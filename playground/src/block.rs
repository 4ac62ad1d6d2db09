//! Addresses and ports: every playground has a block 127.A.B.0/24 to itself, so that two run side by side.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};

use rand::Rng;

use crate::error::{Error, Result};

/// The port that is held for a playground's life, on the block's last address: who holds it owns the block.
const CLAIM_PORT: u16 = 2009;
/// Where a probe port is claimed (each playground binds its own on 127.0.0.1, which all of them share).
const PROBE_CLAIM: Ipv4Addr = Ipv4Addr::new(127, 255, 254, 253);
/// More attempts than there could be playgrounds on a machine.
const ATTEMPTS: usize = 200;

/// A block of loopback addresses, claimed until it is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    a: u8,
    b: u8,
    _claim: TcpListener,
    claimed_probes: Vec<TcpListener>,
}

impl Block {
    /// Claims a block at random that nobody has.
    pub(crate) fn claim() -> Result<Block> {
        let mut random = rand::rng();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let (a, b) = (random.random_range(1..=250), random.random_range(0..=250));
            match TcpListener::bind((Ipv4Addr::new(127, a, b, 254), CLAIM_PORT)) {
                Ok(claim) => return Ok(Block { a, b, _claim: claim, claimed_probes: Vec::new() }),
                Err(error) => last = Some(error),
            }
        }
        let source = last.unwrap_or_else(|| std::io::Error::other("no attempt was made"));
        Err(Error::Io { what: "cannot claim a block of loopback addresses near", object: "127.0.0.0/8".into(), source })
    }

    /// An address of the block; `last` is 1 to 253.
    pub(crate) fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.a, self.b, last)
    }

    /// The first port from `from` on that is free on all these addresses (something outside may listen on 0.0.0.0).
    pub(crate) fn port(&self, from: u16, addresses: &[Ipv4Addr]) -> Result<u16> {
        let free = |port: &u16| addresses.iter().all(|address| TcpListener::bind((*address, *port)).is_ok());
        (from..from + 500)
            .find(free)
            .ok_or_else(|| Error::Unknown(format!("no port from {from} on is free on the playground's addresses")))
    }

    /// A port that is free on 127.0.0.1 and that no other playground takes meanwhile.
    pub(crate) fn probe_port(&mut self) -> Result<u16> {
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
