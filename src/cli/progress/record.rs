//! What stays on the screen when something is over.

use std::time::Instant;

use super::{
    draw, seconds,
    tree::{Host, Kept},
};
use crate::cli::{
    measure::{Line, columns, folded, padded},
    terminal::Glyphs,
};

/// Where what belongs to a step begins.
const INDENT: usize = 6;
/// Hosts of a failed step that are named one by one: what follows says the reasons in full.
const NAMED: usize = 8;

/// The lines that stay, none wider than `width`.
pub fn record(kept: &Kept, width: usize, glyphs: &Glyphs) -> Vec<Line> {
    match kept {
        Kept::Text(text) => folded(text, width).iter().map(|line| Line::plain(line)).collect(),
        Kept::Step { is_done, number, words, elapsed, hosts, notes, left } => {
            let (mark, style) = if *is_done { (glyphs.done, "32") } else { (glyphs.failed, "1;31") };
            let number = number.map(|(number, of)| format!("[{number}/{of}] ")).unwrap_or_default();
            let hosts = match hosts {
                0 => String::new(),
                1 => "  1 host".to_owned(),
                hosts => format!("  {hosts} hosts"),
            };
            let mut lines = title(mark, style, &number, words, &format!("  {}{hosts}", seconds(*elapsed)), width);
            let mut notes = notes.iter().peekable();
            if let Some(note) = notes.next_if(|note| notes_fit(&lines, note, width))
                && let Some(last) = lines.pop()
            {
                lines.push(last.with(&format!("  {note}"), "2"));
            }
            for note in notes {
                lines.extend(below(note, width));
            }
            let named = &left[..left.len().min(NAMED)];
            let names = named.iter().map(|host| columns(&host.name)).max().unwrap_or(0).min(width / 3);
            lines.extend(named.iter().map(|host| last_of(host, names, width, glyphs)));
            if left.len() > NAMED {
                lines.extend(below(&format!("{} and {} more hosts", glyphs.more, left.len() - NAMED), width));
            }
            lines
        }
    }
}

/// Whether a note finds room behind the title.
fn notes_fit(lines: &[Line], note: &str, width: usize) -> bool {
    let last = lines.last().map_or(0, Line::columns);
    lines.len() == 1 && !note.contains('\n') && last + 2 + columns(note) <= width
}

fn title(mark: &str, style: &'static str, number: &str, words: &str, after: &str, width: usize) -> Vec<Line> {
    let start = Line::default().with(mark, style).with(" ", "").with(number, "2");
    let whole = start.clone().with(words, "").with(after, "2");
    if whole.columns() <= width {
        return vec![whole];
    }
    // The time is never parted from its unit.
    let column = start.columns();
    let after = after.trim();
    let mut lines: Vec<Line> = Vec::new();
    for text in folded(words, width.saturating_sub(column)) {
        let line = if lines.is_empty() { start.clone() } else { Line::plain(&" ".repeat(column)) };
        lines.push(line.with(&text, ""));
    }
    match lines.pop() {
        Some(last) if last.columns() + 2 + columns(after) <= width => {
            lines.push(last.with("  ", "").with(after, "2"));
        }
        last => {
            lines.extend(last);
            lines.push(Line::plain(&" ".repeat(column)).with(after, "2"));
        }
    }
    lines
}

fn below(text: &str, width: usize) -> Vec<Line> {
    let indent = " ".repeat(INDENT.min(width / 2));
    let lines = folded(text, width.saturating_sub(indent.len()));
    lines.iter().map(|line| Line::plain(&indent).with(line, "2")).collect()
}

/// What was known last of a host that did not get through; the end of the command says it in full.
fn last_of(host: &Host, names: usize, width: usize, glyphs: &Glyphs) -> Line {
    let name = padded(&host.name, names);
    let start = Line::plain(&" ".repeat(INDENT.min(width / 2))).with(&name, "").with("  ", "");
    draw::parts(host, start, 0, (Instant::now(), None), glyphs).spelled(glyphs).cut(width, glyphs.more)
}
