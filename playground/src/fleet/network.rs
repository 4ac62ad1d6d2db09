//! The network of a fleet: a switch, a desk, clients and hosts, each in a namespace of its own without a name, so that
//! nothing of it outlives the processes in it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, ThreadId};

use nix::fcntl::{Flock, FlockArg};

use super::hold::Holder;
use super::space::Space;
use crate::base::base;
use crate::error::{Error, Naming, Result};
use crate::faults::mount;
use crate::layout::Layout;
use crate::machine::Machine;
use crate::options::Options;
use crate::programs::Programs;
use crate::reaper;

/// Held by the owner of a fleet; where nobody holds it, the fleet is a dead one's.
const LOCK: &str = "fleet.lock";
/// The desk's address, the last number.
const DESK: u8 = 1;
/// The clients' address.
const CLIENT: u8 = 2;

/// A host as the network sees it.
#[derive(Debug)]
struct Plugged {
    name: String,
    address: Ipv4Addr,
    machine: Machine,
    /// None while it is off.
    first: Option<Holder>,
}

/// The namespaces of a fleet.
#[derive(Debug)]
pub(crate) struct Network {
    /// Where the thread that started it came from, and goes back to.
    home: Space,
    thread: ThreadId,
    // Before the switch: a host's end takes its cable along.
    hosts: Vec<Plugged>,
    desk: (Holder, Ipv4Addr),
    client: Holder,
    switch: Holder,
    binary: PathBuf,
    dir: PathBuf,
    _lock: Flock<File>,
}

impl Network {
    /// Starts the hosts' first processes and plugs them in; this thread is at the desk when it returns.
    pub(crate) fn start(layout: &Layout, options: &Options, programs: &Programs) -> Result<Network> {
        installed()?;
        sweep()?;
        let lock = claim(&layout.dir)?;
        for disk in layout.disks() {
            fs::create_dir_all(&disk).naming("cannot create", &disk)?;
            mount(&disk, options.disk_kib)?;
        }
        let (binary, dir) = (programs.playground.clone(), layout.dir.clone());
        let holder = || Holder::network(&binary, &dir);
        let at = |last: u8| layout.block.address(last);
        let mut network = Network {
            home: Space::current()?,
            thread: thread::current().id(),
            hosts: Vec::new(),
            desk: (holder()?, at(DESK)),
            client: holder()?,
            switch: holder()?,
            binary: binary.clone(),
            dir: dir.clone(),
            _lock: lock,
        };
        network.switch()?.ip("link add br0 type bridge\nlink set br0 up\n")?;
        network.plug("desk", network.desk.0.pid, at(DESK))?;
        network.plug("client", network.client.pid, at(CLIENT))?;
        for host in layout.hosts() {
            let (name, address, machine) = (host.name.clone(), host.address, Machine::apart(&dir));
            network.hosts.push(Plugged { name, address, machine, first: None });
            network.power_on(&host.name)?;
        }
        Space::of(network.desk.0.pid)?.enter()?;
        Ok(network)
    }

    fn switch(&self) -> Result<Space> {
        Space::of(self.switch.pid)
    }

    /// A cable from the switch to the namespace of a process. The same host has the same hardware address every time.
    fn plug(&self, name: &str, pid: i32, address: Ipv4Addr) -> Result<()> {
        let [a, b, c, d] = address.octets();
        let mut lines = String::new();
        let _ = writeln!(
            lines,
            "link add v-{name} type veth peer name eth0 address 02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x} netns {pid}\n\
             link set v-{name} master br0\nlink set v-{name} up"
        );
        self.switch()?.ip(&lines)?;
        Space::of(pid)?.ip(&format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n"))
    }

    fn plugged(&self, host: &str) -> Result<&Plugged> {
        let found = self.hosts.iter().find(|plugged| plugged.name == host);
        found.ok_or_else(|| Error::Unknown(format!("the fleet has no host `{host}`")))
    }

    /// Where a host's processes are started.
    pub(crate) fn machine(&self, host: &str) -> Machine {
        self.plugged(host).map(|plugged| plugged.machine.clone()).unwrap_or_default()
    }

    /// Does this with the host's network.
    pub(crate) fn on<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
        Space::of(self.plugged(host)?.machine.first())?.within(work)
    }

    /// How many packets the desk has exchanged with anybody.
    pub(super) fn desk_packets(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/net/dev", self.desk.0.pid)).unwrap_or_default();
        let cable = text.lines().find_map(|line| line.trim_start().strip_prefix("eth0:")).unwrap_or_default();
        // Received and sent: the second and the tenth column.
        cable.split_whitespace().skip(1).step_by(8).filter_map(|count| count.parse::<u64>().ok()).sum()
    }

    /// Does this with the clients' network.
    pub(super) fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        Space::of(self.client.pid)?.within(work)
    }

    /// The host's first process, and its cable.
    pub(super) fn power_on(&mut self, host: &str) -> Result<()> {
        let first = Holder::host(&self.binary, &self.dir, host)?;
        let plugged = self.plugged(host)?;
        plugged.machine.set_first(first.pid);
        plugged.machine.own_memory()?;
        self.plug(host, first.pid, plugged.address)?;
        if let Some(plugged) = self.hosts.iter_mut().find(|plugged| plugged.name == host) {
            plugged.first = Some(first);
        }
        Ok(())
    }

    /// Everything that runs on the host ends at once, without a word to anybody: its cable goes first.
    pub(super) fn power_off(&mut self, host: &str) -> Result<()> {
        self.plugged(host)?.machine.set_first(0);
        self.switch()?.ip(&format!("link del v-{host}\n"))?;
        if let Some(plugged) = self.hosts.iter_mut().find(|plugged| plugged.name == host) {
            plugged.first = None;
        }
        Ok(())
    }

    /// Whether the host's cable carries anything.
    pub(super) fn set_link(&self, host: &str, up: bool) -> Result<()> {
        self.switch()?.ip(&format!("link set v-{host} {}\n", if up { "up" } else { "down" }))
    }

    /// What the host receives comes at so many megabits a second at most, until it is plugged in anew.
    pub(super) fn limit(&self, host: &str, megabits: u32) -> Result<()> {
        let rate = format!("tbf rate {megabits}mbit burst 64kb latency 400ms");
        self.switch()?.tc(&format!("qdisc replace dev v-{host} root {rate}"))
    }

    /// Whether what the desk sends to the host is dropped there (`-A`) or no longer (`-D`).
    pub(super) fn drop_commands(&self, host: &str, how: &str) -> Result<()> {
        let rule = format!("{how} INPUT -s {} -j DROP", self.desk.1);
        Space::of(self.plugged(host)?.machine.first())?.iptables(&rule)
    }

    /// Whether what the host sends to the desk is dropped there (`-A`) or no longer (`-D`).
    pub(super) fn drop_answers(&self, host: &str, how: &str) -> Result<()> {
        let rule = format!("{how} INPUT -s {} -j DROP", self.plugged(host)?.address);
        Space::of(self.desk.0.pid)?.iptables(&rule)
    }

    /// So many packets of a hundred that the desk and the hosts exchange are lost, by chance, on either way.
    pub(super) fn lose_packets(&self, percent: u8, how: &str) -> Result<()> {
        let share = f64::from(percent) / 100.0;
        for host in &self.hosts {
            let chance = format!("-m statistic --mode random --probability {share} -j DROP");
            Space::of(host.machine.first())?.iptables(&format!("{how} INPUT -s {} {chance}", self.desk.1))?;
            Space::of(self.desk.0.pid)?.iptables(&format!("{how} INPUT -s {} {chance}", host.address))?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if thread::current().id() == self.thread {
            let _stays_at_the_desk = self.home.enter();
        }
    }
}

/// The programs that a fleet needs beyond a playground's.
fn installed() -> Result<()> {
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
    for (program, package) in [("iptables", "iptables"), ("unshare", "util-linux"), ("nsenter", "util-linux")] {
        if !runs(program) {
            return Err(Error::Missing { program, package });
        }
    }
    for program in ["ip", "tc"] {
        let runs = Command::new(program).arg("-V").output();
        runs.map_err(|_| Error::Missing { program, package: "iproute2" })?;
    }
    Ok(())
}

/// Marks the directory as a living fleet's. The lock is there before the file has its name.
fn claim(dir: &Path) -> Result<Flock<File>> {
    let (early, path) = (dir.join(format!("{LOCK}.new")), dir.join(LOCK));
    let file = File::create(&early).naming("cannot create", &early)?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| Error::Io {
        what: "cannot lock",
        object: early.display().to_string(),
        source: errno.into(),
    })?;
    fs::rename(&early, &path).naming("cannot create", &path)?;
    Ok(lock)
}

/// Removes fleets whose owner is dead and whose reaper was killed too: disks are still mounted in their directories.
fn sweep() -> Result<()> {
    let base = base()?;
    for entry in fs::read_dir(&base).naming("cannot read", &base)?.flatten() {
        let (dir, name) = (entry.path(), entry.file_name());
        let Ok(file) = File::open(dir.join(LOCK)) else { continue };
        let is_ours = name.to_string_lossy().starts_with(reaper::PREFIX);
        if is_ours && let Ok(_nobody_has_it) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            let _another_does_it = reaper::end(&dir);
        }
    }
    Ok(())
}
