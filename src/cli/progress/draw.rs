//! The picture of the work under way: a pure function of what is known, the terminal's size and the time.

use std::time::{Duration, Instant};

use super::{
    seconds,
    tree::{Host, Now, Part, Standing, Tree, bytes_of},
};
use crate::{
    cli::{
        measure::{Line, columns, cut, folded, one_line, padded},
        terminal::{Glyphs, Size},
    },
    engine::Doing,
};

/// What is over so soon is not worth a flash on the screen.
const UNNOTICED: Duration = Duration::from_millis(300);
/// A bar's cells where the line has room for it.
const BAR: usize = 20;
/// From this width on there is.
const WIDE: usize = 70;
/// Between two pictures of the mark that turns.
const TURN: Duration = Duration::from_millis(100);

/// Bounds that differ by less are one.
const SAME: Duration = Duration::from_secs(5);

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// The lines to be drawn. None is wider than the terminal less one column, where the cursor stays, and with the line that the
/// cursor is on they are fewer than its rows.
pub fn draw(tree: &Tree, size: Size, now: Instant, glyphs: &Glyphs) -> Vec<Line> {
    let elapsed = now.saturating_duration_since(tree.since);
    let may_be_soon_over = matches!(tree.now, Now::Begins | Now::Runs(_));
    if matches!(tree.now, Now::Between) || may_be_soon_over && elapsed < UNNOTICED {
        return Vec::new();
    }
    let width = size.width.saturating_sub(1).max(1);
    let room = size.height.saturating_sub(2).max(1);
    let mut lines = vec![head(tree, width, elapsed, now, glyphs)];
    lines.extend(whole(tree, width));
    let left = room.saturating_sub(lines.len());
    lines.extend(hosts(&tree.hosts, Size { width, height: left }, (now, until(tree)), glyphs));
    lines.truncate(room);
    lines.into_iter().map(|line| line.spelled(glyphs).cut(width, glyphs.more)).collect()
}

fn head(tree: &Tree, width: usize, elapsed: Duration, now: Instant, glyphs: &Glyphs) -> Line {
    let turn = usize::try_from(elapsed.as_millis() / TURN.as_millis()).unwrap_or_default();
    let mark = glyphs.turning[turn % glyphs.turning.len()];
    let (number, words) = match &tree.now {
        Now::Step { number, of, words } => (format!("[{number}/{of}] "), words.as_str()),
        Now::Runs(words) => (String::new(), words.as_str()),
        Now::Waits(_) => (String::new(), "waiting for the lock"),
        Now::PutsBack => (String::new(), "putting every balancer back"),
        Now::Begins | Now::Between => (String::new(), "getting ready"),
    };
    let time = format!("  {}", seconds(elapsed));
    let bound = until(tree).map(|until| format!("  {}", left(until, now)));
    let mut bound = bound.unwrap_or_default();
    let taken = 2 + columns(&number) + columns(&time);
    // What is done comes before when it is given up.
    if taken + columns(words).min(20) + columns(&bound) > width {
        bound.clear();
    }
    let words = cut(words, width.saturating_sub(taken + columns(&bound)), glyphs.more);
    Line::default()
        .with(mark, CYAN)
        .with(" ", "")
        .with(&number, DIM)
        .with(&words, BOLD)
        .with(&time, "")
        .with(&bound, DIM)
}

/// When the last of what is under way is given up.
fn until(tree: &Tree) -> Option<Instant> {
    let parts = tree.hosts.iter().flat_map(|host| &host.parts);
    tree.whole.as_ref().and_then(|whole| whole.until).or_else(|| parts.filter_map(|part| part.until).max())
}

/// What is said of the whole.
fn whole(tree: &Tree, width: usize) -> Vec<Line> {
    let text = match (&tree.now, &tree.whole) {
        (Now::Waits(text), _) => text.clone(),
        (_, Some(Part { doing: Doing::Says(text), .. })) => one_line(text),
        _ => return Vec::new(),
    };
    folded(&text, width.saturating_sub(4)).iter().map(|line| Line::plain("    ").with(line, DIM)).collect()
}

/// A line for each host that has something to say; where not all find room, those that are not done come first.
fn hosts(all: &[Host], size: Size, times: (Instant, Option<Instant>), glyphs: &Glyphs) -> Vec<Line> {
    let all: Vec<&Host> = all.iter().filter(|host| !host.is_quiet()).collect();
    let mut shown: Vec<&Host> = all.iter().copied().filter(|host| !host.parts.is_empty()).collect();
    if shown.is_empty() || size.height == 0 {
        return Vec::new();
    }
    let is_all = shown.len() == all.len() && shown.len() <= size.height;
    if !is_all {
        if shown.len() >= size.height {
            shown.sort_by_key(|host| host.standing());
        }
        shown.truncate(size.height - 1);
    }
    let most = (size.width / 3).max(8);
    let names = shown.iter().map(|host| columns(&host.name)).max().unwrap_or(0).min(most);
    let mut lines: Vec<Line> = shown.iter().map(|host| line(host, names, size.width, times, glyphs)).collect();
    if !is_all {
        lines.push(Line::plain("    ").with(&others(&all, &shown, glyphs), DIM));
    }
    lines
}

/// `… and 43 more hosts, 12 of them done`.
fn others(all: &[&Host], shown: &[&Host], glyphs: &Glyphs) -> String {
    let rest = all.iter().filter(|host| !shown.iter().any(|shown| shown.name == host.name));
    let (count, done) =
        rest.fold((0, 0), |(count, done), host| (count + 1, done + usize::from(host.standing() == Standing::Done)));
    let hosts = if count == 1 { "host" } else { "hosts" };
    let done = match done {
        0 => String::new(),
        done if done == count => ", done".to_owned(),
        done => format!(", {done} of them done"),
    };
    format!("{} and {count} more {hosts}{done}", glyphs.more)
}

fn line(host: &Host, names: usize, width: usize, times: (Instant, Option<Instant>), glyphs: &Glyphs) -> Line {
    let (mark, style) = match host.standing() {
        Standing::Done => (glyphs.done, GREEN),
        Standing::Failed => (glyphs.failed, RED),
        Standing::Failing | Standing::Working | Standing::Silent => (" ", ""),
    };
    let name = padded(&cut(&host.name, names, glyphs.more), names);
    let start = Line::plain("  ").with(mark, style).with(" ", "").with(&name, "").with("  ", "");
    parts(host, start, width, times, glyphs)
}

/// What is said of each part of a host, behind `line`. `now`, and when the last part of any host is given up.
pub fn parts(
    host: &Host,
    mut line: Line,
    width: usize,
    (now, last): (Instant, Option<Instant>),
    glyphs: &Glyphs,
) -> Line {
    let said = host.parts.iter().filter(|part| !part.is_quiet());
    for (number, part) in said.enumerate() {
        if number > 0 {
            line = line.with(&format!(" {} ", glyphs.dot), DIM);
        }
        if host.parts.len() > 1
            && let Some(name) = &part.name
        {
            line = line.with(&format!("{name}: "), DIM);
        }
        let bar = if width >= WIDE && host.parts.len() == 1 { BAR } else { 0 };
        line = doing(part, line, bar, glyphs);
        // Most have the same bound as the whole, which the head says.
        let own = part.until.filter(|until| last.is_some_and(|last| last.duration_since(*until) > SAME));
        if let Some(until) = own {
            line = line.with(&format!("  {}", left(until, now)), DIM);
        }
    }
    line
}

fn doing(part: &Part, line: Line, cells: usize, glyphs: &Glyphs) -> Line {
    match &part.doing {
        Doing::Says(text) => line.with(&one_line(text), ""),
        Doing::Done(text) => line.with(&one_line(text), DIM),
        Doing::Failed(text) => line.with(&one_line(text), RED),
        Doing::Sends { done, of } => {
            let (full, empty) = bar(*done, *of, cells, glyphs);
            let percent = done.saturating_mul(100).checked_div(*of).unwrap_or(100).min(100);
            let gap = if cells > 0 { "  " } else { "" };
            let then = if done >= of { "  unpacking" } else { "" };
            let text = format!("{gap}{percent:>3}%  {}{then}", bytes_of(*done, *of));
            line.with(&full, GREEN).with(&empty, DIM).with(&text, "")
        }
        Doing::Checks { done, of, said } => {
            let line = line.with(&format!("healthy {done}/{of}"), "");
            match said {
                Some(said) => line.with(&format!(" {} ", glyphs.dot), DIM).with(&one_line(said), YELLOW),
                None => line,
            }
        }
    }
}

/// The full and the empty part of a bar. Something is never drawn as nothing, nor as everything before it is.
pub fn bar(done: u64, of: u64, cells: usize, glyphs: &Glyphs) -> (String, String) {
    let all = cells as u64;
    let full = match of {
        0 => all,
        _ if done >= of => all,
        _ if done == 0 => 0,
        _ => (done.saturating_mul(all) / of).clamp(1, all.saturating_sub(1).max(1)),
    };
    let full = usize::try_from(full).unwrap_or(cells).min(cells);
    (glyphs.full.repeat(full), glyphs.empty.repeat(cells - full))
}

/// How long it goes on at the most.
fn left(until: Instant, now: Instant) -> String {
    let left = until.saturating_duration_since(now);
    if left.is_zero() {
        return "its time is up".to_owned();
    }
    // Rounded up: a bound that is shown is never shorter than the real one.
    match left.as_secs() + u64::from(left.subsec_nanos() > 0) {
        secs @ 0..120 => format!("at most {secs} s more"),
        secs => format!("at most {} min more", secs.div_ceil(60)),
    }
}
