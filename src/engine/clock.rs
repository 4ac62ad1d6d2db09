//! Times as people read them.

use bluegreen_core::rollout::Armed;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// When the last balancer goes back by itself, as far as the journal knows; `None` when it holds no time.
pub fn goes_back_at(armed: &Armed) -> Option<Timestamp> {
    let since: Timestamp = armed.arming.since.parse().ok()?;
    let after = SignedDuration::from_millis(i64::try_from(armed.arming.after_ms).ok()?);
    since.checked_add(after).ok()
}

/// When traffic goes back by itself, or that its time is up, as a clause without its subject.
pub fn goes_back(at: Option<Timestamp>, now: Timestamp) -> String {
    match at {
        None => "goes back by itself, unless it is confirmed".to_owned(),
        Some(at) if at > now => format!("goes back by itself at {}, unless it is confirmed", clock(at)),
        Some(at) => format!("was to go back by itself at {}, and may have", clock(at)),
    }
}

/// `14:13:20`, in the zone of whoever reads it; with the date when that is not today.
pub fn clock(at: Timestamp) -> String {
    let there = TimeZone::system();
    let (at, now) = (at.to_zoned(there.clone()), Timestamp::now().to_zoned(there));
    at.strftime(if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_over_is_not_told_as_one_to_come() {
        let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let second = SignedDuration::from_secs(1);
        assert_eq!(
            goes_back(Some(at), at - second),
            format!("goes back by itself at {}, unless it is confirmed", clock(at))
        );
        assert_eq!(
            goes_back(Some(at), at + second),
            format!("was to go back by itself at {}, and may have", clock(at))
        );
        assert_eq!(goes_back(None, at), "goes back by itself, unless it is confirmed");
    }
}
