//! What an interrupted command left behind and what leads on, as text.

use bluegreen_core::rollout::explain::Way;
use jiff::{Timestamp, tz::TimeZone};

use super::{super::report::Interrupted, wrapped};
use crate::cli::screen::Screen;

/// As the rest of `status`.
const WIDTH: usize = 78;
/// The column of what is said about something.
const COLUMN: usize = 10;

/// The block of an interrupted command.
pub fn block(open: &Interrupted, screen: Screen, zone: &TimeZone) -> Vec<String> {
    let told = &open.explained;
    let mut lines: Vec<String> =
        wrapped(&title(open), WIDTH).into_iter().map(|line| screen.paint_out(&line, style(open))).collect();
    lines.extend(about("begun", &begun(open, zone)));
    if let Some(why) = &open.why {
        lines.extend(about("failed", why));
    }
    for found in &told.found {
        lines.extend(about("now", &format!("`{}`: {}", found.host, found.what)));
    }
    for (host, said) in told.undo_failed.iter().flatten() {
        lines.extend(about("not put", &format!("`{host}` then said: {said}")));
    }
    for (number, what) in told.to_do.iter().enumerate() {
        let head = if number == 0 { "to do" } else { "" };
        lines.extend(about(head, &format!("{}. {what}", number + 1)));
    }
    lines.extend(way("resume", open, &told.resume));
    lines.extend(way("abort", open, &told.abort));
    if !told.also.is_empty() {
        let also: Vec<String> = told.also.iter().map(|verb| format!("`bg {verb}`")).collect();
        let ends = if also.len() == 1 { "ends" } else { "end" };
        let text =
            format!("{} {ends} it too, with all traffic on blue; everything else is refused", also.join(" and "));
        lines.extend(wrapped(&text, WIDTH - 2).into_iter().map(|line| format!("  {line}")));
    }
    lines
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
        Some((by_other, since)) => {
            format!("{by}; taken up {} by {}@{}", time(since, zone), by_other.user, by_other.host)
        }
        None => by,
    }
}

fn time(at: &str, zone: &TimeZone) -> String {
    let at = at.parse::<Timestamp>().map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
    at.unwrap_or_else(|_| "at an unknown time".to_owned())
}

/// A word, and beside it what there is to say.
fn about(word: &str, text: &str) -> Vec<String> {
    let indent = COLUMN - 2;
    let lines = wrapped(text, WIDTH - COLUMN).into_iter().enumerate();
    let head = |number: usize| if number == 0 { word } else { "" };
    lines.map(|(number, line)| format!("  {:<indent$}{line}", head(number))).collect()
}

fn way(word: &str, open: &Interrupted, way: &Way) -> Vec<String> {
    let command = &open.command;
    let head = match way {
        Way::Steps(0, _) => format!("  bg {word} would do:"),
        Way::Steps(first, _) => format!("  bg {word} would go on with step {}:", first + 1),
        Way::PutBack(back) => format!("  bg {word} would put every balancer back ({back}) and end `{command}`"),
        Way::AsResume => format!("  bg {word} would do the same"),
        Way::Refused(why) => format!("  bg {word} is refused: {why}"),
    };
    let head = wrapped(&head, WIDTH - 2).into_iter().map(|line| format!("  {line}"));
    let steps = way.steps();
    let steps = steps.lines().flat_map(|line| {
        let (number, step) = line.split_at(line.find(' ').map_or(0, |_| 5.min(line.len())));
        let lines = wrapped(step, WIDTH - COLUMN).into_iter().enumerate().collect::<Vec<_>>();
        let number = number.to_owned();
        lines.into_iter().map(move |(at, line)| format!("  {:<8}{line}", if at == 0 { number.as_str() } else { "" }))
    });
    head.chain(steps).collect()
}
