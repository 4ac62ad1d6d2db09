//! What the open step left on each host it concerns, in words.

use super::{
    super::{state::State, step::Step},
    seen::{BalancerSeen, InFlight, OnBalancer, PlaceSeen, Seen, TreeSeen},
};
use crate::{half::Half, nginx::state, release::Version};

/// What is on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The host.
    pub host: String,
    /// What is there, in words.
    pub what: String,
}

/// What the step that is open, or comes next, finds on the hosts that it concerns.
pub fn found(state: &State, seen: &Seen) -> Vec<Found> {
    let Some(open) = &state.open else { return Vec::new() };
    let Some(planned) = open.at() else { return Vec::new() };
    let generation = open.shift.as_ref().and_then(|shift| shift.generation);
    let on_balancers = |words: &dyn Fn(&OnBalancer) -> String| -> Vec<Found> {
        seen.balancers.iter().map(|balancer| on_balancer(balancer, words)).collect()
    };
    let on_places = |half: Option<Half>, words: &dyn Fn(&PlaceSeen) -> String| -> Vec<Found> {
        let places = seen.places.iter().filter(|place| half.is_none_or(|half| place.half == half));
        places.map(|place| on_place(seen, place, words)).collect()
    };
    match &planned.step {
        Step::CreateDirs => on_balancers(&|answer| dirs(answer).to_owned()),
        Step::WriteConf { revision } => on_balancers(&|answer| files(answer, *revision)),
        Step::ReloadConf { revision } => on_balancers(&|answer| reloaded(answer, *revision)),
        Step::Prepare { .. } | Step::ArmRevert { .. } | Step::Commit { .. } => {
            on_balancers(&|answer| shifted(answer, generation))
        }
        Step::DisarmRevert => {
            let armed = state.armed.as_ref().map(|armed| armed.generation);
            on_balancers(&|answer| shifted(answer, armed))
        }
        Step::Follow { generation, .. } => on_balancers(&|answer| shifted(answer, generation.checked_sub(1))),
        Step::Drain { half, release } => {
            let mut found = on_balancers(&|answer| in_flight(answer, *half));
            found.extend(on_places(Some(*half), &|place| drained(place, *release)));
            found
        }
        Step::Place { half, release } => on_places(Some(*half), &|place| placed(place, *release)),
        Step::Activate { half, release } | Step::Check { half, release } => {
            on_places(Some(*half), &|place| activated(place, *release))
        }
        Step::Prune { .. } => on_places(None, &kept),
    }
}

fn on_balancer(seen: &BalancerSeen, words: &dyn Fn(&OnBalancer) -> String) -> Found {
    let what = match &seen.answer {
        Ok(answer) => words(answer),
        Err(why) => unknown(why),
    };
    Found { host: seen.host.clone(), what }
}

fn on_place(all: &Seen, seen: &PlaceSeen, words: &dyn Fn(&PlaceSeen) -> String) -> Found {
    let what = match &seen.answer {
        Ok(_) => words(seen),
        Err(why) => unknown(why),
    };
    // A machine may stand in several places.
    let is_once = all.places.iter().filter(|place| place.host == seen.host).count() == 1;
    let what = if is_once { what } else { format!("{}/{}: {what}", seen.pool, seen.half) };
    Found { host: seen.host.clone(), what }
}

fn unknown(why: &str) -> String {
    format!("no answer, so what is there is not known: {why}")
}

fn dirs(answer: &OnBalancer) -> &'static str {
    if answer.has_dirs { "bg's directories are there" } else { "no directories of bg's yet" }
}

fn files(answer: &OnBalancer, wanted: u64) -> String {
    match answer.revision {
        Some(revision) if revision == wanted => format!("files of revision {wanted}"),
        Some(revision) => format!("still the files of revision {revision}"),
        None => "no files of bg's yet".to_owned(),
    }
}

fn reloaded(answer: &OnBalancer, wanted: u64) -> String {
    let nginx = match &answer.running {
        Some(Ok(revision)) if *revision == wanted => "and nginx runs them".to_owned(),
        Some(Ok(revision)) => format!("and nginx runs revision {revision}"),
        Some(Err(why)) => format!("and nginx does not say what it runs: {why}"),
        None => "and what nginx runs was not asked".to_owned(),
    };
    format!("{}, {nginx}", files(answer, wanted))
}

/// `generation`: N of the shift, which N+1 puts back; `None` where every balancer had it already.
fn shifted(answer: &OnBalancer, generation: Option<u64>) -> String {
    let (current, traffic) = match &answer.tree {
        TreeSeen::Ours { generation, traffic } => (*generation, traffic),
        TreeSeen::Nothing => return format!("no traffic tree, so all goes to blue{}", ready(answer, generation)),
        TreeSeen::Else(why) => return format!("{why}{}", ready(answer, generation)),
    };
    let runs = format!("generation {current}, {traffic}");
    match generation {
        None => runs,
        Some(n) if current == n => format!("switched: {runs}"),
        Some(n) if current == n + 1 => format!("put back: {runs}"),
        Some(n) if current > n => format!("switched by something later than this: {runs}"),
        Some(_) => format!("not switched: {runs}{}", ready(answer, generation)),
    }
}

/// What phase one has left there.
fn ready(answer: &OnBalancer, generation: Option<u64>) -> String {
    let Some(n) = generation else { return String::new() };
    match [n, n + 1].map(|number| answer.generations.contains(&number)) {
        [true, true] => format!("; {n} and the way back, {}, are ready", n + 1),
        [true, false] => format!("; {n} is ready, and the way back, {}, is not", n + 1),
        [false, true] => format!("; only the way back, {}, is ready", n + 1),
        [false, false] => "; nothing is prepared".to_owned(),
    }
}

fn in_flight(answer: &OnBalancer, half: Half) -> String {
    let count = |n: u32, of: state::Seen| (n > 0).then(|| of.requests(n, None));
    match &answer.in_flight {
        None => "what is in flight was not asked".to_owned(),
        Some(Err(why)) => format!("what is in flight is not known: {why}"),
        Some(Ok(InFlight { half: of_half, both })) => {
            let counts = [count(*of_half, half.into()), count(*both, state::Seen::Both)];
            let words: Vec<String> = counts.into_iter().flatten().collect();
            if words.is_empty() { format!("no request in flight to {half}") } else { words.join(", ") }
        }
    }
}

fn drained(place: &PlaceSeen, release: Version) -> String {
    let runs = runs(place);
    if runs.as_deref() == Some(release.to_string().as_str()) {
        return format!("{release} runs already, so nothing waits for it");
    }
    let runs = running(runs);
    let Some(peers) = place.answer.as_ref().ok().and_then(|answer| answer.peers.as_ref()) else {
        return format!("{runs}; who is connected is not known");
    };
    if peers.is_empty() {
        return format!("{runs}; nobody but balancers is connected");
    }
    let peer = |(from, count): &(String, usize)| {
        format!("{count} connection{} from {from}", if *count == 1 { "" } else { "s" })
    };
    let peers: Vec<String> = peers.iter().map(peer).collect();
    format!("{runs}; {}, which is no balancer", peers.join(", "))
}

fn placed(place: &PlaceSeen, release: Version) -> String {
    let runs = running(runs(place));
    if !place.unpacks {
        return format!("{runs}; the pool's own command brings {release} in the next step");
    }
    let is_there = place.answer.as_ref().is_ok_and(|answer| answer.placed.contains(&release.to_string()));
    if is_there { format!("{release} is placed; {runs}") } else { format!("{release} is not placed; {runs}") }
}

fn activated(place: &PlaceSeen, release: Version) -> String {
    let Ok(answer) = &place.answer else { return String::new() };
    let health = match (&place.health, &place.named) {
        (None, _) => "its health is not known".to_owned(),
        (Some(Ok(())), Some((named, true))) => format!("healthy, and it is {named} that answers"),
        (Some(Ok(())), Some((named, false))) => format!("healthy, and it is not {named} that answers"),
        (Some(Ok(())), None) => "what answers is healthy".to_owned(),
        (Some(Err(why)), _) => format!("NOT healthy: {why}"),
    };
    let current = answer.current.as_ref().map(|name| format!(", `current` is {name}")).unwrap_or_default();
    match (&answer.release, &answer.activating) {
        (Some(runs), _) if *runs == release.to_string() => format!("{release} is activated; {health}"),
        (Some(runs), _) => format!("not begun: {runs} runs{current}; {health}"),
        (None, Some(begun)) => format!("the activation of {begun} was begun and did not end{current}; {health}"),
        (None, None) => format!("not begun: no release runs by its marker{current}; {health}"),
    }
}

fn kept(place: &PlaceSeen) -> String {
    let Ok(answer) = &place.answer else { return String::new() };
    match answer.placed.as_slice() {
        [] => "no release is kept".to_owned(),
        kept => format!("kept: {}", kept.join(", ")),
    }
}

fn runs(place: &PlaceSeen) -> Option<String> {
    place.answer.as_ref().ok().and_then(|answer| answer.release.clone())
}

fn running(release: Option<String>) -> String {
    release.map_or_else(|| "no release runs by its marker".to_owned(), |release| format!("{release} runs"))
}
