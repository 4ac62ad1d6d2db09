//! The commands that change a site: what is asked before anything is touched, and the plan that follows.

mod asked;
mod commands;
mod copy;
mod dry_run;
pub mod explain;
mod hold;
mod lock;
mod preflight;
mod refusal;
mod release;
mod revert;
mod sync;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use bluegreen_core::{
    inventory::Inventory,
    nginx::conf::Templates,
    release::Content,
    rollout::{By, Command, Event, Plan, State},
};
use nix::unistd::{Uid, User, gethostname};

pub use asked::{Asked, Move};
pub use lock::{UNREADABLE_HOLD, follow};
pub use preflight::{other_inventory, sync_takes_over};
pub use refusal::{OtherInventory, Refusal};
pub use release::Wanted;
pub use revert::{said_back, went_back};

use crate::{
    edge::{
        balancer::Balancers,
        host::{Hosts, SshSettings},
        journal::{self, OpenJournal, Patience, Store},
        world::Live,
    },
    engine::{Engine, Exit, Journal, Outcome, Reporter, and_then, describe_stage, still_open, ways_on},
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
    /// Whether it waits for it.
    waits: Arc<AtomicBool>,
    /// What was read already, by its path: it is read once, and what lies there later is not looked at.
    contents: Mutex<HashMap<PathBuf, Content>>,
    /// Whether a dry run assumes that what went back by itself was recorded, and followed everywhere.
    assumes_reverted: AtomicBool,
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
        let (has_lock, assumes_reverted, waits, contents) = Default::default();
        Site { inventory, base, cwd, interrupted, store, patience, has_lock, assumes_reverted, waits, contents, world }
    }

    /// The same, waiting for the site's lock.
    pub fn patient(self, patience: Patience) -> Site {
        Site { patience, ..self }
    }

    /// Does what was asked; with `dry_run` only says what it would do. Every connection is closed at the end.
    pub async fn run(&self, asked: Asked, dry_run: bool) -> Finished {
        let changes = asked.takes_the_lock() && !dry_run;
        let finished = match self.in_turn(asked, dry_run).await {
            Ok(finished) => finished,
            Err(outcome) => {
                let state = journal::read(self.store.as_ref()).await.ok().map(|reading| reading.state);
                Finished { outcome, state, text: None }
            }
        };
        let finished = if changes { open_still(finished) } else { finished };
        tokio::join!(self.store.leave(), self.world.hosts.close());
        finished
    }

    async fn in_turn(&self, asked: Asked, dry_run: bool) -> Result<Finished, Outcome> {
        let asked = self.labelled(asked)?;
        if self.patience.wait.is_some() && !dry_run && asked.takes_the_lock() {
            self.lock_first(&asked).await?;
        }
        let reverted = self.follow(&asked, dry_run).await?;
        let Some(reverted) = reverted else { return self.dispatch(asked, None, dry_run).await };
        match &reverted.followed {
            // `confirm` says it itself, and the way back to the old release waits for no balancer.
            Some(outcome) if outcome.exit != Exit::Done && !matches!(asked, Asked::Confirm | Asked::Abort) => {
                let message = and_then(&reverted.said, &outcome.message);
                return Err(Outcome { message, ..outcome.clone() });
            }
            _ => {}
        }
        let is_confirm = matches!(asked, Asked::Confirm);
        let tell = |outcome: Outcome| match is_confirm {
            true => outcome,
            false => Outcome { message: and_then(&reverted.said, &outcome.message), ..outcome },
        };
        match self.dispatch(asked, Some(&reverted), dry_run).await {
            Ok(finished) => Ok(Finished { outcome: tell(finished.outcome), ..finished }),
            Err(outcome) => Err(tell(outcome)),
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

/// A command that failed before it could end the one that was open already leaves that one open.
fn open_still(finished: Finished) -> Finished {
    let Some(state) = finished.state.as_ref().filter(|_| finished.outcome.exit == Exit::Failed) else {
        return finished;
    };
    let Some(still) = still_open(state) else { return finished };
    let Outcome { message, hint, .. } = &finished.outcome;
    // The ways on say the same of `bg status` at their end.
    let first = hint.as_ref().and_then(|hint| hint.split("; `bg status`").next());
    let hint = first.into_iter().map(str::to_owned).chain([ways_on(state)]).collect::<Vec<_>>().join(" · ");
    let stage = describe_stage(state);
    let message = if message.contains(&stage) { message.clone() } else { and_then(message, &stage) };
    let outcome = Outcome { exit: Exit::Open, message: and_then(&message, &still), hint: Some(hint) };
    Finished { outcome, ..finished }
}
