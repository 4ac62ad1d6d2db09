//! All balancers of the site at once: each phase goes to every one of them in parallel and runs to its end on every one,
//! because whoever puts things back must know how each ended.

use bluegreen_core::nginx::conf::Conf;
use bluegreen_core::nginx::state::{Seen, StateAnswer};
use bluegreen_core::traffic::Traffic;

use super::armed::{Disarmed, Timer};
use super::conf::{Reloaded, Restored};
use super::error::Error;
use super::live::{Generation, Prepared};
use super::look::Look;
use super::probe::InFlight;
use super::{Balancers, Wiring};
use crate::edge::host::fan_out;

/// What each balancer came to, in the inventory's order.
pub type Each<T> = Vec<(String, Result<T, Error>)>;

/// A phase over all balancers that failed on one of them, and what became of the others.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.failed, .not_put_back))]
pub struct NotAll {
    /// Where it failed, and why; at least one.
    pub failed: Vec<Error>,
    /// Where the earlier state could not be brought back; empty: everything is as it was before.
    pub not_put_back: Vec<Error>,
}

impl Balancers {
    /// `work` on every balancer, in parallel and bounded by `[ssh] parallel`.
    async fn each<T>(&self, work: impl AsyncFn(&str) -> Result<T, Error>) -> Each<T> {
        fan_out(self.names(), self.hosts.parallel(), |host| {
            let work = &work;
            async move { work(&host).await }
        })
        .await
    }

    /// [`Balancers::look`] everywhere.
    pub async fn look_all(&self) -> Each<Look> {
        self.each(async |host| self.look(host).await).await
    }

    /// Phase one: [`Balancers::prepare`] everywhere. Unless all succeed, nothing may be committed.
    pub async fn prepare_all(&self, generations: &[Generation]) -> Each<Prepared> {
        self.each(async |host| self.prepare(host, generations).await).await
    }

    /// Phase two: [`Balancers::commit`] everywhere.
    pub async fn commit_all(&self, n: u64, journal: &str, hash: &str) -> Each<Option<u64>> {
        self.each(async |host| self.commit(host, n, journal, hash).await).await
    }

    /// [`Balancers::commit_armed`] everywhere.
    pub async fn commit_armed_all(&self, n: u64, journal: &str, hash: &str) -> Each<Option<u64>> {
        self.each(async |host| self.commit_armed(host, n, journal, hash).await).await
    }

    /// [`Balancers::arm`] everywhere.
    pub async fn arm_all(&self, n: u64, journal: &str, hash: &str, after_ms: u64) -> Each<Timer> {
        self.each(async |host| self.arm(host, n, journal, hash, after_ms).await).await
    }

    /// [`Balancers::disarm`] everywhere.
    pub async fn disarm_all(&self, n: u64, journal: &str) -> Each<Disarmed> {
        self.each(async |host| self.disarm(host, n, journal).await).await
    }

    /// [`Balancers::confirm`] everywhere.
    pub async fn confirm_all(&self, n: u64, traffic: &Traffic, revision: Option<u64>) -> Each<()> {
        self.each(async |host| self.confirm(host, n, traffic, revision).await).await
    }

    /// [`Balancers::confirm`] everywhere but on the balancers `without`.
    pub async fn confirm_all_but(&self, without: &[String], n: u64, traffic: &Traffic) -> Each<()> {
        self.each(async |host| match without.iter().any(|known| known == host) {
            true => Ok(()),
            false => self.confirm(host, n, traffic, None).await,
        })
        .await
    }

    /// [`Balancers::state`] everywhere, for a bucket that always is.
    pub async fn state_all(&self) -> Each<StateAnswer> {
        self.each(async |host| self.state(host, "all/00/00").await).await
    }

    /// [`Balancers::every_bucket`] everywhere.
    pub async fn every_bucket_all(&self, n: u64, traffic: &Traffic) -> Each<()> {
        self.each(async |host| self.every_bucket(host, n, traffic).await).await
    }

    /// [`Balancers::inflight`] everywhere.
    pub async fn inflight_all(&self, half: Seen) -> Each<InFlight> {
        self.each(async |host| self.inflight(host, half).await).await
    }

    /// [`Balancers::create_dirs`] everywhere; there is nothing to put back.
    pub async fn create_dirs_all(&self) -> Each<()> {
        self.each(async |host| self.create_dirs(host).await).await
    }

    /// [`Balancers::wired`] everywhere.
    pub async fn wired_all(&self) -> Each<bool> {
        self.each(async |host| self.wired(host).await).await
    }

    /// [`Balancers::wiring`] everywhere.
    pub async fn wiring_all(&self) -> Each<Wiring> {
        self.each(async |host| self.wiring(host).await).await
    }

    /// Writes each balancer's files; `conf` gives them. A failure on one puts all back. Returns where a file changed.
    ///
    /// # Errors
    /// [`NotAll`]: the earlier files stand everywhere but where it says otherwise.
    pub async fn write_conf_all(
        &self,
        revision: u64,
        conf: impl Fn(&str) -> Conf,
    ) -> Result<Vec<(String, bool)>, NotAll> {
        let written = self.each(async |host| self.write_conf(host, revision, &conf(host)).await).await;
        match all(written) {
            Ok(written) => Ok(written),
            Err(failed) => {
                // Where there was no connection, nothing was written.
                let untouched = |host: &str| failed.iter().any(|error| error.host == host && error.is_unreachable());
                let put_back = self.each(async |host| match untouched(host) {
                    true => Ok(()),
                    false => self.restore_and_settle(host, revision).await,
                });
                let put_back = put_back.await;
                Err(NotAll { not_put_back: all(put_back).err().unwrap_or_default(), failed })
            }
        }
    }

    /// Reloads every nginx and waits until `revision` is in effect on all. A failure on one puts the earlier files back on
    /// all and reloads those. The earlier files are forgotten at the end.
    ///
    /// # Errors
    /// [`NotAll`]: the earlier files are in effect everywhere but where it says otherwise.
    pub async fn reload_conf_all(&self, revision: u64) -> Result<Vec<(String, Reloaded)>, NotAll> {
        let reloaded = self.each(async |host| self.reload_conf(host, revision).await).await;
        let failed = match all(reloaded) {
            Ok(reloaded) => {
                // Kept files that cannot be removed harm nothing: the next revision replaces them.
                let _settled = self.each(async |host| self.settle_conf(host).await).await;
                return Ok(reloaded);
            }
            Err(failed) => failed,
        };
        let put_back = self
            .each(async |host| {
                if let Restored::Files(Some(earlier)) = self.restore_conf(host, revision).await? {
                    self.reload_conf(host, earlier).await?;
                }
                self.settle_conf(host).await
            })
            .await;
        Err(NotAll { not_put_back: all(put_back).err().unwrap_or_default(), failed })
    }

    async fn restore_and_settle(&self, host: &str, revision: u64) -> Result<(), Error> {
        self.restore_conf(host, revision).await?;
        self.settle_conf(host).await
    }
}

/// Every result, or every error.
///
/// # Errors
/// When there is one.
pub fn all<T>(each: Each<T>) -> Result<Vec<(String, T)>, Vec<Error>> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (host, result) in each {
        match result {
            Ok(value) => done.push((host, value)),
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(failed) }
}

fn said(failed: &[Error], not_put_back: &[Error]) -> String {
    let list = |errors: &[Error]| errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
    if not_put_back.is_empty() {
        format!("{}. On every balancer the earlier files stand", list(failed))
    } else {
        format!("{}. The earlier files could not be put back everywhere: {}", list(failed), list(not_put_back))
    }
}
