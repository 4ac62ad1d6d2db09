//! The dead man's switch: every balancer armed to go back by itself, told to stay, or taken after one that went back.

use bluegreen_core::{inventory::spoken_duration, nginx::tree::tree, rollout::OpenCommand, traffic::Traffic};
use jiff::{SignedDuration, Timestamp};

use super::{Live, Trouble};
use crate::{
    edge::balancer::Disarmed,
    engine::{Failure, Work, clock, goes_back, goes_back_at, named},
};

impl Live {
    /// Between the two phases of a shift: all balancers, or nothing is committed.
    pub(super) async fn arm(&self, work: Work<'_>, after_ms: u64) -> Result<Vec<String>, Failure> {
        let shift = work.state.open.as_ref().and_then(|open: &OpenCommand| open.shift.as_ref());
        let Some((n, back)) = shift.and_then(|shift| Some((shift.generation?, &shift.back))) else {
            return Ok(vec!["every balancer has that traffic already, so there is nothing to go back from".to_owned()]);
        };
        let journal = work.epoch.journal.as_str();
        let hash = tree(back).hash();
        let arm = async |host: &str| self.balancers.arm(host, n, journal, &hash, after_ms).await;
        let (mut timers, mut failed) = (Vec::new(), None);
        for (host, result) in self.each(["arming its timer", "armed"], arm).await {
            match result {
                Ok(timer) => timers.push((host, timer)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let Some(error) = failed else {
            let after = SignedDuration::from_millis(i64::try_from(after_ms).unwrap_or(i64::MAX));
            let at = clock(Timestamp::now() + after);
            return Ok(timers
                .iter()
                .map(|(host, timer)| format!("`{host}` goes back by itself at {at}: {timer}"))
                .collect());
        };
        let failure = Failure::from(Trouble::Unprepared(error));
        // What was never committed does nothing when its time is up; it is only tidied.
        let _tidied = self.balancers.disarm_all(n, journal).await;
        let asked = format!("it is to go back by itself after {}", spoken_duration(after_ms));
        Err(Failure { message: format!("{} ({asked})", failure.message), ..failure })
    }

    /// The armed shift stays, on every balancer.
    pub(super) async fn disarm(&self, work: Work<'_>) -> Result<Vec<String>, Failure> {
        let Some(armed) = &work.state.armed else { return Ok(Vec::new()) };
        let n = armed.generation;
        let when = goes_back(goes_back_at(armed), Timestamp::now());
        let disarm = async |host: &str| self.balancers.disarm(host, n, &work.epoch.journal).await;
        let (mut reverted, mut untold) = (Vec::new(), Vec::new());
        for (host, result) in self.each(["telling it to stay", "stays"], disarm).await {
            match result {
                Ok(Disarmed::Now | Disarmed::Already) => {}
                Ok(Disarmed::Reverted) => reverted.push(format!("`{host}`")),
                Ok(Disarmed::Superseded(found)) => {
                    let found = found.map_or_else(|| "no generation of bg's".to_owned(), |n| format!("generation {n}"));
                    untold.push(format!("`{host}` runs {found}, not {n}"));
                }
                Err(error) => untold.push(format!("{} (it {when})", named(&host, &error.without_host()))),
            }
        }
        if !reverted.is_empty() {
            return Err(Trouble::WentBack { hosts: reverted }.into());
        }
        if untold.is_empty() { Ok(Vec::new()) } else { Err(Trouble::Untold { untold }.into()) }
    }

    /// Every balancer to generation `n`, where those are that went back by themselves: as far as it goes.
    pub(super) async fn follow(&self, work: Work<'_>, n: u64, to: &Traffic) -> Result<Vec<String>, Failure> {
        let generation = &[self.generation(work.state, n, to)];
        let hash = &tree(to).hash();
        let journal = &work.epoch.journal;
        let failures = self
            .as_far_as_it_goes(async |host, _| {
                // It stands there since the shift was prepared, unless somebody removed it.
                self.balancers.prepare(host, generation).await?;
                self.balancers.commit(host, n, journal, hash).await?;
                self.balancers.confirm(host, n, to, None).await
            })
            .await;
        if failures.is_empty() {
            return Ok(Vec::new());
        }
        Err(Trouble::NotFollowed { to: to.to_string(), failures }.into())
    }
}
