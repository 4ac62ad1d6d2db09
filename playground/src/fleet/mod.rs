//! A playground whose hosts are apart: each has an address of its own on a network of its own, and its own mounts,
//! processes, name and disk. So links can be cut, hosts killed, disks filled and clocks set wrong. Only root can.
//!
//! ```text
//! desk ───┐           ┌─── lb1, lb2, …    sshd, nginx, a disk for bg's directory
//! client ─┴── switch ─┴─── web1, web2, …  sshd, the application, a disk for its deploy root
//! ```
//! The thread that starts a fleet is at the desk until the fleet is dropped: what it runs and asks goes over the fleet's
//! network. No namespace has a name; each ends with the processes in it, and those with the owner.

mod hold;
mod network;
mod slow;
mod space;

pub use hold::hold;
pub(crate) use network::Network;
pub use slow::Slow;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use crate::error::{Error, Naming, Result};
use crate::get::Answer;
use crate::layout::Layout;
use crate::load::Load;
use crate::machine;
use crate::options::Options;
use crate::playground::Playground;
use crate::run::{Ran, Running};
use crate::sshd;

/// A piece with which a disk is filled.
const PIECE: usize = 64 * 1024;

/// What is cut. Everything that is cut is silent: nobody is told that nothing arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The host's cable: it reaches nobody.
    Link,
    /// The way between the desk and the host, both ways. Clients and servers still reach it.
    Desk,
    /// What the desk sends does not arrive at the host; what the host sends does.
    Commands,
    /// What the host sends does not arrive at the desk; what the desk sends does.
    Answers,
}

/// A playground of hosts that are apart. It stays on the thread that started it.
#[derive(Debug)]
pub struct Fleet {
    site: Playground,
    cuts: Vec<(String, Cut)>,
    /// That thread is at the desk.
    _here: PhantomData<*const ()>,
}

impl Deref for Fleet {
    type Target = Playground;

    fn deref(&self) -> &Playground {
        &self.site
    }
}

impl DerefMut for Fleet {
    fn deref_mut(&mut self) -> &mut Playground {
        &mut self.site
    }
}

impl Fleet {
    /// Starts it; see [`Options::fleet`].
    pub fn start(options: Options) -> Result<Fleet> {
        if !nix::unistd::Uid::effective().is_root() {
            return Err(Error::Unknown("a fleet has network namespaces, and only root can make them".into()));
        }
        Ok(Fleet { site: Playground::start(options)?, cuts: Vec::new(), _here: PhantomData })
    }

    fn network(&self) -> Result<&Network> {
        self.site.network.as_ref().ok_or_else(|| Error::Unknown("this fleet has no network any more".into()))
    }

    fn network_mut(&mut self) -> Result<&mut Network> {
        self.site.network.as_mut().ok_or_else(|| Error::Unknown("this fleet has no network any more".into()))
    }

    /// Cuts a way to a host, until [`Fleet::heal`].
    pub fn cut(&mut self, host: &str, cut: Cut) -> Result<()> {
        self.switch(host, cut, true)?;
        self.cuts.push((host.to_owned(), cut));
        Ok(())
    }

    /// Heals everything that was cut.
    pub fn heal(&mut self) -> Result<()> {
        let cuts = std::mem::take(&mut self.cuts);
        cuts.iter().try_for_each(|(host, cut)| self.switch(host, *cut, false))
    }

    fn switch(&self, host: &str, cut: Cut, off: bool) -> Result<()> {
        let (network, how) = (self.network()?, if off { "-A" } else { "-D" });
        match cut {
            Cut::Link => network.set_link(host, !off),
            Cut::Commands => network.drop_commands(host, how),
            Cut::Answers => network.drop_answers(host, how),
            Cut::Desk => network.drop_answers(host, how).and_then(|()| network.drop_commands(host, how)),
        }
    }

    /// A host receives at most so many megabits a second, until it is killed.
    pub fn limit(&self, host: &str, megabits: u32) -> Result<()> {
        self.network()?.limit(host, megabits)
    }

    /// Loses so many packets of a hundred between the desk and every host, on either way, from now on.
    pub fn lose_packets(&self, percent: u8) -> Result<()> {
        self.network()?.lose_packets(percent, "-A")
    }

    /// From now on every ssh connection is late by `ms` there and back, and one of `lose_one_in` (0: none) is lost before
    /// the login.
    pub fn slow_ssh(&self, ms: u64, lose_one_in: u64) -> Result<()> {
        let (binary, count) = (self.site.programs.playground.display(), self.dir().join("connections"));
        let line = format!(
            "  ProxyCommand {binary} slow --ms {ms} --lose-one-in {lose_one_in} --count {} %h %p\n",
            count.display()
        );
        let path = self.ssh_config();
        let mut config = File::options().append(true).open(&path).naming("cannot write", &path)?;
        config.write_all(line.as_bytes()).naming("cannot write", &path)
    }

    /// How many ssh connections were opened since [`Fleet::slow_ssh`], those that were lost among them.
    pub fn slow_connections(&self) -> u64 {
        let text = fs::read_to_string(self.dir().join("connections")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// A host loses power: all its processes end at once, and nobody is told. Its disk keeps what it has.
    pub fn kill(&mut self, host: &str) -> Result<()> {
        self.network_mut()?.power_off(host)?;
        // What is left of them here is only to be waited for.
        self.stop_sshd(host)?;
        if self.is_balancer(host) { self.kill_nginx(host) } else { Ok(()) }
    }

    /// A killed host starts again, with what its init would start: sshd, and nginx or the installed application.
    pub fn boot(&mut self, host: &str) -> Result<()> {
        self.network_mut()?.power_on(host)?;
        self.start_sshd(host)?;
        if self.is_balancer(host) {
            return self.start_nginx(host);
        }
        if self.place(host).root.join("current").exists() { self.restart_app(host) } else { Ok(()) }
    }

    fn is_balancer(&self, host: &str) -> bool {
        self.balancers().iter().any(|balancer| balancer.host.name == host)
    }

    fn disk(&self, host: &str) -> PathBuf {
        let place = self.places().iter().find(|place| place.host.name == host);
        place.map_or_else(|| Layout::balancer_disk(self.balancer(host)), |place| place.root.clone())
    }

    /// Fills the disk of bg's directory, or of the deploy root, to the last byte.
    pub fn fill_disk(&self, host: &str) -> Result<()> {
        let path = self.disk(host).join("filler");
        let mut file = File::create(&path).naming("cannot create", &path)?;
        let mut size = PIECE;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        Ok(())
    }

    /// Takes away what [`Fleet::fill_disk`] wrote.
    pub fn free_disk(&self, host: &str) -> Result<()> {
        let path = self.disk(host).join("filler");
        fs::remove_file(&path).naming("cannot remove", &path)
    }

    /// The clock of a host is off by that much (`+1h`, `-1h`) from now on: sshd and what ssh runs there, nginx too.
    pub fn set_clock(&mut self, host: &str, offset: &str) -> Result<()> {
        has_faketime()?;
        let profile = sshd::profile(self.host(host));
        let lines: String =
            machine::clock(offset).iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
        fs::write(&profile, lines).naming("cannot write", &profile)?;
        self.network()?.machine(host).set_clock(offset)?;
        self.stop_sshd(host)?;
        self.start_sshd(host)?;
        if self.is_balancer(host) {
            self.kill_nginx(host)?;
            self.start_nginx(host)?;
        }
        Ok(())
    }

    /// Runs bg on a desk whose clock is off by that much.
    pub fn bg_with_clock<S: AsRef<OsStr>>(&self, offset: &str, args: impl IntoIterator<Item = S>) -> Result<Ran> {
        has_faketime()?;
        let mut command = self.bg_command(args)?;
        command.envs(machine::clock(offset));
        Running::start(command)?.wait(self.site.options.bound)
    }

    /// How many packets the desk has exchanged with all hosts: it says whether a conversation has come to rest.
    pub fn desk_packets(&self) -> u64 {
        self.site.network.as_ref().map_or(0, Network::desk_packets)
    }

    /// Does this with the clients' network: what it asks, and the threads that it starts.
    pub fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.network()?.as_client(work)
    }

    /// GET / from a balancer's public port, as one of the clients.
    pub fn get_as_client(&self, balancer: &str) -> Result<Answer> {
        let site = &self.site;
        self.network()?.as_client(|| site.get(balancer, "/", "a client"))?
    }

    /// Begins a load that comes from the clients, to these balancers.
    pub fn load_on(&self, balancers: &[&str], rate: u32) -> Result<Load> {
        let to = balancers.iter().map(|name| self.balancer(name).public).collect();
        let load = self.load().to(to).rate(rate).slow(0, 100);
        self.network()?.as_client(|| load.start())?
    }
}

fn has_faketime() -> Result<()> {
    let is_there = std::path::Path::new(machine::FAKETIME).exists();
    if is_there { Ok(()) } else { Err(Error::Missing { program: "faketime", package: "faketime" }) }
}
