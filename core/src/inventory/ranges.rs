//! Numeric ranges in host names: `lb[1-2].example.net` is two hosts, `web[01-12]` twelve with two digits each.

use std::ops::Range;

use super::reader::Wrong;
use super::scalar;

/// One pattern stands for at most this many hosts; more is taken for a slip.
const MAX_HOSTS: usize = 4_096;
/// A host name has at most 253 characters, and ranges make it shorter, not longer, by more than a few.
const MAX_PATTERN: usize = 300;

enum Part<'a> {
    Text(&'a str),
    Numbers { first: u32, last: u32, width: usize },
}

/// The hosts that a pattern stands for, in order, the last range running fastest; each is a valid host.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, Wrong> {
    if pattern.len() > MAX_PATTERN {
        return Err(Wrong::new("is too long", "a host name has at most 253 characters"));
    }
    let parts = parts(pattern)?;
    if let [Part::Text(_)] | [] = parts[..] {
        return Ok(vec![scalar::host(pattern)?]);
    }
    let sizes = parts.iter().map(|part| match part {
        Part::Text(_) => 1,
        Part::Numbers { first, last, .. } => (last - first) as usize + 1,
    });
    let count = sizes.fold(1_usize, usize::saturating_mul);
    if count > MAX_HOSTS {
        return Err(Wrong::new("is too many hosts", format!("one pattern stands for at most {MAX_HOSTS} hosts")));
    }
    let mut hosts = vec![String::new()];
    for part in &parts {
        hosts = match part {
            Part::Text(text) => hosts.into_iter().map(|host| host + text).collect(),
            Part::Numbers { first, last, width } => {
                let numbered = |host: &String| -> Vec<String> {
                    (*first..=*last).map(|number| format!("{host}{number:0width$}")).collect()
                };
                hosts.iter().flat_map(numbered).collect()
            }
        };
    }
    // The first and the longest stand for all: the hosts differ in digits only.
    for host in hosts.first().into_iter().chain(hosts.last()) {
        scalar::host(host).map_err(|wrong| wrong.whole())?;
    }
    Ok(hosts)
}

fn parts(pattern: &str) -> Result<Vec<Part<'_>>, Wrong> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(open) = pattern[at..].find(['[', ']']).map(|found| at + found) {
        let wrong = |label: &str, at: Range<usize>| {
            Wrong::new("is not a range of hosts", label).help("such as `web[1-3]`").at(at)
        };
        let close = pattern[open..].find(']').map(|found| open + found);
        let Some(close) = close.filter(|close| *close > open) else {
            let label = if pattern[open..].starts_with(']') { "was not opened" } else { "is never closed" };
            return Err(wrong(label, open..open + 1));
        };
        if open > at {
            parts.push(Part::Text(&pattern[at..open]));
        }
        let inside = &pattern[open + 1..close];
        parts.push(numbers(inside).map_err(|label| wrong(&label, open..close + 1))?);
        at = close + 1;
    }
    if at < pattern.len() {
        parts.push(Part::Text(&pattern[at..]));
    }
    Ok(parts)
}

fn numbers(inside: &str) -> Result<Part<'_>, String> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let ends = inside.split_once('-').and_then(|(first, last)| Some((first, last, number(first)?, number(last)?)));
    let Some((first_text, last_text, first, last)) = ends else {
        return Err("two numbers with a `-` between them".to_owned());
    };
    if first > last {
        return Err(format!("{first_text} is greater than {last_text}"));
    }
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    if (padded(first_text) || padded(last_text)) && first_text.len() != last_text.len() {
        return Err("with leading zeros both numbers need the same length".to_owned());
    }
    let width = if padded(first_text) || padded(last_text) { first_text.len() } else { 0 };
    Ok(Part::Numbers { first, last, width })
}
