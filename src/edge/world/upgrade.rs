//! A half gets a release: place, activate, prune, on every place of every pool in parallel.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bluegreen_core::{
    Half,
    inventory::{Deploy, Words},
    release::{Content, Release, Version},
};
use ipnet::IpNet;

use super::{Live, Spot, Trouble, release_of};
use crate::{
    edge::{
        artifact::{self, Packed},
        host::fan_out,
        server::{self, Activated, Bounds, Epoch, Placed, ServerError, Task},
    },
    engine::{Doing, Effect, Failure, Progress, Report, Work, alike, and_then},
};

/// A progress note after every so many tenths of an upload.
const PROGRESS_TENTHS: u64 = 10;
/// Between two of these a terminal's bar grows.
const PROGRESS_STEPS: u64 = 200;

impl Live {
    /// The places of `half` that do not run `release` yet, by their marker and `current`.
    pub(super) async fn places_without(
        &self,
        work: Work<'_>,
        half: Half,
        release: &Release,
    ) -> Result<Vec<Spot<'_>>, Failure> {
        let seen = fan_out(self.spots(half), self.hosts.parallel(), |spot| async move {
            let words = self.words(spot, release);
            let task = self.task(spot, work.epoch, release, &words);
            let (host, bounds) = (&spot.place.host, Bounds::default());
            let seen = self.asking(host, server::look(&self.hosts, spot.place, &bounds)).await;
            Ok::<bool, ServerError>(seen?.runs(&task))
        })
        .await;
        let mut without = Vec::new();
        for (spot, runs) in seen {
            if !runs.map_err(Trouble::from)? {
                without.push(spot);
            }
        }
        Ok(without)
    }

    pub(super) fn task<'a>(
        &'a self,
        spot: Spot<'a>,
        epoch: &'a Epoch,
        release: &'a Release,
        words: &'a Words,
    ) -> Task<'a> {
        let bounds = Bounds::default();
        Task { site: &self.inventory.site, pool: spot.pool, place: spot.place, epoch, release, words, bounds }
    }

    /// Peers on the servers' ports that are no balancer and are not ignored: (host, pool, peer, connections).
    pub(super) async fn peers_of(
        &self,
        places: &[Spot<'_>],
        known: &[IpNet],
    ) -> Result<Vec<(String, String, std::net::IpAddr, usize)>, Failure> {
        let found = fan_out(places.to_vec(), self.hosts.parallel(), |spot| async move {
            let expected: Vec<IpNet> = known.iter().chain(&spot.pool.drain.ignore).copied().collect();
            let bounds = Bounds::default();
            self.asking_spot(spot, server::peers(&self.hosts, spot.place, &expected, &bounds)).await
        })
        .await;
        let mut all = Vec::new();
        for (spot, peers) in found {
            let peers = peers.map_err(Trouble::from)?;
            let host = &spot.place.host;
            all.extend(peers.into_iter().map(|p| (host.clone(), spot.pool.name.clone(), p.address, p.connections)));
        }
        Ok(all)
    }

    pub(super) async fn place(&self, work: Work<'_>, half: Half, release: Version) -> Result<Vec<String>, Failure> {
        self.guard(work, half, false).await?;
        let release = release_of(work.state, release)?;
        let spots = self.spots(half);
        self.on_spots(&spots);
        let place = |spot| self.on_spot(spot, ["looking at what it has", ""], self.place_one(work, spot, release));
        let placed = fan_out(spots, self.hosts.parallel(), place).await;
        let results = placed.into_iter().map(|(spot, result)| (spot, result.map(|p| p == Placed::Already))).collect();
        summary(work, half, results, ["has the files already", "have the files already"])
    }

    async fn place_one(&self, work: Work<'_>, spot: Spot<'_>, release: &Release) -> Result<Placed, Failure> {
        let words = self.words(spot, release);
        let task = self.task(spot, work.epoch, release, &words);
        let bounds = Bounds::default();
        if !task.unpacks() {
            self.progress(
                Progress::of(&spot.place.host, Doing::Done("a command of its own brings the files".to_owned()))
                    .part(&spot.pool.name),
            );
            return Ok(Placed::Already);
        }
        // The artifact of an old release may be gone from this machine: it is only asked for where the server lacks it.
        let seen = server::look(&self.hosts, spot.place, &bounds).await.map_err(Trouble::from)?;
        let there = seen.releases.iter().any(|kept| {
            kept.name == release.version.to_string()
                && matches!(release.pools.get(&spot.pool.name),
                    Some(Content::Artifact { sha256, .. }) if kept.sha256.as_ref() == Some(sha256))
        });
        let says = if there { "checking the files that are there" } else { "waiting for the artifact to be packed" };
        self.progress(Progress::of(&spot.place.host, Doing::Says(says.to_owned())).part(&spot.pool.name));
        let packed = if there { None } else { Some(self.packed_for(spot, release).await?) };
        let progress = self.upload_progress(spot);
        let placed = server::place_release(&self.hosts, &task, packed.as_deref(), progress).await;
        placed.map_err(|error| Trouble::from(error).into())
    }

    fn upload_progress(&self, spot: Spot<'_>) -> server::Progress {
        let (host, pool, reporter) = (spot.place.host.clone(), spot.pool.name.clone(), self.reporter.clone());
        let (told, drawn) = (AtomicU64::new(0), AtomicU64::new(0));
        let grew = |mark: &AtomicU64, sent: u64, total: u64, parts: u64| {
            let part = (sent * parts).checked_div(total).unwrap_or(parts);
            mark.fetch_max(part, Ordering::Relaxed) < part
        };
        Arc::new(move |sent, total| {
            let is_line = grew(&told, sent, total, PROGRESS_TENTHS);
            if !grew(&drawn, sent, total, PROGRESS_STEPS) && !is_line {
                return;
            }
            let text = format!("sent {} of {} KiB", sent.div_ceil(1024), total.div_ceil(1024));
            let line = is_line.then_some(text);
            let sends = Progress::of(&host, Doing::Sends { done: sent, of: total }).part(&pool);
            reporter(Report::Progress(Progress { line, ..sends }));
        })
    }

    /// The artifact behind a release's content, inspected once for a command and unchanged since the release was made.
    async fn packed_for(&self, spot: Spot<'_>, release: &Release) -> Result<Arc<Packed>, Failure> {
        let Some(Content::Artifact { sha256, path }) = release.pools.get(&spot.pool.name) else {
            return Err(Trouble::NoArtifact { version: release.version, pool: spot.pool.name.clone() }.into());
        };
        // Held while packing, so that the other places of the pool wait for it rather than pack again.
        let mut packed = self.packed.lock().await;
        if let Some(known) = packed.get(sha256) {
            return Ok(known.clone());
        }
        let made = artifact::pack(PathBuf::from(path)).await;
        let made = made.map_err(Trouble::from)?;
        if &made.sha256 != sha256 {
            return Err(Trouble::Changed { path: path.clone(), version: release.version }.into());
        }
        let made = Arc::new(made);
        packed.insert(sha256.clone(), made.clone());
        Ok(made)
    }

    pub(super) async fn activate(&self, work: Work<'_>, half: Half, release: Version) -> Result<Vec<String>, Failure> {
        self.guard(work, half, false).await?;
        let release = release_of(work.state, release)?;
        let spots = self.spots(half);
        self.on_spots(&spots);
        let activate = |spot| self.activate_one(work, spot, release);
        let activated = fan_out(spots, self.hosts.parallel(), activate).await;
        summary(work, half, activated, ["ran it already"; 2])
    }

    /// Returns whether it ran the release already.
    async fn activate_one(&self, work: Work<'_>, spot: Spot<'_>, release: &Release) -> Result<bool, Failure> {
        let words = self.words(spot, release);
        let task = self.task(spot, work.epoch, release, &words);
        let bound = if task.unpacks() { task.bounds.restart } else { task.bounds.run };
        let at = |doing| Progress::of(&spot.place.host, doing).part(&spot.pool.name);
        self.progress(at(Doing::Says(format!("starting {}", release.version))).until(Instant::now() + bound));
        let activated = server::activate(&self.hosts, &task, false).await;
        let text = format!("runs {}", release.version);
        let ended = match &activated {
            Ok(Activated::Done) => at(Doing::Done(text.clone())).line(text),
            Ok(Activated::Already) => at(Doing::Done(format!("ran {} already", release.version))),
            Err(error) => at(Doing::Failed(error.to_string())),
        };
        self.progress(ended);
        Ok(activated.map_err(Trouble::from)? == Activated::Already)
    }

    pub(super) async fn prune(&self, work: Work<'_>, protect: &[Version]) -> Result<Vec<String>, Failure> {
        let spots: Vec<Spot<'_>> = Half::ALL.into_iter().flat_map(|half| self.spots(half)).collect();
        self.on_spots(&spots);
        let release = release_of(work.state, work.state.target())?;
        let pruned = fan_out(spots, self.hosts.parallel(), |spot| async move {
            let Deploy::Unpack { keep, .. } = spot.pool.deploy else { return Ok(Vec::new()) };
            let words = self.words(spot, release);
            let task = self.task(spot, work.epoch, release, &words);
            self.asking_spot(spot, server::prune(&self.hosts, &task, keep, protect)).await
        })
        .await;
        // What could not be removed harms nothing, and the next restore removes it.
        let failures =
            pruned.into_iter().filter_map(|(spot, result)| Some((spot.place.host.clone(), result.err()?.to_string())));
        Ok(alike(failures).iter().map(|error| format!("old releases stay for now: {error}")).collect())
    }
}

/// Every failure in one message; otherwise how many places there were and how many needed nothing; `already` is what is
/// said of one and of several.
fn summary(
    work: Work<'_>,
    half: Half,
    results: Vec<(Spot<'_>, Result<bool, Failure>)>,
    already: [&str; 2],
) -> Result<Vec<String>, Failure> {
    let count = results.len();
    let (mut skipped, mut failures) = (0, Vec::new());
    for (spot, result) in results {
        match result {
            Ok(was_there) => skipped += usize::from(was_there),
            Err(failure) => failures.push((spot.place.host.clone(), failure)),
        }
    }
    if let Some(failure) = all_of_upgrade(work, half, failures, count) {
        return Err(failure);
    }
    let [one, several] = already;
    let already = if skipped == 1 { one } else { several };
    let places = if count == 1 { "place" } else { "places" };
    Ok(if skipped > 0 { vec![format!("{skipped} of {count} {places} {already}")] } else { Vec::new() })
}

/// Several places' failures, each with its host, as one: the gravest effect, the first hint, every message.
pub(super) fn all_of(half: Half, failures: Vec<(String, Failure)>, count: usize) -> Option<Failure> {
    let number = failures.len();
    let effect = failures.iter().map(|(_, failure)| failure.effect).max_by_key(|effect| match effect {
        Effect::Nothing => 0,
        Effect::Unhealthy => 1,
        Effect::Refused => 2,
        Effect::Open => 3,
    })?;
    let hint = failures.iter().find_map(|(_, failure)| failure.hint.clone());
    let messages = alike(failures.into_iter().map(|(host, failure)| (host, failure.message)));
    let quoting = messages.iter().any(|message| message.contains('\n'));
    let (head, between) = if quoting && number > 1 { ("failed:\n", "\n") } else { ("failed: ", "; ") };
    let head = if count > 1 { format!("{number} of {count} places of {half} {head}") } else { String::new() };
    Some(Failure { effect, message: format!("{head}{}", messages.join(between)), hint })
}

/// The same of an upgrade, with who serves meanwhile; in a setup nobody does.
pub(super) fn all_of_upgrade(
    work: Work<'_>,
    half: Half,
    failures: Vec<(String, Failure)>,
    count: usize,
) -> Option<Failure> {
    Some(serving(work, half, all_of(half, failures, count)?))
}

/// What failed while `half` is taken out of traffic or upgraded, with who serves meanwhile; in a setup nobody does.
pub(super) fn serving(work: Work<'_>, half: Half, failure: Failure) -> Failure {
    if work.state.stage.is_none() {
        return failure;
    }
    let serves = format!("{} carries the site and was not touched", half.other());
    Failure { message: and_then(&failure.message, &serves), ..failure }
}
