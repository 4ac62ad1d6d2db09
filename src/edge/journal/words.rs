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

/// `2026-01-01T00:00:00Z (3 min ago)`, to the second. Without the age where the machines' clocks disagree about it.
pub fn since(at: &str) -> String {
    let Ok(time) = at.parse::<Timestamp>() else { return at.to_owned() };
    let at = time.strftime("%Y-%m-%dT%H:%M:%SZ");
    match Duration::try_from(Timestamp::now().duration_since(time)) {
        Ok(age) => format!("{at} ({} ago)", duration(age)),
        Err(_) => at.to_string(),
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

/// A message without the sentence that nothing was touched, for where that goes without saying or would not be true.
pub fn without_reassurance(message: &str) -> &str {
    message.trim_end_matches(". Nothing was touched")
}

/// Who holds the site and what for.
pub fn hold(hold: &Hold) -> String {
    let Hold { by, why, copy_of, .. } = hold;
    let since = if hold.since.is_empty() { String::new() } else { format!(" since {}", since(&hold.since)) };
    let by = format!("by {}@{}{since}", by.user, by.host);
    match (copy_of, why) {
        (Some(_), Some(why)) if hold.is_unreadable() => {
            format!("the journal is held, by hand or as an unfinished copy of another one: {why}")
        }
        (Some(from), _) => {
            let by = by.replacen(" since ", " at ", 1);
            format!("this journal is an unfinished copy of {}, begun {by}", place(from, &hold.by))
        }
        (None, Some(why)) => format!("the site is held by hand {by}: {why}"),
        (None, None) => format!("the site is held by hand {by}, without a reason given"),
    }
}

/// Where the site goes on.
pub fn moved(moved: &Moved) -> String {
    let Moved { to, by, .. } = moved;
    format!(
        "this journal is closed: the site was moved to the journal {} by {}@{} at {}",
        place(to, by),
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
        let now = Timestamp::now();
        assert_eq!(since(&now.to_string()), format!("{} (0 s ago)", now.strftime("%Y-%m-%dT%H:%M:%SZ")));
        assert!(since("2026-01-01T00:00:00.123456789Z").starts_with("2026-01-01T00:00:00Z ("));
    }

    #[test]
    fn a_file_is_one_of_the_machine_that_named_it() {
        let by = By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 };
        assert_eq!(place("file:.bg/shop", &by), "`file:.bg/shop` on the machine `desk`");
        assert_eq!(place("ssh:lb1:/var/lib/bg", &by), "`ssh:lb1:/var/lib/bg`");
        let moved = Moved { to: "file:.bg/shop".to_owned(), by, since: "9999-01-01T00:00:00.5Z".to_owned() };
        let said = super::moved(&moved);
        assert!(
            said.ends_with("the journal `file:.bg/shop` on the machine `desk` by anna@desk at 9999-01-01T00:00:00Z")
        );
    }
}
