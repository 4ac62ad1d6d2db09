//! http.conf and server.conf: written, tested, reloaded, put back.

use bluegreen_core::nginx::conf::{self as core_conf, Conf, HTTP_CONF, SERVER_CONF};
use tokio::time::{Instant, sleep};

use super::error::{ConfTest, Error, Kind};
use super::live::{Tar, yes_no};
use super::script::{self, Answer};
use super::{Balancers, LOCK_WAIT, line};

/// bg's minimal configuration, in the directory of staged files.
const TRIAL_CONF: &str = "nginx.conf";
/// Pause between two looks at whether a reload has taken effect.
const LOOK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);
/// Answers in a row that must come from the new revision where the old workers cannot be seen (a container, hidepid):
/// both generations of workers accept for about 0.1 s, this takes 0.5 s.
const BLIND_ANSWERS: u32 = 20;

/// What a reload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The new revision is answered and no worker of before accepts connections.
    InEffect,
    /// nginx does not include http.conf (yet): nothing was reloaded, and nothing would change by it.
    NotWired,
}

/// What putting back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// No earlier files are kept for that revision: it was never written here, or was put back already.
    Nothing,
    /// The earlier files stand again; their revision, `None` where there were none.
    Files(Option<u64>),
}

impl Balancers {
    /// Writes http.conf and server.conf under the lock of that nginx: staged beside, tested inside a minimal configuration
    /// of bg's own, the earlier files kept for [`Balancers::restore_conf`], renamed into place, tested by the inventory's
    /// `test`. Returns whether a file changed. Nothing is reloaded.
    ///
    /// # Errors
    /// `ConfRefused` with nginx's last lines, `NoRights`, `Locked`, `NoDirs`: the earlier files stand.
    pub async fn write_conf(&self, host: &str, revision: u64, conf: &Conf) -> Result<bool, Error> {
        let balancer = self.at(host)?;
        let staged = format!("{}/.staged", balancer.dir);
        let (http, server) = (format!("{staged}/{HTTP_CONF}"), format!("{staged}/{SERVER_CONF}"));
        // Pid file and temporary directories of the test lie beside the staged files, which no other test may touch.
        let trial_conf = core_conf::test_conf(&self.inventory, balancer, &http, &server, &staged)
            .map_err(|e| Error::new(host, Kind::ConfRefused { why: ConfTest::Staged, lines: vec![e.to_string()] }))?;
        let mut tar = Tar::new();
        tar.file(HTTP_CONF, conf.http.as_bytes());
        tar.file(SERVER_CONF, conf.server.as_bytes());
        tar.file(TRIAL_CONF, trial_conf.as_bytes());
        let (number, wait) = (revision.to_string(), LOCK_WAIT.as_secs().to_string());
        let trial = line::as_run(&line::trial(&balancer.test, &format!("{staged}/{TRIAL_CONF}")), balancer.sudo);
        let test = line::as_run(&balancer.test, balancer.sudo);
        let args = [balancer.dir.as_str(), yes_no(balancer.sudo), &number, &wait, &trial, &test];
        let answer = self.script(host, script::WRITE_CONF, &args, Some(tar.finish())).await?;
        Ok(answer.get("written") == Some("changed"))
    }

    /// Puts the files back that stood before `revision` was written. Nothing is reloaded; may be repeated.
    ///
    /// # Errors
    /// `NoRights`, `Locked`, or `Broke`: then either files may stand.
    pub async fn restore_conf(&self, host: &str, revision: u64) -> Result<Restored, Error> {
        let balancer = self.at(host)?;
        let (number, wait) = (revision.to_string(), LOCK_WAIT.as_secs().to_string());
        let args = [balancer.dir.as_str(), yes_no(balancer.sudo), &number, &wait];
        let answer = self.script(host, script::RESTORE_CONF, &args, None).await?;
        Ok(match answer.get("restored") {
            Some(first) => Restored::Files(core_conf::parse_first_line(first).map(|line| line.revision)),
            None => Restored::Nothing,
        })
    }

    /// Forgets the earlier files, once the new ones are in effect on every balancer (or put back on every one).
    ///
    /// # Errors
    /// `NoRights`, `Locked`.
    pub async fn settle_conf(&self, host: &str) -> Result<(), Error> {
        let balancer = self.at(host)?;
        let wait = LOCK_WAIT.as_secs().to_string();
        let args = [balancer.dir.as_str(), yes_no(balancer.sudo), &wait];
        self.script(host, script::SETTLE_CONF, &args, None).await.map(drop)
    }

    /// Runs the inventory's `reload` and waits until every worker of before has stopped accepting and `revision` is
    /// answered, at most [`super::RELOAD_BOUND`] each. Where nginx does not include http.conf, nothing is reloaded.
    ///
    /// # Errors
    /// `ReloadFailed`; `NotTakenUp` with the error log's new lines, when nginx accepted the signal and then kept its
    /// earlier configuration (a port taken, a zone whose key changed); `NoRights`, `Locked`.
    pub async fn reload_conf(&self, host: &str, revision: u64) -> Result<Reloaded, Error> {
        let pid = match self.state(host, "all/00/00").await {
            Ok(answer) => Some(answer.pid.to_string()),
            Err(Error { kind: Kind::Probe { .. }, .. }) => {
                if !self.includes_http_conf(host).await? {
                    return Ok(Reloaded::NotWired);
                }
                None
            }
            Err(error) => return Err(error),
        };
        let balancer = self.at(host)?;
        let wait = LOCK_WAIT.as_secs().to_string();
        let bound_tenths = (self.reload_bound.as_millis() / 100).to_string();
        let reload = line::as_run(&balancer.reload, balancer.sudo);
        let mut args = vec![balancer.dir.as_str(), wait.as_str(), &bound_tenths, &reload];
        args.extend(pid.as_deref());
        let answer = self.script(host, script::RELOAD, &args, None).await?;
        if let Some(left) = answer.get("left") {
            let what = format!("the workers {left} still accept connections");
            return Err(self.not_taken_up(host, revision, &answer, what).await);
        }
        let in_a_row = if answer.get("workers") == Some("changed") { 1 } else { BLIND_ANSWERS };
        self.answers_revision(host, revision, in_a_row, &answer).await
    }

    async fn answers_revision(
        &self,
        host: &str,
        revision: u64,
        in_a_row: u32,
        began: &Answer,
    ) -> Result<Reloaded, Error> {
        let until = Instant::now() + self.reload_bound;
        let mut right = 0;
        loop {
            let what = match self.state(host, "all/00/00").await {
                Ok(answer) if answer.revision == revision => {
                    right += 1;
                    if right == in_a_row {
                        return Ok(Reloaded::InEffect);
                    }
                    String::new()
                }
                Ok(answer) => format!("revision {} is answered", answer.revision),
                Err(error @ Error { kind: Kind::Probe { .. }, .. }) => error.kind.to_string(),
                Err(error) => return Err(error),
            };
            if !what.is_empty() {
                right = 0;
                if Instant::now() >= until {
                    return Err(self.not_taken_up(host, revision, began, what).await);
                }
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn not_taken_up(&self, host: &str, revision: u64, began: &Answer, what: String) -> Error {
        let log = self.log_since(host, began.get("began").unwrap_or_default()).await;
        let waited_ms = u64::try_from(self.reload_bound.as_millis()).unwrap_or(u64::MAX);
        Error::new(host, Kind::NotTakenUp { revision, waited_ms, what, log })
    }
}
