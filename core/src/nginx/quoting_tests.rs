//! Whatever a value holds, the structure of the configuration stays, and the value comes back identical.

use proptest::prelude::*;

use super::conf::{Templates, render};
use super::dump::{Directive, Dump};
use super::samples::{segment, shop};
use crate::inventory::Condition;

/// Stands in for the value in a tame configuration.
const TAME: &str = "tame";

/// The parsed http.conf of a shop with one segment of these conditions; `None` when rendering refuses them.
fn parsed(conditions: Vec<Condition>) -> Option<Vec<Directive>> {
    let mut inventory = shop("/etc/nginx/bg/shop", 8474);
    inventory.segments = vec![segment("mobile", conditions)];
    let conf = render(&inventory, &inventory.balancers[0], 7, &Templates::default()).ok()?;
    let printed = format!("# configuration file /http.conf:\n{}\n", conf.http);
    Some(Dump::parse(&printed).expect("what is rendered can be parsed").root)
}

fn conditions(value: &str) -> Vec<Condition> {
    vec![
        Condition::UserAgent(value.to_owned()),
        Condition::Header("x-a".to_owned(), value.to_owned()),
        Condition::Cookie("b".to_owned(), value.to_owned()),
        Condition::Cookie("b-c".to_owned(), value.to_owned()),
        Condition::Path(value.to_owned()),
        Condition::Host(value.to_owned()),
    ]
}

/// Every directive as its words and nesting, with `value` as the tame one; lines left out.
fn structure(directives: &[Directive], value: &str) -> Vec<(Vec<String>, usize)> {
    fn add(directive: &Directive, depth: usize, value: &str, all: &mut Vec<(Vec<String>, usize)>) {
        let tame = |word: &String| if *word == format!("~{value}") { format!("~{TAME}") } else { word.clone() };
        let words = [&directive.name].into_iter().chain(&directive.args).map(tame).collect();
        all.push((words, depth));
        directive.children().iter().for_each(|child| add(child, depth + 1, value, all));
    }
    let mut all = Vec::new();
    directives.iter().for_each(|directive| add(directive, 0, value, &mut all));
    all
}

/// Whether `value` is refused, or changes nothing but itself.
fn harmless(value: &str) -> bool {
    let tame = parsed(conditions(TAME)).expect("a tame value is rendered");
    let times = |directives: &[Directive], value: &str| {
        let mut times = 0;
        let mut count = |d: &Directive| times += usize::from(d.name == format!("~{value}"));
        directives.iter().for_each(|d| d.walk(&mut |d| count(d)));
        times
    };
    parsed(conditions(value))
        .is_none_or(|hostile| structure(&hostile, value) == structure(&tame, TAME) && times(&hostile, value) == 6)
}

#[test]
fn what_looks_like_syntax_stays_a_value() {
    let hostile = [
        "a; return 200; }",
        "}",
        "{",
        ";",
        "$shop_raw",
        "${x}",
        "\"",
        "'",
        "\\",
        "\\\"",
        "#",
        "a # b",
        "~*x",
        "default 1;",
        " ",
        "a\tb",
        "include /etc/passwd;",
        "{{ site }}",
        "{% if 1 %}",
        "\\n",
        "é",
        "volatile",
    ];
    for value in hostile {
        assert!(parsed(conditions(value)).is_some(), "refused: {value:?}");
        assert!(harmless(value), "{value:?}");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    for value in ["a\nb", "\0", "\r", "", "*a", "(?<shop_raw>x)"] {
        assert!(parsed(conditions(value)).is_none(), "{value:?}");
    }
    assert!(parsed(conditions(&"a".repeat(10_000))).is_none());
    assert!(harmless(&"\\\"".repeat(1_000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_value_changes_the_meaning(value in r#"([ -~]|[;{}$"'\\#\n\t]|\PC){0,60}"#) {
        prop_assert!(harmless(&value));
    }

    #[test]
    fn nor_does_a_long_one(value in r#"[a;{}$"'\\# ]{1900,10240}"#) {
        prop_assert!(harmless(&value));
    }
}
