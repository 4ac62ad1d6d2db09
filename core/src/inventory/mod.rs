//! The checked inventory: what one site is. [`parse`] turns TOML into it, or into every error at once.

mod canary;
mod deploy;
mod digest;
mod etcd;
mod finding;
mod health;
mod journal;
mod keys;
mod pattern;
mod places;
mod pools;
mod ranges;
mod reader;
mod scalar;
mod sections;
mod segments;
mod types;
mod words;

pub use canary::{CanaryErrors, parse_canary, parse_percent};
pub use finding::{Finding, Findings, Located};
pub use keys::{Default, Key, Kind, SECTIONS, Section, reference};
pub use scalar::{parse_duration, spoken_duration};
pub use types::*;
pub use words::{Words, fill};

#[cfg(test)]
mod tests;

use toml::de::DeTable;

use reader::{Sink, Table};

/// A commented inventory to start from; it parses.
pub const EXAMPLE: &str = include_str!("../../../inventory/example.toml");

/// No inventory is longer: ten thousand servers, each with a table of its own, take one megabyte.
const MAX_BYTES: usize = 8 << 20;

/// A journal's location as `[site] journal` says it, given on the command line.
///
/// # Errors
/// Says what is wrong, in one line.
pub fn parse_location(text: &str) -> Result<JournalLocation, String> {
    journal::location(text).map_err(|wrong| wrong.of(text))
}

/// Reads and checks an inventory. `name` is its short name, for the journal's default place `file:.bg/<name>`; `file` is
/// what the findings call it; `text` is its content.
///
/// # Errors
/// Everything that is wrong, at once. (A text that is no TOML has one finding: the first syntax error.)
pub fn parse(name: &str, file: &str, text: &str) -> Result<Inventory, Findings> {
    let failed = |findings| Err(Findings::new(file, text, findings));
    if text.len() > MAX_BYTES {
        let message = format!("the inventory has {} bytes; {MAX_BYTES} are allowed", text.len());
        return failed(vec![Finding { message, label: String::new(), help: None, span: 0..0 }]);
    }
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let message = format!("this is no TOML: {}", error.message().replace('\n', ", "));
            return failed(vec![Finding { message, label: String::new(), help: None, span }]);
        }
    };
    let sink = Sink::new(text);
    let inventory = sections::inventory(name, Table::root(&sink, document.get_ref()));
    let findings = sink.into_findings();
    if findings.is_empty() { Ok(inventory) } else { failed(findings) }
}
