//! The commands that change a site: what is asked before anything is touched, and the plan that follows.

mod commands;
mod dry_run;
mod preflight;
mod release;
mod sync;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bluegreen_core::{
    inventory::{Inventory, JournalLocation},
    nginx::conf::Templates,
    rollout::{By, Command, Event, Plan, State},
};
use nix::unistd::{Uid, User, gethostname};

pub use commands::Asked;
pub use release::Wanted;

use crate::{
    edge::{
        balancer::Balancers,
        host::{Hosts, SshSettings},
        journal::{FileJournal, OpenError, read},
        world::Live,
    },
    engine::{Engine, Exit, Journal, Outcome, Reporter, ways_on},
};

/// A site as one command sees it.
pub struct Site {
    inventory: Arc<Inventory>,
    base: PathBuf,
    cwd: PathBuf,
    interrupted: Arc<AtomicBool>,
    world: Live,
}

/// How a command on a site ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code and the words.
    pub outcome: Outcome,
    /// Where the site stands; `None` when the journal could not be read.
    pub state: Option<State>,
    /// What is to be shown above the outcome: a dry run's steps and diffs, the lines to add to nginx.
    pub text: Option<String>,
}

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Finished {
        Finished { outcome, state: None, text: None }
    }
}

/// `[ssh]` as the host edge wants it; a relative config file is below `base`.
pub fn ssh_settings(inventory: &Inventory, base: &std::path::Path) -> SshSettings {
    SshSettings {
        user: inventory.ssh.user.clone(),
        config: inventory.ssh.config.as_ref().map(|config| base.join(config)),
        connect_timeout: Duration::from_millis(inventory.ssh.connect_timeout_ms),
        parallel: inventory.ssh.parallel,
    }
}

/// The journal's directory.
pub fn journal_dir(inventory: &Inventory, base: &std::path::Path) -> PathBuf {
    let JournalLocation::File(path) = &inventory.journal;
    base.join(path)
}

/// Who appends: the login name, the machine, the process.
pub fn by() -> By {
    let user = User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
    let host = gethostname().ok().map(|host| host.to_string_lossy().into_owned());
    By {
        user: user.unwrap_or_else(|| Uid::current().to_string()),
        host: host.unwrap_or_else(|| "unknown".to_owned()),
        pid: std::process::id(),
    }
}

impl Site {
    /// No host is contacted yet. `base` is what the inventory's relative paths resolve from, `cwd` the command line's.
    pub fn new(
        inventory: Inventory,
        templates: Templates,
        base: PathBuf,
        cwd: PathBuf,
        reporter: Reporter,
        interrupted: Arc<AtomicBool>,
    ) -> Site {
        let inventory = Arc::new(inventory);
        let hosts = Hosts::new(ssh_settings(&inventory, &base));
        let world = Live {
            inventory: inventory.clone(),
            balancers: Balancers::new(inventory.clone(), hosts.clone()),
            hosts,
            templates,
            base: base.clone(),
            reporter,
            packed: Default::default(),
            living: Default::default(),
        };
        Site { inventory, base, cwd, interrupted, world }
    }

    /// Does what was asked; with `dry_run` only says what it would do. Every connection is closed at the end.
    pub async fn run(&self, asked: Asked, dry_run: bool) -> Finished {
        let finished = match self.dispatch(asked, dry_run).await {
            Ok(finished) => finished,
            Err(outcome) => {
                let state = read(&journal_dir(&self.inventory, &self.base)).ok().map(|reading| reading.state);
                Finished { outcome, state, text: None }
            }
        };
        self.world.hosts.close().await;
        finished
    }

    /// The journal, locked for this command. Only `setup` may begin one.
    fn open(&self, command: &str) -> Result<FileJournal, Outcome> {
        let dir = journal_dir(&self.inventory, &self.base);
        let journal = FileJournal::open(&dir, by(), command).map_err(not_opened)?;
        if let Some(warning) = &journal.warning {
            self.world.warn(warning);
        }
        Ok(journal)
    }

    /// The state without the lock, for dry runs and for what is refused before a journal would be made. Refused while
    /// another command holds the lock: what it has open is under way, not interrupted.
    fn peek(&self) -> Result<State, Outcome> {
        let reading = read(&journal_dir(&self.inventory, &self.base)).map_err(not_opened)?;
        match reading.holder {
            Some(holder) => Err(not_opened(OpenError::Locked { holder: Some(holder).filter(|said| !said.is_empty()) })),
            None => Ok(reading.state),
        }
    }

    async fn drive(&self, journal: &mut FileJournal, command: &Command, plan: &Plan, also: Vec<Event>) -> Outcome {
        let digest = self.inventory.digest();
        self.engine(journal, &digest).run(command, plan, also).await
    }

    fn engine<'a>(&'a self, journal: &'a mut FileJournal, digest: &'a str) -> Engine<'a> {
        Engine {
            journal,
            world: &self.world,
            reporter: self.world.reporter.clone(),
            interrupted: &self.interrupted,
            digest,
        }
    }

    fn finished(outcome: Outcome, journal: &FileJournal) -> Finished {
        Finished { outcome, state: Some(journal.state().clone()), text: None }
    }
}

fn not_opened(error: OpenError) -> Outcome {
    let (exit, hint) = match &error {
        OpenError::Locked { .. } => (Exit::Refused, "wait for it to end; `bg status` shows where it stands"),
        OpenError::Damaged { .. } => (
            Exit::Failed,
            "nothing was touched; bring back a copy of the journal from a backup, or mend that line by hand",
        ),
        OpenError::Io { .. } => (Exit::Failed, "nothing was touched"),
    };
    Outcome { exit, message: error.to_string(), hint: Some(hint.to_owned()) }
}

/// A refusal: nothing was touched.
fn refused(message: impl Into<String>, hint: impl Into<String>) -> Outcome {
    Outcome { exit: Exit::Refused, message: message.into(), hint: Some(hint.into()) }
}

/// A refusal whose hint is what the stage allows.
fn refused_here(message: impl Into<String>, state: &State) -> Outcome {
    refused(message, ways_on(state))
}
