//! What many hosts said, in as few pieces as there are things to say.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::some_of;

/// Hosts that are named beside the first one of which something is said.
const NAMED: usize = 10;

/// What differs by chance where hosts fail alike: how often it was tried, and from where the last try was.
static CHANCE: LazyLock<Regex> = LazyLock::new(|| {
    // A constant pattern, which the tests compile.
    Regex::new(r"\((?:once|(?<times>\d+) times)\)|seen from `(?<from>[^`]+)`").expect("a valid pattern")
});

/// What was said of one host.
struct Said {
    host: String,
    text: String,
    /// The text with marks for the host's name and for what differs by chance.
    shape: String,
}

impl Said {
    fn new(host: String, text: String) -> Said {
        let shape = without(&CHANCE.replace_all(&text, "\0"), &host);
        Said { host, text, shape }
    }
}

/// Each message with the host that it is about, those that differ only in their host's name and by chance as one: the first
/// of them, and then the other hosts. Their order is kept.
pub fn alike(all: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut groups: Vec<Vec<Said>> = Vec::new();
    for (host, text) in all {
        let said = Said::new(host, text);
        match groups.iter_mut().find(|group| group[0].shape == said.shape) {
            Some(group) => group.push(said),
            None => groups.push(vec![said]),
        }
    }
    groups.iter().map(|group| together(group)).collect()
}

fn together(group: &[Said]) -> String {
    let [first, others @ ..] = group else { return String::new() };
    let mut names: Vec<String> = Vec::new();
    for other in others {
        let name = format!("`{}`", other.host);
        // A host may be several places.
        if other.host != first.host && !names.contains(&name) {
            names.push(name);
        }
    }
    // Of texts of one shape the same number of things differ, in the same order.
    let mut chances: Vec<_> = group.iter().map(|said| CHANCE.captures_iter(&said.text)).collect();
    let text = CHANCE.replace_all(&first.text, |_: &Captures<'_>| {
        let all: Vec<Captures<'_>> = chances.iter_mut().filter_map(Iterator::next).collect();
        // Each one was seen from itself: so was the first.
        let is_own =
            |(said, found): (&Said, &Captures<'_>)| found.name("from").is_some_and(|from| from.as_str() == said.host);
        if group.iter().zip(&all).all(is_own) { all[0][0].to_owned() } else { all_chances(&all) }
    });
    if names.is_empty() {
        return text.into_owned();
    }
    // What a host is quoted with has lines of its own.
    let between = if text.contains('\n') { "\nThe" } else { "; the" };
    format!("{}{between} same on {}", text.trim_end_matches('.'), some_of(&names, NAMED))
}

/// `(12 to 15 times)`, ``seen from `lb1` and `lb2` ``.
fn all_chances(all: &[Captures<'_>]) -> String {
    let mut from: Vec<&str> = all.iter().filter_map(|found| Some(found.name("from")?.as_str())).collect();
    if !from.is_empty() {
        from.sort_unstable();
        from.dedup();
        return format!("seen from `{}`", from.join("` and `"));
    }
    let times = all.iter().map(|found| found.name("times").and_then(|times| times.as_str().parse().ok()).unwrap_or(1));
    let (least, most): (u64, u64) = times.fold((u64::MAX, 0), |(least, most), n| (least.min(n), most.max(n)));
    match (least, most) {
        (_, 1) => "(once)".to_owned(),
        (least, most) if least == most => format!("({most} times)"),
        (least, most) => format!("({least} to {most} times)"),
    }
}

/// `text` with a mark where the name of the host stands, not as a part of another name.
fn without(text: &str, host: &str) -> String {
    if host.is_empty() {
        return text.to_owned();
    }
    let of_name = |char: char| char.is_alphanumeric() || "-_".contains(char);
    let goes_on = |rest: &str| {
        let mut chars = rest.chars();
        match chars.next() {
            Some('.') => chars.next().is_some_and(of_name),
            char => char.is_some_and(of_name),
        }
    };
    let (mut shape, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(host) {
        let (before, after) = (&rest[..at], &rest[at + host.len()..]);
        shape.push_str(before);
        let is_part = before.chars().next_back().is_some_and(|char| of_name(char) || char == '.') || goes_on(after);
        shape.push_str(if is_part { host } else { "\u{1}" });
        rest = after;
    }
    shape.push_str(rest);
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(all: &[(&str, &str)]) -> Vec<String> {
        alike(all.iter().map(|(host, text)| ((*host).to_owned(), (*text).to_owned())))
    }

    #[test]
    fn what_differs_only_in_the_hosts_name_and_in_how_often_is_said_once() {
        let unhealthy = |host: &str, times: &str| {
            let text = format!(
                "`{host}` did not become healthy: GET / answered 503 ({times}), seen from `lb1`:\n  {{\"host\":\"{host}\"}}"
            );
            (host.to_owned(), text)
        };
        let all = (2..=16).map(|number| unhealthy(&format!("web{number}"), &format!("{} times", 70 + number % 3)));
        let wanted = "`web2` did not become healthy: GET / answered 503 (70 to 72 times), seen from `lb1`:\n  {\"host\":\"web2\"}\n\
                      The same on `web3`, `web4`, `web5`, `web6`, `web7`, `web8`, `web9`, `web10`, `web11`, `web12` and 4 more";
        assert_eq!(alike(all), [wanted]);
        let once = alike([unhealthy("web2", "once"), unhealthy("web4", "once")]);
        assert!(once[0].contains("503 (once), seen") && once[0].ends_with("\nThe same on `web4`"), "{once:?}");
        let some = alike([unhealthy("web2", "3 times"), unhealthy("web4", "once")]);
        assert!(some[0].contains("503 (1 to 3 times), seen"), "{some:?}");
        let elsewhere = ("web4".to_owned(), unhealthy("web4", "3 times").1.replace("lb1", "lb2"));
        let both = alike([unhealthy("web2", "3 times"), elsewhere, unhealthy("web6", "3 times")]);
        assert!(both[0].contains("503 (3 times), seen from `lb1` and `lb2`:\n"), "{both:?}");
    }

    #[test]
    fn hosts_that_look_at_themselves_are_alike() {
        let own = |host: &str| (host.to_owned(), format!("`{host}`: `true` failed, seen from `{host}`"));
        assert_eq!(alike([own("a"), own("b")]), ["`a`: `true` failed, seen from `a`; the same on `b`"]);
    }

    #[test]
    fn what_differs_in_anything_else_stays() {
        let all = [("a", "`a` ended with 1"), ("b", "`b` ended with 3"), ("c", "`c` ended with 1"), ("d", "`d`: no a")];
        assert_eq!(said(&all), ["`a` ended with 1; the same on `c`", "`b` ended with 3", "`d`: no a"]);
        let quoted = [("a", "`a`: failed:\n  disk 1"), ("b", "`b`: failed:\n  disk 2")];
        assert_eq!(said(&quoted), quoted.map(|(_, text)| text));
        let once = [("a", "`a` failed (of 3)"), ("b", "`b` failed (of 4)")];
        assert_eq!(said(&once), once.map(|(_, text)| text));
    }

    #[test]
    fn a_name_is_not_found_inside_of_another_one() {
        let all = [("web1", "`web1`: see web10 and web1.net"), ("web2", "`web2`: see web20 and web2.net")];
        assert_eq!(said(&all), all.map(|(_, text)| text));
        let end = [("web1", "`web1`: no answer of web1."), ("web2", "`web2`: no answer of web2.")];
        assert_eq!(said(&end), ["`web1`: no answer of web1; the same on `web2`"]);
    }

    #[test]
    fn two_places_of_one_host_are_one() {
        assert_eq!(said(&[("a", "`a` is silent"), ("a", "`a` is silent")]), ["`a` is silent"]);
    }
}
