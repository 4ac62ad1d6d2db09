//! One nginx in front of the pools: what stands there, prepare / commit / confirm, its configuration; and all of them.
//!
//! Every phase is one round trip: a constant shell script whose values are arguments. What only nginx knows is asked at
//! its probe port, through a forwarded connection.

mod armed;
mod conf;
mod error;
pub mod line;
mod live;
mod look;
mod probe;
mod script;
#[cfg(test)]
mod script_tests;
pub mod two_phase;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::inventory::{Balancer, Inventory};

pub use armed::{ArmedSeen, Disarmed, Keeper, Process, Timer};
pub use conf::{Reloaded, Restored};
pub use error::{ConfTest, Error, Kind};
pub use live::{Generation, How, Prepared};
pub use look::{ConfFile, Current, Disk, Look, Presence, Standing, TrafficSeen};
pub use probe::InFlight;
pub use wiring::Wiring;

use crate::edge::host::{Hosts, Run, Stdin};
use script::{Answer, NO_RIGHT_EXIT, Script};

/// How long a step waits for a lock on a balancer: other holders need well under a second (a configuration test, a few).
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How many generations stay beside the current one and those being prepared: a slow request may still hold a path.
pub const KEEP_GENERATIONS: usize = 6;
/// How long the workers may take to see a rename. They stat for each request, so the first answer is right already.
pub const CONFIRM_BOUND: Duration = Duration::from_secs(5);
/// How long old workers may take to stop accepting after a reload; measured: 0.14 s, more with many certificates.
pub const RELOAD_BOUND: Duration = Duration::from_secs(30);
/// A script's own bound: the lock, then a few file operations, or nginx reading its whole configuration twice; more than
/// [`LOCK_WAIT`] and [`RELOAD_BOUND`] together.
const SCRIPT_BOUND: Duration = Duration::from_secs(60);
/// How many of the last lines of what a host said go into a message.
const LAST_LINES: usize = 8;

/// The balancers of one site. Holds no state of its own: every function asks the world.
#[derive(Debug, Clone)]
pub struct Balancers {
    inventory: Arc<Inventory>,
    hosts: Hosts,
    reload_bound: Duration,
}

impl Balancers {
    /// The balancers that `inventory` names, reached through `hosts`.
    pub fn new(inventory: Arc<Inventory>, hosts: Hosts) -> Balancers {
        Balancers { inventory, hosts, reload_bound: RELOAD_BOUND }
    }

    /// With another bound than [`RELOAD_BOUND`].
    pub fn with_reload_bound(mut self, bound: Duration) -> Balancers {
        self.reload_bound = bound;
        self
    }

    /// Every balancer's host, in the inventory's order.
    pub fn names(&self) -> Vec<String> {
        self.inventory.balancers.iter().map(|b| b.host.clone()).collect()
    }

    fn at(&self, host: &str) -> Result<&Balancer, Error> {
        self.inventory.balancer(host).ok_or_else(|| Error::new(host, Kind::Unknown))
    }

    /// Runs one of the scripts to a whole answer; refusals and missing rights become errors.
    async fn script(&self, host: &str, script: Script, args: &[&str], stdin: Option<Vec<u8>>) -> Result<Answer, Error> {
        let run = Run::script(script.name, script.text, args.iter().copied())
            .stdin(stdin.map_or(Stdin::Null, Stdin::Bytes))
            .timeout(SCRIPT_BOUND);
        // The user's own line may leave something behind.
        let run = if script == script::RELOAD { run } else { run.standing() };
        let output = self.hosts.get(host).run(run).await.map_err(|e| Error::new(host, e))?;
        let answer = Answer::read(&output.stdout);
        let stderr = output.stderr_text();
        if output.status == NO_RIGHT_EXIT {
            let command = answer.get("no_right").unwrap_or(script.name).to_owned();
            let said = match last_lines(&stderr).pop() {
                Some(line) => format!(" ({line})"),
                None => String::new(),
            };
            return Err(Error::new(host, Kind::NoRights { command, said }));
        }
        if let Some(refused) = answer.get("refused")
            && let Some(kind) = live::refusal(refused, last_lines(&stderr))
        {
            return Err(Error::new(host, kind));
        }
        if output.is_success() && (answer.is_whole() || answer.get("refused").is_some()) {
            return Ok(answer);
        }
        Err(Error::new(host, Kind::Broke { script: script.name, code: output.status, lines: last_lines(&stderr) }))
    }
}

/// The last few lines that say something, free of what could drive a terminal.
fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let clean = |line: &&str| line.trim().replace(|c: char| c.is_control(), "\u{fffd}");
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(clean).collect()
}
