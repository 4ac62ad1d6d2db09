//! The playground's command line.

mod bench;
mod captures;
mod demo;
mod recording;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bg_playground::app::{self, Restart, Serving};
use bg_playground::fleet::{Slow, hold};
use bg_playground::load::LoadOptions;
use bg_playground::{Error, Result, reaper};
use clap::{Parser, Subcommand};

/// Real sshd, nginx and demo applications on loopback.
#[derive(Parser)]
#[command(name = "bg-playground")]
struct Args {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Plays the whole journey under load and tells what the clients saw; fails when a promise was not kept.
    Demo,
    /// Films a short session of real commands under load in a terminal of 80×24, as an animated SVG.
    Record {
        /// The SVG's file.
        file: PathBuf,
    },
    /// Runs real commands in tmux, on a small and on a large site, and writes what is seen into a document.
    Capture {
        /// The document, which has a place for each pane.
        document: PathBuf,
    },
    /// Leaves a playground running with load on it, until Ctrl-C.
    Up {
        /// Requests a second.
        #[arg(long, default_value_t = 300)]
        rate: u32,
    },
    /// Measures bg against the least that could do the same and against other tools; nothing else should run meanwhile.
    Bench {
        /// Parts to run: start, check, flip2, flip10, exec, status, deploy, requests, throughput; default: all.
        parts: Vec<String>,
        /// Runs of each contender that count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// A document whose table is replaced by this one.
        #[arg(long)]
        document: Option<PathBuf>,
    },
    /// Load on balancers: 2,000 clients unless told, until Ctrl-C or --seconds.
    Load {
        /// Addresses of balancers, such as 127.1.2.11:8080.
        #[arg(required = true)]
        to: Vec<SocketAddr>,
        /// Paths below which requests are made, one per pool.
        #[arg(long, default_values_t = ["/".to_owned()])]
        prefix: Vec<String>,
        /// Requests a second.
        #[arg(long, default_value_t = 800)]
        rate: u32,
        /// Distinct clients, every other one mobile.
        #[arg(long, default_value_t = 2000)]
        clients: usize,
        /// Ends after so long.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
    },
    /// Runs the demo application (on a host; `restart` starts it).
    App {
        /// The host's directory, which marks the process as this host's.
        #[arg(long)]
        host_dir: PathBuf,
        /// The deploy root.
        #[arg(long)]
        root: PathBuf,
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// The pool's name.
        #[arg(long)]
        pool: String,
        /// The half's name.
        #[arg(long)]
        half: String,
    },
    /// Restarts the demo application (on a host; the inventory's `restart` runs this).
    Restart {
        /// The deploy root.
        #[arg(long)]
        root: PathBuf,
        /// The port on the host's address.
        #[arg(long)]
        port: u16,
        /// The pool's name.
        #[arg(long)]
        pool: String,
        /// The half's name.
        #[arg(long)]
        half: String,
    },
    /// Holds the namespaces that it was started in until stdin closes; as process 1 of a host it also waits for orphans.
    #[command(hide = true)]
    Hold {
        /// The host's name, where it is one.
        #[arg(long)]
        name: Option<String>,
    },
    /// Passes a connection on with delay, or loses it: a ProxyCommand of ssh.
    #[command(hide = true)]
    Slow(Slow),
    /// Waits until stdin closes, then ends everything of the playground in DIR and removes it.
    #[command(hide = true)]
    Reap {
        /// The playground's directory.
        dir: PathBuf,
    },
}

fn run(command: Cmd) -> Result<()> {
    match command {
        Cmd::Demo => demo::Demo::start()?.journey(),
        Cmd::Record { file } => recording::record(&file),
        Cmd::Capture { document } => captures::capture(&document),
        Cmd::Up { rate } => demo::up(rate),
        Cmd::Bench { parts, rounds, document } => bench::run(&parts, rounds, document.as_deref()),
        Cmd::Load { to, prefix, rate, clients, seconds } => {
            let longest = Duration::from_secs(seconds);
            let load = LoadOptions::new(to, prefix).rate(rate).clients(clients).longest(longest).start()?;
            demo::watch(&load)?;
            let seen = load.stop();
            println!("{} requests, {} failed", seen.sent, seen.failed);
            if seen.failed == 0 { Ok(()) } else { Err(Error::Unknown(format!("{} requests failed", seen.failed))) }
        }
        Cmd::App { host_dir: _, root, listen, pool, half } => app::serve(Serving::new(root, listen, pool, half)),
        Cmd::Restart { root, port, pool, half } => app::restart(&Restart { root, port, pool, half }),
        Cmd::Hold { name } => hold(name.as_deref()),
        Cmd::Slow(slow) => slow.pass_on(),
        Cmd::Reap { dir } => reaper::live(&dir),
    }
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
