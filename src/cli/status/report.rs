//! Everything that `status` knows, in the shape of its JSON.

use bluegreen_core::{
    half::Half,
    inventory::Inventory,
    rollout::{Command, Stage, State, Verb, explain::Explained},
    traffic::Traffic,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{
    journal::{Blind, Journal},
    lock::{Gone, Lock},
    recent::Change,
    revert::Revert,
    seen::{BalancerSeen, PlaceSeen, PoolSeen, Seen},
    serves,
};
use crate::site::{other_inventory, sync_takes_over};

/// The document of `status --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The site's name.
    pub site: String,
    /// The inventory's name.
    pub inventory: String,
    /// `None` before setup, or when the journal cannot be read.
    pub stage: Option<Stage>,
    /// `r12`.
    pub rollout: Option<String>,
    /// Each half's; `None` while its hosts disagree.
    pub releases: Releases,
    /// Who gets which half; `None` when it is not known.
    pub traffic: Option<Value>,
    /// By name, in the inventory's order.
    #[serde(serialize_with = "as_map")]
    pub pools: Vec<(String, PoolSeen)>,
    /// In the inventory's order.
    pub balancers: Vec<BalancerSeen>,
    /// Who has the site's lock or holds it by hand.
    pub lock: Option<Lock>,
    /// The kill switch.
    pub frozen: Option<()>,
    /// The command that is open and not under way.
    pub interrupted: Option<Interrupted>,
    /// Commands that go through from here.
    pub next: Vec<String>,
    /// Traffic that goes back by itself.
    pub revert: Option<Revert>,
    /// The command that is under way, as its lock says.
    pub under_way: Option<String>,
    /// What is wrong with the journal.
    pub journal: Option<String>,
    /// Where the site went, when this journal is closed: what the hosts say is no business of its then.
    pub moved: Option<Gone>,
    /// Why every command but `sync` is refused with this inventory.
    pub inventory_differs: Option<&'static str>,
    /// What changed in the last hour.
    pub recent: Vec<Change>,
    /// Why no journal says where the site stands, though the hosts may say something.
    #[serde(skip)]
    pub blind: Option<Blind>,
    /// For people: what that means for them, and what to do.
    #[serde(skip)]
    pub then: Option<String>,
    /// For people: what to do about an inventory that differs.
    #[serde(skip)]
    pub inventory_then: Option<&'static str>,
    /// For people: the percentage of each segment that goes to green, while the halves differ.
    #[serde(skip)]
    pub shares: Vec<(String, f64)>,
    /// For people: the traffic in words.
    #[serde(skip)]
    pub traffic_words: Option<String>,
}

/// The releases of the halves, such as `v41`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Releases {
    /// Blue's.
    pub blue: Option<String>,
    /// Green's.
    pub green: Option<String>,
}

/// An open command that nobody carries on.
#[derive(Debug, Clone, Serialize)]
pub struct Interrupted {
    /// `deploy`.
    pub command: String,
    /// The step that was under way or came next.
    pub step: Option<String>,
    /// What finishes or undoes it.
    pub next: Vec<String>,
    /// When it began: RFC 3339, UTC.
    pub since: String,
    /// Who began it.
    pub by: String,
    /// Whether the step was begun: how far it got is told by `found`.
    pub begun: bool,
    /// The number of the step, from 1.
    pub number: usize,
    /// How many steps there are.
    pub of: usize,
    /// Why the step failed, where it is known to have.
    pub why: Option<String>,
    /// What is on each host that the step concerns.
    pub found: Vec<Found>,
    /// What `resume` would do.
    pub resume: Vec<String>,
    /// What `abort` would do.
    pub abort: Vec<String>,
    /// The balancers that were not put back after a failed switch: the state "undo failed".
    pub undo_failed: Option<Vec<NotPutBack>>,
    /// What a person does next, in order, where an undoing failed.
    pub to_do: Vec<ToDo>,
    /// For people.
    #[serde(skip)]
    pub explained: Explained,
}

/// What is on one host.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The host.
    pub host: String,
    /// What is there, in words.
    pub what: String,
}

/// One thing that a person does.
#[derive(Debug, Clone, Serialize)]
pub struct ToDo {
    /// What, in words.
    pub what: String,
    /// What is typed for it on a host.
    pub line: Option<String>,
}

/// A balancer that an undoing did not reach.
#[derive(Debug, Clone, Serialize)]
pub struct NotPutBack {
    /// The host.
    pub host: String,
    /// What it said then.
    pub said: String,
}

impl Report {
    /// Puts together what the journal and the hosts say.
    pub fn new(inventory: &Inventory, name: &str, journal: Journal, seen: Seen) -> Report {
        let then = journal.then();
        let differs = journal.state.as_ref().and_then(|state| other_inventory(state, inventory));
        let state = journal.state.as_ref();
        let known = state.filter(|state| state.stage.is_some());
        let idle = journal.queue.tickets.is_empty();
        let held = journal.queue.hold.is_some();
        let release = |half| release(state, half, &seen.pools);
        // Hosts that run something, and no journal that knows of it: every command would be refused.
        let is_lost = state.is_some_and(|state| state.journal.is_none())
            && (seen.balancers.iter().any(|balancer| balancer.generation.is_some()) || has_release(&seen.pools));
        let lost = "there is none here, but the hosts belong to one: bring it back before anything else";
        let blind = journal.blind.or_else(|| is_lost.then_some(Blind::Lost));
        // Where nothing says what is intended, what is served is what the balancers say.
        let (shown, traffic_words) = match known {
            Some(state) => (Some(state.wanted().clone()), serves::wanted(state, &seen.balancers)),
            None if blind.is_some() => serves::together(&seen.balancers),
            None => (None, String::new()),
        };
        Report {
            site: inventory.site.clone(),
            inventory: name.to_owned(),
            stage: state.and_then(|state| state.stage),
            rollout: state.and_then(|state| Some(format!("r{}", state.rollout.as_ref()?.number))),
            releases: Releases { blue: release(Half::Blue), green: release(Half::Green) },
            traffic: shown.as_ref().map(traffic),
            shares: shown.as_ref().map(shares).unwrap_or_default(),
            traffic_words: Some(traffic_words).filter(|_| known.is_some() || blind.is_some()),
            pools: seen.pools,
            balancers: seen.balancers,
            lock: Lock::of(&journal.queue),
            frozen: None,
            interrupted: state.filter(|_| idle).and_then(|state| interrupted(state, inventory, seen.explained?)),
            next: state.filter(|_| idle && !held && !is_lost).map(|state| next(state, inventory)).unwrap_or_default(),
            revert: None,
            blind,
            then,
            under_way: journal.queue.holder().map(ToString::to_string),
            journal: journal.problem.or_else(|| is_lost.then(|| lost.to_owned())),
            moved: journal.moved.as_ref().map(Gone::from),
            inventory_differs: differs.map(|other| other.as_str()),
            inventory_then: differs.map(|other| other.hint()),
            recent: journal.recent,
        }
    }

    /// The hosts of which something is not known, each once or more.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let places = self.pools.iter().flat_map(|(_, pool)| pool.blue.iter().chain(&pool.green));
        let places = places.filter(|place| place.release.is_none() || place.healthy.is_none()).map(|place| &place.host);
        let balancers = self.balancers.iter().filter(|balancer| !balancer.reachable).map(|balancer| &balancer.host);
        places.chain(balancers).map(String::as_str)
    }

    /// One line of JSON.
    pub fn document(&self) -> String {
        // Plain data with string keys: serializing it cannot fail.
        serde_json::to_string(self).expect("a report is plain data")
    }
}

fn as_map<S: Serializer>(pools: &[(String, PoolSeen)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pools.iter().map(|(name, pool)| (name, pool)))
}

/// Who gets which half, as the contract's JSON says it.
pub fn traffic(traffic: &Traffic) -> Value {
    match traffic {
        Traffic::Both => json!({ "mode": "both" }),
        Traffic::Split { segments, .. } => {
            let segment = |s: &bluegreen_core::traffic::SegmentShare| json!({ "segment": s.segment, "green_percent": s.green.percent() });
            json!({ "mode": "split", "segments": segments.iter().map(segment).collect::<Vec<_>>() })
        }
    }
}

fn shares(traffic: &Traffic) -> Vec<(String, f64)> {
    match traffic {
        Traffic::Both => Vec::new(),
        Traffic::Split { segments, .. } => segments.iter().map(|s| (s.segment.clone(), s.green.percent())).collect(),
    }
}

fn has_release(pools: &[(String, PoolSeen)]) -> bool {
    pools.iter().any(|(_, pool)| pool.blue.iter().chain(&pool.green).any(|place| place.release.is_some()))
}

/// The release that all servers of a half have by their markers; of those that were not seen the journal speaks.
fn release(state: Option<&State>, half: Half, pools: &[(String, PoolSeen)]) -> Option<String> {
    let places = pools.iter().flat_map(|(_, pool)| match half {
        Half::Blue => &pool.blue,
        Half::Green => &pool.green,
    });
    let mut found: Vec<&String> = places.clone().filter_map(|place: &PlaceSeen| place.release.as_ref()).collect();
    let all = found.len() == places.count();
    found.dedup();
    let journaled = state.and_then(|state| state.release(half)).map(|version| version.to_string());
    match (found.as_slice(), journaled) {
        ([], journaled) => journaled,
        ([one], Some(journaled)) => (**one == journaled).then_some(journaled),
        ([one], None) => all.then(|| (*one).clone()),
        _ => None,
    }
}

fn interrupted(state: &State, inventory: &Inventory, explained: Explained) -> Option<Interrupted> {
    let open = state.open.as_ref()?;
    let is_other = !state.knows_inventory(&inventory.digest());
    let next: &[&str] = match open.command {
        Command::Setup { .. } if is_other => &["setup"],
        Command::Sync { .. } if is_other && sync_takes_over(state, inventory) => &["sync"],
        _ if is_other => &[],
        Command::Setup { .. } => &["resume", "setup"],
        // Begun with an inventory that is not the journal's yet: nothing else takes it up.
        Command::Sync { .. } if state.digest.as_ref() != Some(&open.digest) => &["sync"],
        _ => &["resume", "abort"],
    };
    let step = open.at().map(|planned| planned.step.to_string());
    Some(Interrupted::new(open.command.as_str(), step, next, explained))
}

impl Interrupted {
    /// Puts together what the journal says and what was explained of it.
    pub fn new(command: &str, step: Option<String>, next: &[&str], explained: Explained) -> Interrupted {
        let not_put_back = |(host, said)| NotPutBack { host, said };
        let found = explained.found.iter().cloned();
        let to_do = explained.to_do.iter().cloned();
        Interrupted {
            command: command.to_owned(),
            step,
            next: next.iter().map(|word| (*word).to_owned()).collect(),
            since: explained.since.clone(),
            by: format!("{}@{}", explained.by.user, explained.by.host),
            begun: explained.is_begun,
            number: explained.number,
            of: explained.of,
            why: explained.why.clone(),
            found: found.map(|found| Found { host: found.host, what: found.what }).collect(),
            resume: explained.resume.lines(),
            abort: explained.abort.lines(),
            undo_failed: explained.undo_failed.clone().map(|hosts| hosts.into_iter().map(not_put_back).collect()),
            to_do: to_do.map(|to_do| ToDo { what: to_do.what, line: to_do.line }).collect(),
            explained,
        }
    }
}

/// Every command that is neither refused nor done already.
fn next(state: &State, inventory: &Inventory) -> Vec<String> {
    if state.stage.is_none() {
        return vec!["setup".to_owned()];
    }
    if !state.knows_inventory(&inventory.digest()) {
        return sync_takes_over(state, inventory).then(|| "sync".to_owned()).into_iter().collect();
    }
    state.next_commands().into_iter().map(Verb::as_str).map(ToOwned::to_owned).collect()
}
