//! A request that `limit_req` delays is counted nowhere and then goes where it was first decided: a drain waits this first.

use std::collections::HashMap;

use super::Dump;

/// A rate that nginx takes when none is given: one request a second, in thousandths.
const DEFAULT_RATE: u64 = 1_000;

/// The longest delay, in milliseconds, that any `limit_req` of the configuration can impose on a request: (burst − delay) ÷
/// rate, 0 with `nodelay` or without a burst. nginx takes the longest of several that apply, so they do not add up.
pub fn longest_limit_req_delay_ms(dump: &Dump) -> u64 {
    let mut rates: HashMap<String, u64> = HashMap::new();
    let mut limits = Vec::new();
    for http in dump.http() {
        http.walk(&mut |directive| match directive.name.as_str() {
            "limit_req_zone" => {
                let zone = value(&directive.args, "zone=").and_then(|zone| zone.split(':').next());
                let rate = value(&directive.args, "rate=").and_then(rate).unwrap_or(DEFAULT_RATE);
                rates.extend(zone.map(|zone| (zone.to_owned(), rate)));
            }
            "limit_req" => limits.push(&directive.args),
            _ => {}
        });
    }
    limits.iter().map(|args| delay_ms(args, &rates)).max().unwrap_or(0)
}

fn delay_ms(args: &[String], rates: &HashMap<String, u64>) -> u64 {
    if args.iter().any(|arg| arg == "nodelay") {
        return 0;
    }
    let number = |prefix| value(args, prefix).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let waiting = number("burst=").saturating_sub(number("delay="));
    let rate = value(args, "zone=").and_then(|zone| rates.get(zone)).copied().unwrap_or(DEFAULT_RATE);
    waiting.saturating_mul(1_000_000).div_ceil(rate.max(1))
}

fn value<'a>(args: &'a [String], prefix: &str) -> Option<&'a str> {
    args.iter().find_map(|arg| arg.strip_prefix(prefix))
}

/// `10r/s` or `30r/m` in thousandths of a request per second, as nginx counts.
fn rate(text: &str) -> Option<u64> {
    let (number, seconds) = match (text.strip_suffix("r/s"), text.strip_suffix("r/m")) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 60),
        (None, None) => return None,
    };
    number.parse::<u64>().ok().map(|number| number.saturating_mul(1_000) / seconds)
}
