//! Template words: `{{ release }}` and its like in artifact, root, restart, service and run.
//!
//! Only plain words are replaced; everything else is the user's own text and passes through, `${#x}` of a shell and
//! braces of awk included. That is why these lines are not given to the template engine of the nginx files.

use std::ops::Range;

use super::finding::{did_you_mean, one_of, quoted};
use super::reader::Wrong;

/// The values of the template words; an empty one is not known, and a text that uses it cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// The release's label.
    pub release: String,
    /// The release's number, such as `v7`.
    pub version: String,
    /// The site's name.
    pub site: String,
    /// The pool's name.
    pub pool: String,
    /// `blue` or `green`.
    pub half: String,
    /// The place's host.
    pub host: String,
    /// The place's port.
    pub port: String,
}

/// All template words.
pub(super) const ALL: [&str; 7] = ["release", "version", "site", "pool", "half", "host", "port"];
/// Words of an artifact: a release has one for each pool, whatever the host.
pub(super) const OF_RELEASE: [&str; 4] = ["release", "version", "site", "pool"];
/// Words of a root: it outlives releases.
pub(super) const OF_PLACE: [&str; 5] = ["site", "pool", "half", "host", "port"];

impl Words {
    fn get(&self, word: &str) -> Option<&str> {
        let value = match word {
            "release" => &self.release,
            "version" => &self.version,
            "site" => &self.site,
            "pool" => &self.pool,
            "half" => &self.half,
            "host" => &self.host,
            "port" => &self.port,
            _ => return None,
        };
        (!value.is_empty()).then_some(value)
    }
}

/// `text` with every `{{ word }}` replaced.
///
/// # Errors
/// A word that does not exist or has no value here, or a `{{` that is never closed. (A text of a checked inventory has
/// neither of the first and the last.)
pub fn fill(text: &str, words: &Words) -> Result<String, String> {
    let mut filled = String::new();
    let mut at = 0;
    for found in scan(text) {
        let Found { word, span } = found.map_err(|span| format!("{} is never closed", quoted(&text[span])))?;
        filled.push_str(&text[at..span.start]);
        filled.push_str(words.get(word).ok_or_else(|| format!("{} has no value here", quoted(&text[span.clone()])))?);
        at = span.end;
    }
    filled.push_str(&text[at..]);
    Ok(filled)
}

/// Checks that `text` uses no word but these.
pub(super) fn check(text: &str, allowed: &[&str]) -> Result<(), Wrong> {
    for found in scan(text) {
        let wrong = |what: &str, label: String| Wrong::new(what, label);
        let Found { word, span } =
            found.map_err(|span| wrong("is not a template", "is never closed".to_owned()).at(span))?;
        if allowed.contains(&word) {
            continue;
        }
        let known = format!("here stand {}", one_of(allowed.iter().copied()));
        return Err(if ALL.contains(&word) {
            wrong("uses a word that has no value here", known).at(span)
        } else {
            let wrong = wrong("uses an unknown template word", known).at(span);
            match did_you_mean(word, allowed.iter().copied()) {
                Some(help) => wrong.help(help),
                None => {
                    wrong.help("a template is a plain word such as `{{ site }}`; what needs more belongs into a script")
                }
            }
        });
    }
    match text.find("{%") {
        Some(at) => Err(Wrong::new("is not a template", "only plain words such as `{{ site }}` are filled in")
            .help("what needs more belongs into a script")
            .at(at..at + 2)),
        None => Ok(()),
    }
}

struct Found<'a> {
    word: &'a str,
    /// With the braces.
    span: Range<usize>,
}

/// Every `{{ … }}`; an error holds the place of one that is never closed, and is the last.
fn scan(text: &str) -> Vec<Result<Found<'_>, Range<usize>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        let Some(close) = text[open..].find("}}").map(|found| open + found) else {
            found.push(Err(open..open + 2));
            break;
        };
        found.push(Ok(Found { word: text[open + 2..close].trim(), span: open..close + 2 }));
        at = close + 2;
    }
    found
}
