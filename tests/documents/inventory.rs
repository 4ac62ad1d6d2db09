//! The inventory's reference is made from the program's own table of keys, and every piece of TOML parses.

use bluegreen_core::inventory::{SECTIONS, parse, reference};

use super::{blocks, documents, folder, fs};

/// With `UPDATE_DOCS=1` in the environment the tables are written instead.
#[test]
fn the_reference_has_every_key_that_the_parser_knows() {
    let path = folder("docs/inventory.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut wanted = text.clone();
    for section in SECTIONS {
        let name = if section.path.is_empty() { "the file".to_owned() } else { format!("[{}]", section.path) };
        let begin = format!("<!-- keys of {name}: begin -->\n");
        let end = format!("<!-- keys of {name}: end -->");
        let (before, rest) = wanted.split_once(&begin).unwrap_or_else(|| panic!("there is no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("there is no {end}"));
        wanted = format!("{before}{begin}\n{}\n{end}{after}", reference(section));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert_eq!(text, wanted, "run this test again with UPDATE_DOCS=1");
}

/// What a piece of an inventory is completed with.
const AROUND: &str = r#"
[site]
name = "shop"
[balancers]
hosts = ["lb1"]
[pools.web]
port = 3000
blue = ["web1"]
green = ["web2"]
deploy = { run = "/opt/deploy.sh" }
"#;

/// `piece` over the rest: tables are joined down to those of a pool, below which they are exchanged.
fn completed(piece: &toml::Table) -> toml::Table {
    let mut whole: toml::Table = AROUND.parse().unwrap();
    for (name, value) in piece {
        let table = whole.entry(name).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        for (key, value) in value.as_table().unwrap() {
            match (table.get_mut(key), value) {
                (Some(toml::Value::Table(pool)), toml::Value::Table(more)) => pool.extend(more.clone()),
                _ => drop(table.insert(key.clone(), value.clone())),
            }
        }
    }
    whole
}

#[test]
fn every_piece_of_toml_in_the_documents_parses() {
    let mut parsed = 0;
    for (path, text) in documents() {
        for block in blocks(&text, "toml") {
            let piece: toml::Table = block.parse().unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
            let whole = completed(&piece).to_string();
            if let Err(findings) = parse("production", &path, &whole) {
                panic!("{path}:\n{block}\n{findings}");
            }
            parsed += 1;
        }
    }
    assert!(parsed >= 6, "{parsed}");
}
