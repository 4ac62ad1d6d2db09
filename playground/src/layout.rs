//! Which host is where: names, addresses, ports and directories, decided once at the start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::block::{Block, at};
use crate::error::{Error, Result};
use crate::options::Options;

/// The inventory's site name.
pub const SITE: &str = "shop";
const SSHD_FROM: u16 = 2222;
const PUBLIC_FROM: u16 = 8080;
const APPS_FROM: u16 = 3000;

/// One of the two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Half {
    /// `blue`.
    Blue,
    /// `green`.
    Green,
}

impl Half {
    /// `blue` or `green`.
    pub fn name(self) -> &'static str {
        match self {
            Half::Blue => "blue",
            Half::Green => "green",
        }
    }
}

/// A host: an address, a directory tree and an sshd of its own.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name for ssh: `lb1`, `web1`, ….
    pub name: String,
    /// Its address: of loopback, or in a fleet of the fleet's own network.
    pub address: Ipv4Addr,
    /// Where its sshd listens.
    pub ssh: SocketAddr,
    /// Its directory tree; `home/` is the login's `$HOME`.
    pub dir: PathBuf,
}

/// A balancer: a host with an nginx.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// The host.
    pub host: Host,
    /// Where it serves the public.
    pub public: SocketAddr,
    /// bg's port on 127.0.0.1.
    pub probe: u16,
    /// nginx's own directory (nginx.conf, access.log, error.log, nginx.pid).
    pub prefix: PathBuf,
    /// The directory that bg owns: http.conf, server.conf, live/.
    pub bg_dir: PathBuf,
}

/// A place: one server of a pool.
#[derive(Debug, Clone)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// The pool's name.
    pub pool: String,
    /// Its half.
    pub half: Half,
    /// Where its application listens.
    pub listen: SocketAddr,
    /// The deploy root: releases/, current, .bg/.
    pub root: PathBuf,
}

impl Place {
    /// The application's log on the host (stdout and stderr of every start).
    pub fn log(&self) -> PathBuf {
        crate::app::log_file(&self.host.dir, &self.pool, self.listen.port())
    }
}

/// Everything that is decided before anything starts.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) balancers: Vec<Balancer>,
    pub(crate) places: Vec<Place>,
    pub(crate) block: Block,
}

impl Layout {
    /// Claims addresses and ports for what the options ask.
    pub(crate) fn decide(dir: &Path, options: &Options) -> Result<Layout> {
        let mut block = if options.apart { Block::apart() } else { Block::claim()? };
        let servers: usize = options.pools.iter().map(|pool| 2 * pool.blue.max(pool.green)).sum();
        if servers > 200 || options.pools.is_empty() {
            return Err(Error::Unknown(format!("a playground has 1 to 200 servers, not {servers}")));
        }
        let addresses = |from: u8, count: usize| -> Vec<Ipv4Addr> {
            (0..count).map(|index| block.address(from + u8::try_from(index).unwrap_or(0))).collect()
        };
        let fronts = addresses(11, options.balancers);
        let backs = addresses(21, servers);
        let all: Vec<Ipv4Addr> = fronts.iter().chain(&backs).copied().collect();
        let ssh_port = block.port(SSHD_FROM, &all)?;
        let public_port = block.port(PUBLIC_FROM, &fronts)?;
        let host =
            |name: String, address: Ipv4Addr| Host { dir: dir.join(&name), ssh: at(address, ssh_port), name, address };
        let mut places = Vec::new();
        let mut free = backs.iter();
        let mut app_port = APPS_FROM;
        for pool in &options.pools {
            let mine: Vec<Ipv4Addr> = free.by_ref().take(2 * pool.blue.max(pool.green)).copied().collect();
            let port = block.port(app_port, &mine)?;
            app_port = port + 1000;
            for (index, address) in mine.iter().enumerate() {
                let half = if index % 2 == 0 { Half::Blue } else { Half::Green };
                let count = if half == Half::Blue { pool.blue } else { pool.green };
                if index / 2 >= count {
                    continue;
                }
                let host = host(format!("{}{}", pool.name, index + 1), *address);
                let root = host.dir.join("srv").join(&pool.name);
                places.push(Place { listen: at(*address, port), root, host, pool: pool.name.clone(), half });
            }
        }
        let mut balancers = Vec::new();
        for (index, address) in fronts.iter().enumerate() {
            let host = host(format!("lb{}", index + 1), *address);
            balancers.push(Balancer {
                public: at(*address, public_port),
                probe: block.probe_port()?,
                prefix: host.dir.join("nginx"),
                bg_dir: host.dir.join("bg").join(SITE),
                host,
            });
        }
        Ok(Layout { dir: dir.to_owned(), balancers, places, block })
    }

    /// Where each host of a fleet has a disk of its own.
    pub(crate) fn disks(&self) -> Vec<PathBuf> {
        let balancers = self.balancers.iter().map(Layout::balancer_disk);
        balancers.chain(self.places.iter().map(|place| place.root.clone())).collect()
    }

    /// The disk of a balancer: bg's directory is on it, nginx's own is not.
    pub(crate) fn balancer_disk(balancer: &Balancer) -> PathBuf {
        balancer.host.dir.join("bg")
    }

    /// Every host, balancers first.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.balancers.iter().map(|balancer| &balancer.host).chain(self.places.iter().map(|place| &place.host))
    }
}
