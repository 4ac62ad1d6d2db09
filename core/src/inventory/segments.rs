//! `[segments.*]`: named slices of requests.

use super::reader::{Table, Value, Wrong};
use super::types::{Condition, Segment};
use super::{pattern, scalar, sections};
use crate::nginx::limits::{self, LimitError};

/// Each segment costs every request a look; more than this is taken for a slip.
const MAX_SEGMENTS: usize = 64;

/// The segments in the order of the file.
pub(super) fn segments(file: &Table<'_>, site: &str) -> Vec<Segment> {
    let Some(table) = file.get("segments").and_then(|segments| segments.table()) else { return Vec::new() };
    let entries = table.entries();
    if let Some(entry) = entries.get(MAX_SEGMENTS) {
        entry.wrong_key(Wrong::new("is too many segments", format!("a site has at most {MAX_SEGMENTS}")));
    }
    entries.iter().filter_map(|entry| segment(entry, site)).collect()
}

fn segment(entry: &Value<'_>, site: &str) -> Option<Segment> {
    check_name(entry, |name| limits::segment_name(site, name));
    let table = entry.table()?;
    let mut conditions = Vec::new();
    let mut regex = |key, condition: fn(String) -> Condition| {
        conditions.extend(table.get(key).and_then(|value| value.string(pattern::pcre)).map(condition));
    };
    regex("user_agent", Condition::UserAgent);
    regex("path", Condition::Path);
    regex("host", Condition::Host);
    let headers = named(&table, "header", scalar::nginx_header_name);
    conditions.extend(headers.into_iter().map(|(name, regex)| Condition::Header(name, regex)));
    let cookies = named(&table, "cookie", scalar::cookie_name);
    conditions.extend(cookies.into_iter().map(|(name, regex)| Condition::Cookie(name, regex)));
    if let Some(address) = table.get("address") {
        let networks = sections::networks(&address);
        if networks.as_ref().is_some_and(Vec::is_empty) && address.array().is_some_and(|all| all.is_empty()) {
            address.wrong(Wrong::new("is empty", "needs at least one network"));
        }
        conditions.extend(networks.map(Condition::Address));
    }
    if table.entries().is_empty() {
        let known = "user_agent, header.NAME, cookie.NAME, path, host or address";
        table.wrong(Wrong::new("has no condition", "would match every request").help(format!("add {known}")));
    }
    table.finish("segments.NAME");
    Some(Segment { name: entry.key.to_owned(), conditions })
}

/// `header.NAME = regex`: the entries of a table of regexes.
fn named(table: &Table<'_>, key: &'static str, check: impl Fn(&str) -> Result<String, Wrong>) -> Vec<(String, String)> {
    let Some(table) = table.get(key).and_then(|value| value.table()) else { return Vec::new() };
    let mut regexes: Vec<(String, String)> = Vec::new();
    if table.entries().is_empty() {
        table.wrong(Wrong::new("is empty", "needs at least one name and its regex"));
    }
    for entry in table.entries() {
        let name = check(entry.key).map_err(|wrong| entry.wrong_key(wrong)).ok();
        let regex = entry.string(pattern::pcre);
        let (Some(name), Some(regex)) = (name, regex) else { continue };
        if regexes.iter().any(|(other, _)| *other == name) {
            entry.wrong_key(Wrong::new("stands here twice", "upper and lower case are the same here"));
        }
        regexes.push((name, regex));
    }
    regexes
}

/// Checks the name of a pool or a segment, which is the entry's key; `fits` is nginx's own opinion.
/// Returns whether it passes.
pub(super) fn check_name(entry: &Value<'_>, fits: impl FnOnce(&str) -> Result<(), LimitError>) -> bool {
    let checked = scalar::name(entry.key).and_then(|name| scalar::nginx(fits(&name)));
    checked.map_err(|wrong| entry.wrong_key(wrong)).is_ok()
}
