//! The table of keys says what the parser does: its defaults, examples and bounds are parsed.

use super::*;

fn value(text: &str) -> toml::Value {
    let table: toml::Table = format!("value = {text}").parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    table["value"].clone()
}

fn at<'a>(mut table: &'a mut toml::Table, path: &str) -> &'a mut toml::Table {
    for name in path.split('.').filter(|name| !name.is_empty()) {
        table = table.entry(name).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
    }
    table
}

/// A good inventory for one key of a section: with what that key needs, and without what it excludes.
fn around(section: &str, key: &str, set: Option<&str>) -> String {
    let mut file: toml::Table = GOOD.parse().unwrap();
    if section == "etcd" || key == "etcd" {
        at(&mut file, "site").insert("journal".to_owned(), "etcd:https://e1:2379/bg/shop".into());
    }
    let other = [("cert", "key"), ("key", "cert"), ("user", "password_file"), ("password_file", "user")];
    if let Some((_, other)) = other.iter().find(|(one, _)| section == "etcd" && set.is_some() && *one == key) {
        at(&mut file, "etcd").insert((*other).to_owned(), "x".into());
    }
    if (section, key) == ("pools.NAME.deploy", "run") {
        at(&mut file, "pools.web.deploy").retain(|key, _| key == "root");
    }
    if let ("balancers", "hosts") | ("pools.NAME", "blue") = section.rsplit_once('.').unwrap_or_default() {
        let (path, list) = section.rsplit_once('.').unwrap();
        let mut host = value("{ host = \"h1\" }");
        host.as_table_mut().unwrap().extend(set.map(|set| (key.to_owned(), value(set))));
        at(&mut file, &path.replace("NAME", "web")).insert(list.to_owned(), vec![host].into());
    } else if let Some(set) = set {
        let name = if section.starts_with("segments") { "mobile" } else { "web" };
        at(&mut file, &section.replace("NAME", name)).insert(key.to_owned(), value(set));
    }
    file.to_string()
}

fn all() -> impl Iterator<Item = (&'static str, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| (section.path, key)))
}

#[test]
fn every_default_is_the_parser_s() {
    let mut compared = 0;
    for (section, key) in all() {
        let (Default::Value(default) | Default::Made(_, default)) = key.default else { continue };
        let (without, with) = (around(section, key.name, None), around(section, key.name, Some(default)));
        assert_eq!(good(&without), good(&with), "{section} {}", key.name);
        compared += 1;
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn what_is_required_is_missed() {
    for (section, key) in all().filter(|(_, key)| matches!(key.default, Default::Required)) {
        let mut file: toml::Table = around(section, "", Some("0")).parse().unwrap();
        let list = section.rsplit_once('.').filter(|(_, last)| matches!(*last, "hosts" | "blue"));
        let (path, list) = list.map_or((section, None), |(path, list)| (path, Some(list)));
        let table = at(&mut file, &path.replace("NAME", "web"));
        match list {
            Some(list) => drop(table[list][0].as_table_mut().unwrap().remove(key.name)),
            None => drop(table.remove(key.name)),
        }
        let said = format!("has no `{}`", key.name);
        assert!(wrong(&file.to_string()).iter().any(|finding| finding.message.ends_with(&said)), "{section} {said}");
    }
}

#[test]
fn every_example_parses_and_says_something_else_than_the_default() {
    for (section, key) in all() {
        let with = good(&around(section, key.name, Some(key.example)));
        if let Default::Value(default) | Default::Made(_, default) = key.default
            && !matches!(key.kind, Kind::OneOf([_]))
        {
            assert_ne!(good(&around(section, key.name, Some(default))), with, "{section} {}", key.name);
        }
    }
}

#[test]
fn every_bound_is_the_parser_s() {
    let is_out = |section, name, set: &str| match parse("production", "x", &around(section, name, Some(set))) {
        Ok(_) => false,
        Err(findings) => findings.iter().any(|finding| finding.message.ends_with("is out of range")),
    };
    for (section, key) in all() {
        let (inside, outside) = match key.kind {
            Kind::Integer(least, most) => {
                let (least, most) = (i64::from(least), i64::from(most));
                ([least, most].map(|n| n.to_string()), [least - 1, most + 1].map(|n| n.to_string()))
            }
            Kind::Duration(least, most) => {
                ([least, most].map(|ms| format!("\"{ms}ms\"")), [least - 1, most + 1].map(|ms| format!("\"{ms}ms\"")))
            }
            Kind::OneOf(words) => {
                for word in words {
                    good(&around(section, key.name, Some(&format!("\"{word}\""))));
                }
                let findings = wrong(&around(section, key.name, Some("\"nonsense\"")));
                let listed = findings.iter().any(|finding| words.iter().all(|word| finding.label.contains(word)));
                assert!(listed, "{findings}");
                continue;
            }
            Kind::Said(_) => continue,
        };
        assert!(inside.iter().all(|set| !is_out(section, key.name, set)), "{section} {}", key.name);
        assert!(outside.iter().all(|set| is_out(section, key.name, set)), "{section} {}", key.name);
    }
}
