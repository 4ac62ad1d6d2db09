//! What a step says of its hosts while it works on them.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::timeout;

use super::{Live, Spot};
use crate::{
    edge::{
        balancer::{Error, Look, two_phase::Each},
        host::fan_out,
    },
    engine::{Doing, Failure, Progress, Report},
};

/// A host that is only asked, and answers before, is not worth a word.
const SOON: Duration = Duration::from_secs(1);

fn silent() -> Doing {
    Doing::Says("has not answered yet".to_owned())
}

impl Live {
    pub(super) fn progress(&self, progress: Progress) {
        (self.reporter)(Report::Progress(progress));
    }

    /// The step under way is about these hosts.
    pub(super) fn on_hosts(&self, hosts: Vec<String>) {
        (self.reporter)(Report::StepHosts(hosts));
    }

    pub(super) fn on_spots(&self, spots: &[Spot<'_>]) {
        self.on_hosts(spots.iter().map(|spot| spot.place.host.clone()).collect());
    }

    /// `work` on every balancer, in parallel and bounded by `[ssh] parallel`; meanwhile it is said to be `doing` that, and then
    /// to have `done` it.
    pub(super) async fn each<T>(
        &self,
        [doing, done]: [&str; 2],
        work: impl AsyncFn(&str) -> Result<T, Error>,
    ) -> Each<T> {
        let work = &work;
        fan_out(self.balancers.names(), self.hosts.parallel(), |host| async move {
            let says = Progress::of(&host, Doing::Says(doing.to_owned()));
            self.telling(says, done, work(&host), |error| error.without_host()).await
        })
        .await
    }

    /// The same on one server.
    pub(super) async fn on_spot<T>(
        &self,
        spot: Spot<'_>,
        [doing, done]: [&str; 2],
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let says = Progress::of(&spot.place.host, Doing::Says(doing.to_owned())).part(&spot.pool.name);
        self.telling(says, done, work, |failure| failure.message.clone()).await
    }

    /// `question` to a host that mostly answers at once: only one that does not is named, so that whoever watches sees what
    /// is waited for.
    pub(super) async fn asking<T, E: std::fmt::Display>(
        &self,
        host: &str,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.asking_of(Progress::of(host, silent()), question).await
    }

    /// The same of one place, beside what else is said of it.
    pub(super) async fn asking_spot<T, E: std::fmt::Display>(
        &self,
        spot: Spot<'_>,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.asking_of(Progress::of(&spot.place.host, silent()).part(&spot.pool.name), question).await
    }

    async fn asking_of<T, E: std::fmt::Display>(
        &self,
        waits: Progress,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut question = pin!(question);
        if let Ok(answer) = timeout(SOON, &mut question).await {
            return answer;
        }
        self.telling(waits, "", question, ToString::to_string).await
    }

    /// [`Live::asking`] of every balancer, as many at once as `[ssh] parallel` says.
    pub(super) async fn asking_each<T>(&self, question: impl AsyncFn(&str) -> Result<T, Error>) -> Each<T> {
        let question = &question;
        let ask = |host: String| async move { self.asking(&host, question(&host)).await };
        fan_out(self.balancers.names(), self.hosts.parallel(), ask).await
    }

    /// What stands on every balancer.
    pub async fn look_balancers(&self) -> Each<Look> {
        self.asking_each(async |host| self.balancers.look(host).await).await
    }

    /// Says what begins, and how it ended.
    pub(super) async fn telling<T, E>(
        &self,
        begins: Progress,
        done: &str,
        work: impl Future<Output = Result<T, E>>,
        why: impl FnOnce(&E) -> String,
    ) -> Result<T, E> {
        self.progress(begins.clone());
        let result = work.await;
        let ended = match &result {
            Ok(_) => Doing::Done(done.to_owned()),
            Err(error) => Doing::Failed(why(error)),
        };
        self.progress(Progress { doing: ended, until: None, ..begins });
        result
    }
}
