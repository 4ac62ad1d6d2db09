//! Bad luck on the servers' side, for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::app;
use crate::artifact;
use crate::behaviour::Behaviour;
use crate::error::{Error, Naming, Result, last_lines};
use crate::nginx::Nginx;
use crate::playground::Playground;
use crate::process::{self, Process};
use crate::sshd::Sshd;

impl Playground {
    fn sshd_of(&mut self, host: &str) -> Result<&mut Sshd> {
        let index = self.layout.hosts().position(|known| known.name == host);
        index
            .and_then(|index| self.sshd.get_mut(index))
            .ok_or_else(|| Error::Unknown(format!("the playground has no host `{host}`")))
    }

    fn nginx_of(&mut self, balancer: &str) -> Result<&mut Nginx> {
        let found = self.nginx.iter_mut().find(|nginx| nginx.balancer.host.name == balancer);
        found.ok_or_else(|| Error::Unknown(format!("the playground has no balancer `{balancer}`")))
    }

    /// Ends a host's sshd and cuts its connections: for ssh, the host is down. What runs there goes on.
    pub fn stop_sshd(&mut self, host: &str) -> Result<()> {
        self.sshd_of(host)?.stop();
        Ok(())
    }

    /// Starts a host's sshd again.
    pub fn start_sshd(&mut self, host: &str) -> Result<()> {
        let programs = self.programs.clone();
        let sshd = self.sshd_of(host)?;
        sshd.spawn(&programs)?;
        sshd.wait()
    }

    /// Gives a host another host key, as if somebody else answered at its address.
    pub fn change_host_key(&mut self, host: &str) -> Result<()> {
        self.keys.replace(self.host(host))?;
        self.stop_sshd(host)?;
        self.start_sshd(host)
    }

    /// Processes of a host's open ssh sessions (sshd's own, and the commands they run).
    pub fn sessions(&mut self, host: &str) -> Result<Vec<Process>> {
        Ok(self.sshd_of(host)?.sessions())
    }

    /// Kills a balancer's nginx, master and workers, with SIGKILL.
    pub fn kill_nginx(&mut self, balancer: &str) -> Result<()> {
        self.nginx_of(balancer)?.kill();
        Ok(())
    }

    /// Starts a balancer's nginx again, from what is on its disk.
    pub fn start_nginx(&mut self, balancer: &str) -> Result<()> {
        let programs = self.programs.clone();
        self.nginx_of(balancer)?.start(&programs)
    }

    /// Kills one worker of a balancer with SIGKILL, as the kernel does when memory is short; nginx starts another.
    pub fn kill_worker(&mut self, balancer: &str) -> Result<()> {
        let workers = self.nginx_of(balancer)?.workers();
        workers.first().iter().for_each(|worker| process::signal(**worker, Signal::SIGKILL));
        Ok(())
    }

    /// Stops a balancer's workers with SIGSTOP: they hang until they are killed.
    pub fn stop_workers(&mut self, balancer: &str) -> Result<()> {
        self.nginx_of(balancer)?.workers().into_iter().for_each(|worker| process::signal(worker, Signal::SIGSTOP));
        Ok(())
    }

    /// Lets every restart wait as long as the file that is returned exists.
    pub fn hold_restarts(&self) -> Result<PathBuf> {
        let hold = self.dir().join("hold");
        fs::write(&hold, "").naming("cannot write", &hold)?;
        let wait = format!("restart = \"while [ -e {} ]; do sleep 0.02; done; ", hold.display());
        self.edit_inventory(|text| text.replace("restart = \"", &wait))?;
        Ok(hold)
    }

    /// Changes a balancer's nginx.conf by hand; `reload_nginx` makes it effective.
    pub fn edit_nginx(&mut self, balancer: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
        let nginx = self.nginx_of(balancer)?;
        let text = fs::read_to_string(nginx.conf_file()).naming("cannot read", nginx.conf_file())?;
        nginx.write_conf(&change(&text))
    }

    /// Tests and reloads a balancer's nginx, and waits until it is effective.
    pub fn reload_nginx(&mut self, balancer: &str) -> Result<()> {
        let programs = self.programs.clone();
        self.nginx_of(balancer)?.reload(&programs)
    }

    /// The balancer's error log.
    pub fn error_log(&self, balancer: &str) -> String {
        fs::read_to_string(self.balancer(balancer).prefix.join("error.log")).unwrap_or_default()
    }

    /// The balancer's access log.
    pub fn access_log(&self, balancer: &str) -> String {
        fs::read_to_string(self.balancer(balancer).prefix.join("access.log")).unwrap_or_default()
    }

    /// Installs and starts a release on one server by hand, without bg.
    pub fn start_app(&self, host: &str, label: &str, behaviour: &Behaviour) -> Result<()> {
        let place = self.place(host);
        let made = artifact::directory(self.dir(), &format!("{}-{host}", place.pool), label, behaviour)?;
        fs::create_dir_all(&place.root).naming("cannot create", &place.root)?;
        let current = place.root.join("current");
        let _absent = fs::remove_file(&current);
        std::os::unix::fs::symlink(made, &current).naming("cannot create", &current)?;
        self.restart_app(host)
    }

    /// Restarts the application that `current` points to, as bg's `restart` does.
    pub fn restart_app(&self, host: &str) -> Result<()> {
        let place = self.place(host);
        let line = format!(
            "{} restart --root {} --pool {} --half {} --port {}",
            self.programs.playground.display(),
            place.root.display(),
            place.pool,
            place.half.name(),
            place.listen.port(),
        );
        let ran = self.ssh(host, &line)?;
        if ran.ok() {
            return Ok(());
        }
        Err(Error::Failed { command: line, status: format!("{:?}", ran.code), said: ran.stderr })
    }

    /// Ends the application of a server: SIGTERM, then SIGKILL.
    pub fn stop_app(&self, host: &str) -> Result<()> {
        let place = self.place(host);
        app::stop(&place.host.dir, &place.pool, place.listen.port())
    }

    /// Kills the application of a server with SIGKILL.
    pub fn kill_app(&self, host: &str) -> Result<()> {
        let pid = self.app_pid(host);
        let pid = pid.ok_or_else(|| Error::Unknown(format!("no application runs on `{host}`")))?;
        process::signal(pid, Signal::SIGKILL);
        Ok(())
    }

    /// The process id of a server's application, while it runs.
    pub fn app_pid(&self, host: &str) -> Option<i32> {
        let place = self.place(host);
        let file = app::pid_file(&place.host.dir, &place.pool, place.listen.port());
        let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        process::is_running(pid).then_some(pid)
    }

    /// What a server's application said, all starts together.
    pub fn app_log(&self, host: &str) -> String {
        fs::read_to_string(self.place(host).log()).unwrap_or_default()
    }

    /// Puts a small disk of its own under a server's deploy root, before anything is installed there. Only root can.
    pub fn small_disk(&self, host: &str, kib: u64) -> Result<()> {
        let root = &self.place(host).root;
        fs::create_dir_all(root).naming("cannot create", root)?;
        mount(root, kib)
    }
}

/// Puts a disk of its own, empty and of this size, at a directory.
pub(crate) fn mount(at: &Path, kib: u64) -> Result<()> {
    let out = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=755"), "playground"])
        .arg(at)
        .stdin(Stdio::null())
        .output()
        .naming("cannot run", "mount")?;
    if out.status.success() {
        return Ok(());
    }
    let said = last_lines(&String::from_utf8_lossy(&out.stderr), 3);
    Err(Error::Failed { command: format!("mount -t tmpfs {}", at.display()), status: out.status.to_string(), said })
}
