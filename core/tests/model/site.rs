//! The world of the model: journal, operators, two balancers, one server in each half, and what can go wrong between them.
//!
//! Everything that is decided comes from the core itself: [`plan`], [`State::begin`], [`State::before`], [`State::finish`],
//! [`State::failed`], [`State::resume`], [`State::apply`]. The model adds only what the edges do on hosts, one atomic
//! action per round trip, and the fences that stand there.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use bluegreen_core::{
    Half,
    release::{Content, Release, Version},
    rollout::{
        By, Command, Direction, Effect, Entry, Event, FORMAT, Failed, Resume, Stage, State, Step, Survey, Verb, plan,
    },
    traffic::{SegmentShare, Share, Traffic, receiving},
};

/// What a balancer's tree says, as far as safety goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tree {
    Both,
    Blue,
    Green,
    Canary,
}

impl Tree {
    fn of(traffic: &Traffic) -> Tree {
        match (traffic, traffic.only()) {
            (Traffic::Both, _) => Tree::Both,
            (_, Some(Half::Blue)) => Tree::Blue,
            (_, Some(Half::Green)) => Tree::Green,
            (_, None) => Tree::Canary,
        }
    }

    pub fn reaches(self, half: Half) -> bool {
        !matches!((self, half), (Tree::Blue, Half::Green) | (Tree::Green, Half::Blue))
    }
}

/// A balancer. `up`: the operators reach it; it serves all the same when they do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    pub current: u64,
    pub tree: Tree,
    pub up: bool,
    /// What goes back by itself: N, and what N+1 holds.
    pub orders: Vec<(u64, Tree)>,
    /// Whether it was told to keep what it has.
    pub keeps: bool,
}

/// The one server of a half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub fence: u64,
    /// What the marker claims.
    pub marker: Option<u64>,
    /// What answers; `None`: nothing healthy.
    pub running: Option<u64>,
    /// Whether a request is in flight.
    pub busy: bool,
}

/// A message of a command that died while sending it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Late {
    Commit { front: usize, n: u64, tree: Tree, armed: bool },
    Arm { front: usize, n: u64, back: Tree },
    Activate { half: Half, release: u64, epoch: u64 },
}

/// Where an operator's command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// The journal is read, and nothing is appended yet.
    Begin(Verb),
    /// The same, to resume.
    Resume,
    /// The same, to confirm.
    Confirm,
    /// The step is about to be begun.
    Start(usize),
    /// The step is begun; for a commit the next balancer.
    Act(usize, usize),
    /// The commit is being undone; the next balancer.
    Undo(usize, usize),
}

/// A running command, with the journal as it knows it.
#[derive(Debug, Clone)]
pub struct Operator {
    pub seen: Arc<State>,
    pub at: At,
}

/// Which of the safety rules hold; a seeded bug drops one.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub compare_and_append: bool,
    pub balancer_fence: bool,
    pub server_fence: bool,
    pub drain: bool,
    /// An armed shift is committed only where it is armed still.
    pub order: bool,
}

impl Rules {
    pub const ALL: Rules =
        Rules { compare_and_append: true, balancer_fence: true, server_fence: true, drain: true, order: true };
}

/// Everything at one instant.
#[derive(Debug, Clone)]
pub struct Site {
    pub log: Arc<State>,
    /// The journal's length at the beginning.
    pub first: u64,
    pub operators: Vec<Option<Operator>>,
    pub fronts: Vec<Front>,
    pub servers: [Server; 2],
    pub late: Option<Late>,
    /// Crashes that may still happen.
    pub crashes: u8,
    /// Times that a balancer may still become unreachable.
    pub cuts: u8,
    /// Whether canaries and flips go back by themselves.
    pub reverts: bool,
    /// What went wrong on the way here.
    pub broken: Option<&'static str>,
}

fn side(half: Half) -> usize {
    match half {
        Half::Blue => 0,
        Half::Green => 1,
    }
}

fn segments() -> Vec<String> {
    vec!["mobile".to_owned()]
}

fn entry(index: u64, events: Vec<Event>) -> Entry {
    let by = By { user: String::new(), host: String::new(), pid: 0 };
    Entry { v: FORMAT, index, at: String::new(), by, events }
}

fn release(version: u64) -> Release {
    let pools = [("web".to_owned(), Content::Command)].into_iter().collect();
    Release { version: Version(version), label: String::new(), pools }
}

pub fn command(verb: Verb, state: &State, reverts: bool) -> Command {
    let revert_after_ms = reverts.then_some(1);
    match verb {
        Verb::Deploy => {
            Command::Deploy { release: release(state.next_version().0), canary: None, revert_after_ms: None }
        }
        Verb::Canary => {
            let share = |name: &str, green| SegmentShare { segment: name.to_owned(), green };
            let tenth = Share::from_hundredths(1000).unwrap();
            Command::Canary { shares: vec![share("mobile", tenth), share("all", Share::NONE)], revert_after_ms }
        }
        Verb::CanaryOff => Command::CanaryOff,
        Verb::Flip => Command::Flip { revert_after_ms },
        Verb::FlipBack => Command::FlipBack,
        Verb::Restore => Command::Restore,
        Verb::Abort => Command::Abort,
    }
}

impl Site {
    /// A balanced site right after its setup.
    pub fn balanced(operators: usize, crashes: u8, cuts: u8, reverts: bool) -> Site {
        let mut log = State::default();
        let created = Event::SiteCreated { site: "shop".to_owned(), journal: "j".to_owned() };
        log.apply(&entry(0, vec![created])).unwrap();
        let setup = Command::Setup { release: release(1), revision: 1 };
        let steps = plan(&log, &segments(), &setup).unwrap();
        log.apply(&entry(log.length, log.begin(&setup, &steps, "digest"))).unwrap();
        for index in 0..steps.steps.len() {
            let before = log.before(index, Survey { highest: 0, settled: false });
            log.apply(&entry(log.length, vec![Event::StepStarted { step: index, before }])).unwrap();
            log.apply(&entry(log.length, log.finish(index, Vec::new()))).unwrap();
        }
        let n = log.confirmed.unwrap();
        let front = Front { current: n, tree: Tree::Both, up: true, orders: Vec::new(), keeps: false };
        let server = Server { fence: 0, marker: Some(1), running: Some(1), busy: false };
        Site {
            first: log.length,
            log: Arc::new(log),
            operators: vec![None; operators],
            fronts: vec![front.clone(), front],
            servers: [server.clone(), server],
            late: None,
            crashes,
            cuts,
            reverts,
            broken: None,
        }
    }

    fn break_by(&mut self, what: &'static str) {
        self.broken.get_or_insert(what);
    }

    /// Appends for one operator. `false`: somebody else appended in between, and the command is over.
    fn append(&mut self, who: usize, events: Vec<Event>, rules: Rules) -> bool {
        let Some(operator) = &mut self.operators[who] else { return false };
        if rules.compare_and_append && operator.seen.length != self.log.length {
            self.operators[who] = None;
            return false;
        }
        let mut log = (*self.log).clone();
        let shared = log.apply(&entry(log.length, events.clone()));
        let mut seen = (*operator.seen).clone();
        let own = seen.apply(&entry(seen.length, events));
        operator.seen = Arc::new(seen);
        if shared.is_err() || own.is_err() {
            self.break_by("two writers: the journal holds what does not follow");
            self.operators[who] = None;
            return false;
        }
        self.log = Arc::new(log);
        true
    }

    /// One commit on a balancer: only to a higher generation.
    fn commit(&mut self, front: usize, n: u64, tree: Tree, rules: Rules) -> bool {
        let front = &mut self.fronts[front];
        if front.current == n {
            return true;
        }
        if rules.balancer_fence && front.current > n {
            return false;
        }
        front.current = n;
        front.tree = tree;
        front.keeps = false;
        front.orders.retain(|(order, _)| *order >= n);
        true
    }

    /// The fence of a server: a lower epoch is refused, a higher one raises it.
    fn raise(&mut self, half: Half, epoch: u64, rules: Rules) -> bool {
        let server = &mut self.servers[side(half)];
        if rules.server_fence && server.fence > epoch {
            return false;
        }
        server.fence = server.fence.max(epoch);
        true
    }

    /// A restart, whole or interrupted half way. What it may never meet is recorded.
    fn activate(&mut self, half: Half, release: u64, epoch: u64, whole: bool, rules: Rules) -> bool {
        if !self.raise(half, epoch, rules) {
            return false;
        }
        if self.servers[side(half)].marker == Some(release) {
            return true;
        }
        if self.fronts.iter().any(|front| front.tree.reaches(half)) {
            self.break_by("a server is touched while it may get public traffic");
        }
        if self.servers[side(half)].busy {
            self.break_by("a server is touched while it has requests in flight");
        }
        let after = whole.then_some(release);
        let server = &mut self.servers[side(half)];
        (server.marker, server.running) = (after, after);
        true
    }

    /// Whether every balancer keeps traffic away from the half, as its workers say.
    fn guarded(&self, state: &State, half: Half) -> bool {
        self.fronts.iter().all(|front| front.up && Some(front.current) == state.confirmed && !front.tree.reaches(half))
    }
}

include!("driver.rs");
include!("armed.rs");
include!("hash.rs");
