//! Hostile values: what reaches nginx means exactly itself.

use bluegreen_core::inventory::Condition;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::rig::{Written, nginx, split};
use crate::samples::segment;

const HOSTILE: [&str; 14] = [
    "a; return 200; }",
    "} server { listen 1; } {",
    "$shop_raw ${shop_raw} $1",
    r#"quote " and ' and \" end"#,
    r"back \ slash \\ \n \t",
    "# a comment",
    "~* volatile",
    "default",
    "include /etc/passwd;",
    "{{ site }} {% raw %} {# c #}",
    "*star",
    "\"",
    "tab\tin it",
    "$",
];

/// A regex that matches exactly `text`.
fn exactly(text: &str) -> String {
    format!("^{}$", regex::escape(text))
}

#[test]
fn hostile_regexes_match_exactly_what_they_say() {
    let change = |shop: &mut bluegreen_core::inventory::Inventory| {
        let one = |(i, text): (usize, &&str)| segment(&format!("s{i}"), vec![Condition::UserAgent(exactly(text))]);
        shop.segments = HOSTILE.iter().enumerate().map(one).collect();
    };
    let rig = Written::new(change, "", "").start(&split(&[("all", 0)], 0));
    for (i, text) in HOSTILE.iter().enumerate() {
        let answer = rig.get("/", text);
        assert_eq!(answer.header("X-Segment"), Some(format!("s{i}").as_str()), "{text:?}");
    }
    assert_eq!(rig.get("/", "tame").header("X-Segment"), Some("all"));
}

#[test]
fn the_longest_regex_that_is_allowed_is_one_that_nginx_reads() {
    let test = |regex: String| {
        let written = Written::new(|shop| shop.segments[0].conditions = vec![Condition::Path(regex)], "", "");
        nginx(&written.conf(), &["-t"])
    };
    let output = test("a".repeat(4092));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = test("\\.".repeat(1364));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn random_values_pass_nginx_t() {
    // One configuration with many segments, so that nginx is asked once.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(Default::default()),
    );
    let texts = proptest::collection::vec("[ -~]{1,40}", 60..61).new_tree(&mut runner).unwrap().current();
    let change = |shop: &mut bluegreen_core::inventory::Inventory| {
        let one = |(i, text): (usize, &String)| {
            segment(
                &format!("s{i}"),
                vec![Condition::Host(exactly(text)), Condition::Header("x".into(), exactly(text))],
            )
        };
        shop.segments = texts.iter().enumerate().map(one).collect();
    };
    let written = Written::new(change, "", "");
    let output = nginx(&written.conf(), &["-t"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
