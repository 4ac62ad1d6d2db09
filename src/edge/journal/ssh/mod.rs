//! The journal in a directory of a host: the same files and the same locks as in a directory of this machine, so that
//! whoever works on that host itself shares it. What must outlive no command is held there by a process of the command's own
//! (the keeper), which is told every few seconds that the command lives.

mod answer;
mod keeper;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bluegreen_core::lock::{Hold, Queue, Ticket};
use tokio::time::{Instant, sleep, timeout};

use self::{
    answer::{HOLD, LOOK, Look, SETTLED, STOPPED, Script, from_base64, to_base64},
    keeper::{Gone, Keeper, NotKept},
};
use super::{
    store::{End, LEASE, Mend, Store, StoreError},
    turn::lost,
};
use crate::edge::host::{HostError, Hosts, Output, QUOTED_LINES, SshSettings, last_lines};

/// How long the queue and the lock are tried for: whoever enters the queue holds it for some processes' time, whoever looks
/// at the lock for one's.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
/// A look costs a session on the host.
const PAUSE: Duration = Duration::from_millis(500);
/// For a look, which may bring the whole journal over a slow line.
const LOOK_BOUND: Duration = Duration::from_secs(30);
/// For the goodbye: what is not heard by then ends with the connection or the lease.
const LEAVE: Duration = Duration::from_secs(3);
/// For what became of an append, in leases: one until the keeper is gone that may still be about to do it, two to reach a host
/// that just restarts its sshd, or over a network that just comes back.
const SETTLE: u32 = 3;
const SETTLE_PAUSE: Duration = Duration::from_millis(500);
/// A journal grows by some kilobytes a rollout.
const MAX_JOURNAL: usize = 256 << 20;

/// A journal in a directory of a host.
pub struct SshStore {
    host: String,
    dir: String,
    name: String,
    settings: SshSettings,
    /// Its own: uploads on the connection to a balancer that is also the journal's host must not delay it.
    hosts: Hosts,
    lease: Duration,
    keeper: Mutex<Option<Arc<Keeper>>>,
}

impl SshStore {
    /// The journal in `dir` (absolute) on `host`; nothing is contacted yet.
    pub fn new(host: &str, dir: &str, settings: SshSettings) -> SshStore {
        SshStore {
            host: host.to_owned(),
            dir: dir.to_owned(),
            name: format!("ssh:{host}:{dir}"),
            hosts: Hosts::new(settings.clone()),
            settings,
            lease: LEASE,
            keeper: Mutex::default(),
        }
    }

    /// The same with another lease; for tests, which cannot wait.
    pub fn with_lease(self, lease: Duration) -> SshStore {
        SshStore { lease, ..self }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Arc<Keeper>>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn values(&self, more: impl IntoIterator<Item = String>) -> Vec<String> {
        std::iter::once(self.dir.clone()).chain(more).collect()
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError::of_system(format!("the journal `{}` could not be {doing}: {why}", self.name), why)
    }

    fn of_host(&self, doing: &str, error: &HostError) -> StoreError {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        let why = format!("the journal `{}` could not be {doing}: {error}{hint}", self.name);
        StoreError::Mendable { why, mend: Mend::Host }
    }

    /// What a script that stopped means: its `stop WHY …`.
    fn stopped(&self, doing: &str, said: &str) -> StoreError {
        let said = last_lines(said.lines().next().unwrap_or_default(), 1);
        let said = said.strip_prefix("stop ").unwrap_or(&said);
        let (word, detail) = said.split_once(' ').unwrap_or((said, ""));
        let host = &self.host;
        let why = match word {
            "tool" => format!("`{host}` has no `{detail}` (packages coreutils and util-linux)"),
            "unwritable" if detail.contains("No space left") => format!("`{host}`: {detail}"),
            "unwritable" => format!(
                "`{host}`: {detail}. The login user there must be able to write to `{0}`: make it once with \
                 `sudo install -d -m 700 -o USER {0}`",
                self.dir
            ),
            "unreadable" => {
                format!(
                    "`{host}`: {detail}. Everybody who operates the site logs in there as the same user (`[ssh] user`)"
                )
            }
            "queue-locked" => format!("its queue on `{host}` stayed locked for {} s", QUEUE_PATIENCE.as_secs()),
            _ => format!("`{host}`: {said}"),
        };
        self.failed(doing, &why)
    }

    fn not_kept(&self, doing: &str, why: &NotKept) -> StoreError {
        match why {
            NotKept::Host(error) => self.of_host(doing, error),
            NotKept::Stopped(line) => self.stopped(doing, line),
            NotKept::Ended(why) => self.failed(doing, &format!("`{}`: {why}", self.host)),
        }
    }

    async fn run(&self, hosts: &Hosts, doing: &str, script: Script, values: Vec<String>) -> Result<Output, StoreError> {
        let run = script.run(values).timeout(LOOK_BOUND + self.lease).max_output(MAX_JOURNAL);
        let output = hosts.get(&self.host).run(run).await.map_err(|error| self.of_host(doing, &error))?;
        match output.status {
            0 if output.stdout_cut == 0 => Ok(output),
            0 => Err(self.failed(doing, &format!("it is longer than {} MiB", MAX_JOURNAL >> 20))),
            STOPPED => Err(self.stopped(doing, &output.stdout_text())),
            status => {
                let said = last_lines(&output.stderr_text(), QUOTED_LINES);
                Err(self.failed(doing, &format!("`{}`: status {status}: {said}", self.host)))
            }
        }
    }

    async fn see(&self, what: &str) -> Result<Look, StoreError> {
        let output = self.run(&self.hosts, "read", LOOK, self.values([what.to_owned()])).await?;
        Look::read(&output.stdout).ok_or_else(|| self.failed("read", "it changed while it was read; try again"))
    }

    /// The answer to an append never came. Waits until the keeper is gone, which can then append nothing any more, and
    /// looks for the record.
    async fn settle(&self, keeper: Arc<Keeper>, end: End, text: &str, next: End) -> Result<End, StoreError> {
        let doing = "appended to";
        let mut why = self.not_kept(doing, &keeper.why());
        let (ticket, identity) = (keeper.ticket.clone(), keeper.identity.clone());
        *self.keeper() = None;
        // No beat may prolong the lease from here on.
        drop(keeper);
        self.hosts.close().await;
        let deadline = Instant::now() + self.lease * SETTLE;
        while Instant::now() < deadline {
            // A connection of its own: the old one may be standing and dead.
            let hosts = Hosts::new(self.settings.clone());
            let values =
                [ticket.clone(), identity.clone(), seconds(self.lease + QUEUE_PATIENCE), end.bytes.to_string()];
            let values = self.values(values.into_iter().chain([text.len().to_string()]));
            let found = timeout(deadline - Instant::now(), self.run(&hosts, doing, SETTLED, values)).await;
            hosts.close().await;
            match found {
                Ok(Ok(output)) => return self.settled(&output.stdout, text, next),
                Ok(Err(error)) => why = error,
                Err(_) => break,
            }
            sleep(SETTLE_PAUSE).await;
        }
        Err(StoreError::Unknown(format!(
            "whether the last record reached the journal is not known, and could not be found out in time: {why}. Nothing more \
             was done"
        )))
    }

    fn settled(&self, stdout: &[u8], text: &str, next: End) -> Result<End, StoreError> {
        let tail = stdout.strip_prefix(b"tail\n").unwrap_or_default();
        if tail == text.as_bytes() {
            Ok(next)
        } else if tail.contains(&b'\n') {
            Err(lost(&self.name))
        } else {
            let why = format!("the connection to `{}` was lost; the record is not in it", self.host);
            Err(StoreError::Mendable { why, mend: Mend::Host })
        }
    }
}

/// As the scripts take a time.
fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[async_trait]
impl Store for SshStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.see("all").await?.journal.unwrap_or_default())
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        Ok(self.see("queue").await?.queue())
    }

    async fn look(&self) -> Result<(Queue, Vec<u8>), StoreError> {
        let mut look = self.see("all").await?;
        Ok((look.queue(), look.journal.unwrap_or_default()))
    }

    async fn enter(&self, ticket: &Ticket) -> Result<String, StoreError> {
        let json = serde_json::to_string(ticket).map_err(|error| self.failed("locked", &error.to_string()))?;
        let times = [self.lease, QUEUE_PATIENCE, LOCK_PATIENCE].map(seconds);
        let values = self.values(times.into_iter().chain([json, ticket.to_string()]));
        let keeper = Keeper::start(self.hosts.get(&self.host), values, self.lease, QUEUE_PATIENCE).await;
        let keeper = keeper.map_err(|why| self.not_kept("locked", &why))?;
        let id = keeper.ticket.clone();
        *self.keeper() = Some(Arc::new(keeper));
        Ok(id)
    }

    async fn begin(&self) -> Result<(), StoreError> {
        let Some(keeper) = self.keeper().clone() else { return Err(lost(&self.name)) };
        let Ok(answer) = keeper.ask("begin", &[]).await else { return Err(self.not_kept("locked", &keeper.why())) };
        match answer.split_once(' ') {
            None if answer == "begun" => Ok(()),
            Some(("busy", holder)) => Err(StoreError::Lost(format!(
                "another program on `{}` holds the lock `{}/lock`: {}. Nothing was touched",
                self.host,
                self.dir,
                String::from_utf8_lossy(&from_base64(holder).unwrap_or_default()).trim()
            ))),
            _ => Err(self.failed("locked", &format!("`{}`: {answer}", self.host))),
        }
    }

    async fn leave(&self) {
        let keeper = self.keeper().take();
        if let Some(keeper) = keeper.filter(|keeper| !keeper.is_over()) {
            // Best effort: with the connection it ends too.
            let _ = timeout(LEAVE, keeper.ask("leave", &[])).await;
        }
        self.hosts.close().await;
    }

    async fn append(&self, end: End, line: &str) -> Result<End, StoreError> {
        let Some(keeper) = self.keeper().clone().filter(|keeper| !keeper.is_over()) else {
            return Err(lost(&self.name));
        };
        let words = format!("append {} {} {}", end.bytes, u8::from(end.unterminated), line.len());
        let text = format!("{}{line}\n", if end.unterminated { "\n" } else { "" });
        let next = End { records: end.records + 1, bytes: end.bytes + text.len() as u64, unterminated: false };
        let answer = match keeper.ask(&words, line.as_bytes()).await {
            Ok(answer) => answer,
            Err(Gone) => return self.settle(keeper, end, &text, next).await,
        };
        let conflict = |why: &str| Err(StoreError::Conflict(why.to_owned()));
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("appended", _) => Ok(next),
            ("conflict", "replaced") => conflict("it was deleted or replaced while this command was under way"),
            ("conflict", "short") => conflict("it was cut short while this command was under way"),
            ("conflict", _) => conflict("somebody else appended to it while this command was under way"),
            ("failed", why) => Err(StoreError::of_system(format!("`{}`: {why}", self.host), why)),
            _ => Err(lost(&self.name)),
        }
    }

    async fn set_hold(&self, from: Option<&Hold>, to: Option<&Hold>) -> Result<bool, StoreError> {
        let look = self.see("queue").await?;
        if look.hold().as_ref() != from {
            return Ok(false);
        }
        let coded = |bytes: Option<&[u8]>| bytes.map_or_else(|| "-".to_owned(), to_base64);
        let new = to.map(serde_json::to_vec).transpose().map_err(|error| self.failed("locked", &error.to_string()))?;
        let values = self.values([seconds(QUEUE_PATIENCE), coded(look.hold.as_deref()), coded(new.as_deref())]);
        match self.run(&self.hosts, "locked or unlocked", HOLD, values).await {
            Ok(output) => Ok(output.stdout_text() == "replaced"),
            // It may have been done although nobody said so.
            Err(error) => match self.see("queue").await.map(|look| look.hold()) {
                Ok(now) if now.as_ref() == to && to != from => Ok(true),
                _ => Err(error),
            },
        }
    }

    fn pause(&self) -> Duration {
        PAUSE
    }
}
