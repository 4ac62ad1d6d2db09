//! A shift over all balancers: survey, prepare, commit, confirm, put back.

use bluegreen_core::{
    Half,
    nginx::tree::{HalfReleases, TrafficFile, tree},
    rollout::{Direction, State, Step},
    traffic::{Traffic, receiving},
};

use super::{Live, Trouble, ours::refuse_foreign};
use crate::{
    edge::{
        balancer::{Generation, Standing, two_phase::Each},
        host::fan_out,
    },
    engine::{Failure, Survey, Work, named},
};

impl Live {
    pub(super) async fn survey_balancers(&self, state: &State, step: &Step) -> Result<Survey, Failure> {
        let Step::Prepare { to, direction } = step else { return Ok(Survey { highest: 0, settled: false }) };
        self.on_hosts(self.balancers.names());
        let journal = state.journal.as_deref().unwrap_or_default();
        let wanted = tree(to).hash();
        let mut survey = Survey { highest: 0, settled: state.confirmed.is_some() };
        let looks = match direction {
            Direction::Forward => {
                self.each(["looking at what it serves", "answers"], async |host| self.balancers.look(host).await).await
            }
            Direction::Backward => {
                let living = self.living().await.to_vec();
                survey.settled &= living.len() == self.balancers.names().len();
                let look = |host: String| async move { self.balancers.look(&host).await };
                fan_out(living, self.hosts.parallel(), look).await
            }
        };
        for (host, look) in looks {
            match look {
                Ok(look) => {
                    survey.highest = survey.highest.max(look.highest());
                    survey.settled &= matches!(look.standing(journal), Standing::Ours(said)
                        if said.hash == wanted && Some(said.generation) == state.confirmed);
                    refuse_foreign(&look, journal, state.generation)?;
                }
                Err(error) if *direction == Direction::Forward => return Err(Trouble::Unprepared(error).into()),
                Err(error) => {
                    survey.settled = false;
                    self.note(Some(&host), format!("cannot be asked: {}", error.without_host()));
                }
            }
        }
        Ok(survey)
    }

    /// Phase one: N and N+1 on every balancer, and beside it the health of the half that receives more.
    pub(super) async fn prepare(
        &self,
        work: Work<'_>,
        to: &Traffic,
        direction: Direction,
    ) -> Result<Vec<String>, Failure> {
        let generations = self.generations(work, to);
        let back = work.before.traffic.as_ref().unwrap_or(&work.state.traffic);
        let halves = checked_halves(back, to, work.state);
        let health = self.quick_check(work, &halves, direction);
        let mut notes = match direction {
            Direction::Forward => {
                let (trees, health) = tokio::join!(self.prepare_forward(work, &generations), health);
                trees?;
                health?
            }
            Direction::Backward => tokio::join!(self.prepare_back(work, to), health).1?,
        };
        if generations.is_empty() {
            notes.push("every balancer has it already".to_owned());
        }
        Ok(notes)
    }

    async fn prepare_forward(&self, work: Work<'_>, generations: &[Generation]) -> Result<(), Failure> {
        let prepare =
            self.each(["preparing", "prepared"], async |host| self.balancers.prepare(host, generations).await);
        // Side by side: what is prepared in vain is in nobody's way.
        let (answering, prepared) = tokio::join!(self.answering(work.state), prepare);
        answering?;
        let failed = prepared.into_iter().find_map(|(_, result)| result.err());
        failed.map_or(Ok(()), |error| Err(Trouble::Unprepared(error).into()))
    }

    /// A forward shift is not made while an nginx is dead and could not confirm it.
    async fn answering(&self, state: &State) -> Result<(), Failure> {
        if state.stage.is_none() {
            return Ok(());
        }
        let dead = self.balancers.state_all().await.into_iter().find_map(|(_, answer)| answer.err());
        dead.map_or(Ok(()), |error| Err(Trouble::Unprepared(error).into()))
    }

    pub(super) fn generations(&self, work: Work<'_>, to: &Traffic) -> Vec<Generation> {
        let Some(n) = work.before.generation else { return Vec::new() };
        let back = work.before.traffic.as_ref().unwrap_or(&work.state.traffic);
        [(n, to), (n + 1, back)].map(|(number, traffic)| self.generation(work.state, number, traffic)).into()
    }

    pub(super) fn generation(&self, state: &State, number: u64, traffic: &Traffic) -> Generation {
        let tree = tree(traffic);
        let file = TrafficFile {
            site: self.inventory.site.clone(),
            journal: state.journal.clone().unwrap_or_default(),
            rollout: state.rollout.as_ref().map(|rollout| rollout.number),
            generation: number,
            hash: tree.hash(),
            traffic: traffic.clone(),
            releases: HalfReleases {
                blue: state.blue.map(|version| version.to_string()),
                green: state.green.map(|version| version.to_string()),
            },
        };
        Generation { tree, file }
    }

    /// Phase two, all or nothing: the engine puts every balancer back when this fails.
    pub(super) async fn commit_forward(&self, work: Work<'_>, to: &Traffic) -> Result<Vec<String>, Failure> {
        let is_armed = work.state.armed.is_some();
        let failures = self.commit_and_confirm(work, to, work.before.generation, is_armed).await;
        let Some(first) = failures.first() else { return Ok(Vec::new()) };
        let (to, first, more) = (to.to_string(), named(&first.0, &first.1), failures.len() - 1);
        Err(Trouble::NotSwitched { to, first, more }.into())
    }

    pub(super) async fn put_back_all(&self, work: Work<'_>) -> Result<(), Vec<(String, String)>> {
        // Without a generation of its own the shift changed nothing.
        let Some(n) = work.before.generation else { return Ok(()) };
        let back = work.before.traffic.as_ref().unwrap_or(&work.state.traffic);
        let failures = self.commit_and_confirm(work, back, Some(n + 1), false).await;
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Switches every balancer to `n`, then sees it confirmed by the workers of each that was switched. Returns who failed
    /// and what it said.
    async fn commit_and_confirm(
        &self,
        work: Work<'_>,
        to: &Traffic,
        n: Option<u64>,
        is_armed: bool,
    ) -> Vec<(String, String)> {
        let journal = work.epoch.journal.as_str();
        let hash = tree(to).hash();
        let mut failures = match n {
            Some(n) => {
                let commit = async |host: &str| match is_armed {
                    true => self.balancers.commit_armed(host, n, journal, &hash).await,
                    false => self.balancers.commit(host, n, journal, &hash).await,
                };
                said(self.each(["switching", "switched"], commit).await)
            }
            None => Vec::new(),
        };
        let Some(n) = n.or(work.state.confirmed) else { return failures };
        if work.state.stage.is_none()
            && self.balancers.wired_all().await.iter().all(|(_, wired)| matches!(wired, Ok(false)))
        {
            // Before the user has added the includes no nginx answers for this site, and none needs to.
            return failures;
        }
        let without: Vec<String> = failures.iter().map(|(host, _)| host.clone()).collect();
        let confirm = async |host: &str| match without.iter().any(|known| known == host) {
            true => Ok(()),
            false => self.balancers.confirm(host, n, to, None).await,
        };
        failures.extend(said(self.each(["waiting until its workers see it", "its workers see it"], confirm).await));
        failures
    }

    /// Whether the workers of every balancer keep public traffic away from `half`, asked right before it is touched.
    pub(super) async fn guard(&self, work: Work<'_>, half: Half, thorough: bool) -> Result<(), Failure> {
        if work.state.stage.is_none() {
            return Ok(());
        }
        let traffic = &work.state.traffic;
        if traffic.reaches(half) {
            return Err(Trouble::Reached { half, traffic: traffic.to_string() }.into());
        }
        let Some(n) = work.state.confirmed else {
            return Err(Trouble::Unconfirmed.into());
        };
        let journal = work.epoch.journal.as_str();
        let wanted = tree(traffic).hash();
        for (host, look) in self.look_balancers().await {
            let why = match look.map(|look| look.standing(journal)) {
                Ok(Standing::Ours(said)) if said.hash == wanted => continue,
                Ok(standing) => standing.differs(),
                Err(error) => error.without_host(),
            };
            return Err(Trouble::Unguarded { host, half, why }.into());
        }
        let answers = if thorough {
            self.asking_each(async |host| self.balancers.every_bucket(host, n, traffic).await).await
        } else {
            self.asking_each(async |host| self.balancers.confirm(host, n, traffic, None).await).await
        };
        let silent = answers.into_iter().find_map(|(host, result)| Some((host, result.err()?)));
        silent.map_or(Ok(()), |(host, error)| Err(Trouble::Unguarded { host, half, why: error.without_host() }.into()))
    }
}

/// The halves whose health a shift depends on.
pub(super) fn checked_halves(back: &Traffic, to: &Traffic, state: &State) -> Vec<Half> {
    match to.only() {
        Some(half) => vec![half],
        None if state.stage.is_none() => Vec::new(),
        None => receiving(back, to),
    }
}

fn said<T>(results: Each<T>) -> Vec<(String, String)> {
    results.into_iter().filter_map(|(host, result)| Some((host, result.err()?.kind.to_string()))).collect()
}
