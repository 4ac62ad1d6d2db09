//! The hosts in columns.

use super::{super::report::Report, wrapped};
use crate::cli::{
    measure::{columns, cut, one_line, padded},
    screen::Screen,
    status::seen::PlaceSeen,
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

/// The servers. `is_counted`: those of a half that are as they should be are counted and not named.
pub fn pools(report: &Report, screen: Screen, is_counted: bool) -> Vec<String> {
    let mut rows = vec![Row { cells: ["pool", "half", "host", "release", "health"].map(plain), note: String::new() }];
    for (name, pool) in &report.pools {
        for (half, places, release) in
            [("blue", &pool.blue, &report.releases.blue), ("green", &pool.green, &report.releases.green)]
        {
            let is_fine = |place: &&PlaceSeen| {
                place.healthy == Some(true)
                    && place.note.is_none()
                    && place.release.is_some()
                    && place.release == *release
            };
            let fine: Vec<&PlaceSeen> = places.iter().filter(is_fine).collect();
            let folded = is_counted && fine.len() > 1;
            let row = |host: &str, place: &PlaceSeen| {
                let release = match &place.release {
                    Some(release) => plain(release),
                    None => Cell(UNKNOWN.to_owned(), OPEN),
                };
                let note = place.note.clone().unwrap_or_default();
                Row { cells: [plain(name), plain(half), plain(host), release, health(place)], note }
            };
            if let Some(first) = fine.first().filter(|_| folded) {
                rows.push(row(&format!("{} hosts", fine.len()), first));
            }
            let each = places.iter().filter(|place| !folded || !is_fine(place));
            rows.extend(each.map(|place| row(&place.host, place)));
        }
    }
    table(&rows, screen, is_counted)
}

fn health(place: &PlaceSeen) -> Cell {
    match place.healthy {
        Some(true) => Cell("healthy".to_owned(), GOOD),
        Some(false) => Cell("NOT HEALTHY".to_owned(), BAD),
        None => Cell(UNKNOWN.to_owned(), OPEN),
    }
}

/// The balancers, `is_counted` as above.
pub fn balancers(report: &Report, screen: Screen, is_counted: bool) -> Vec<String> {
    let mut rows = vec![Row { cells: ["balancer", "generation", "in sync"].map(plain), note: String::new() }];
    let fine: Vec<_> = report.balancers.iter().filter(|b| b.in_sync == Some(true) && b.note.is_none()).collect();
    let folded = is_counted && fine.len() > 1;
    if folded {
        let many = plain(&format!("{} balancers", fine.len()));
        let first = fine[0].generation.filter(|n| fine.iter().all(|balancer| balancer.generation == Some(*n)));
        let cells = [many, plain(&first.map(|n| n.to_string()).unwrap_or_default()), Cell("yes".to_owned(), GOOD)];
        rows.push(Row { cells, note: String::new() });
    }
    for balancer in report.balancers.iter().filter(|b| !folded || !fine.iter().any(|fine| fine.host == b.host)) {
        let generation = balancer.generation.map_or_else(|| Cell(UNKNOWN.to_owned(), OPEN), |n| plain(&n.to_string()));
        let sync = match (balancer.reachable, balancer.in_sync) {
            (false, _) => Cell("NO ANSWER".to_owned(), BAD),
            (_, Some(true)) => Cell("yes".to_owned(), GOOD),
            (_, Some(false)) => Cell("NO".to_owned(), BAD),
            (_, None) => Cell(UNKNOWN.to_owned(), OPEN),
        };
        let note = balancer.note.clone().unwrap_or_default();
        rows.push(Row { cells: [plain(&balancer.host), generation, sync], note });
    }
    table(&rows, screen, is_counted)
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
            let note = if is_brief { one_line(&row.note) } else { row.note.clone() };
            let folded = if is_brief {
                Vec::from_iter(Some(note).filter(|note| !note.is_empty()))
            } else {
                wrapped(&note, screen.prose() - 4)
            };
            lines.extend(folded.into_iter().map(|line| format!("    {line}")));
        }
    }
    lines
}
