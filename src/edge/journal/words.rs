//! Who has the lock, who holds the site and where it was moved, in words.

use std::time::Duration;

use bluegreen_core::{
    lock::{Hold, Ticket},
    rollout::{By, Moved},
};
use jiff::Timestamp;

/// A duration as people say it: `90 s`, `10 min`, `3 h`, `2 days`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        3_600.. if seconds.is_multiple_of(3_600) && seconds < 172_800 => format!("{} h", seconds / 3_600),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `2026-01-01T00:00:00Z (3 min ago)`. Without the age where the machines' clocks disagree about it.
pub fn since(at: &str) -> String {
    let age = at.parse::<Timestamp>().ok().map(|at| Timestamp::now().duration_since(at));
    match age.and_then(|age| Duration::try_from(age).ok()) {
        Some(age) => format!("{at} ({} ago)", duration(age)),
        None => at.to_owned(),
    }
}

/// A command in the queue, and since when.
pub fn ticket(ticket: &Ticket) -> String {
    format!("{ticket}, since {}", since(&ticket.since))
}

/// Where a journal is, as whoever named it meant it: a file is one of that machine.
pub fn place(location: &str, by: &By) -> String {
    match location.starts_with("file:") {
        true => format!("`{location}` on the machine `{}`", by.host),
        false => format!("`{location}`"),
    }
}

/// Who holds the site and what for.
pub fn hold(hold: &Hold) -> String {
    let Hold { by, why, copy_of, .. } = hold;
    let since = if hold.since.is_empty() { String::new() } else { format!(" since {}", since(&hold.since)) };
    let by = format!("by {}@{}{since}", by.user, by.host);
    match (copy_of, why) {
        (Some(from), _) => format!("this journal is an unfinished copy of {}, begun {by}", place(from, &hold.by)),
        (None, Some(why)) => format!("the site is held by hand {by}: {why}"),
        (None, None) => format!("the site is held by hand {by}, without a reason given"),
    }
}

/// Where the site goes on.
pub fn moved(moved: &Moved) -> String {
    let Moved { to, by, .. } = moved;
    format!(
        "this journal is closed: the site was moved to the journal `{to}` by {}@{} at {}",
        by.user,
        by.host,
        since(&moved.since)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_people_would_take() {
        let said = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [90, 600, 3_600, 7_199, 7_200, 200_000].map(said),
            ["90 s", "10 min", "1 h", "119 min", "2 h", "2 days"]
        );
    }

    #[test]
    fn an_age_is_told_unless_it_lies_ahead_or_is_no_time() {
        assert_eq!(since("9999-01-01T00:00:00Z"), "9999-01-01T00:00:00Z");
        assert_eq!(since("yesterday"), "yesterday");
        let now = Timestamp::now().to_string();
        assert_eq!(since(&now), format!("{now} (0 s ago)"));
    }
}
