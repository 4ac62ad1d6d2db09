//! What an interrupted command left behind and what leads on, as text.

use bluegreen_core::rollout::explain::Way;
use jiff::{Timestamp, tz::TimeZone};

use super::{super::report::Interrupted, folded};
use crate::cli::screen::Screen;

/// Where what is said about something begins.
const COLUMN: usize = 10;

/// That a command was interrupted, and where.
pub fn brief(open: &Interrupted, screen: Screen) -> Vec<String> {
    let title = folded(&screen.named(&title(open)), screen.prose()).into_iter();
    title.map(|line| screen.paint_out(&line, style(open))).collect()
}

/// The block of an interrupted command.
pub fn block(open: &Interrupted, screen: Screen, zone: &TimeZone) -> Vec<String> {
    let mut lines = brief(open, screen);
    lines.extend(beside("begun", &begun(open, zone), screen));
    if let Some(why) = &open.why {
        lines.extend(beside("failed", why, screen));
    }
    for not in open.undo_failed.iter().flatten() {
        lines.extend(beside("then", &format!("putting it back: {}", not.said), screen));
    }
    for (number, (hosts, what)) in alike(open).into_iter().enumerate() {
        let word = if number == 0 { "now" } else { "" };
        lines.extend(beside(word, &format!("{}: {what}", hosts.join(", ")), screen));
    }
    lines.extend(to_do(open, screen));
    lines.extend(way("resume", open, &open.explained.resume, screen));
    lines.extend(way("abort", open, &open.explained.abort, screen));
    lines.extend(also(open, screen));
    lines
}

/// What was found, hosts of which the same is to be said together.
fn alike(open: &Interrupted) -> Vec<(Vec<String>, &str)> {
    let mut groups: Vec<(Vec<String>, &str)> = Vec::new();
    for found in &open.found {
        let host = format!("`{}`", found.host);
        match groups.iter_mut().find(|(_, what)| *what == found.what) {
            Some((hosts, _)) => hosts.push(host),
            None => groups.push((vec![host], &found.what)),
        }
    }
    groups
}

fn style(open: &Interrupted) -> &'static str {
    if open.undo_failed.is_some() { "1;31" } else { "1;33" }
}

fn title(open: &Interrupted) -> String {
    let command = &open.command;
    let place = match &open.step {
        Some(step) if open.begun => format!(" at the step `{step}` ({} of {})", open.number, open.of),
        Some(step) => format!(" before the step `{step}` ({} of {})", open.number, open.of),
        None => String::new(),
    };
    match &open.undo_failed {
        Some(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(|not| format!("`{}`", not.host)).collect();
            format!("undo failed: `bg {command}` failed{place}, and {} could not be put back", hosts.join(", "))
        }
        None => format!("interrupted: `bg {command}`{place}"),
    }
}

fn begun(open: &Interrupted, zone: &TimeZone) -> String {
    let by = format!("{} by {}", time(&open.since, zone), open.by);
    match &open.explained.taken_up {
        Some((other, since)) => format!("{by}; taken up {} by {}@{}", time(since, zone), other.user, other.host),
        None => by,
    }
}

fn time(at: &str, zone: &TimeZone) -> String {
    let at = at.parse::<Timestamp>().map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
    at.unwrap_or_else(|_| "at an unknown time".to_owned())
}

fn to_do(open: &Interrupted, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, to_do) in open.to_do.iter().enumerate() {
        let word = if number == 0 { "to do" } else { "" };
        let said = folded(&screen.named(&to_do.what), screen.prose().saturating_sub(COLUMN + 3));
        for (at, line) in said.into_iter().enumerate() {
            let head = if at == 0 { format!("{}.", number + 1) } else { String::new() };
            lines.push(row(if at == 0 { word } else { "" }, &format!("{head:<3}{line}")));
        }
        // Broken only where a shell goes on reading, so that it can be copied as it stands.
        for line in to_do.line.iter().flat_map(|line| line.split_inclusive(" && ")) {
            lines.push(row("", &format!("     {}", line.trim_end())));
        }
    }
    lines
}

/// A word in the margin, and what there is to say beside it.
fn beside(word: &str, text: &str, screen: Screen) -> Vec<String> {
    let lines = folded(text, screen.prose().saturating_sub(COLUMN)).into_iter().enumerate();
    lines.map(|(number, line)| row(if number == 0 { word } else { "" }, &line)).collect()
}

fn row(word: &str, text: &str) -> String {
    let margin = COLUMN - 2;
    format!("  {word:<margin$}{text}")
}

fn way(word: &str, open: &Interrupted, way: &Way, screen: Screen) -> Vec<String> {
    let command = &open.command;
    let word = format!("{} {word}", screen.called);
    let head = match way {
        Way::Steps(0, _) => format!("{word} would do:"),
        Way::Steps(first, _) => format!("{word} would go on with step {}:", first + 1),
        Way::PutBack(back) => format!("{word} would put every balancer back ({back}) and end `{command}`"),
        Way::AsResume => format!("{word} would do the same"),
        Way::Refused(why) => format!("{word} is refused: {why}"),
    };
    let mut lines: Vec<String> =
        folded(&screen.named(&head), screen.prose() - 2).into_iter().map(|line| format!("  {line}")).collect();
    for step in way.steps().lines() {
        let (number, what) = step.trim_start().split_once(' ').unwrap_or_default();
        for (at, line) in folded(what, screen.prose().saturating_sub(COLUMN + 1)).into_iter().enumerate() {
            let number = if at == 0 { number } else { "" };
            lines.push(format!("{number:>COLUMN$} {line}"));
        }
    }
    lines
}

fn also(open: &Interrupted, screen: Screen) -> Vec<String> {
    let also: Vec<String> = open.explained.also.iter().map(|verb| format!("`bg {verb}`")).collect();
    let text = match also.len() {
        0 => return Vec::new(),
        1 => format!("{} ends it too, with all traffic on blue", also[0]),
        _ => format!("{} end it too, with all traffic on blue", also.join(" and ")),
    };
    folded(&screen.named(&text), screen.prose() - 2).into_iter().map(|line| format!("  {line}")).collect()
}

#[cfg(test)]
mod tests;
