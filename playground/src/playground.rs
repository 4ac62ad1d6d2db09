//! A playground: everything that runs, and what a test asks of it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::artifact;
use crate::base;
use crate::behaviour::Behaviour;
use crate::error::{Error, Naming, Result};
use crate::fleet::Network;
use crate::get::{self, Answer};
use crate::inventory;
use crate::keys::Keys;
use crate::layout::{Balancer, Half, Host, Layout, Place, SITE};
use crate::nginx::Nginx;
use crate::options::Options;
use crate::process::{self, Process};
use crate::programs::{self, Programs};
use crate::reaper::{self, Reaper};
use crate::run::{self, Ran, Running};
use crate::sshd::Sshd;

/// Real sshd, nginx and demo applications on loopback. All of it is gone when this is dropped, or when its process
/// ends in whatever way.
#[derive(Debug)]
pub struct Playground {
    // Dropped in this order: first what runs, last the block of addresses.
    pub(crate) nginx: Vec<Nginx>,
    pub(crate) sshd: Vec<Sshd>,
    pub(crate) keys: Keys,
    pub(crate) programs: Programs,
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) network: Option<Network>,
    reaper: Reaper,
}

impl Playground {
    /// The default playground, to be changed in builder style: `Playground::options().small().start()?`.
    pub fn options() -> Options {
        Options::default()
    }

    /// Starts a playground; when it returns, every sshd and nginx answers and the inventory is written. No application
    /// runs yet: the first release is installed by `bg setup` (or by [`Playground::start_app`]).
    pub fn start(options: Options) -> Result<Playground> {
        let programs = Programs::find()?;
        let dir = base::create()?;
        let reaper = Reaper::start(&programs.playground, &dir)?;
        let started = Playground::build(options, programs, &dir, reaper);
        if started.is_err() {
            let _best_effort = reaper::end(&dir);
        }
        started
    }

    fn build(options: Options, programs: Programs, dir: &Path, reaper: Reaper) -> Result<Playground> {
        // nginx's workers (www-data) must come through; the keys below are private.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).naming("cannot change", dir)?;
        for (below, mode) in [("keys", 0o700), ("home", 0o700), ("tmp", 0o700), ("inventory", 0o755), ("dist", 0o755)] {
            let path = dir.join(below);
            fs::create_dir_all(&path).naming("cannot create", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).naming("cannot change", &path)?;
        }
        let layout = Layout::decide(dir, &options)?;
        let keys = Keys::generate(&layout)?;
        let ssh_config = dir.join("ssh_config");
        fs::write(&ssh_config, keys.ssh_config(&layout, &programs.user)).naming("cannot write", &ssh_config)?;
        let network = if options.apart { Some(Network::start(&layout, &options, &programs)?) } else { None };
        let machine = |host: &Host| network.as_ref().map(|it| it.machine(&host.name)).unwrap_or_default();
        let prepare = |host: &Host| Sshd::prepare(host, &keys, dir, &options.sshd, &machine(host));
        let sshd: Vec<Sshd> = layout.hosts().map(prepare).collect::<Result<_>>()?;
        let prepare = |it: &Balancer| Nginx::prepare(it, &options, &programs, &machine(&it.host));
        let nginx: Vec<Nginx> = layout.balancers.iter().map(prepare).collect::<Result<_>>()?;
        let mut playground = Playground { nginx, sshd, keys, programs, options, layout, network, reaper };
        playground.open_directories()?;
        playground.write_inventory(&inventory::text(&playground.layout, &playground.options, &playground.programs))?;
        playground.start_all()?;
        Ok(playground)
    }

    /// Gives everybody a way into the balancers' trees, whatever the caller's umask is.
    fn open_directories(&self) -> Result<()> {
        for balancer in &self.layout.balancers {
            let bg = balancer.bg_dir.parent().unwrap_or(&balancer.bg_dir);
            for dir in [&balancer.host.dir, &balancer.prefix, &balancer.prefix.join("tmp"), bg] {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).naming("cannot change", dir)?;
            }
        }
        Ok(())
    }

    fn start_all(&mut self) -> Result<()> {
        let programs = &self.programs;
        self.sshd.iter_mut().try_for_each(|sshd| sshd.spawn(programs))?;
        let nginx = &mut self.nginx;
        thread::scope(|scope| {
            let fronts: Vec<_> = nginx.iter_mut().map(|nginx| scope.spawn(move || nginx.start(programs))).collect();
            fronts.into_iter().try_for_each(|front| {
                front.join().unwrap_or_else(|_| Err(Error::Unknown("a thread of the playground panicked".into())))
            })
        })?;
        self.sshd.iter_mut().try_for_each(Sshd::wait)
    }

    /// Where everything is; bg's working directory.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// Where the bg commands keep temporary files.
    pub fn temporary(&self) -> PathBuf {
        run::temporary(self.dir())
    }

    /// Whether it runs as root (disks can be filled, rights taken away only then).
    pub fn is_root(&self) -> bool {
        self.programs.is_root
    }

    /// Says on the terminal, past the test harness, that a test is skipped because it needs root; false as root.
    pub fn skipped_unless_root(&self, test: &str) -> bool {
        skipped_unless_root(test)
    }

    /// The balancers, in the inventory's order.
    pub fn balancers(&self) -> &[Balancer] {
        &self.layout.balancers
    }

    /// The servers of all pools, pool by pool.
    pub fn places(&self) -> &[Place] {
        &self.layout.places
    }

    /// The servers of one half of one pool.
    pub fn half(&self, pool: &str, half: Half) -> Vec<&Place> {
        self.layout.places.iter().filter(|place| place.pool == pool && place.half == half).collect()
    }

    /// A balancer by name. Panics when there is none: a test that misspells a name is wrong.
    #[track_caller]
    pub fn balancer(&self, name: &str) -> &Balancer {
        let found = self.layout.balancers.iter().find(|balancer| balancer.host.name == name);
        found.unwrap_or_else(|| panic!("the playground has no balancer `{name}`"))
    }

    /// A server by its host's name. Panics when there is none.
    #[track_caller]
    pub fn place(&self, host: &str) -> &Place {
        let found = self.layout.places.iter().find(|place| place.host.name == host);
        found.unwrap_or_else(|| panic!("the playground has no server `{host}`"))
    }

    /// A host, balancer or server, by name. Panics when there is none.
    #[track_caller]
    pub fn host(&self, name: &str) -> &Host {
        let found = self.layout.hosts().find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("the playground has no host `{name}`"))
    }

    /// The ssh_config that reaches every host by its name (`ssh -F`).
    pub fn ssh_config(&self) -> PathBuf {
        self.dir().join("ssh_config")
    }

    /// A plain `ssh HOST COMMAND`, for looking and for faults by hand.
    pub fn ssh(&self, host: &str, command: &str) -> Result<Ran> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.ssh_config()).args(["-o", "BatchMode=yes", host, command]);
        Running::start(ssh)?.wait(self.options.bound)
    }

    /// The inventory's file.
    pub fn inventory_file(&self) -> PathBuf {
        self.dir().join("inventory").join(format!("{SITE}.toml"))
    }

    /// Replaces the inventory.
    pub fn write_inventory(&self, text: &str) -> Result<()> {
        fs::write(self.inventory_file(), text).naming("cannot write", self.inventory_file())
    }

    /// Changes the inventory's text: `pg.edit_inventory(|text| text.replace("15s", "1s"))`.
    pub fn edit_inventory(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let text = fs::read_to_string(self.inventory_file()).naming("cannot read", self.inventory_file())?;
        self.write_inventory(&change(&text))
    }

    /// Writes a release of a pool to `dist/POOL-LABEL`, where the inventory's `artifact` finds it.
    pub fn artifact(&self, pool: &str, label: &str, behaviour: &Behaviour) -> Result<PathBuf> {
        artifact::directory(self.dir(), pool, label, behaviour)
    }

    /// The same as a `.tar.zst`, for `--artifact POOL=PATH`.
    pub fn archive(&self, pool: &str, label: &str, behaviour: &Behaviour) -> Result<PathBuf> {
        artifact::pack(&self.artifact(pool, label, behaviour)?)
    }

    /// Writes a well-behaved release of every pool.
    pub fn release(&self, label: &str) -> Result<()> {
        let mut pools = self.options.pools.iter();
        pools.try_for_each(|pool| self.artifact(&pool.name, label, &Behaviour::default()).map(|_| ()))
    }

    /// The bg command with these arguments, to be changed or started by the caller.
    pub fn bg_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Command> {
        let binary = self.options.bg.clone().map_or_else(|| programs::beside("bg"), Ok)?;
        Ok(run::command(&binary, self.dir(), args))
    }

    /// Runs bg to its end, at most for the bound of the options.
    pub fn bg<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Ran> {
        self.start_bg(args)?.wait(self.options.bound)
    }

    /// Starts bg and returns at once: to be interrupted, killed, or raced.
    pub fn start_bg<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Running> {
        Running::start(self.bg_command(args)?)
    }

    /// Writes release `label`, runs `bg setup --release LABEL` and wires every nginx: then the site serves it.
    pub fn setup(&mut self, label: &str) -> Result<Ran> {
        self.release(label)?;
        let ran = self.bg(["setup", "--release", label])?;
        if ran.ok() {
            self.wire()?;
        }
        Ok(ran)
    }

    /// Adds bg's includes to every nginx.conf, reloads, and waits until they are in effect.
    pub fn wire(&mut self) -> Result<()> {
        let (options, programs) = (&self.options, &self.programs);
        self.nginx.iter_mut().try_for_each(|nginx| nginx.wire(options, programs, true))
    }

    /// Takes the includes out again, on one balancer.
    pub fn unwire(&mut self, balancer: &str) -> Result<()> {
        let (options, programs) = (&self.options, &self.programs);
        let found = self.nginx.iter_mut().find(|nginx| nginx.balancer.host.name == balancer);
        found.map_or(Ok(()), |nginx| nginx.wire(options, programs, false))
    }

    /// GET from a balancer's public port, as a client that calls itself `agent`.
    pub fn get(&self, balancer: &str, path: &str, agent: &str) -> Result<Answer> {
        get::request(self.balancer(balancer).public, "GET", path, &[("User-Agent", agent)], b"")
    }

    /// GET from bg's port on a balancer: `/state?at=all/00/00`.
    pub fn probe(&self, balancer: &str, path: &str) -> Result<Answer> {
        let port = self.balancer(balancer).probe;
        let host = format!("bg-{SITE}");
        let ask = || get::request(([127, 0, 0, 1], port).into(), "GET", path, &[("Host", &host)], b"");
        self.network.as_ref().map_or_else(ask, |network| network.on(balancer, ask)?)
    }

    /// GET from an application itself, past the balancers.
    pub fn ask(&self, host: &str, path: &str) -> Result<Answer> {
        get::request(self.place(host).listen, "GET", path, &[], b"")
    }

    /// Everything that runs because of this playground.
    pub fn processes(&self) -> Vec<Process> {
        process::of_playground(self.dir())
    }
}

/// Says on the terminal, past the test harness, that a test is skipped because it needs root; false as root.
pub fn skipped_unless_root(test: &str) -> bool {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        let _no_terminal = writeln!(std::io::stderr(), "skipped (it needs root): {test}");
    }
    !is_root
}

impl Drop for Playground {
    fn drop(&mut self) {
        self.nginx.clear();
        self.sshd.clear();
        self.network = None;
        self.reaper.finish();
        // The reaper did this already, unless somebody ended it.
        let _best_effort = if self.dir().exists() { reaper::end(self.dir()) } else { Ok(()) };
    }
}
