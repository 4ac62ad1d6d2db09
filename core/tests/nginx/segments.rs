//! Which segment a request belongs to, and what sticks to a half.

use std::collections::BTreeSet;

use bluegreen_core::inventory::{CanaryKey, Condition};
use bluegreen_core::traffic::Traffic;

use crate::rig::{Rig, Written, split};
use crate::samples::segment;

fn segment_of(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> String {
    let host = if headers.iter().any(|(name, _)| *name == "Host") { vec![] } else { vec![("Host", "www.example.net")] };
    let answer = rig.get_with(path, &[host.as_slice(), headers].concat());
    answer.header("X-Segment").unwrap_or_default().to_owned()
}

/// Path, headers, and the segment.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn the_first_segment_whose_conditions_all_hold_wins() {
    let change = |shop: &mut bluegreen_core::inventory::Inventory| {
        let here = Condition::Address(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let elsewhere = Condition::Address(vec!["10.0.0.0/8".parse().unwrap()]);
        shop.segments = vec![
            segment("never", vec![elsewhere, Condition::Path("/".into())]),
            segment(
                "staff",
                vec![here, Condition::Header("x-beta".into(), "^(1|yes)$".into()), Condition::Path("^/in/$".into())],
            ),
            segment("beta", vec![Condition::Cookie("beta".into(), "^on$".into())]),
            segment("odd", vec![Condition::Cookie("my-id.x".into(), "^a b$".into())]),
            segment("partner", vec![Condition::Host(r"^partner\.example\.net$".into())]),
            segment("mobile", vec![Condition::UserAgent("(?i)android|iphone".into())]),
        ];
    };
    let captures = "location ~ ^/cap/(.*)$ { return 200 $1; }";
    let traffic = split(&[("mobile", 100), ("all", 0)], 0);
    let rig = Written::new(change, captures, "").start(&traffic);
    let table: [Case<'_>; 14] = [
        ("/", &[], "all"),
        ("/", &[("User-Agent", "An iPHONE")], "mobile"),
        ("/", &[("User-Agent", "An iPHONE"), ("Host", "PARTNER.example.net:80")], "partner"),
        ("/", &[("Host", "xpartner.example.net")], "all"),
        ("/", &[("Cookie", "a=1; beta=on; c=2")], "beta"),
        ("/", &[("Cookie", "xbeta=on")], "all"),
        ("/", &[("Cookie", "beta=on; my-id.x=a b")], "beta"),
        ("/", &[("Cookie", "z=1; my-id.x=a b")], "odd"),
        ("/", &[("Cookie", "my-idxx=a b")], "all"),
        ("/in/", &[("X-Beta", "yes")], "staff"),
        ("/in/?q=1", &[("X-Beta", "yes")], "staff"),
        ("/%69n//", &[("X-Beta", "yes")], "staff"),
        ("/in/", &[("X-Beta", "no")], "all"),
        ("/out/", &[("X-Beta", "yes"), ("User-Agent", "android")], "mobile"),
    ];
    for (path, headers, expected) in table {
        assert_eq!(segment_of(&rig, path, headers), expected, "{path} {headers:?}");
    }
    // A matching segment does not empty the captures of the user's locations.
    assert_eq!(rig.get("/cap/kept", "iphone").body, "kept");
}

#[test]
fn a_site_without_segments_has_all() {
    let rig = Written::new(|shop| shop.segments.clear(), "", "").start(&split(&[("all", 10_000)], 0));
    assert_eq!(segment_of(&rig, "/", &[]), "all");
    assert_eq!(rig.get("/", "x").server(), "web-green");
}

/// The servers that 60 clients see who differ in what `headers` makes of their number.
fn servers(rig: &Rig, headers: impl Fn(usize) -> Vec<(&'static str, String)>) -> Vec<String> {
    let get = |client: usize| {
        let headers = headers(client);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        rig.get_with("/", &[&[("Host", "x")], headers.as_slice()].concat()).server().to_owned()
    };
    (0..60).map(get).collect()
}

fn halves(servers: &[String]) -> usize {
    servers.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn the_key_sticks_and_falls_back_to_the_client() {
    let half: Traffic = split(&[("mobile", 0), ("all", 5_000)], 0);
    let keys = [
        (CanaryKey::Cookie("uid".into()), "Cookie", "uid="),
        (CanaryKey::Cookie("visitor-id".into()), "Cookie", "visitor-id="),
        (CanaryKey::Header("x-user".into()), "X-User", ""),
    ];
    for (key, header, prefix) in keys {
        let rig = Written::new(|shop| shop.canary_key = key.clone(), "", "").start(&half);
        let agent = |client: usize| ("User-Agent", format!("desk {client}"));
        let keyed = servers(&rig, |client| vec![(header, format!("{prefix}{client}"))]);
        assert_eq!(halves(&keyed), 2, "{key:?}: other keys, other halves");
        let moved = servers(&rig, |client| vec![(header, format!("{prefix}{client}")), agent(client)]);
        assert_eq!(moved, keyed, "{key:?}: the key alone decides");
        let without = servers(&rig, |client| vec![agent(client)]);
        let empty = servers(&rig, |client| vec![(header, prefix.to_owned()), agent(client)]);
        assert_eq!(without, empty, "{key:?}: an empty key is a missing one");
        assert_eq!(halves(&without), 2, "{key:?}: without it, clients differ");
    }
}
