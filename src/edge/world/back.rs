//! The way back to blue: every balancer that answers goes at once, and never waits for one that does not.

use std::time::Duration;

use bluegreen_core::{nginx::tree::tree, traffic::Traffic};

use super::{Live, Trouble};
use crate::{
    edge::{balancer::Error, host::fan_out},
    engine::{Doing, Failure, Progress, Work, named},
};

/// How long the way back waits for a host to let bg in before it goes on with the others. Connecting takes a fraction of a
/// second; who is slower is tried again, with all patience, when the others are back.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

impl Live {
    /// The balancers that let bg in within [`PATIENCE`], found once for a command.
    pub(super) async fn living(&self) -> &[String] {
        let names = self.balancers.names();
        self.living.get_or_init(|| async move { self.hosts.reachable(&names, PATIENCE).await }).await
    }

    /// Phase one, on those that live. What fails is left to the commit, which names it.
    pub(super) async fn prepare_back(&self, work: Work<'_>, to: &Traffic) {
        let generations = &self.generations(work, to);
        let living = self.living().await.to_vec();
        fan_out(living, self.hosts.parallel(), |host| async move {
            let says = Progress::of(&host, Doing::Says("preparing".to_owned()));
            let prepare = self.balancers.prepare(&host, generations);
            if let Err(error) = self.telling(says, "prepared", prepare, |error| error.kind.to_string()).await {
                self.note(Some(&host), format!("could not be prepared: {}", error.kind));
            }
        })
        .await;
    }

    /// Phase two: the living first, then the others with all patience. Who did not go back is named.
    pub(super) async fn commit_backward(&self, work: Work<'_>, to: &Traffic) -> Result<Vec<String>, Failure> {
        let generations = &self.generations(work, to);
        let failures = self
            .as_far_as_it_goes(async |host, is_living| {
                if !is_living {
                    self.balancers.prepare(host, generations).await?;
                }
                self.take_back(work, to, host).await
            })
            .await;
        if failures.is_empty() {
            return Ok(Vec::new());
        }
        Err(Trouble::NotBack { to: to.to_string(), failures }.into())
    }

    /// `work` on the balancers that live (its second argument says so), then on the others with all patience. Returns what
    /// each that failed said.
    pub(super) async fn as_far_as_it_goes(&self, work: impl AsyncFn(&str, bool) -> Result<(), Error>) -> Vec<String> {
        let living = self.living().await.to_vec();
        let others: Vec<String> = self.balancers.names().into_iter().filter(|name| !living.contains(name)).collect();
        let work = &work;
        let mut results = Vec::new();
        for (hosts, is_living) in [(living, true), (others, false)] {
            let each = |host: String| async move {
                let says = Progress::of(&host, Doing::Says("going back".to_owned()));
                self.telling(says, "is back", work(&host, is_living), |error| error.kind.to_string()).await
            };
            results.extend(fan_out(hosts, self.hosts.parallel(), each).await);
        }
        let said = |(host, result): (String, Result<(), Error>)| Some(named(&host, &result.err()?.kind.to_string()));
        results.into_iter().filter_map(said).collect()
    }

    async fn take_back(&self, work: Work<'_>, to: &Traffic, host: &str) -> Result<(), Error> {
        if let Some(n) = work.before.generation {
            self.balancers.commit(host, n, &work.epoch.journal, &tree(to).hash()).await?;
        }
        match work.before.generation.or(work.state.confirmed) {
            Some(n) => self.balancers.confirm(host, n, to, None).await,
            None => Ok(()),
        }
    }
}
