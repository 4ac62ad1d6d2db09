//! What changed in the last hour, out of the journal.

use bluegreen_core::rollout::{Command, Entry, Event, Stage, State};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

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
    for entry in entries {
        let before = state.clone();
        if state.apply(entry).is_err() {
            break;
        }
        let recent = entry.at.parse::<Timestamp>().is_ok_and(|at| now.duration_since(at) <= HOUR);
        if recent {
            let by = format!("{}@{}", entry.by.user, entry.by.host);
            let words = words(entry, &before, &state);
            changes.extend(words.into_iter().map(|what| Change { at: entry.at.clone(), by: by.clone(), what }));
        }
    }
    changes
}

fn words(entry: &Entry, before: &State, after: &State) -> Vec<String> {
    let mut words = Vec::new();
    for event in &entry.events {
        match event {
            Event::CommandStarted { command, .. } => words.push(format!("{} began", named(command))),
            Event::CommandEnded { done: false, why } => {
                let command = before.open.as_ref().map_or("the command", |open| open.command.as_str());
                let why = why.as_deref().unwrap_or("another command took its place");
                words.push(format!("{command} ended: {why}"));
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
    } else if before.traffic != after.traffic && after.stage == Some(Stage::Canary) {
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
