//! The playground's command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bg_playground::app::{self, Restart, Serving};
use bg_playground::{Result, reaper};
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
    /// Waits until stdin closes, then ends everything of the playground in DIR and removes it.
    #[command(hide = true)]
    Reap {
        /// The playground's directory.
        dir: PathBuf,
    },
}

fn run(command: Cmd) -> Result<()> {
    match command {
        Cmd::App { host_dir: _, root, listen, pool, half } => app::serve(Serving::new(root, listen, pool, half)),
        Cmd::Restart { root, port, pool, half } => app::restart(&Restart { root, port, pool, half }),
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
