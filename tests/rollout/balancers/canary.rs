//! Who is in a canary: shares are replaced and grow, another tenth in the next rollout, every kind of segment.

use std::collections::BTreeSet;

use bg_playground::{Answer, request};

use super::*;

/// So many clients of each kind are asked.
const CLIENTS: usize = 300;

fn agent(kind: &str, number: usize) -> String {
    format!("{kind} client/{number}")
}

/// The clients of a kind that green answers, asked at alternating balancers.
fn on_green(site: &Playground, kind: &str) -> BTreeSet<usize> {
    let green = |number: &usize| half(site, ["lb1", "lb2"][number % 2], &agent(kind, *number)) == "green";
    (0..CLIENTS).filter(green).collect()
}

/// Whether so many of [`CLIENTS`] are `percent`, four standard deviations either way.
#[track_caller]
fn assert_about(clients: &BTreeSet<usize>, percent: f64) {
    let (all, part) = (CLIENTS as f64, percent / 100.0);
    let tolerance = 4.0 * (all * part * (1.0 - part)).sqrt();
    let found = clients.len() as f64;
    assert!((found - all * part).abs() <= tolerance, "{found} of {all} clients, expected {percent}%");
}

#[test]
fn shares_are_replaced_and_grow_and_the_next_rollout_tries_others() {
    let site = staged(two_balancers());
    run(&site, "canary mobile=10%").expect(0);
    let ten = on_green(&site, PHONE);
    assert_about(&ten, 10.0);
    assert!(on_green(&site, DESKTOP).is_empty(), "a segment that is not named gets nothing");

    run(&site, "canary mobile=25% all=4%").expect(0);
    let (more, others) = (on_green(&site, PHONE), on_green(&site, DESKTOP));
    assert_about(&more, 25.0);
    assert_about(&others, 4.0);
    assert!(more.is_superset(&ten), "whoever is in 10% is in 25%");

    // The whole set is replaced; a segment that is not named gets the share of all.
    run(&site, "canary all=4%").expect(0);
    let few = on_green(&site, PHONE);
    assert_about(&few, 4.0);
    assert!(few.is_subset(&ten));
    assert_eq!(on_green(&site, DESKTOP), others, "the same clients as before");
    run(&site, "abort").expect(0);

    site.release("v3").unwrap();
    run(&site, "deploy --release v3 --canary mobile=10%").expect(0);
    assert_stage(&site, "canary");
    let next = on_green(&site, PHONE);
    assert_about(&next, 10.0);
    assert!(next.is_disjoint(&ten), "another tenth");
}

#[test]
fn a_segment_is_made_by_header_cookie_path_host_or_address() {
    let options = one_balancer()
        .no_segments()
        .segment("byheader", "header.X-Beta = \"^(1|yes)$\"")
        .segment("bycookie", "cookie.beta = \"^on$\"")
        .segment("bypath", "path = \"^/beta/\"")
        .segment("byhost", "host = \"^beta[.]\"");
    let options = options.segment("two", "header.X-One = \"^1$\"\nheader.X-Two = \"^2$\"");
    let site = staged(options);
    let ask = |path: &str, headers: &[(&str, &str)]| -> Answer {
        request(site.balancer("lb1").public, "GET", path, headers, b"").unwrap()
    };
    type Client = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let inside: [Client; 5] = [
        ("byheader", "/", &[("X-Beta", "yes")]),
        ("bycookie", "/", &[("Cookie", "a=1; beta=on; c=3")]),
        ("bypath", "/beta/x", &[]),
        ("byhost", "/", &[("Host", "beta.shop.test")]),
        ("two", "/", &[("X-One", "1"), ("X-Two", "2")]),
    ];
    let outside: [Client; 6] = [
        ("byheader", "/", &[("X-Beta", "no")]),
        ("bycookie", "/", &[("Cookie", "xbeta=on; beta=off")]),
        ("bypath", "/other/beta/", &[]),
        ("byhost", "/", &[("Host", "www.shop.test")]),
        ("two", "/", &[("X-One", "1")]),
        ("all", "/", &[]),
    ];
    for (segment, path, headers) in inside {
        run(&site, &format!("canary {segment}=100%")).expect(0);
        assert_eq!(ask(path, headers).half(), "green", "{segment}");
        for (other, path, headers) in outside {
            assert_eq!(ask(path, headers).half(), "blue", "{segment}: {other}");
        }
    }
    // The first segment that matches wins.
    run(&site, "canary byheader=0% all=100%").expect(0);
    assert_eq!(ask("/beta/x", &[("X-Beta", "1")]).half(), "blue");
    assert_eq!(ask("/beta/x", &[]).half(), "green");
    run(&site, "canary nobody=1%").expect(2);
    run(&site, "canary all=0%").expect(2);
}

#[test]
fn a_cookie_as_key_keeps_a_person_on_a_half_whatever_the_device() {
    let site = staged(one_balancer().inventory("[canary]\nkey = \"cookie:who\""));
    run(&site, "canary all=50%").expect(0);
    let ask = |agent: &str, cookie: &str| {
        let headers = [("User-Agent", agent), ("Cookie", cookie)];
        request(site.balancer("lb1").public, "GET", "/", &headers, b"").unwrap().half().to_owned()
    };
    let halves: Vec<String> = (0..60).map(|number| ask(DESKTOP, &format!("a=b; who=person{number}"))).collect();
    assert!(halves.iter().any(|half| half == "blue") && halves.iter().any(|half| half == "green"), "{halves:?}");
    for (number, half) in halves.iter().enumerate() {
        assert_eq!(ask(PHONE, &format!("who=person{number}")), *half, "person{number}");
    }
    // Without the cookie the client decides.
    assert_eq!(ask(DESKTOP, ""), ask(DESKTOP, "x=y"));
}
