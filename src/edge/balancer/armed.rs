//! The way back that a balancer takes by itself: armed before a commit, disarmed by `confirm`. One round trip each.

use bluegreen_core::hex;
use jiff::{SignedDuration, Timestamp};

use super::error::Error;
use super::script;
use super::{Balancers, LOCK_WAIT};

/// What keeps the time on a balancer when bg is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The process that waits; `None` where none could be left behind.
    pub process: Option<Process>,
    /// Whether `at` has a job for it as well, which is still there after a reboot.
    pub at: bool,
}

/// Where the waiting process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// A unit of its own, made by systemd-run.
    Systemd,
    /// A session of its own, detached from the login.
    Detached,
}

impl std::fmt::Display for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let process = self.process.map(|process| match process {
            Process::Systemd => "a unit of systemd's keeps the time",
            Process::Detached => "a detached process keeps the time",
        });
        match (process, self.at) {
            (Some(process), true) => write!(f, "{process}, and after a reboot `at` does"),
            (Some(process), false) => write!(f, "{process}, but not after a reboot"),
            (None, _) => f.write_str("`at` keeps the time, to the minute, also after a reboot"),
        }
    }
}

/// What became of a balancer's way back when it was told to forget it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disarmed {
    /// It was armed, and is not any more.
    Now,
    /// It was not armed, and runs the generation.
    Already,
    /// It went back before.
    Reverted,
    /// It runs another generation.
    Superseded(Option<u64>),
}

impl Balancers {
    /// From now on in `after_ms`, generation `n` goes back to `n + 1` (whose manifest hashes to `hash`) by itself, once it
    /// is committed. Run again, the time begins anew.
    ///
    /// # Errors
    /// `NoTimer` where nothing would keep the time; `Fenced`, `Foreign`, `Missing`, `Differs`, `Locked`, `NoRights`:
    /// nothing was armed.
    pub async fn arm(&self, host: &str, n: u64, journal: &str, hash: &str, after_ms: u64) -> Result<Timer, Error> {
        let balancer = self.at(host)?;
        let (number, wait) = (n.to_string(), LOCK_WAIT.as_secs().to_string());
        let (after, sum) = ((after_ms / 10).to_string(), hex::sha256(script::REVERT.text));
        let args = [balancer.dir.as_str(), &number, journal, hash, &wait, &after, &sum];
        let answer = self.script(host, script::ARM, &args, Some(script::REVERT.text.as_bytes().to_vec())).await?;
        let how: Vec<&str> = answer.get("how").unwrap_or_default().split(' ').collect();
        let process = if how.contains(&"systemd") {
            Some(Process::Systemd)
        } else {
            how.contains(&"process").then_some(Process::Detached)
        };
        Ok(Timer { process, at: how.contains(&"at") })
    }

    /// Generation `n` stays: it does not go back by itself any more.
    ///
    /// # Errors
    /// As [`Balancers::commit`], but for `Fenced`. When [`Error::is_unknown`], only a look can tell.
    pub async fn disarm(&self, host: &str, n: u64, journal: &str) -> Result<Disarmed, Error> {
        let balancer = self.at(host)?;
        let (number, wait) = (n.to_string(), LOCK_WAIT.as_secs().to_string());
        let answer = self.script(host, script::DISARM, &[&balancer.dir, &number, journal, &wait], None).await?;
        let state = answer.get("state").unwrap_or_default();
        let (word, rest) = state.split_once(' ').unwrap_or((state, ""));
        Ok(match word {
            "disarmed" => Disarmed::Now,
            "already" => Disarmed::Already,
            "reverted" => Disarmed::Reverted,
            _ => Disarmed::Superseded(rest.parse().ok()),
        })
    }
}

/// An armed generation as a look finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmedSeen {
    /// N.
    pub generation: u64,
    /// Seconds until it goes back, by the balancer's own clock; negative when it is overdue.
    pub left_s: i64,
    /// What keeps the time.
    pub keeper: Keeper,
}

/// What keeps the time of an armed generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// The process that waits.
    Process,
    /// Only `at`: the process is gone.
    At,
    /// Nothing: it will not go back by itself.
    Nothing,
}

/// `armed N SECONDS KEEPER`.
pub(super) fn armed(line: &str) -> Option<ArmedSeen> {
    let mut words = line.split(' ');
    let (generation, left_s) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let keeper = match words.next()? {
        "timer" => Keeper::Process,
        "at" => Keeper::At,
        _ => Keeper::Nothing,
    };
    Some(ArmedSeen { generation, left_s, keeper })
}

/// `reverted N SECONDS-AGO`, said `now`.
pub(super) fn reverted(line: &str, now: Timestamp) -> Option<(u64, Timestamp)> {
    let (generation, ago) = line.split_once(' ')?;
    let at = now.checked_sub(SignedDuration::from_secs(ago.parse().ok()?)).ok()?;
    Some((generation.parse().ok()?, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_time_is_said_with_what_a_reboot_does() {
        let said = |process, at| Timer { process, at }.to_string();
        assert_eq!(
            said(Some(Process::Systemd), true),
            "a unit of systemd's keeps the time, and after a reboot `at` does"
        );
        assert_eq!(said(Some(Process::Detached), false), "a detached process keeps the time, but not after a reboot");
        assert_eq!(said(None, true), "`at` keeps the time, to the minute, also after a reboot");
    }

    #[test]
    fn lines_of_a_look_are_read() {
        let seen = ArmedSeen { generation: 7, left_s: -3, keeper: Keeper::Nothing };
        assert_eq!(armed("7 -3 none"), Some(seen));
        assert_eq!(armed("7 12 timer").map(|seen| seen.keeper), Some(Keeper::Process));
        assert_eq!((armed("7"), armed("x 1 at")), (None, None));
        let [now, before] = ["2026-01-01T00:00:04Z", "2026-01-01T00:00:00Z"].map(|text| text.parse().unwrap());
        assert_eq!((reverted("9 4", now), reverted("9", now)), (Some((9, before)), None));
    }
}
