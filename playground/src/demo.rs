//! The whole journey under load, told step by step, for `make demo`.

use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::Duration;

use bg_playground::load::{Load, Seen};
use bg_playground::{Behaviour, Error, Playground, Ran, Result, WALK, for_walk};

/// More than any step waits for, on two slow cores.
const SEEN: Duration = Duration::from_secs(60);
/// The share of the mobile clients that the canary gets.
const CANARY_PERCENT: f64 = 10.0;

/// A rollout on a playground, and what the clients saw of it.
pub struct Demo {
    // Before the site: a load whose site is taken away would only see failures.
    load: Load,
    site: Playground,
    broken: Vec<String>,
}

fn tell(text: &str) {
    let (bold, plain) = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    println!("\n{bold}▌ {text}{plain}");
}

/// Runs bg and shows the command, what it printed (the steps go to stderr and come before the result) and how long it took.
fn show(site: &Playground, args: &[&str]) -> Result<Ran> {
    println!("\n  $ bluegreen {}", args.join(" "));
    let ran = site.bg(args)?;
    for line in ran.stderr.lines().chain(ran.stdout.lines()) {
        println!("    {line}");
    }
    println!(
        "    (exit {}, {:.2} s)",
        ran.code.map_or("signal".into(), |code| code.to_string()),
        ran.took.as_secs_f64()
    );
    Ok(ran)
}

fn must(ran: Ran, code: i32) -> Result<Ran> {
    if ran.code == Some(code) {
        return Ok(ran);
    }
    let status = format!("exit {:?} instead of {code}", ran.code);
    Err(Error::Failed { command: ran.command, status, said: ran.stderr })
}

/// Starts a playground whose site serves v1, wired.
pub fn served() -> Result<Playground> {
    tell("Two balancers, four web and four api servers start on loopback: real nginx, real sshd, a demo application.");
    let bluegreen = bg_playground::app_binary()?.with_file_name("bluegreen");
    if !bluegreen.is_file() {
        return Err(Error::NotBuilt(bluegreen.display().to_string()));
    }
    let mut site = Playground::options().bg(bluegreen).start()?;
    println!("  everything is in {} and disappears at the end", site.dir().display());
    tell("First use: `setup` creates the directories and installs v1 on both halves.");
    site.release("v1")?;
    must(show(&site, &["setup", "--release", "v1"])?, 0)?;
    tell("The two includes go into each nginx.conf, once, by hand. From now on no rollout reloads nginx.");
    site.wire()?;
    must(show(&site, &["check", "--hosts"])?, 0)?;
    Ok(site)
}

impl Demo {
    /// Starts the site and the load on it.
    pub fn start() -> Result<Demo> {
        let site = served()?;
        tell("2,000 clients, half of them mobile, begin to use the site: reads, writes, slow uploads and downloads.");
        let load = site.load().start()?;
        let mark = load.mark();
        let seen = load.wait_clients(mark, SEEN)?;
        println!("  {} requests so far, {} failed", seen.sent, seen.failed);
        Ok(Demo { site, load, broken: Vec::new() })
    }

    fn bg(&self, args: &[&str]) -> Result<Ran> {
        must(show(&self.site, args)?, 0)
    }

    /// Notes that something is not as promised.
    fn promise(&mut self, kept: bool, what: &str) {
        println!("  {} {what}", if kept { "✓" } else { "✗ NOT SO:" });
        if !kept {
            self.broken.push(what.to_owned());
        }
    }

    /// What every client saw since now.
    fn look(&self) -> Result<Seen> {
        self.load.wait_clients(self.load.mark(), SEEN)
    }

    /// From the first to the last command.
    pub fn journey(&mut self) -> Result<()> {
        self.failed_deploy()?;
        let shares = self.canary()?;
        let flip_ms = self.flips()?;
        tell("`restore`: blue is drained and upgraded too, then both halves serve v2.");
        self.bg(&["restore"])?;
        let seen = self.look()?;
        self.promise(
            seen.releases.keys().eq(["v2"]) && seen.by_half("blue") > 0 && seen.by_half("green") > 0,
            "both halves serve, and every answer is from v2",
        );
        self.bg(&["status"])?;
        self.end(&shares, flip_ms)
    }

    fn failed_deploy(&mut self) -> Result<()> {
        tell("A release that never gets healthy: `deploy` takes green out, installs it, sees that, and stops there.");
        self.site.edit_inventory(|text| text.replace("within = \"15s\"", "within = \"3s\""))?;
        self.site.release("bad")?;
        self.site.artifact("api", "bad", &Behaviour { unhealthy: true, ..Behaviour::default() })?;
        must(show(&self.site, &["deploy", "--release", "bad"])?, 4)?;
        let seen = self.look()?;
        self.promise(seen.releases.keys().eq(["v1"]) && seen.by_half("green") == 0, "every answer is from v1, on blue");
        self.bg(&["abort"])?;
        self.site.edit_inventory(|text| text.replace("within = \"3s\"", "within = \"15s\""))?;
        let seen = self.look()?;
        self.promise(seen.releases.keys().eq(["v1"]) && seen.by_half("green") > 0, "both halves serve v1 again");
        Ok(())
    }

    /// Gives the mobile share on green at 10%, and what chance allows.
    fn canary(&mut self) -> Result<(f64, f64)> {
        tell("v2, with a tenth of the mobile users on it.");
        self.site.release("v2")?;
        self.bg(&["deploy", "--release", "v2", "--canary", "mobile=10%"])?;
        let tenth = self.look()?;
        let (percent, tolerance) = (tenth.mobile.percent(), tenth.mobile.tolerance(CANARY_PERCENT));
        println!("  of {} mobile clients {} were on green: {percent:.1}%", tenth.mobile.clients, tenth.mobile.green);
        self.promise(tenth.mobile.is_about(CANARY_PERCENT), &format!("10% of the mobile clients, ± {tolerance:.1}"));
        self.promise(tenth.desktop.green == 0, "no desktop client is on green");
        self.promise(tenth.on_both == 0, "every client stays on one half, in both pools");
        self.bg(&["canary", "mobile=50%"])?;
        let half = self.look()?;
        println!("  of {} mobile clients {} were on green", half.mobile.clients, half.mobile.green);
        self.promise(half.mobile.is_about(50.0), "half of the mobile clients");
        Ok((percent, tolerance))
    }

    /// Flips forward, back and forward; gives the milliseconds of the last one.
    fn flips(&mut self) -> Result<u128> {
        tell("`flip`: all traffic to green, in one instant. Then back, and forward again.");
        for (args, half) in [(&["flip"][..], "green"), (&["flip", "--back"][..], "blue")] {
            self.bg(args)?;
            let seen = self.look()?;
            self.promise(seen.halves.keys().eq([half]), &format!("every request that begins now goes to {half}"));
        }
        let mark = self.load.mark();
        let ran = self.bg(&["flip"])?;
        let seen = self.load.since(mark);
        if let (Some(blue), Some(green)) = (seen.spans.get("blue"), seen.spans.get("green")) {
            let overlap = blue.last_ms.saturating_sub(green.first_ms);
            println!("  both halves got requests for {overlap} ms while the two balancers moved over");
        }
        Ok(ran.took.as_millis())
    }

    fn end(&mut self, (percent, tolerance): &(f64, f64), flip_ms: u128) -> Result<()> {
        let seen = self.load.seen();
        self.promise(seen.failed == 0, "no request failed");
        tell("What the clients saw");
        println!("  requests sent        {}", seen.sent);
        println!("  requests failed      {}", seen.failed);
        println!("  mobile share         {percent:.1}% on green at mobile=10% (by chance within ± {tolerance:.1})");
        println!("  the flip             {flip_ms} ms, from the command to its confirmation on both balancers");
        for failure in &seen.failures {
            println!("  failed at {} ms: {}: {}", failure.began_ms, failure.request, failure.what);
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(Error::Unknown(format!("not as promised: {}", self.broken.join("; "))))
    }
}

/// What gives a terminal `bg` in the site's folder, for the shell that the user has.
fn enter(site: &Playground) -> Result<String> {
    let binary = site.bg_command(["status"])?.get_program().to_owned();
    let (dir, bin) = (site.dir().display(), Path::new(&binary).parent().unwrap_or(Path::new(".")).display());
    let shell = std::env::var("SHELL").unwrap_or_default();
    Ok(match shell.rsplit('/').next().unwrap_or_default() {
        "fish" => format!("cd {dir}; and set -gx PATH {bin} $PATH; and bluegreen shell fish | source"),
        name => {
            let name = if name == "zsh" { name } else { "bash" };
            format!("cd {dir} && PATH=\"{bin}:$PATH\" && eval \"$(bluegreen shell {name})\"")
        }
    })
}

/// Leaves a site running with the load on, until Ctrl-C, and says what to try.
pub fn up(rate: u32) -> Result<()> {
    let site = served()?;
    for_walk(&site)?;
    let load = site.load().rate(rate).start()?;
    tell("The site runs, with load on it. In another terminal (docs/tutorial.md explains each of these):");
    println!("  {}\n", enter(&site)?);
    WALK.iter().for_each(|line| println!("  {line}"));
    println!("\n  Also, there: `bg status --watch`, `bg exec web -- uptime`, `ssh -F ssh_config web1`; and");
    for balancer in site.balancers() {
        println!("  curl -i http://{}/", balancer.public);
    }
    tell("Ctrl-C ends it and removes everything.");
    let watched = watch(&load);
    drop(load);
    drop(site);
    tell("It is gone, and so is its folder: in the other terminal, `cd` leads home.");
    watched
}

/// Prints one line a second about the load, until Ctrl-C or its own end.
pub fn watch(load: &Load) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Io { what: "cannot start", object: "a runtime".into(), source })?;
    runtime.block_on(async {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        let mut mark = load.mark();
        while !load.has_ended() {
            tokio::select! {
                _interrupted = tokio::signal::ctrl_c() => break,
                _second = seconds.tick() => {}
            }
            let (now, all) = (load.since(mark), load.seen());
            mark = load.mark();
            let line = format!(
                "{} requests, {} failed; last second {:?} {:?}",
                all.sent, all.failed, now.halves, now.releases
            );
            let line = line.replace('"', "");
            if std::io::stdout().is_terminal() {
                print!("\r\x1b[K{line}");
                let _closed = std::io::stdout().flush();
            } else {
                println!("{line}");
            }
        }
        println!();
    });
    let seen = load.seen();
    for failure in &seen.failures {
        println!("failed at {} ms: {}: {}", failure.began_ms, failure.request, failure.what);
    }
    Ok(())
}
