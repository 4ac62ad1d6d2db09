//! Asks every host at once, and waits for none longer than for all: what one says depends on no other's answer.

use std::{future::Future, sync::Arc};

use bluegreen_core::{
    half::Half,
    inventory::{HealthFrom, Inventory, Place, Pool},
    release::Release,
    rollout::{State, Step},
};
use futures::future::join_all;

use super::{deadline::Deadline, journal::Journal};
use crate::{
    edge::{
        balancer::{self, Balancers, Look},
        health::{self, Depth, Probe, ProbeError, Verdict},
        host::{Hosts, fan_out},
        server::{self, Bounds, Seen},
    },
    site::explain::{More, ask_more},
};

/// What every balancer said, in the inventory's order; an error is why it said nothing, with its name and without.
pub type Looks = Vec<(String, Result<Look, (String, String)>)>;

/// Why nginx does not answer at a balancer's probe port, in the inventory's order; `None` where it does, or where it could
/// not be asked.
pub type Silences = Vec<Option<String>>;

/// What one server said, and what the balancers said of it.
#[derive(Debug)]
pub struct PlaceAnswer {
    /// What is there; an error is why that is not known, with its name and without.
    pub found: Result<Seen, (String, String)>,
    /// Whether it is healthy.
    pub health: Health,
    /// A release by its number, and whether it answers as that one: of the one that an interrupted step was to bring.
    pub named: Option<(String, bool)>,
}

/// What is known of a server's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Of those who could ask, all found this, or one found it unhealthy.
    Known(Verdict),
    /// Nobody could ask, and why.
    Unknown(String),
}

/// A server with its half and pool.
pub type Spot<'a> = (Half, &'a Pool, &'a Place);

/// Every server, in the order of [`Round::places`].
pub fn spots(inventory: &Inventory) -> Vec<Spot<'_>> {
    let of_half = |half| inventory.places(half).map(move |(pool, place)| (half, pool, place));
    Half::ALL.into_iter().flat_map(of_half).collect()
}

/// One time of asking everybody.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// The site.
    pub inventory: &'a Arc<Inventory>,
    /// The hosts.
    pub hosts: &'a Hosts,
    /// When it ends.
    pub deadline: Deadline,
}

impl Round<'_> {
    fn balancers(&self) -> Balancers {
        Balancers::new(self.inventory.clone(), self.hosts.clone())
    }

    /// What stands on the balancers.
    pub async fn looks(&self) -> Looks {
        let balancers = self.balancers();
        let look = async |name: String| match self.deadline.bound(balancers.look(&name)).await {
            Some(look) => look.map_err(|error| (error.to_string(), error.without_host())),
            None => Err(self.missed(&name)),
        };
        let names = balancers.names();
        let count = names.len();
        // As many at once as there are: a host that hangs must not hold up the next one.
        fan_out(names, count, look).await
    }

    /// Whether nginx itself answers on the balancers: their trees stand there without it as well.
    pub async fn silences(&self) -> Silences {
        let balancers = self.balancers();
        let ask = async |name: String| match self.deadline.bound(balancers.state(&name, "all/00/00")).await {
            None => Some(format!("no answer within {}", self.deadline.spoken())),
            Some(Err(balancer::Error { kind: balancer::Kind::Probe { why, .. }, .. })) => Some(why),
            // What the host itself answers is in its look.
            Some(Ok(_) | Err(_)) => None,
        };
        join_all(balancers.names().into_iter().map(ask)).await
    }

    /// Named and unnamed.
    fn missed(&self, host: &str) -> (String, String) {
        (format!("`{host}` {}", self.deadline.missed()), format!("it {}", self.deadline.missed()))
    }

    /// What stands on the servers, and whether they are healthy. `journal` tells what they must answer as; without it, when
    /// it does not come early enough, they are asked all the same.
    pub async fn places(&self, journal: impl Future<Output = Journal> + Clone) -> Vec<PlaceAnswer> {
        let spots = spots(self.inventory);
        let (count, balancers) = (spots.len(), self.balancers().names());
        let (balancers, journal) = (&balancers, &journal);
        let asked = fan_out(spots, count, |spot| self.place(spot, balancers, journal.clone()));
        asked.await.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn place(&self, spot: Spot<'_>, balancers: &[String], journal: impl Future<Output = Journal>) -> PlaceAnswer {
        let (half, pool, place) = spot;
        let bounds = Bounds::default();
        let look = async {
            match self.deadline.bound(server::look(self.hosts, place, &bounds)).await {
                Some(found) => found.map_err(|error| (error.to_string(), error.without_host())),
                None => Err(self.missed(&place.host)),
            }
        };
        let health = async {
            let journal = self.deadline.bound_early(journal).await;
            let state = journal.as_ref().and_then(|journal| journal.state.as_ref());
            let release = state.and_then(|state| state.releases.get(&state.release(half)?));
            let tells = pool.health.release_header.is_some();
            let of_step =
                journal.as_ref().and_then(Journal::interrupted).and_then(|state| release_of_step(state, half));
            match of_step.filter(|_| tells) {
                Some(of_step) => {
                    let (health, told) = tokio::join!(
                        self.health(spot, balancers, release),
                        self.health(spot, balancers, Some(of_step))
                    );
                    let told = match told {
                        Health::Known(verdict) => Some((of_step.version.to_string(), verdict.is_healthy())),
                        Health::Unknown(_) => None,
                    };
                    (health, told)
                }
                // It would not be healthy with another.
                None => {
                    let named = release.filter(|_| tells).map(|release| (release.version.to_string(), true));
                    (self.health(spot, balancers, release).await, named)
                }
            }
        };
        let (found, (health, named)) = tokio::join!(look, health);
        PlaceAnswer { found, health, named }
    }

    /// One request through every balancer, as before a shift; one that hangs takes nothing from what the others see.
    async fn health(&self, (half, pool, place): Spot<'_>, balancers: &[String], release: Option<&Release>) -> Health {
        let names = release.map(|release| vec![release.label.clone(), release.version.to_string()]);
        let names = names.unwrap_or_default();
        let probe = |viewpoints: &[String]| {
            health::for_place(&self.inventory.site, pool, half, place, release)
                .and_then(|health| Probe::new(self.hosts, viewpoints, place, &health, &names))
        };
        let own = pool.health.run.is_some() || pool.health.from == HealthFrom::Host;
        let each: Vec<&[String]> = if own { vec![balancers] } else { balancers.chunks(1).collect() };
        let ask = async |viewpoint: &[String]| {
            let probe = probe(viewpoint)?;
            self.deadline.bound(probe.check_once(Depth::Quick)).await.transpose()
        };
        let answers: Vec<Result<Option<Verdict>, ProbeError>> = join_all(each.into_iter().map(ask)).await;
        together(answers, own, self.deadline)
    }

    /// What an interrupted step makes worth asking.
    pub async fn more(&self, journal: impl Future<Output = Journal>) -> More {
        let Some(journal) = self.deadline.bound(journal).await else { return More::default() };
        let Some(state) = journal.interrupted() else { return More::default() };
        let balancers = self.balancers();
        ask_more(self.inventory, &balancers, self.hosts, state, &balancers.names(), self.deadline.at()).await
    }
}

/// The release that an interrupted step was to bring to `half`, once it has begun to.
fn release_of_step(state: &State, half: Half) -> Option<&Release> {
    let open = state.open.as_ref().filter(|open| open.step.is_some())?;
    match open.at().map(|planned| &planned.step) {
        Some(Step::Activate { half: of, release }) if *of == half => state.releases.get(release),
        _ => None,
    }
}

/// What all viewpoints saw; `None` is one that gave no answer in time. `own`: the only one is the server itself.
fn together(answers: Vec<Result<Option<Verdict>, ProbeError>>, own: bool, deadline: Deadline) -> Health {
    let (mut healthy, mut late, mut why) = (None, false, None);
    for answer in answers {
        match answer {
            Ok(Some(Verdict::Healthy)) => healthy = Some(Verdict::Healthy),
            Ok(Some(unhealthy)) => return Health::Known(unhealthy),
            Ok(None) => late = true,
            // The balancer's own line says it.
            Err(error) if !own && error.is_of_viewpoint() => {}
            Err(error) => why = why.or_else(|| Some(error.to_string())),
        }
    }
    match (healthy, why) {
        (Some(verdict), _) => Health::Known(verdict),
        (None, Some(why)) => Health::Unknown(why),
        (None, None) if late => Health::Unknown(format!("its health was not answered within {}", deadline.spoken())),
        (None, None) => Health::Unknown("there is no balancer to ask from".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_balancer_that_hangs_takes_nothing_from_what_the_others_see() {
        let together = |answers, own| together(answers, own, Deadline::new(Instant::now(), Duration::from_secs(2)));
        let sick =
            || Verdict::Unhealthy { reason: "GET / answered 503".into(), from: "lb1".into(), quote: String::new() };
        let lost = || Err(ProbeError::NotReached { host: "lb2".to_owned() });
        let unknown = |why: &str| Health::Unknown(why.to_owned());
        assert_eq!(together(vec![Ok(None), Ok(Some(Verdict::Healthy))], false), Health::Known(Verdict::Healthy));
        assert_eq!(together(vec![lost(), Ok(Some(Verdict::Healthy))], false), Health::Known(Verdict::Healthy));
        assert_eq!(together(vec![Ok(Some(Verdict::Healthy)), Ok(Some(sick()))], false), Health::Known(sick()));
        assert_eq!(together(vec![Ok(None), lost()], false), unknown("its health was not answered within 2 s"));
        assert_eq!(together(vec![lost()], false), unknown("there is no balancer to ask from"));
        let Health::Unknown(why) = together(vec![lost()], true) else { panic!("nothing is known of it") };
        assert!(why.contains("lb2"), "{why}");
    }
}
