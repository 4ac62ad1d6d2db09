//! A real nginx per balancer: its configuration, its life, and what it says.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{Error, Naming, Result, last_lines};
use crate::layout::{Balancer, SITE};
use crate::machine::Machine;
use crate::options::Options;
use crate::process;
use crate::programs::Programs;
use crate::wait::{listens, until};

/// nginx starts, reloads and ends within tenths of a second.
const BOUND: Duration = Duration::from_secs(60);

/// The nginx of one balancer.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) balancer: Balancer,
    pub(crate) wired: bool,
    machine: Machine,
    child: Option<Child>,
}

impl Nginx {
    /// Writes the first configuration, without bg's includes.
    pub(crate) fn prepare(
        balancer: &Balancer,
        options: &Options,
        programs: &Programs,
        machine: &Machine,
    ) -> Result<Nginx> {
        let nginx = Nginx { balancer: balancer.clone(), wired: false, machine: machine.clone(), child: None };
        let parent = balancer.bg_dir.parent().unwrap_or(&balancer.bg_dir);
        for dir in [&balancer.prefix.join("tmp"), &balancer.prefix.join("logs"), parent] {
            fs::create_dir_all(dir).naming("cannot create", dir)?;
        }
        nginx.write_conf(&conf(balancer, options, programs, false))?;
        Ok(nginx)
    }

    pub(crate) fn conf_file(&self) -> PathBuf {
        self.balancer.prefix.join("nginx.conf")
    }

    pub(crate) fn error_log(&self) -> PathBuf {
        self.balancer.prefix.join("error.log")
    }

    pub(crate) fn write_conf(&self, text: &str) -> Result<()> {
        fs::write(self.conf_file(), text).naming("cannot write", self.conf_file())
    }

    /// Rewrites the configuration, with or without bg's includes, and makes it effective.
    pub(crate) fn wire(&mut self, options: &Options, programs: &Programs, wired: bool) -> Result<()> {
        self.write_conf(&conf(&self.balancer, options, programs, wired))?;
        self.wired = wired;
        self.reload(programs)
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(&mut self, programs: &Programs) -> Result<()> {
        use std::os::unix::process::CommandExt;
        let log_file = self.balancer.prefix.join("start.log");
        let log = File::options().create(true).append(true).open(&log_file).naming("cannot write", &log_file)?;
        let child = self
            .machine
            .command(&programs.nginx)
            .args(arguments(&self.balancer, programs))
            .current_dir(&self.balancer.prefix)
            .env(process::MARK, self.balancer.host.dir.parent().unwrap_or(&self.balancer.prefix))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .naming("cannot run", &programs.nginx)?;
        self.child = Some(child);
        let what = format!("nginx of `{}` listening on {}", self.balancer.host.name, self.balancer.public);
        until(BOUND, &what, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            (ended.is_some() || (listens(self.balancer.public) && !self.workers().is_empty())).then_some(ended)
        })
        .and_then(|ended| match ended {
            None => Ok(()),
            Some(status) => {
                let said = last_lines(&fs::read_to_string(&log_file).unwrap_or_default(), 5);
                Err(Error::Failed { command: self.command(programs, ""), status: status.to_string(), said })
            }
        })
    }

    /// The line that runs this nginx, such as in the inventory's `test` and `reload`.
    pub(crate) fn command(&self, programs: &Programs, more: &str) -> String {
        command(&self.balancer, programs, more)
    }

    /// The master's process id, while it runs.
    pub(crate) fn master(&self) -> Option<i32> {
        let child = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok())?;
        if self.machine.is_apart() { process::descendants(child).first().map(|master| master.pid) } else { Some(child) }
    }

    /// The worker processes that accept connections.
    pub(crate) fn workers(&self) -> Vec<i32> {
        let all = self.master().map_or_else(Vec::new, process::descendants);
        let serving =
            all.into_iter().filter(|p| p.command.contains("worker process") && !p.command.contains("shutting"));
        serving.map(|process| process.pid).collect()
    }

    /// Reloads, and waits until no worker of before accepts connections.
    pub(crate) fn reload(&self, programs: &Programs) -> Result<()> {
        let Some(master) = self.master() else {
            return Err(Error::Unknown(format!("nginx of `{}` does not run", self.balancer.host.name)));
        };
        let test = self
            .machine
            .command(&programs.nginx)
            .args(arguments(&self.balancer, programs))
            .arg("-t")
            .stdin(Stdio::null())
            .output()
            .naming("cannot run", &programs.nginx)?;
        if !test.status.success() {
            let said = last_lines(&String::from_utf8_lossy(&test.stderr), 5);
            let command = self.command(programs, "-t");
            return Err(Error::Failed { command, status: test.status.to_string(), said });
        }
        let old = self.workers();
        process::signal(master, Signal::SIGHUP);
        let what = format!("the reload of nginx on `{}`", self.balancer.host.name);
        let reloaded = until(BOUND, &what, || {
            let now = self.workers();
            (!now.is_empty() && now.iter().all(|worker| !old.contains(worker))).then_some(())
        });
        reloaded.map_err(|error| match error {
            Error::TooSlow { what, bound_ms, .. } => {
                let said = last_lines(&fs::read_to_string(self.error_log()).unwrap_or_default(), 5);
                Error::TooSlow { what, bound_ms, said }
            }
            other => other,
        })
    }

    /// Kills master and workers at once, as when the machine loses power.
    pub(crate) fn kill(&mut self) {
        let child = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        let workers = child.map_or_else(Vec::new, process::descendants);
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
        workers.iter().for_each(|worker| process::signal(worker.pid, Signal::SIGKILL));
        let gone = || workers.iter().all(|worker| !process::is_running(worker.pid)).then_some(());
        let _bounded = until(BOUND, "killing nginx", gone);
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `nginx`'s arguments for this balancer.
fn arguments(balancer: &Balancer, programs: &Programs) -> Vec<String> {
    let prefix = balancer.prefix.display();
    let mut words = vec!["-p".to_owned(), format!("{prefix}/"), "-c".to_owned(), format!("{prefix}/nginx.conf")];
    if programs.nginx_takes_e {
        words.extend(["-e".to_owned(), format!("{prefix}/error.log")]);
    }
    words
}

/// The shell line that runs the balancer's nginx with `more` at its end. (No path of a playground needs quoting.)
pub(crate) fn command(balancer: &Balancer, programs: &Programs, more: &str) -> String {
    format!("{} {} {more}", programs.nginx.display(), arguments(balancer, programs).join(" ")).trim_end().to_owned()
}

/// nginx.conf of a balancer: what a user would have, and bg's includes once it is wired.
pub(crate) fn conf(balancer: &Balancer, options: &Options, programs: &Programs, wired: bool) -> String {
    let prefix = balancer.prefix.display();
    let bg = balancer.bg_dir.display();
    let user = if programs.is_root { "user www-data;\n" } else { "" };
    let (mut http_include, mut server_include) = (String::new(), String::new());
    if wired {
        http_include = format!("  include {bg}/http.conf;\n");
        server_include = format!("    include {bg}/server.conf;\n");
    }
    let mut locations = String::new();
    for (index, pool) in options.pools.iter().enumerate() {
        let path = if index == 0 { "/".to_owned() } else { format!("/{}/", pool.name) };
        let pass = upstream(&pool.name, wired);
        let _ = writeln!(locations, "    location {path} {{ {pass}\n{} }}", expand(&options.location, options, wired));
    }
    format!(
        "{user}worker_processes {workers};\ndaemon off;\npid {prefix}/nginx.pid;\nerror_log {prefix}/error.log info;\n\
         worker_rlimit_nofile 4096;\nevents {{ worker_connections 2000; }}\nhttp {{\n  \
         log_format main '$time_iso8601 $remote_addr \"$request\" $status $body_bytes_sent $request_time $upstream_addr \
         $upstream_status \"$http_user_agent\"';\n  access_log {prefix}/access.log main;\n  \
         client_body_temp_path {prefix}/tmp/body;\n  proxy_temp_path {prefix}/tmp/proxy;\n  \
         fastcgi_temp_path {prefix}/tmp/fastcgi;\n  uwsgi_temp_path {prefix}/tmp/uwsgi;\n  \
         scgi_temp_path {prefix}/tmp/scgi;\n  client_max_body_size 50m;\n  proxy_http_version 1.1;\n  \
         proxy_bind {address};\n  proxy_set_header Connection \"\";\n  proxy_set_header Host $host;\n  \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         {http_include}{http}  server {{\n    listen {public};\n    server_name {SITE}.test;\n{before}{server_include}{server}\
         {locations}  }}\n}}\n",
        workers = options.workers,
        address = balancer.host.address,
        public = balancer.public,
        http = expand(&options.http, options, wired),
        before = expand(&options.before_include, options, wired),
        server = expand(&options.server, options, wired),
    )
}

/// What a location of a pool does: passes the request on, or says that bg is not wired yet.
fn upstream(pool: &str, wired: bool) -> String {
    if wired { format!("proxy_pass http://${SITE}_{pool};") } else { "return 503 \"not wired\\n\";".to_owned() }
}

/// `@POOL@` in a snippet becomes the directive that passes a request on to that pool.
fn expand(snippet: &str, options: &Options, wired: bool) -> String {
    options
        .pools
        .iter()
        .fold(snippet.to_owned(), |text, pool| text.replace(&format!("@{}@", pool.name), &upstream(&pool.name, wired)))
}
