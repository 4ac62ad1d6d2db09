//! Whatever is written, nothing panics, nothing is changed on its way through, and time stays in proportion.

use proptest::prelude::*;

use super::*;
use crate::nginx::conf::{Templates, render};

/// Pieces that break naive handling of TOML, nginx and shells.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "Z",
        "0",
        "-",
        "_",
        ".",
        "/",
        "..",
        ";",
        "{",
        "}",
        "$",
        "'",
        "\"",
        "\\",
        "\n",
        "\r",
        "\t",
        "\0",
        " ",
        "#",
        "|",
        "(",
        ")",
        "[",
        "]",
        "*",
        "?",
        "é",
        "\u{202e}",
        "\u{1b}[31m",
        "{{",
        "}}",
        "{{ site }}",
        "{%",
        "%",
        "~",
        "@",
        ":",
        "::",
        ",",
        "10.0.0.1",
        "[1-3]",
        "`",
        "&",
        "<",
        ">",
        "日本",
        "\u{2028}",
        "\u{85}",
    ]);
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

/// A TOML string that holds exactly `text`.
fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_text_panics(text in ".{0,400}") {
        if let Err(findings) = parse("x", "x.toml", &text) {
            prop_assert!(findings.count() > 0);
            findings.render(true);
            findings.located();
        }
    }

    #[test]
    fn no_edit_of_the_example_panics(from in 0..EXAMPLE.len(), length in 0..40_usize, text in nasty()) {
        let cut = |at: usize| (0..=at.min(EXAMPLE.len())).rev().find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
        let edited = format!("{}{text}{}", &EXAMPLE[..cut(from)], &EXAMPLE[cut(from + length)..]);
        if let Err(findings) = parse("x", "x.toml", &edited) {
            findings.render(false);
            findings.located();
        }
    }

    /// Every text field, hostile text: a finding, or the text as it was written.
    #[test]
    fn a_hostile_string_is_refused_or_survives(text in nasty()) {
        let written = toml_string(&text);
        let deploy = |key: &str| {
            let keys = [("root", "\"/r\""), ("artifact", "\"a\""), ("restart", "\"r\""), ("service", "\"s\"")];
            let line = keys.map(|(name, value)| format!("{name} = {}", if name == key { &written } else { value }));
            with_deploy(&line.join(", "))
        };
        let segment = |key: &str| with(&format!("[segments.s]\n{key} = {written}"));
        let of_nginx = [
            changed("\"shop\"", &written),
            changed("hosts =", &format!("dir = {written}\nhosts =")),
            changed("\"web1\"", &format!("{{ host = \"web1\", address = {written} }}")),
            with_pool(&format!("upstream.hash = {written}")),
            segment("user_agent"),
            segment("path"),
            segment("host"),
            segment("header.x"),
            segment("cookie.x"),
            with(&format!("[segments.s]\nheader.{written} = \"x\"")),
            with(&format!("[segments.s]\ncookie.{written} = \"x\"")),
            with(&format!("[canary]\nkey = {}", toml_string(&format!("header:{text}")))),
            with(&format!("[canary]\nkey = {}", toml_string(&format!("cookie:{text}")))),
        ];
        let others = [
            with(&format!("[ssh]\nuser = {written}")),
            with(&format!("[ssh]\nconfig = {written}")),
            changed("hosts =", &format!("templates = {written}\nhosts =")),
            changed("hosts =", &format!("test = {written}\nhosts =")),
            deploy("root"),
            deploy("artifact"),
            deploy("restart"),
            deploy("service"),
            with_deploy(&format!("run = {written}")),
            with_pool(&format!("health.path = {written}")),
            with_pool(&format!("health.host = {written}")),
            with_pool(&format!("health.headers.X = {written}")),
            with_pool(&format!("health.body = {written}")),
            with_pool(&format!("health.smoke = [{written}]")),
        ];
        let inventories = of_nginx.iter().map(|text| (text, true)).chain(others.iter().map(|text| (text, false)));
        // Debug shows every field; what survived must stand there as a whole string of its own.
        let shown = format!("{text:?}");
        let tidied = format!("{:?}", text.trim_end_matches('/'));
        // An address has one form in which it is written.
        let address = text.parse::<std::net::IpAddr>().map_or_else(|_| shown.clone(), |address| format!("\"{address}\""));
        for (inventory, rendered) in inventories {
            match parse("x", "x.toml", inventory) {
                Err(findings) => prop_assert!(findings.count() > 0),
                Ok(checked) => {
                    let debug = format!("{checked:?}");
                    // Header names are the same in upper and lower case.
                    let debug = debug.clone() + &debug.to_ascii_uppercase();
                    let filled = text.contains("{{ site }}");
                    prop_assert!(filled || debug.contains(&shown) || debug.contains(&address) || debug.contains(&tidied) || debug.contains(&shown.to_ascii_uppercase()), "{shown} in {debug}");
                    let conf = rendered.then(|| render(&checked, &checked.balancers[0], 1, &Templates::default()));
                    prop_assert!(!matches!(conf, Some(Err(_))), "nginx's files cannot hold {shown}: {conf:?}");
                    prop_assert!(!text.contains(['\n', '\r', '\0', '\u{1b}']), "{shown} was accepted");
                }
            }
        }
    }

    /// What reaches nginx's files as a word of its own holds nothing that nginx reads as syntax.
    #[test]
    fn what_nginx_reads_as_a_word_has_no_syntax_in_it(text in nasty()) {
        let written = toml_string(&text);
        let inventories = [
            changed("\"shop\"", &written),
            changed("hosts =", &format!("dir = {written}\nhosts =")),
            changed("\"web1\"", &format!("{{ host = \"web1\", address = {written} }}")),
            with_deploy(&format!("root = {written}, artifact = \"a\", restart = \"r\"")),
        ];
        for inventory in inventories {
            let Ok(checked) = parse("x", "x.toml", &inventory) else { continue };
            let place = &checked.pools[0].blue[0];
            for word in [&checked.site, &checked.balancers[0].dir, &place.address, &place.root, &place.host] {
                prop_assert!(!word.is_empty() && !word.starts_with('-'));
                prop_assert!(word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/@+-:".contains(&b)), "{word}");
            }
        }
    }
}

#[test]
fn ten_thousand_servers_are_read() {
    let pool = |n: usize| {
        let hosts = |half: &str| -> Vec<String> {
            (0..25).map(|host| format!("{{ host = \"{half}{n}x{host}\", weight = 2 }}")).collect()
        };
        format!(
            "[pools.p{n}]\nport = 80\nblue = [{}]\ngreen = [{}]\ndeploy.run = \"x\"\n",
            hosts("b").join(", "),
            hosts("g").join(", ")
        )
    };
    let pools: Vec<String> = (0..200).map(pool).collect();
    let text = format!("[site]\nname = \"s\"\n[balancers]\nhosts = [\"lb[1-20]\"]\n{}", pools.concat());
    let inventory = good(&text);
    assert_eq!(inventory.pools.iter().map(|pool| pool.blue.len() + pool.green.len()).sum::<usize>(), 10_000);
    // Ten thousand errors are no slower, in proportion, than one.
    assert_eq!(wrong(&text.replace("weight", "wieght")).count(), 10_000);
    wrong(&text.replace("weight", "wieght")).render(false);
}

#[test]
fn an_inventory_has_a_greatest_size() {
    let text = format!("{GOOD}#{}", " ".repeat(9 << 20));
    let findings = wrong(&text);
    assert_eq!(findings.count(), 1);
    assert!(findings.iter().next().unwrap().message.contains("bytes"));
}

#[test]
fn ranges_without_measure_are_refused_before_they_are_expanded() {
    let many: Vec<String> = (0..2_000).map(|n| format!("\"h{n}x[0-4095]\"")).collect();
    let findings = wrong(&changed("\"web1\"", &many.join(",\n")));
    assert!(findings.iter().any(|finding| finding.message.contains("too many places")), "{}", findings.count());
    let balancers = changed("\"lb1\", \"lb2\"", &many.join(","));
    assert!(wrong(&balancers).iter().any(|finding| finding.message.contains("too many balancers")));
}

#[test]
fn positions_are_counted_in_characters() {
    let text = "[site]\nname = \"shop\" # é\n[pools]\n\"日本\" = { a = 1 }\r\n";
    let located = wrong(text).located();
    let unknown = located.iter().find(|located| located.message.contains("`a`")).unwrap();
    assert_eq!((unknown.line, unknown.column), (4, 10));
    assert_eq!(unknown.file, "inventory/production.toml");
}
