//! Traffic that goes back by itself, in words.

use jiff::{SignedDuration, Timestamp};

use super::folded;
use crate::{
    cli::{
        screen::Screen,
        status::revert::{LATE_S, Revert},
    },
    edge::journal::words::duration,
    engine::clock,
};

/// What of it people read. `open`: the command that was interrupted; nothing is confirmed before it is finished.
pub fn block(revert: &Revert, open: Option<&str>, screen: Screen, now: Timestamp) -> Vec<String> {
    let (title, hint) = match &revert.went_back {
        Some(said) => (format!("{said}."), after_one(revert)),
        None => {
            let at = revert.at.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
            title(at, revert, open, now)
        }
    };
    let painted = |text: &str| {
        folded(&screen.named(text), screen.prose()).into_iter().map(|line| screen.paint_out(&line, "1;33"))
    };
    let odd = revert.balancers.iter().filter_map(|balancer| {
        Some(folded(&format!("{}: {}", balancer.host, about(balancer.state)?), screen.prose() - 2))
    });
    let odd = odd.flatten().map(|line| format!("  {line}"));
    painted(&title).chain(odd).chain(hint.iter().flat_map(|hint| painted(hint))).collect()
}

/// One went back, and every other one is to follow.
fn after_one(revert: &Revert) -> Option<String> {
    let all = revert.balancers.iter().all(|balancer| balancer.state == "reverted");
    (!all).then(|| {
        "The next command takes the other balancers back too: `bg sync` does only that. If the new traffic is still wanted, make \
         the shift again after it."
            .to_owned()
    })
}

/// Before any is seen to have gone back; with what to do, when they should have.
fn title(at: Option<Timestamp>, revert: &Revert, open: Option<&str>, now: Timestamp) -> (String, Option<String>) {
    let unless = match open {
        Some(command) => {
            format!("where it was switched, unless `bg resume` finishes `{command}` and then `bg confirm` comes before")
        }
        None => "unless `bg confirm` comes before".to_owned(),
    };
    let Some(at) = at else { return (format!("goes back by itself {unless}"), None) };
    let left = at.duration_since(now);
    if left > SignedDuration::ZERO {
        let left = duration(left.unsigned_abs());
        return (format!("goes back by itself at {} (in {left}) {unless}", clock(at)), None);
    }
    let is_any = |state: &str| revert.balancers.iter().any(|balancer| balancer.state == state);
    if is_any("armed") && left.as_secs() >= -LATE_S {
        return (format!("its time is up ({}): it goes back by itself at any moment", clock(at)), None);
    }
    let ago = duration(left.unsigned_abs());
    let title =
        format!("was to go back by itself at {} ({ago} ago), and no balancer is known to have done it", clock(at));
    let keeps = if open.is_some() { "`bg resume`, and then `bg confirm`," } else { "`bg confirm`" };
    let silent = match is_any("unknown") {
        true => "; a balancer that gives no answer may have gone back: bring it back first",
        false => "",
    };
    (title, Some(format!("{keeps} keeps this traffic, `bg flip --back` takes all of it to blue{silent}.")))
}

/// What is worth saying of one balancer.
fn about(state: &str) -> Option<&'static str> {
    match state {
        "timer gone" => Some("its timer is gone (a reboot?), so it does not go back by itself"),
        "overdue" => Some("overdue: its time is up and it did not go back"),
        "confirmed" => Some("confirmed: it stays"),
        "not switched" => Some("not switched"),
        "superseded" => Some("runs something later"),
        "unknown" => Some("not known, for it gives no answer"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::revert::BalancerRevert;

    const AT: &str = "2026-01-01T12:00:00Z";

    fn shown(states: &[&'static str], seconds: i64, went_back: Option<&str>) -> String {
        shown_while(None, states, seconds, went_back)
    }

    fn shown_while(open: Option<&str>, states: &[&'static str], seconds: i64, went_back: Option<&str>) -> String {
        let balancer =
            |(number, state): (usize, &&'static str)| BalancerRevert { host: format!("lb{}", number + 1), state };
        let balancers = states.iter().enumerate().map(balancer).collect();
        let went_back = went_back.map(ToOwned::to_owned);
        let revert = Revert { at: Some(AT.to_owned()), generation: 3, balancers, went_back };
        let now = AT.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
        let lines = block(&revert, open, Screen::bare("bluegreen", false), now);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        lines.join("\n").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_time_that_is_over_is_told_as_such_with_what_to_do() {
        let before = shown(&["armed", "armed"], -90, None);
        assert!(before.contains("(in 90 s) unless `bluegreen confirm` comes before"), "{before}");
        let open = shown_while(Some("flip"), &["armed", "not switched"], -90, None);
        let said =
            "where it was switched, unless `bluegreen resume` finishes `flip` and then `bluegreen confirm` comes";
        assert!(open.contains(said), "{open}");
        let now = shown(&["armed", "armed"], 3, None);
        assert!(now.starts_with("its time is up (") && !now.contains("confirm"), "{now}");
        let over = shown(&["overdue", "overdue"], 300, None);
        assert!(over.starts_with("was to go back by itself at ") && over.contains("(5 min ago)"), "{over}");
        assert!(over.ends_with("`bluegreen flip --back` takes all of it to blue."), "{over}");
        let unasked = shown(&["unknown"], 300, None);
        assert!(unasked.contains("not known, for it gives no answer") && unasked.ends_with("bring it back first."));
    }

    #[test]
    fn one_hint_says_what_to_do_when_one_went_back_and_another_did_not() {
        let said = shown(&["reverted", "overdue"], 300, Some("`flip` was not confirmed there in time"));
        assert_eq!(said.matches("`bluegreen ").count(), 1, "{said}");
        assert!(said.contains("lb2: overdue") && said.contains("`bluegreen sync` does only that"), "{said}");
        assert!(!shown(&["reverted"], 300, Some("`flip` was not confirmed there in time")).contains("sync"));
    }
}
