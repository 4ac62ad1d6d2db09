//! Durations of the command line; that of `--wait` may be left out, in front of words that are none.

use std::{ffi::OsString, time::Duration};

use bluegreen_core::inventory::parse_duration;

/// `--wait` without a duration: longer than the commands that are ahead take together, and no longer than a job of a CI may
/// last where nobody looks.
pub const WAIT: &str = "1h";
/// The bounds of `--wait`.
const LEAST_WAIT_MS: u64 = 1_000;
const MOST_WAIT_MS: u64 = 7 * 24 * 3_600_000;

/// Reads the duration.
pub fn wait(text: &str) -> Result<Duration, String> {
    parse_duration(text, LEAST_WAIT_MS, MOST_WAIT_MS).map(Duration::from_millis)
}

/// The bounds of `status --timeout`: asking takes some time, and nobody waits for minutes.
const LEAST_ANSWER_MS: u64 = 100;
const MOST_ANSWER_MS: u64 = 10 * 60_000;

/// The value of `status --timeout`.
pub fn answer(text: &str) -> Result<Duration, String> {
    parse_duration(text, LEAST_ANSWER_MS, MOST_ANSWER_MS).map(Duration::from_millis)
}

/// The bounds of `exec --timeout`: up to a week.
const LEAST_RUN_MS: u64 = 1_000;
const MOST_RUN_MS: u64 = 7 * 24 * 3_600_000;

/// The value of `exec --timeout`; a number alone is seconds.
pub fn run(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if is_number { format!("{text}s") } else { text.to_owned() };
    parse_duration(&text, LEAST_RUN_MS, MOST_RUN_MS).map(Duration::from_millis)
}

/// Whether the word behind `--wait` is its duration, and not what else the command takes: shares, hosts, another option.
fn is_duration(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && word.bytes().skip(digits).all(|byte| byte.is_ascii_alphabetic())
}

/// The same words, with the duration written out behind every `--wait` that has none: `canary --wait all=5%` waits as long as
/// by default, and takes the share for a share.
pub fn with_durations(words: &[OsString]) -> Vec<OsString> {
    let mut all = Vec::with_capacity(words.len());
    let options = words.iter().position(|word| word == "--").unwrap_or(words.len());
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).filter(|_| at + 1 < options).and_then(|next| next.to_str());
        if word == "--wait" && at < options && !next.is_some_and(is_duration) {
            all.push(OsString::from(format!("--wait={WAIT}")));
        } else {
            all.push(word.clone());
        }
    }
    all
}
