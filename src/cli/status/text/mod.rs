//! `status` for people, in 80 columns.

mod interrupted;
mod revert;

use bluegreen_core::rollout::{Stage, Verb};
use jiff::{Timestamp, tz::TimeZone};

use super::{journal::Blind, report::Report, seen::PlaceSeen};
use crate::{
    cli::screen::{Screen, wrapped},
    engine::{sentence, typed},
};

/// Changes of the last hour that are shown; JSON has all of them.
const SHOWN: usize = 12;

/// The report as text; `zone` is the reader's.
pub fn render(report: &Report, screen: Screen, zone: &TimeZone) -> String {
    let blocks = [
        notice(report, screen),
        head(report, screen),
        pools(report, screen),
        balancers(report, screen),
        open(report, screen, zone),
        next(report),
    ];
    let blocks = blocks.into_iter().chain([recent(report, zone)]);
    blocks.filter(|block| !block.is_empty()).map(|block| block.join("\n")).collect::<Vec<_>>().join("\n\n")
}

/// Why no journal says where the site stands, and what to do: before anything that is shown without it.
fn notice(report: &Report, screen: Screen) -> Vec<String> {
    if report.blind.is_none() {
        return Vec::new();
    }
    let mut lines: Vec<String> = journal(report).iter().map(|line| screen.paint_out(line, "1;33")).collect();
    if let Some(then) = &report.then {
        lines.extend(wrapped(&screen.named(&format!("{then}.")), 78));
    }
    lines
}

/// What is wrong with the journal.
fn journal(report: &Report) -> Vec<String> {
    let stop = if report.then.is_some() { "." } else { "" };
    report.journal.iter().flat_map(|problem| wrapped(&format!("journal: {problem}{stop}"), 78)).collect()
}

fn head(report: &Report, screen: Screen) -> Vec<String> {
    let stage = match (report.stage, report.blind) {
        (Some(stage), _) => stage.to_string(),
        (None, Some(blind)) => format!("in a stage that is not known, for {}", blind.because()),
        (None, None) => "not set up yet".to_owned(),
    };
    let rollout = report.rollout.as_ref().map(|rollout| format!(", rollout {rollout}")).unwrap_or_default();
    let name = screen.paint_out(&report.site, "1");
    let is_undo_failed = report.interrupted.as_ref().is_some_and(|open| open.undo_failed.is_some());
    let failed = if is_undo_failed { screen.paint_out("; undo failed", "1;31") } else { String::new() };
    let mut lines = vec![format!("{name} ({}) is {stage}{rollout}{failed}", report.inventory)];
    if let Some(stage) = report.stage {
        lines.push(journey(stage, screen));
    }
    if report.stage.is_none() && report.blind.is_none() {
        return lines;
    }
    lines.push(String::new());
    for (number, line) in report.traffic_words.iter().flat_map(|words| wrapped(words, 68)).enumerate() {
        lines.push(format!("{:<10}{line}", if number == 0 { "traffic" } else { "" }));
    }
    let release = |release: &Option<String>| release.clone().unwrap_or_else(|| "unknown".to_owned());
    lines.push(format!(
        "releases  blue {} · green {}",
        release(&report.releases.blue),
        release(&report.releases.green)
    ));
    lines
}

fn journey(now: Stage, screen: Screen) -> String {
    let stages = Stage::ALL
        .into_iter()
        .map(|stage| if stage == now { screen.paint_out(&format!("[{stage}]"), "1;32") } else { stage.to_string() });
    stages.collect::<Vec<_>>().join(" > ")
}

fn pools(report: &Report, screen: Screen) -> Vec<String> {
    let mut rows = vec![["pool", "half", "host", "release", "health"].map(str::to_owned)];
    let mut notes = vec![String::new()];
    for (name, pool) in &report.pools {
        for (half, places) in [("blue", &pool.blue), ("green", &pool.green)] {
            for place in places {
                let release = place.release.clone().unwrap_or_else(|| "?".to_owned());
                rows.push([name.clone(), half.to_owned(), place.host.clone(), release, health(place).to_owned()]);
                notes.push(place.note.clone().unwrap_or_default());
            }
        }
    }
    table(&rows, &notes, screen)
}

fn health(place: &PlaceSeen) -> &'static str {
    match place.healthy {
        Some(true) => "healthy",
        Some(false) => "NOT HEALTHY",
        None => "?",
    }
}

fn balancers(report: &Report, screen: Screen) -> Vec<String> {
    let mut rows = vec![["balancer", "generation", "in sync"].map(str::to_owned)];
    let mut notes = vec![String::new()];
    for balancer in &report.balancers {
        let generation = balancer.generation.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let sync = match (balancer.reachable, balancer.in_sync) {
            (false, _) => "NO ANSWER",
            (_, Some(true)) => "yes",
            (_, Some(false)) => "NO",
            (_, None) => "?",
        };
        rows.push([balancer.host.clone(), generation, sync.to_owned()]);
        notes.push(balancer.note.clone().unwrap_or_default());
    }
    table(&rows, &notes, screen)
}

/// Columns as wide as their widest cell, the first row as heads, each note on lines of its own below its row.
fn table<const N: usize>(rows: &[[String; N]], notes: &[String], screen: Screen) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let line = cells.join("  ").trim_end().to_owned();
        lines.push(if number == 0 { screen.paint_out(&line, "2") } else { line });
        let note = notes.get(number).map(String::as_str).unwrap_or_default();
        lines.extend(wrapped(note, 74).into_iter().map(|line| format!("    {line}")));
    }
    lines
}

fn open(report: &Report, screen: Screen, zone: &TimeZone) -> Vec<String> {
    let mut lines = Vec::new();
    if report.blind.is_none() {
        lines.extend(journal(report));
    }
    if let Some(differs) = report.inventory_differs {
        let said = format!("inventory: {differs}. {}.", sentence(report.inventory_then.unwrap_or_default()));
        lines.extend(wrapped(&screen.named(&said), 78).iter().map(|line| screen.paint_out(line, "1;33")));
    }
    lines.extend(locked(report, screen));
    if let Some(revert) = &report.revert {
        let open = report.interrupted.as_ref().map(|open| open.command.as_str());
        lines.extend(revert::block(revert, open.filter(|command| *command != "confirm"), screen, Timestamp::now()));
    }
    if let Some(open) = &report.interrupted {
        lines.extend(interrupted::block(open, screen, zone));
    }
    lines
}

/// What stands in the way of the next command.
fn locked(report: &Report, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let warning =
        |text: &str| wrapped(text, 78).into_iter().map(|line| screen.paint_out(&line, "1;33")).collect::<Vec<_>>();
    let Some(lock) = &report.lock else { return lines };
    // Of a copy it was said already.
    if lock.manual && lock.copy_of.is_none() && !lock.is_unreadable {
        lines.extend(warning(&lock.text));
    }
    if let Some(under_way) = &report.under_way {
        let text = if lock.manual { under_way } else { &lock.text };
        lines.extend(wrapped(&format!("a command is under way: {text}"), 78));
    }
    for waits in &lock.waiting {
        lines.extend(wrapped(&format!("waiting for the lock: {}", waits.text), 78));
    }
    lines
}

fn next(report: &Report) -> Vec<String> {
    if matches!(report.blind, Some(Blind::Moved | Blind::Outdated)) {
        // Nothing that is typed here leads on, whoever holds its lock.
        return Vec::new();
    }
    if let Some(lock) = report.lock.as_ref().filter(|lock| lock.manual) {
        let (word, about) = match &lock.copy_of {
            // What is to be done was said above.
            _ if lock.is_unreadable => return Vec::new(),
            Some(_) => ("journal copy", "finish the copy"),
            None => ("unlock", "let commands begin again"),
        };
        return vec!["next".to_owned(), format!("  bg {word:<14}{about}")];
    }
    let open = report.interrupted.iter().flat_map(|open| open.next.iter());
    let others =
        report.next.iter().filter(|word| report.interrupted.as_ref().is_none_or(|open| !open.next.contains(word)));
    let is_armed = report.revert.as_ref().is_some_and(|revert| revert.went_back.is_none());
    let is_refused = report.interrupted.is_some() || report.under_way.is_some() || report.inventory_differs.is_some();
    let confirm = (is_armed && !is_refused).then_some("confirm");
    let words: Vec<&str> = confirm.into_iter().chain(open.chain(others).map(String::as_str)).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let stage = report.stage;
    let line = |word: &&str| format!("  bg {:<14}{}", usage(word), about(word, stage, report.interrupted.is_some()));
    ["next".to_owned()].into_iter().chain(words.iter().map(line)).collect()
}

fn usage(word: &str) -> &str {
    let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == word);
    verb.map(typed).unwrap_or(word)
}

/// A word on what a command does from here.
fn about(word: &str, stage: Option<Stage>, interrupted: bool) -> &'static str {
    match (word, stage) {
        ("setup", _) => "install a first release on both halves",
        ("confirm", _) => "keep the traffic: it does not go back by itself",
        ("resume", _) => "finish what was interrupted",
        ("sync", _) => "bring the balancers up to the inventory",
        ("deploy", Some(Stage::Balanced)) => "take green out and bring a new release onto it",
        ("deploy", _) => "bring a release onto green again",
        ("canary", Some(Stage::Canary)) => "let another share try green",
        ("canary", _) => "let a small share try green first",
        ("canary off", _) => "everybody back to blue",
        ("flip", _) => "everybody to green",
        ("flip --back", _) => "everybody back to blue",
        ("restore", Some(Stage::Restoring)) => "go on upgrading blue, then both serve",
        ("restore", _) => "bring the release onto blue too, then both serve",
        ("abort", _) if interrupted => "undo the rollout: back to the old release",
        ("abort", _) => "back to the old release on both halves",
        _ => "",
    }
}

fn recent(report: &Report, zone: &TimeZone) -> Vec<String> {
    if report.recent.is_empty() {
        return Vec::new();
    }
    let earlier = report.recent.len().saturating_sub(SHOWN);
    let mut lines = vec![format!("last hour{}", and_before(earlier))];
    for change in report.recent.iter().skip(earlier) {
        let at = change.at.parse::<Timestamp>().ok();
        let at = at.map_or_else(String::new, |at| at.to_zoned(zone.clone()).strftime("%H:%M").to_string());
        let user = change.by.split('@').next().unwrap_or_default();
        for (number, line) in wrapped(&change.what, 62).into_iter().enumerate() {
            let left = if number == 0 { format!("{at:<5}  {user:<8}") } else { " ".repeat(15) };
            lines.push(format!("  {left} {line}"));
        }
    }
    lines
}

fn and_before(changes: usize) -> String {
    match changes {
        0 => String::new(),
        1 => " (and 1 change before)".to_owned(),
        _ => format!(" (and {changes} changes before)"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_change_is_not_told_as_several() {
        assert_eq!([0, 1, 2].map(super::and_before), ["", " (and 1 change before)", " (and 2 changes before)"]);
    }
}
