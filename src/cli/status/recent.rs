//! What changed in the last hour, out of the journal.

use bluegreen_core::{
    rollout::{Command, Entry, Event, Stage, State},
    traffic::Traffic,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::measure::folded;

/// How much of a reason is told again: a line and a half of a usual terminal.
const BEGINNING: usize = 80;
/// How far back `status` looks.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// RFC 3339, UTC.
    pub at: String,
    /// Who did it.
    pub by: String,
    /// What it was, in words.
    pub what: String,
}

/// The changes of the hour before `now`, oldest first.
pub fn changes(entries: &[Entry], now: Timestamp) -> Vec<Change> {
    let mut state = State::default();
    let mut changes = Vec::new();
    let mut told = None;
    for entry in entries {
        let before = state.clone();
        if state.apply(entry).is_err() {
            break;
        }
        let recent = entry.at.parse::<Timestamp>().is_ok_and(|at| now.duration_since(at) <= HOUR);
        if recent {
            let by = format!("{}@{}", entry.by.user, entry.by.host);
            let words = words(entry, &before, &state, &mut told);
            changes.extend(words.into_iter().map(|what| Change { at: entry.at.clone(), by: by.clone(), what }));
        }
    }
    changes
}

/// Why a command ended, without what the hosts' answers were, which `status` or the next try shows as they are now.
fn brief(why: &str) -> String {
    let lines: Vec<&str> = why.lines().filter(|line| !line.starts_with("  ")).collect();
    let last = lines.len().saturating_sub(1);
    let ended = |(at, line): (usize, &&str)| match line.strip_suffix(':') {
        // What follows is what it announces.
        Some(bare) if bare.ends_with("failed") => (*line).to_owned(),
        Some(bare) => format!("{bare}."),
        None if at < last && !line.ends_with(['.', ',', ';', '!', '?']) => format!("{line}."),
        None => (*line).to_owned(),
    };
    lines.iter().enumerate().map(ended).collect::<Vec<_>>().join(" ")
}

/// Enough of a reason to know it again: the change that tells it whole may not be shown any more.
fn beginning(why: &str) -> String {
    let lines = folded(why, BEGINNING);
    match lines.as_slice() {
        [first, _, ..] => format!("{} …", first.trim_end_matches([':', ',', ';', '.'])),
        _ => why.to_owned(),
    }
}

/// Whether two reasons differ only in how often something was tried: `(once)`, `(56 times)`, `(55 to 57 times)`.
fn is_same(one: &str, other: &str) -> bool {
    let is_count = |word: &str| {
        let word = word.trim_matches(|c| "(),.".contains(c));
        ["once", "to", "times"].contains(&word) || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let bare =
        |text: &str| text.split_whitespace().filter(|word| !is_count(word)).map(str::to_owned).collect::<Vec<_>>();
    bare(one) == bare(other)
}

/// `told`: why the last command that did not come to its end ended.
fn words(entry: &Entry, before: &State, after: &State, told: &mut Option<String>) -> Vec<String> {
    let mut words = Vec::new();
    for event in &entry.events {
        match event {
            Event::CommandStarted { command, .. } => words.push(format!("{} began", named(command))),
            Event::CommandEnded { done: false, why } => {
                let command = before.open.as_ref().map_or("the command", |open| open.command.as_str());
                let why = why.as_deref().map_or_else(|| "another command took its place".to_owned(), brief);
                let again = told.as_ref().is_some_and(|told| is_same(told, &why));
                words.push(match again {
                    true => format!("{command} ended, as before: {}", beginning(&why)),
                    false => format!("{command} ended: {why}"),
                });
                *told = Some(why);
            }
            Event::UndoFailed { hosts, .. } => {
                let hosts: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
                words.push(format!("putting back did not reach {}", hosts.join(", ")));
            }
            Event::Reverted { hosts, .. } => {
                let command = before.armed.as_ref().map_or("a shift", |armed| armed.command);
                let hosts: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
                words.push(format!("{command} was not confirmed: {} went back by itself", hosts.join(", ")));
            }
            _ => {}
        }
    }
    if before.stage != after.stage
        && let Some(stage) = after.stage
    {
        words.push(format!("{stage}: {}", after.traffic));
    } else if before.traffic != after.traffic && after.stage == Some(Stage::Canary) && after.traffic != Traffic::Both {
        // Elsewhere the stage says it, when it is reached.
        words.push(after.traffic.to_string());
    }
    words
}

fn named(command: &Command) -> String {
    match command.release() {
        Some(release) if release.label == release.version.to_string() => {
            format!("{} of {}", command.as_str(), release.version)
        }
        Some(release) => format!("{} of {} ({})", command.as_str(), release.version, release.label),
        None => command.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_can_be_understood_by_itself() {
        let why = "2 of 4 places of green failed: `web2` did not become healthy within 5s: GET /healthz answered 503 (24 times)";
        let again = "2 of 4 places of green failed: `web2` did not become healthy within 5s: GET …";
        assert_eq!(beginning(why), again);
        assert_eq!(beginning("`lb1` is unreachable"), "`lb1` is unreachable");
    }

    #[test]
    fn why_a_command_ended_is_told_without_the_answers_and_known_again() {
        let why = "`web2` did not become healthy within 3s: GET / answered 503 (56 times), seen from `lb1`:\n  {\"a\":1}\n  b\n\
                   Blue carries the site and was not touched";
        assert_eq!(
            brief(why),
            "`web2` did not become healthy within 3s: GET / answered 503 (56 times), seen from `lb1`. Blue carries the site and \
             was not touched"
        );
        assert_eq!(
            brief("2 of 2 places of green failed:\n`a`: no:\n  x\n`b`: no"),
            "2 of 2 places of green failed: `a`: no. `b`: no"
        );
        assert_eq!(
            brief(
                "4 of 4 places of green failed:\n`web2` did not:\n  x\nThe same on `web4`\n`api2` did not:\n  x\nThe same on `api4`."
            ),
            "4 of 4 places of green failed: `web2` did not. The same on `web4`. `api2` did not. The same on `api4`."
        );
        assert!(is_same(why, &why.replace("56 times", "3 times")) && is_same(why, &why.replace("56 times", "once")));
        assert!(is_same(why, &why.replace("56 times", "55 to 57 times")));
        assert!(!is_same(why, &why.replace("web2", "web3")));
    }
}
