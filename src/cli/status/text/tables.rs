//! The hosts in columns.

use super::{super::report::Report, Rows, folded};
use crate::cli::{
    measure::{columns, cut, one_line, padded},
    screen::Screen,
    status::seen::{BalancerSeen, PlaceSeen},
};

/// From this width on a short note stands beside its row.
const WIDE: usize = 100;
/// No column gives way below this.
const LEAST: usize = 8;
/// What is not known.
const UNKNOWN: &str = "unknown";

const GOOD: &str = "32";
const BAD: &str = "1;31";
const OPEN: &str = "33";

/// A cell and its style.
struct Cell(String, &'static str);

/// A row of a table, and what is to be said about it.
struct Row<const N: usize> {
    cells: [Cell; N],
    note: String,
}

fn plain(text: &str) -> Cell {
    Cell(text.to_owned(), "")
}

/// The servers of every half.
pub fn pools(report: &Report, screen: Screen, named: Rows) -> Vec<String> {
    let mut rows = vec![Row { cells: ["pool", "half", "host", "release", "health"].map(plain), note: String::new() }];
    for (name, pool) in &report.pools {
        for (half, places, release) in
            [("blue", &pool.blue, &report.releases.blue), ("green", &pool.green, &report.releases.green)]
        {
            let is_fine = |place: &PlaceSeen| {
                place.healthy == Some(true)
                    && place.note.is_none()
                    && place.release.is_some()
                    && place.release == *release
            };
            let is_alike = |one: &PlaceSeen, other: &PlaceSeen| match (is_fine(one), is_fine(other)) {
                (true, true) => true,
                (false, false) => {
                    named == Rows::Different && one.release == other.release && one.healthy == other.healthy
                }
                _ => false,
            };
            for places in groups(places, named, is_fine, is_alike) {
                let first = places[0];
                let release = match &first.release {
                    Some(release) => plain(release),
                    None => Cell(UNKNOWN.to_owned(), OPEN),
                };
                let (host, note) = of_several(&places, "hosts", |place| (&place.host, &place.note));
                rows.push(Row { cells: [plain(name), plain(half), plain(&host), release, health(first)], note });
            }
        }
    }
    table(&rows, screen, screen.redraws && named != Rows::All)
}

/// Those that share a row: several that are fine first, where not all are named.
fn groups<T>(all: &[T], named: Rows, is_fine: impl Fn(&T) -> bool, is_alike: impl Fn(&T, &T) -> bool) -> Vec<Vec<&T>> {
    if named == Rows::All {
        return all.iter().map(|one| vec![one]).collect();
    }
    let (fine, wrong): (Vec<&T>, Vec<&T>) = all.iter().partition(|one| is_fine(one));
    // One alone stands where the inventory has it.
    let ordered = if fine.len() > 1 { [fine, wrong].concat() } else { all.iter().collect() };
    let mut groups: Vec<Vec<&T>> = Vec::new();
    for one in ordered {
        match groups.iter_mut().find(|group| is_alike(group[0], one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// What a row calls its hosts, and what it notes: of those that are not as they should be the note of the first, and which the
/// others are.
fn of_several<'a, T>(
    all: &[&'a T],
    word: &str,
    seen: impl Fn(&'a T) -> (&'a String, &'a Option<String>),
) -> (String, String) {
    let (first, note) = seen(all[0]);
    let note = note.clone().unwrap_or_default();
    if all.len() == 1 {
        return (first.clone(), note);
    }
    let names: Vec<&str> = all.iter().skip(1).map(|one| seen(one).0.as_str()).collect();
    let note = if note.is_empty() { note } else { format!("{}; also {}", one_line(&note), names.join(", ")) };
    (format!("{} {word}", all.len()), note)
}

fn health(place: &PlaceSeen) -> Cell {
    match place.healthy {
        Some(true) => Cell("healthy".to_owned(), GOOD),
        Some(false) => Cell("NOT HEALTHY".to_owned(), BAD),
        None => Cell(UNKNOWN.to_owned(), OPEN),
    }
}

/// The balancers.
pub fn balancers(report: &Report, screen: Screen, named: Rows) -> Vec<String> {
    let mut rows = vec![Row { cells: ["balancer", "generation", "in sync"].map(plain), note: String::new() }];
    let is_fine = |balancer: &BalancerSeen| balancer.in_sync == Some(true) && balancer.note.is_none();
    let is_alike = |one: &BalancerSeen, other: &BalancerSeen| match (is_fine(one), is_fine(other)) {
        (true, true) => true,
        (false, false) => {
            named == Rows::Different
                && one.reachable == other.reachable
                && one.in_sync == other.in_sync
                && one.nginx_answers == other.nginx_answers
        }
        _ => false,
    };
    for balancers in groups(&report.balancers, named, is_fine, is_alike) {
        let first = balancers[0];
        let same = first.generation.filter(|n| balancers.iter().all(|balancer| balancer.generation == Some(*n)));
        let generation = match same {
            Some(n) => plain(&n.to_string()),
            None if first.generation.is_some() => plain(""),
            None => Cell(UNKNOWN.to_owned(), OPEN),
        };
        let sync = match (first.reachable, first.in_sync) {
            (false, _) => Cell("NO ANSWER".to_owned(), BAD),
            (_, Some(true)) => Cell("yes".to_owned(), GOOD),
            (_, Some(false)) => Cell("NO".to_owned(), BAD),
            (_, None) => Cell(UNKNOWN.to_owned(), OPEN),
        };
        let (host, note) = of_several(&balancers, "balancers", |balancer| (&balancer.host, &balancer.note));
        rows.push(Row { cells: [plain(&host), generation, sync], note });
    }
    table(&rows, screen, screen.redraws && named != Rows::All)
}

/// Columns as wide as their widest cell, the first row as heads. A short note stands beside its row where there is much room,
/// else each note has lines of its own below; a single one when it `is_brief`, which is cut where it is too long.
fn table<const N: usize>(rows: &[Row<N>], screen: Screen, is_brief: bool) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| columns(&row.cells[column].0)).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..N).map(width).collect();
    let mut all = widths.iter().sum::<usize>() + 2 * N;
    // Where lines are cut, the widest column gives way: what is known of a host stands behind its name.
    let too_much = all.saturating_sub(screen.width + 1);
    if let Some(widest) = widths.iter_mut().max().filter(|_| screen.redraws) {
        let given = too_much.min(widest.saturating_sub(LEAST));
        *widest -= given;
        all -= given;
    }
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (at, (Cell(text, style), width)) in row.cells.iter().zip(&widths).enumerate() {
            let style = if number == 0 { "2" } else { style };
            let is_last = at + 1 == N;
            let cell = if is_last { text.clone() } else { padded(&cut(text, *width, screen.glyphs.more), *width) };
            line.push_str(&if style.is_empty() { cell } else { screen.paint_out(&cell, style) });
            if !is_last {
                line.push_str("  ");
            }
        }
        let is_beside = screen.width >= WIDE && !row.note.contains('\n') && all + columns(&row.note) < screen.width;
        if is_beside && !row.note.is_empty() {
            let last = row.cells.last().zip(widths.last()).map_or(0, |(cell, width)| width - columns(&cell.0));
            line.push_str(&format!("{}  {}", " ".repeat(last), row.note));
        }
        lines.push(line);
        if !is_beside {
            let note = if is_brief { short(&row.note, screen.width.saturating_sub(5)) } else { row.note.clone() };
            let folded = if is_brief {
                Vec::from_iter(Some(note).filter(|note| !note.is_empty()))
            } else {
                folded(&note, screen.prose() - 4)
            };
            lines.extend(folded.into_iter().map(|line| format!("    {line}")));
        }
    }
    lines
}

/// A note that is cut at `width` columns: where it is wider than that it is without the address that ssh tried, and so with the
/// reason, which comes behind it.
fn short(note: &str, width: usize) -> String {
    let note = one_line(note);
    let parts = note.split_once("ssh: connect to host ").and_then(|(who, rest)| Some((who, rest.split_once(": ")?.1)));
    match parts {
        Some((who, why)) if columns(&note) > width => format!("{who}{why}"),
        _ => note,
    }
}
