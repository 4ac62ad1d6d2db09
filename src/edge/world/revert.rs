//! The dead man's switch: every balancer armed to go back by itself, told to stay, or taken after one that went back.

use bluegreen_core::{inventory::spoken_duration, nginx::tree::tree, rollout::OpenCommand, traffic::Traffic};
use jiff::{SignedDuration, Timestamp};

use super::{Live, shift::unprepared};
use crate::{
    edge::balancer::Disarmed,
    engine::{Effect, Failure, Work, clock, goes_back, goes_back_at, named},
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
        let armed = self.each(["arming its timer", "armed"], arm).await;
        let Some(error) = armed.iter().find_map(|(_, result)| result.as_ref().err()) else {
            let after = SignedDuration::from_millis(i64::try_from(after_ms).unwrap_or(i64::MAX));
            let at = clock(Timestamp::now() + after);
            let timers = armed.into_iter().filter_map(|(host, result)| Some((host, result.ok()?)));
            return Ok(timers.map(|(host, timer)| format!("`{host}` goes back by itself at {at}: {timer}")).collect());
        };
        let failure = unprepared(error);
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
        let failed = |message: String, hint: &str| Err(Failure::new(Effect::Open, message).hint(hint));
        if !reverted.is_empty() {
            return failed(format!("{} went back by itself meanwhile", reverted.join(", ")), "`bg confirm` again");
        }
        if untold.is_empty() {
            return Ok(Vec::new());
        }
        failed(
            format!(
                "not every balancer could be told to keep the traffic: {}. Every other one keeps it; once one has gone back, \
                 the next command takes them all back",
                untold.join("; ")
            ),
            "`bg confirm` again, before then · `bg flip --back` takes all of them back now",
        )
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
        let message = format!(
            "not every balancer followed to {to}: {}. Every other balancer is there, and no server was touched",
            failures.join("; ")
        );
        Err(Failure::new(Effect::Open, message).hint("bring what is named back first"))
    }
}
