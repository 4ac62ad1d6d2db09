//! `status` for people: as wide as their terminal, in 80 columns where there is none.

mod interrupted;
mod journey;
mod revert;
mod tables;

use bluegreen_core::rollout::{Stage, Verb};
use jiff::{Timestamp, tz::TimeZone};

use super::{journal::Blind, report::Report};
use crate::{
    cli::{
        measure::{cut_painted, folded},
        screen::Screen,
    },
    engine::{sentence, typed},
};

/// Changes of the last hour that are shown; JSON has all of them.
const SHOWN: usize = 12;
/// So many of them are worth more than the names of hosts that are well.
const FEW: usize = 3;

/// Which hosts have a row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Every one.
    All,
    /// Those that are not as they should be; the others are counted.
    Wrong,
    /// None of which the same is to be said as of another.
    Different,
}

/// How much is said.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// Which hosts are named.
    rows: Rows,
    /// The next commands stand in one line.
    is_short: bool,
    /// Of an interrupted command only that it is.
    is_brief: bool,
    /// So many changes of the last hour.
    recent: usize,
}

/// Everything.
const ALL: Amount = Amount { rows: Rows::All, is_short: false, is_brief: false, recent: SHOWN };

/// The report as text; `zone` is the reader's.
pub fn render(report: &Report, screen: Screen, zone: &TimeZone) -> String {
    // What is too wide is folded by the terminal, not cut.
    let screen = Screen { redraws: false, ..screen };
    lines(report, screen, zone, ALL).join("\n")
}

/// The same for a terminal of that height: where all of it is higher, it says less of what is well and of what was, so that where
/// the site stands does not scroll away. What is wrong, and what an interrupted command left, is said in full all the same.
pub fn render_on(report: &Report, screen: Screen, zone: &TimeZone, height: usize) -> String {
    let screen = Screen { redraws: false, ..screen };
    let ways = [(Rows::All, false), (Rows::Wrong, false), (Rows::Wrong, true)];
    // What happened last is worth more than the name of each host that is well.
    let amounts = [FEW..=SHOWN, 0..=FEW - 1].into_iter().flat_map(|recents| {
        ways.into_iter().flat_map(move |(rows, is_short)| {
            recents.clone().rev().map(move |recent| Amount { rows, is_short, is_brief: false, recent })
        })
    });
    let more = screen.paint_out(&screen.named("`bg status -v` shows every host"), "2");
    let count = |rows| lines(report, screen, zone, Amount { rows, ..ALL }).len();
    let is_folded = count(Rows::Wrong) < count(Rows::All);
    let with_more = |amount: Amount| {
        let more = (is_folded && amount.rows != Rows::All).then(|| more.clone());
        lines(report, screen, zone, amount).into_iter().chain(more).collect::<Vec<_>>()
    };
    // Where it scrolls all the same, what leads on stands above the prompt.
    let least = |is_short| Amount { rows: Rows::Wrong, is_short, is_brief: false, recent: 0 };
    let said = amounts.map(with_more).find(|lines| lines.len() <= height);
    // The last line may take the prompt's second row: what scrolls away then is what was typed.
    let said = said.or_else(|| Some(with_more(least(true))).filter(|lines| lines.len() <= height + 1));
    said.unwrap_or_else(|| lines(report, screen, zone, least(false))).join("\n")
}

/// As many lines as `height` has room for, none wider than the terminal: less is said of what is well, and then it is cut.
pub fn render_within(report: &Report, screen: Screen, zone: &TimeZone, height: usize) -> Vec<String> {
    let screen = Screen { redraws: true, ..screen };
    // Every host by its name is worth more than a word on each command, and that more than what changed. What leads on is
    // worth more than the name of each host that is wrong.
    let ways = [(Rows::All, false), (Rows::All, true), (Rows::Wrong, false), (Rows::Wrong, true)];
    let amounts = ways.into_iter().flat_map(|(rows, is_short)| {
        (0..=SHOWN).rev().map(move |recent| Amount { rows, is_short, is_brief: false, recent })
    });
    let least = Amount { rows: Rows::Different, is_short: true, is_brief: true, recent: 0 };
    let brief = Amount { rows: Rows::Wrong, ..least };
    let mut said = amounts.chain([brief, least]).map(|amount| lines(report, screen, zone, amount));
    // Blank lines go before anything that leads on does.
    let mut close = [brief, least].into_iter().map(|amount| closer(lines(report, screen, zone, amount), height));
    let shown = said.find(|lines| lines.len() <= height).or_else(|| close.find(|lines| lines.len() <= height));
    let mut shown = shown.unwrap_or_else(|| closer(lines(report, screen, zone, least), height));
    if shown.len() > height {
        let more = shown.len() - height.saturating_sub(1);
        shown.truncate(height.saturating_sub(1));
        shown.push(screen.paint_out(&format!("{} and {more} more lines", screen.glyphs.more), "2"));
    }
    let cut = |line: String| cut_painted(&screen.named(&line), screen.width.saturating_sub(1), screen.glyphs.more);
    shown.into_iter().map(cut).collect()
}

/// Without as many of the blank lines as are too many for `height`, from the top.
fn closer(mut lines: Vec<String>, height: usize) -> Vec<String> {
    let mut over = lines.len().saturating_sub(height);
    lines.retain(|line| {
        let goes = over > 0 && line.is_empty();
        over -= usize::from(goes);
        !goes
    });
    lines
}

fn lines(report: &Report, screen: Screen, zone: &TimeZone, amount: Amount) -> Vec<String> {
    let next = if amount.is_short { next_short(report, screen) } else { next(report, screen) };
    let recent = recent(report, screen, zone, amount.recent);
    let blocks = [
        notice(report, screen),
        head(report, screen),
        tables::pools(report, screen, amount.rows),
        tables::balancers(report, screen, amount.rows),
        open(report, screen, zone, amount.is_brief),
        next,
        recent,
    ];
    let blocks: Vec<Vec<String>> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    // Blocks hold lines of text and, in a quotation, several at once.
    let text = blocks.iter().map(|block| block.join("\n")).collect::<Vec<_>>().join("\n\n");
    text.lines().map(ToOwned::to_owned).collect()
}

/// Why no journal says where the site stands, and what to do: before anything that is shown without it.
fn notice(report: &Report, screen: Screen) -> Vec<String> {
    if report.blind.is_none() {
        return Vec::new();
    }
    let mut lines: Vec<String> = journal(report, screen).iter().map(|line| screen.paint_out(line, "1;33")).collect();
    if let Some(then) = &report.then {
        lines.extend(folded(&screen.named(&format!("{then}.")), screen.prose()));
    }
    lines
}

/// What is wrong with the journal.
fn journal(report: &Report, screen: Screen) -> Vec<String> {
    let stop = if report.then.is_some() { "." } else { "" };
    report.journal.iter().flat_map(|problem| folded(&format!("journal: {problem}{stop}"), screen.prose())).collect()
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
        lines.push(String::new());
        lines.extend(journey::journey(stage, screen));
    }
    if report.stage.is_none() && report.blind.is_none() {
        return lines;
    }
    lines.push(String::new());
    for (number, line) in
        report.traffic_words.iter().flat_map(|words| folded(words, screen.prose().saturating_sub(10))).enumerate()
    {
        lines.push(format!("{:<10}{line}", if number == 0 { "traffic" } else { "" }));
    }
    lines.extend(journey::shares(&report.shares, screen));
    let release = |release: &Option<String>| release.clone().unwrap_or_else(|| "unknown".to_owned());
    lines.push(format!(
        "releases  blue {} {} green {}",
        release(&report.releases.blue),
        screen.glyphs.dot,
        release(&report.releases.green)
    ));
    lines
}

fn open(report: &Report, screen: Screen, zone: &TimeZone, is_brief: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if report.blind.is_none() {
        lines.extend(journal(report, screen));
    }
    if let Some(differs) = report.inventory_differs {
        let said = format!("inventory: {differs}. {}.", sentence(report.inventory_then.unwrap_or_default()));
        lines.extend(folded(&screen.named(&said), screen.prose()).iter().map(|line| screen.paint_out(line, "1;33")));
    }
    lines.extend(locked(report, screen));
    if let Some(revert) = &report.revert {
        let open = report.interrupted.as_ref().map(|open| open.command.as_str());
        lines.extend(revert::block(revert, open.filter(|command| *command != "confirm"), screen, Timestamp::now()));
    }
    if let Some(open) = &report.interrupted {
        lines.extend(if is_brief { interrupted::brief(open, screen) } else { interrupted::block(open, screen, zone) });
    }
    lines
}

/// What stands in the way of the next command.
fn locked(report: &Report, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let warning = |text: &str| {
        folded(text, screen.prose()).into_iter().map(|line| screen.paint_out(&line, "1;33")).collect::<Vec<_>>()
    };
    let Some(lock) = &report.lock else { return lines };
    // Of a copy it was said already.
    if lock.manual && lock.copy_of.is_none() && !lock.is_unreadable {
        lines.extend(warning(&lock.text));
    }
    if let Some(under_way) = &report.under_way {
        let text = if lock.manual { under_way } else { &lock.text };
        lines.extend(folded(&format!("a command is under way: {text}"), screen.prose()));
    }
    for waits in &lock.waiting {
        lines.extend(folded(&format!("waiting for the lock: {}", waits.text), screen.prose()));
    }
    lines
}

/// The commands that make sense next, with a word on each; a second one is what an interrupted command says already.
fn next_words(report: &Report) -> Vec<(String, &'static str)> {
    if matches!(report.blind, Some(Blind::Moved | Blind::Outdated)) {
        // Nothing that is typed here leads on, whoever holds its lock.
        return Vec::new();
    }
    if let Some(lock) = report.lock.as_ref().filter(|lock| lock.manual) {
        return match &lock.copy_of {
            // What is to be done was said above.
            _ if lock.is_unreadable => Vec::new(),
            Some(_) => vec![("journal copy".to_owned(), "finish the copy")],
            None => vec![("unlock".to_owned(), "let commands begin again")],
        };
    }
    let open = report.interrupted.iter().flat_map(|open| open.next.iter());
    let others =
        report.next.iter().filter(|word| report.interrupted.as_ref().is_none_or(|open| !open.next.contains(word)));
    let is_armed = report.revert.as_ref().is_some_and(|revert| revert.went_back.is_none());
    let is_refused = report.interrupted.is_some() || report.under_way.is_some() || report.inventory_differs.is_some();
    let confirm = (is_armed && !is_refused).then_some("confirm");
    let words = confirm.into_iter().chain(open.chain(others).map(String::as_str));
    let (stage, is_open) = (report.stage, report.interrupted.is_some());
    words.map(|word| (usage(word).to_owned(), about(word, stage, is_open))).collect()
}

fn next(report: &Report, screen: Screen) -> Vec<String> {
    let words = next_words(report);
    if words.is_empty() {
        return Vec::new();
    }
    let width = words.iter().map(|(word, _)| word.len() + 2).max().unwrap_or(0).max(14);
    let line = |(word, about): (String, &str)| {
        // Painted without the blanks that follow, and the name where it can be replaced by the one that was called.
        let gap = " ".repeat(width - word.len());
        match screen.color {
            true => format!("  {}{gap}{about}", screen.paint_out(&format!("{} {word}", screen.called), "1")),
            false => format!("  bg {word}{gap}{about}"),
        }
    };
    ["next".to_owned()].into_iter().chain(words.into_iter().map(line)).collect()
}

fn next_short(report: &Report, screen: Screen) -> Vec<String> {
    let words: Vec<String> = next_words(report).into_iter().map(|(word, _)| format!("`bg {word}`")).collect();
    if words.is_empty() {
        Vec::new()
    } else {
        folded(&screen.named(&format!("next: {}", words.join(" · "))), screen.prose())
    }
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

/// The last `most` changes of the last hour.
fn recent(report: &Report, screen: Screen, zone: &TimeZone, most: usize) -> Vec<String> {
    if report.recent.is_empty() || most == 0 {
        return Vec::new();
    }
    let earlier = report.recent.len().saturating_sub(most);
    let mut lines = vec![format!("last hour{}", and_before(earlier))];
    for change in report.recent.iter().skip(earlier) {
        let at = change.at.parse::<Timestamp>().ok();
        let at = at.map_or_else(String::new, |at| at.to_zoned(zone.clone()).strftime("%H:%M").to_string());
        let user = change.by.split('@').next().unwrap_or_default();
        for (number, line) in folded(&change.what, screen.prose().saturating_sub(16).max(20)).into_iter().enumerate() {
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
mod tests;
