//! The commands that change a site: what is asked before anything is touched, and the plan that follows.

mod commands;
mod dry_run;
pub mod explain;
mod preflight;
mod release;
mod sync;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bluegreen_core::{
    inventory::Inventory,
    lock::{Queued, Ticket},
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
        journal::{self, OpenError, OpenJournal, Patience, Store, StoreError, take_turn},
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
    store: Arc<dyn Store>,
    patience: Patience,
    /// Whether this command has the site's lock.
    has_lock: AtomicBool,
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
        let store = journal::store(&inventory.journal, &base, ssh_settings(&inventory, &base));
        let patience = Patience::default();
        Site { inventory, base, cwd, interrupted, store, patience, has_lock: AtomicBool::new(false), world }
    }

    /// The same, waiting for the site's lock.
    pub fn patient(self, patience: Patience) -> Site {
        Site { patience, ..self }
    }

    /// Does what was asked; with `dry_run` only says what it would do. Every connection is closed at the end.
    pub async fn run(&self, asked: Asked, dry_run: bool) -> Finished {
        let finished = match self.in_turn(asked, dry_run).await {
            Ok(finished) => finished,
            Err(outcome) => {
                let state = journal::read(self.store.as_ref()).await.ok().map(|reading| reading.state);
                Finished { outcome, state, text: None }
            }
        };
        self.store.leave().await;
        self.world.hosts.close().await;
        finished
    }

    /// Who waits for the lock waits before anything is looked at: what it waits for changes the site.
    async fn in_turn(&self, asked: Asked, dry_run: bool) -> Result<Finished, Outcome> {
        if self.patience.wait.is_some() && !dry_run {
            self.lock(asked.as_str(), asked.label()).await?;
        }
        self.dispatch(asked, dry_run).await
    }

    async fn lock(&self, command: &str, release: Option<String>) -> Result<(), Outcome> {
        let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let ticket = Ticket { by: by(), command: command.to_owned(), release, since };
        let mut waiting = |ahead: &[Queued]| {
            if let Some((holder, others)) = ahead.split_first() {
                self.world.warn(&waits_for(&holder.ticket, others));
            }
            self.interrupted.load(Ordering::SeqCst)
        };
        take_turn(self.store.as_ref(), &ticket, self.patience, &mut waiting).await.map_err(not_opened)?;
        self.has_lock.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The journal, locked for this command. Only `setup` may begin one.
    async fn open(&self, command: &str) -> Result<OpenJournal, Outcome> {
        if !self.has_lock.load(Ordering::SeqCst) {
            self.lock(command, None).await?;
        }
        let journal = OpenJournal::open(self.store.clone(), by()).await.map_err(not_opened)?;
        if let Some(warning) = &journal.warning {
            self.world.warn(warning);
        }
        Ok(journal)
    }

    /// The state, for dry runs and for what is refused before a journal would be made. Refused while another command has
    /// the lock: what it has open is under way, not interrupted.
    async fn peek(&self) -> Result<State, Outcome> {
        let reading = journal::read(self.store.as_ref()).await.map_err(not_opened)?;
        if self.has_lock.load(Ordering::SeqCst) {
            return Ok(reading.state);
        }
        if let Some(hold) = reading.queue.hold {
            return Err(not_opened(OpenError::Held(Box::new(hold))));
        }
        match reading.queue.holder() {
            Some(holder) => Err(not_opened(OpenError::Locked { holder: Some(holder.to_string()) })),
            None => Ok(reading.state),
        }
    }

    async fn drive(&self, journal: &mut OpenJournal, command: &Command, plan: &Plan, also: Vec<Event>) -> Outcome {
        let digest = self.inventory.digest();
        self.engine(journal, &digest).run(command, plan, also).await
    }

    fn engine<'a>(&'a self, journal: &'a mut OpenJournal, digest: &'a str) -> Engine<'a> {
        Engine {
            journal,
            world: &self.world,
            reporter: self.world.reporter.clone(),
            interrupted: &self.interrupted,
            digest,
        }
    }

    fn finished(outcome: Outcome, journal: &OpenJournal) -> Finished {
        Finished { outcome, state: Some(journal.state().clone()), text: None }
    }
}

/// Who has the lock and who is ahead, for whoever waits.
fn waits_for(holder: &Ticket, others: &[Queued]) -> String {
    let ahead: Vec<String> = others.iter().map(|queued| queued.ticket.to_string()).collect();
    match ahead.len() {
        0 => format!("waiting for the site's lock: {holder} has it; this command is next"),
        count => format!("waiting for the site's lock: {holder} has it; {count} more ahead: {}", ahead.join(", ")),
    }
}

fn not_opened(error: OpenError) -> Outcome {
    let (exit, hint) = match &error {
        OpenError::Locked { .. } => {
            (Exit::Refused, "wait for it to end (`--wait` does); `bg status` shows where it stands")
        }
        OpenError::NotFree { .. } => (Exit::Refused, "wait longer; `bg status` shows where it stands"),
        OpenError::Held(_) => {
            (Exit::Refused, "`bg unlock` releases it, when that is right; `bg status` shows where the site stands")
        }
        OpenError::Overtaken(_) => {
            (Exit::Refused, "nothing is to be done: the newer deploy brings this release's changes too")
        }
        OpenError::Stopped => (Exit::Interrupted, "`bg status` shows where the site stands"),
        OpenError::Damaged { .. } => (
            Exit::Failed,
            "nothing was touched; bring back a copy of the journal from a backup, or mend that line by hand",
        ),
        OpenError::Store(StoreError::Lost(_)) => (Exit::Refused, "`bg status` shows who is at work"),
        OpenError::Store(_) => (Exit::Failed, "nothing was touched"),
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
