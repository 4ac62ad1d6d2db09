//! Whether the hosts are this journal's, and have seen nothing that it does not know: read before anything is recorded.

use bluegreen_core::{
    Half,
    rollout::{Direction, State, Step},
};

use super::{Live, Spot, Trouble, back::PATIENCE, shift::checked_halves};
use crate::{
    edge::{
        balancer::{Current, Look, Standing, TrafficSeen},
        host::fan_out,
        server::{self, Bounds, Fence, Seen, ServerError},
    },
    engine::Failure,
};

impl Live {
    /// Refuses when `step` would meet what another journal, or a newer copy of this one, has left. Hosts that do not answer
    /// are passed over: the step names them. Before a `Prepare` the survey looks at the balancers, and no server is asked
    /// on the way back, which waits for none.
    pub(super) async fn hosts_are_ours(&self, state: &State, step: &Step) -> Result<(), Failure> {
        let halves = concerned(state, step);
        match step {
            Step::Prepare { .. } => self.servers_are_ours(state, &halves).await,
            _ => self.are_ours(state, &halves).await,
        }
    }

    /// The same of every host.
    pub async fn all_hosts_are_ours(&self, state: &State) -> Result<(), Failure> {
        self.are_ours(state, &Half::ALL).await
    }

    async fn are_ours(&self, state: &State, halves: &[Half]) -> Result<(), Failure> {
        let (balancers, servers) = tokio::join!(self.balancers_are_ours(state), self.servers_are_ours(state, halves));
        balancers.and(servers)
    }

    async fn balancers_are_ours(&self, state: &State) -> Result<(), Failure> {
        let look = |host: String| async move { self.balancers.look(&host).await };
        let looks = fan_out(self.living().await.to_vec(), self.hosts.parallel(), look).await;
        let journal = state.journal.as_deref().unwrap_or_default();
        looks
            .iter()
            .filter_map(|(_, look)| look.as_ref().ok())
            .try_for_each(|look| refuse_foreign(look, journal, state.generation))
    }

    async fn servers_are_ours(&self, state: &State, halves: &[Half]) -> Result<(), Failure> {
        let mut spots: Vec<Spot<'_>> = halves.iter().flat_map(|&half| self.spots(half)).collect();
        let names: Vec<String> = spots.iter().map(|spot| spot.place.host.clone()).collect();
        let living = self.hosts.reachable(&names, PATIENCE).await;
        spots.retain(|spot| living.contains(&spot.place.host));
        let looks = self.look_servers(spots).await;
        looks.iter().try_for_each(|(spot, seen)| match seen {
            Ok(seen) => refuse_foreign_server(&spot.place.host, seen, state),
            Err(_) => Ok(()),
        })
    }

    /// What stands on each of these servers.
    pub async fn look_servers<'a>(&self, spots: Vec<Spot<'a>>) -> Vec<(Spot<'a>, Result<Seen, ServerError>)> {
        let (hosts, bounds) = (&self.hosts, &Bounds::default());
        let look = |spot: Spot<'a>| self.asking(&spot.place.host, server::look(hosts, spot.place, bounds));
        fan_out(spots, hosts.parallel(), look).await
    }
}

/// The halves whose servers `step` changes or fences, or whose servers tell more than the balancers do.
fn concerned(state: &State, step: &Step) -> Vec<Half> {
    match step {
        Step::Prepare { to, direction: Direction::Forward } => {
            let retried = state.open.as_ref().and_then(|open| open.shift.as_ref());
            checked_halves(retried.map_or(&state.traffic, |shift| &shift.back), to, state)
        }
        Step::Drain { half, .. }
        | Step::Place { half, .. }
        | Step::Activate { half, .. }
        | Step::Check { half, .. } => {
            vec![*half]
        }
        // nginx's files have no generation.
        Step::CreateDirs | Step::WriteConf { .. } | Step::ReloadConf { .. } => Half::ALL.to_vec(),
        Step::Prepare { .. }
        | Step::Commit { .. }
        | Step::ArmRevert { .. }
        | Step::DisarmRevert
        | Step::Follow { .. }
        | Step::Prune { .. } => Vec::new(),
    }
}

/// The other journal that a server belongs to.
pub fn other_journal(seen: &Seen, journal: &str) -> Option<String> {
    let fence = seen.fence.as_ref().map(|fence| fence.journal.clone());
    let marker = seen.marker.as_ref().map(|marker| marker.journal.clone());
    fence.into_iter().chain(marker).find(|found| found != journal)
}

/// Refuses a server of another journal, and one on which a step was done that this journal does not hold: a newer copy of
/// it does.
pub fn refuse_foreign_server(host: &str, seen: &Seen, state: &State) -> Result<(), Failure> {
    if let Some(other) = other_journal(seen, state.journal.as_deref().unwrap_or_default()) {
        return Err(foreign(host, &other, None));
    }
    seen.fence.as_ref().and_then(|fence| overtaken(host, fence, state)).map_or(Ok(()), Err)
}

/// The refusal of an outdated copy: a step was done on that server that it does not hold.
pub fn overtaken(host: &str, fence: &Fence, state: &State) -> Option<Failure> {
    let is_newer = state.journal.as_ref() == Some(&fence.journal) && fence.epoch >= state.length;
    let (seen, last) = (fence.epoch, state.length.saturating_sub(1));
    is_newer.then(|| Trouble::Overtaken { host: host.to_owned(), seen, last }.into())
}

/// Refuses a tree of another journal, and a generation that this journal never chose, whose highest is `highest`.
pub fn refuse_foreign(look: &Look, journal: &str, highest: u64) -> Result<(), Failure> {
    if let Standing::Foreign { journal, generation } = look.standing(journal) {
        let (host, rollout) = (look.host.clone(), look.rollout());
        return Err(Trouble::ForeignTree { host, generation, journal, rollout }.into());
    }
    newer_copy(look, journal, highest).map_or(Ok(()), Err)
}

/// The refusal of what is, or may be, an outdated copy of `journal`: a balancer that is not another's has a generation above
/// any that this copy ever chose.
pub fn newer_copy(look: &Look, journal: &str, highest: u64) -> Option<Failure> {
    let (host, found) = (look.host.clone(), look.highest());
    if found <= highest {
        return None;
    }
    match (&look.current, &look.traffic) {
        (Current::Generation(_), TrafficSeen::Said(said)) if said.journal != journal => None,
        (&Current::Generation(generation), TrafficSeen::Said(_)) if generation > highest => {
            Some(Trouble::Newer { host, generation, highest }.into())
        }
        // A newer copy may have prepared it and not switched to it yet: then it is its way back, and must stay.
        _ => Some(Trouble::PerhapsNewer { host, generation: found, highest }.into()),
    }
}

/// The refusal of a host that is another journal's, of that rollout where that is known.
pub fn foreign(host: &str, journal: &str, rollout: Option<u64>) -> Failure {
    Trouble::Foreign { host: host.to_owned(), journal: journal.to_owned(), rollout }.into()
}
