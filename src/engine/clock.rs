//! Times as people read them.

use bluegreen_core::rollout::Armed;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// When the last balancer goes back by itself, as far as the journal knows; `None` when it holds no time.
pub fn goes_back_at(armed: &Armed) -> Option<Timestamp> {
    let since: Timestamp = armed.arming.since.parse().ok()?;
    let after = SignedDuration::from_millis(i64::try_from(armed.arming.after_ms).ok()?);
    since.checked_add(after).ok()
}

/// `14:13:20`, in the zone of whoever reads it.
pub fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}
