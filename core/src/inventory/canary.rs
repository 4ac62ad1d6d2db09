//! `SEGMENT=PERCENT` as it is given to `bg canary` and `bg deploy --canary`.

use std::collections::HashMap;

use super::finding::{did_you_mean, quoted};
use super::types::Inventory;
use crate::traffic::{ALL_SEGMENT, SegmentShare, Share};

/// Everything that is wrong with a canary's arguments, one line each; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryErrors(pub Vec<String>);

impl std::fmt::Display for CanaryErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for CanaryErrors {}

/// A share such as `10`, `10%` or `0.25%`.
///
/// # Errors
/// Says what is wrong: no number, outside 0 ..= 100, or finer than 0.01.
pub fn parse_percent(text: &str) -> Result<Share, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    if !digits(unsigned) || !digits(fraction) {
        return Err(format!("{} is no percentage: write a number such as `10%` or `0.25%`", quoted(text)));
    }
    let out_of_range = || format!("{} is outside 0–100%", quoted(text));
    if unsigned.len() != whole.len() {
        return Err(out_of_range());
    }
    if fraction.len() > 2 {
        return Err(format!("{} is finer than 0.01%", quoted(text)));
    }
    let hundredths = format!("{whole}{fraction:0<2}").parse::<u16>().ok().and_then(Share::from_hundredths);
    hundredths.ok_or_else(out_of_range)
}

/// The shares of all segments of the inventory, in its order with `all` last. A segment that is not named gets the
/// share of `all`, which is 0 unless named.
///
/// # Errors
/// Everything that is wrong, at once: no or unknown segments, one twice, bad percentages, nothing but 0%.
pub fn parse_canary(inventory: &Inventory, args: &[String]) -> Result<Vec<SegmentShare>, CanaryErrors> {
    let mut errors = Vec::new();
    let mut named: HashMap<&str, Share> = HashMap::new();
    let mut names: Vec<&str> = inventory.segments.iter().map(|segment| segment.name.as_str()).collect();
    names.push(ALL_SEGMENT);
    for arg in args {
        let Some((segment, percent)) = arg.split_once('=') else {
            errors.push(format!("{} is no SEGMENT=PERCENT, such as `{}=10%`", quoted(arg), names[0]));
            continue;
        };
        if !names.contains(&segment) {
            errors.push(unknown(segment, &names));
        }
        match parse_percent(percent) {
            Err(error) => errors.push(error),
            Ok(share) if named.insert(segment, share).is_some() => {
                errors.push(format!("the segment {} is named twice", quoted(segment)));
            }
            Ok(_) => {}
        }
    }
    if args.is_empty() {
        errors.push(format!("a canary names at least one segment, such as `{}=10%`", names[0]));
    } else if errors.is_empty() && named.values().all(|share| *share == Share::NONE) {
        errors.push("a canary of nothing but 0% is none: run `bg canary off`".to_owned());
    }
    if !errors.is_empty() {
        return Err(CanaryErrors(errors));
    }
    let rest = named.get(ALL_SEGMENT).copied().unwrap_or(Share::NONE);
    let share =
        |name: &&str| SegmentShare { segment: (*name).to_owned(), green: named.get(*name).copied().unwrap_or(rest) };
    Ok(names.iter().map(share).collect())
}

fn unknown(segment: &str, names: &[&str]) -> String {
    let hint = did_you_mean(segment, names.iter().copied())
        .unwrap_or_else(|| format!("the inventory has {}", names.join(", ")));
    format!("there is no segment {}: {hint}", quoted(segment))
}
