//! Health before a shift (one request per place) and after an installation (the full check), each with the fence raised.

use std::{collections::HashSet, time::Duration};

use futures::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use bluegreen_core::{
    Half,
    release::Version,
    rollout::{Command, Direction},
};

use super::{
    Live, Spot,
    back::PATIENCE,
    release_of,
    trouble::Trouble,
    upgrade::{all_of, all_of_upgrade},
};
use crate::{
    edge::{
        health::{self, Depth, Probe, ProbeError, Verdict},
        host::fan_out,
        server::{self, Bounds, Seen},
    },
    engine::{Doing, Failure, Progress, Work, alike, and_then},
};

/// What a forward shift that was not made says.
const STAYS: &str = "traffic was not moved: it goes forward only to servers that are all healthy";

impl Live {
    /// One request to every place of `halves`, and in the same round trip the fence raised, so that no step of a dead
    /// command can land on a server that is about to serve. Forward every place must be healthy; backward one per pool,
    /// the others are named.
    pub(super) async fn quick_check(
        &self,
        work: Work<'_>,
        halves: &[Half],
        direction: Direction,
    ) -> Result<Vec<String>, Failure> {
        let viewpoints = match direction {
            Direction::Forward => self.balancers.names(),
            Direction::Backward => match self.living().await {
                [] => self.balancers.names(),
                living => living.to_vec(),
            },
        };
        let viewpoints = &viewpoints;
        let spots: Vec<Spot<'_>> = halves.iter().flat_map(|&half| self.spots(half)).collect();
        let count = spots.len();
        let Some(half) = halves.first().copied() else { return Ok(Vec::new()) };
        if direction == Direction::Forward {
            let check = |spot| {
                self.on_spot(spot, ["asking its health", "healthy"], self.quick_check_one(work, spot, viewpoints))
            };
            let checked = fan_out(spots, self.hosts.parallel(), check).await;
            return all_of(half, failures(checked), count).map_or(Ok(Vec::new()), |failure| {
                Err(Failure { message: and_then(&failure.message, STAYS), ..failure })
            });
        }
        one_per_pool(half, self.quick_check_back(work, spots, viewpoints).await)
    }

    async fn quick_check_one(&self, work: Work<'_>, spot: Spot<'_>, viewpoints: &[String]) -> Result<(), Failure> {
        let (raised, asked) = tokio::join!(self.raise(work, spot), self.ask_once(work, spot, viewpoints));
        raised.and(asked)
    }

    /// Nobody waits for a dead server while traffic is to leave green, once every pool has one that is healthy. A pool that
    /// has none yet is waited for: behind a slow line all may need longer, and traffic would stay where it does harm.
    async fn quick_check_back<'a>(
        &self,
        work: Work<'_>,
        spots: Vec<Spot<'a>>,
        viewpoints: &[String],
    ) -> Vec<(Spot<'a>, Result<(), Failure>)> {
        let patience = Instant::now() + PATIENCE;
        let mut results: Vec<Option<Result<(), Failure>>> = spots.iter().map(|_| None).collect();
        let checks = spots.iter().enumerate().map(|(index, &spot)| async move {
            let check = self.quick_check_one(work, spot, viewpoints);
            (index, self.on_spot(spot, ["asking its health", "healthy"], check).await)
        });
        let mut checks = stream::iter(checks).buffer_unordered(self.hosts.parallel().max(1));
        loop {
            let found = |pool: &str| {
                spots
                    .iter()
                    .zip(&results)
                    .any(|(spot, result)| spot.pool.name == pool && matches!(result, Some(Ok(()))))
            };
            let next = if spots.iter().all(|spot| found(&spot.pool.name)) {
                timeout_at(patience, checks.next()).await.unwrap_or_default()
            } else {
                checks.next().await
            };
            let Some((index, result)) = next else { break };
            results[index] = Some(result);
        }
        drop(checks);
        let known = spots.into_iter().zip(results);
        known.map(|(spot, result)| (spot, result.unwrap_or_else(|| Err(silent(spot))))).collect()
    }

    async fn raise(&self, work: Work<'_>, spot: Spot<'_>) -> Result<(), Failure> {
        let seen = server::raise(&self.hosts, spot.place, work.epoch, &Bounds::default()).await;
        let seen = seen.map_err(Trouble::from)?;
        match work.state.release(spot.half) {
            Some(version) => self.marked(work, spot, &seen, version),
            None => Err(Trouble::Disagree { half: spot.half }.into()),
        }
    }

    fn marked(&self, work: Work<'_>, spot: Spot<'_>, seen: &Seen, version: Version) -> Result<(), Failure> {
        let release = release_of(work.state, version)?;
        let words = self.words(spot, release);
        if seen.runs(&self.task(spot, work.epoch, release, &words)) {
            return Ok(());
        }
        Err(Trouble::RunsAnother {
            host: spot.place.host.clone(),
            pool: spot.pool.name.clone(),
            root: spot.place.root.clone(),
            version,
            marker: seen.marker.as_ref().and_then(|marker| marker.release.clone()),
            current: seen.current.clone(),
        }
        .into())
    }

    fn probe(&self, work: Work<'_>, spot: Spot<'_>, viewpoints: &[String]) -> Result<Probe, Failure> {
        let release = work.state.release(spot.half).map(|version| release_of(work.state, version)).transpose()?;
        let names = release.map(|release| vec![release.label.clone(), release.version.to_string()]).unwrap_or_default();
        let Spot { pool, place, half } = spot;
        health::for_place(&self.inventory.site, pool, half, place, release)
            .and_then(|health| Probe::new(&self.hosts, viewpoints, place, &health, &names))
            .map_err(|error| unasked(spot, error))
    }

    async fn ask_once(&self, work: Work<'_>, spot: Spot<'_>, viewpoints: &[String]) -> Result<(), Failure> {
        match self.probe(work, spot, viewpoints)?.check_once(Depth::Quick).await {
            Ok(Verdict::Healthy) => Ok(()),
            Ok(verdict) => {
                let (host, pool) = (spot.place.host.clone(), spot.pool.name.clone());
                Err(Trouble::NotHealthy { host, pool, verdict }.into())
            }
            Err(error) => Err(unasked(spot, error)),
        }
    }

    pub(super) async fn check(&self, work: Work<'_>, half: Half, release: Version) -> Result<Vec<String>, Failure> {
        let spots = self.spots(half);
        self.on_spots(&spots);
        let count = spots.len();
        let viewpoints = self.balancers.names();
        let viewpoints = &viewpoints;
        let checked = fan_out(spots, self.hosts.parallel(), |spot| {
            self.on_spot(spot, ["asking its health", "healthy"], self.check_one(work, spot, release, viewpoints))
        })
        .await;
        all_of_upgrade(work, half, failures(checked), count).map_or(Ok(Vec::new()), Err)
    }

    async fn check_one(
        &self,
        work: Work<'_>,
        spot: Spot<'_>,
        release: Version,
        viewpoints: &[String],
    ) -> Result<(), Failure> {
        let seen = server::raise(&self.hosts, spot.place, work.epoch, &Bounds::default()).await;
        let seen = seen.map_err(Trouble::from)?;
        self.marked(work, spot, &seen, release)?;
        self.full_check(work, spot, viewpoints).await
    }

    async fn full_check(&self, work: Work<'_>, spot: Spot<'_>, viewpoints: &[String]) -> Result<(), Failure> {
        let probe = self.probe(work, spot, viewpoints)?;
        let host = spot.place.host.as_str();
        // An application may go to and fro between two answers: each is told once.
        let mut told = HashSet::new();
        let within = Duration::from_millis(spot.pool.health.within_ms);
        let waited = probe.wait_until_healthy(|progress| {
            let (text, said) = match progress.verdict {
                Verdict::Healthy => (format!("healthy {}/{}", progress.successes, progress.needed), None),
                Verdict::Unhealthy { reason, .. } => (reason.clone(), Some(reason.clone())),
            };
            let line = told.insert(text.clone()).then(|| format!("{}: {text}", spot.pool.name));
            let doing = Doing::Checks { done: progress.successes, of: progress.needed, said };
            let until = std::time::Instant::now() + within.saturating_sub(progress.elapsed);
            let of_place = Progress::of(host, doing).part(&spot.pool.name).until(until);
            self.progress(Progress { line, ..of_place });
        });
        let is_restarted = matches!(work.state.open.as_ref().map(|open| &open.command), Some(Command::Deploy { .. }));
        waited.await.map_err(|unhealthy| Trouble::StaysUnhealthy { unhealthy, is_restarted }.into())
    }
}

/// Each failure with its host.
fn failures(checked: Vec<(Spot<'_>, Result<(), Failure>)>) -> Vec<(String, Failure)> {
    checked.into_iter().filter_map(|(spot, result)| Some((spot.place.host.clone(), result.err()?))).collect()
}

fn silent(spot: Spot<'_>) -> Failure {
    Trouble::Silent { host: spot.place.host.clone(), pool: spot.pool.name.clone() }.into()
}

fn unasked(spot: Spot<'_>, error: ProbeError) -> Failure {
    Trouble::Unasked { host: spot.place.host.clone(), pool: spot.pool.name.clone(), error }.into()
}

/// Backward: a pool without a single healthy place stops the shift, everything else is named.
fn one_per_pool(half: Half, checked: Vec<(Spot<'_>, Result<(), Failure>)>) -> Result<Vec<String>, Failure> {
    let healthy: Vec<&str> =
        checked.iter().filter(|(_, result)| result.is_ok()).map(|(spot, _)| spot.pool.name.as_str()).collect();
    let (dead, alive): (Vec<_>, Vec<_>) = checked
        .iter()
        .filter_map(|(spot, result)| Some((spot, result.as_ref().err()?)))
        .partition(|(spot, _)| !healthy.contains(&spot.pool.name.as_str()));
    if let Some((spot, _)) = dead.first() {
        let said = alike(dead.iter().map(|(spot, failure)| (spot.place.host.clone(), failure.message.clone())));
        return Err(Trouble::NoneHealthy { half, pool: spot.pool.name.clone(), said }.into());
    }
    let alive = alike(alive.into_iter().map(|(spot, failure)| (spot.place.host.clone(), failure.message.clone())));
    Ok(alive.iter().map(|said| format!("goes back in spite of: {said}")).collect())
}
