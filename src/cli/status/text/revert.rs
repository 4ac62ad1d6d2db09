//! Traffic that goes back by itself, in words.

use jiff::{SignedDuration, Timestamp};

use super::wrapped;
use crate::{
    cli::{screen::Screen, status::revert::Revert},
    engine::clock,
};

/// What of it people read.
pub fn block(revert: &Revert, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    match &revert.went_back {
        Some(said) => {
            lines.push(format!("{said}."));
            if revert.balancers.iter().any(|balancer| balancer.state != "reverted") {
                lines.push("The next command takes the other balancers back too.".to_owned());
            }
        }
        None => {
            let at = revert.at.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
            let when = at.map(|at| format!(" at {}{}", clock(at), distance(at.duration_since(Timestamp::now()))));
            let when = when.unwrap_or_default();
            lines.push(format!("goes back by itself{when} unless `bg confirm` comes before"));
        }
    }
    let lines = lines.iter().flat_map(|line| wrapped(line, 78)).map(|line| screen.paint_out(&line, "1;33"));
    let odd = revert
        .balancers
        .iter()
        .filter_map(|balancer| Some(wrapped(&format!("{}: {}", balancer.host, about(balancer.state)?), 76)));
    lines.chain(odd.flatten().map(|line| format!("  {line}"))).collect()
}

/// ` (in 6 min)`; nothing when it is over.
fn distance(left: SignedDuration) -> String {
    match left.as_secs() {
        ..1 => String::new(),
        seconds @ 1..120 => format!(" (in {seconds} s)"),
        seconds => format!(" (in {} min)", seconds / 60),
    }
}

/// What is worth saying of one balancer.
fn about(state: &str) -> Option<&'static str> {
    match state {
        "timer gone" => Some("its timer is gone (a reboot?), so it does not go back by itself"),
        "overdue" => Some("overdue: its time is up and it did not go back; `bg flip --back` does it"),
        "confirmed" => Some("confirmed: it stays"),
        "not switched" => Some("not switched"),
        "superseded" => Some("runs something later"),
        "unknown" => Some("not known, for it gives no answer"),
        _ => None,
    }
}
