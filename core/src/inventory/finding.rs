//! What is wrong with an inventory, each with its place in the text, and how that is shown.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// What stands left of a note's text: the line's number, ` = note: `.
const BEFORE_NOTE: usize = 15;
/// Notes are not folded narrower than this, whatever the terminal.
const LEAST: usize = 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, with the key in backticks; one line.
    pub message: String,
    /// Stands under the underlined text; may be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The offending bytes of the inventory's text.
    pub span: Range<usize>,
}

/// Everything that is wrong with one inventory, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    file: String,
    text: String,
    findings: Vec<Finding>,
}

/// A finding as machines want it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The file as it was named to `parse`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What stands under the underlined text.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Findings {
    /// `findings` (at least one) about `text`, which is called `file`.
    pub(super) fn new(file: &str, text: &str, mut findings: Vec<Finding>) -> Findings {
        findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
        Findings { file: file.to_owned(), text: text.to_owned(), findings }
    }

    /// The findings in the order of the text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.findings.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.findings.len()
    }

    /// The findings with line and column instead of bytes, for `--json`.
    pub fn located(&self) -> Vec<Located> {
        let lines = Lines::of(&self.text);
        let located = self.findings.iter().map(|finding| {
            let (line, column) = lines.position(&self.text, finding.span.start);
            let Finding { message, label, help, .. } = finding.clone();
            Located { file: self.file.clone(), line, column, message, label, help }
        });
        located.collect()
    }

    /// One block per finding: message, file:line:column, the line with the text underlined, label and help.
    pub fn render(&self, color: bool) -> String {
        self.render_within(color, usize::MAX)
    }

    /// The same for a terminal of `width` columns: a label that does not find room behind what it is about is a note below.
    pub fn render_within(&self, color: bool, width: usize) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let lines = Lines::of(&self.text);
        let blocks: Vec<String> =
            self.findings.iter().map(|finding| self.block(finding, &lines, &renderer, width)).collect();
        blocks.join("\n\n") + "\n"
    }

    /// Only the finding's first line is handed to the renderer: it reads all of what it gets, for every finding.
    fn block(&self, finding: &Finding, lines: &Lines, renderer: &Renderer, width: usize) -> String {
        let (line, _) = lines.position(&self.text, finding.span.start);
        let (start, end) = lines.bounds(&self.text, line);
        let from = finding.span.start.clamp(start, end) - start;
        let to = finding.span.end.clamp(start + from, end) - start;
        let source = &self.text[start..end];
        // The line's number and a bar stand before it.
        let under = line.to_string().len() + 3 + source[..to].chars().count() + 1;
        let is_beside = under + finding.label.chars().count() < width;
        let mark = AnnotationKind::Primary.span(from..to).label(if is_beside { finding.label.as_str() } else { "" });
        let snippet = Snippet::source(source).path(self.file.as_str()).line_start(line).annotation(mark);
        let mut group: Group = Level::ERROR.primary_title(finding.message.as_str()).element(snippet);
        let room = width.saturating_sub(BEFORE_NOTE).max(LEAST);
        if !is_beside {
            group = group.element(Level::NOTE.message(folded(&finding.label, room)));
        }
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(folded(help, room)));
        }
        renderer.render(&[group])
    }
}

/// Text in lines of at most `width` columns, as far as its words allow.
fn folded(text: &str, width: usize) -> String {
    let mut folded = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let is_full = column > 0 && column + 1 + word.chars().count() > width;
        if column > 0 {
            folded.push(if is_full { '\n' } else { ' ' });
        }
        column = if is_full || column == 0 { 0 } else { column + 1 } + word.chars().count();
        folded.push_str(word);
    }
    folded
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Findings {}

/// Where each line of a text begins.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(after_breaks).collect())
    }

    /// The line, from 1, that holds a byte.
    pub(super) fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, text: &str, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let before = text.get(self.0[line - 1]..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The bytes of a line (from 1) without its line break.
    fn bounds(&self, text: &str, line: usize) -> (usize, usize) {
        let start = self.0[line - 1];
        let end = self.0.get(line).map_or(text.len(), |next| next - 1);
        (start, end - usize::from(text[start..end].ends_with('\r')))
    }
}

/// `text` in backticks for a message: on one line, without control characters, not longer than 60 characters.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    shown = shown.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// "did you mean …" for the candidate that is nearest to `text`, when one is near.
pub(super) fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Nobody mistypes that much; and the comparison is quadratic in the length.
    if text.len() > 100 {
        return None;
    }
    let near = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(text, candidate), candidate));
    let (score, best) = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.75).then(|| format!("did you mean `{best}`?"))
}

/// `a`, `b` or `c`.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
