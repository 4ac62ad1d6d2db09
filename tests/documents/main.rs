//! What the documents say is what the program does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod commands;
mod inventory;
mod links;
mod terminal;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const BEGIN: &str = "<!-- stages: begin -->\n";
const END: &str = "<!-- stages: end -->\n";

/// With `UPDATE_DOCS=1` in the environment the table is written instead.
#[test]
fn the_table_of_stages_is_the_one_of_the_transition_function() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/design.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let wanted = format!("\n{}\n", bluegreen_core::rollout::table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "run this test again with UPDATE_DOCS=1");
}

/// The engine knows no edge, and the core neither: the seams that everything else relies on.
#[test]
fn the_engine_names_no_edge() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("edge::") && !text.contains("cli::"), "{}", path.display());
    }
}

#[test]
fn the_readme_explains_the_name_before_its_first_command() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).unwrap();
    let name = text.find("eval \"$(bluegreen shell bash)\"").unwrap();
    assert!(text.find("$ bg ").unwrap() > name);
}

/// The texts of the program, each string as it is printed: a line that goes on is joined, an escaped quote is a quote.
fn sources() -> String {
    let mut text = String::new();
    let mut dirs = vec![folder("src"), folder("core/src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                dirs.extend((name != "tests" && name != "snapshots").then_some(path));
            } else if name.ends_with(".rs") && !name.contains("tests") {
                let file = fs::read_to_string(&path).unwrap();
                text.push_str(file.split("#[cfg(test)]\nmod tests {").next().unwrap());
            }
        }
    }
    let mut lines = text.split("\\\n");
    let mut joined = lines.next().unwrap().to_owned();
    lines.for_each(|line| joined.push_str(line.trim_start()));
    joined.replace("\\\"", "\"")
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every document for users and developers: its path from the root of the project, and its text.
fn documents() -> Vec<(String, String)> {
    let listed = fs::read_dir(folder("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<String> =
        listed.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    paths.sort();
    paths.insert(0, "README.md".to_owned());
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(folder(&path)).unwrap())).collect()
}

/// The fenced blocks of a language in a document, each without its own indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() != fence {
            continue;
        }
        let within = lines.by_ref().take_while(|line| line.trim() != "```");
        let within: Vec<&str> = within.map(|line| line.get(indent..).unwrap_or_default()).collect();
        blocks.push(within.join("\n"));
    }
    blocks
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of every row of the tables in a document.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn what_operations_quotes_is_what_the_program_says() {
    let text = fs::read_to_string(folder("docs/operations.md")).unwrap();
    let sources = sources();
    let mut missing = Vec::new();
    for row in rows(&text) {
        assert_eq!(row.len(), 4, "{row:?}");
        missing.extend(quoted(row[1]).into_iter().filter(|said| !said.starts_with("bg ") && !sources.contains(said)));
    }
    assert_eq!(missing, Vec::<&str>::new(), "the program says no such thing");
}

/// What stands between the values of a hint: `looks there`, `is brought back first`.
#[test]
fn the_hints_that_operations_and_the_tutorial_show_are_the_program_s() {
    let sources = sources();
    let mut seen = 0;
    for name in ["docs/operations.md", "docs/tutorial.md"] {
        let text = fs::read_to_string(folder(name)).unwrap();
        let shown = blocks(&text, "console").join("\n");
        for hint in shown.lines().filter_map(|line| line.strip_prefix("hint: ")) {
            let words = hint.split('`').step_by(2).flat_map(|words| words.split(" · "));
            for words in words.map(|words| words.trim_matches([' ', ';', '…'])).filter(|words| !words.is_empty()) {
                assert!(sources.contains(words), "{name}: `{words}` of {hint}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn operations_has_every_exit_code_and_no_other() {
    let text = fs::read_to_string(folder("docs/operations.md")).unwrap();
    let codes = fs::read_to_string(folder("src/engine/drive.rs")).unwrap();
    let codes = codes.split_once("pub enum Exit {").unwrap().1.split_once("\n}").unwrap().0;
    let known: BTreeSet<&str> =
        codes.lines().filter_map(|line| Some(line.split_once(" = ")?.1.trim_end_matches(','))).collect();
    let ended = rows(&text).into_iter().flat_map(|row| row[0].split("**").skip(1).step_by(2).collect::<Vec<_>>());
    let found: BTreeSet<&str> = ended.filter(|code| code.parse::<u32>().is_ok()).collect();
    assert_eq!(found, known);
}

#[test]
fn every_command_that_operations_names_exists() {
    let text = fs::read_to_string(folder("docs/operations.md")).unwrap();
    let typed: BTreeSet<&str> = quoted(&text).into_iter().filter_map(|words| words.strip_prefix("bg ")).collect();
    assert!(typed.len() > 10, "{typed:?}");
    for words in typed {
        // What it would do is not wanted here, only whether these words are known to it.
        let mut command = Command::new(env!("CARGO_BIN_EXE_bg"));
        let ran = command.args(words.split_whitespace()).arg("--help").output().unwrap();
        assert!(ran.status.success(), "`bg {words}`: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// Without the comments and line breaks that the text has of its own.
fn directives(text: &str) -> String {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_decision_that_is_shown_is_the_one_that_is_rendered() {
    use bluegreen_core::{
        inventory::{EXAMPLE, parse},
        nginx::conf::{Templates, render},
    };
    let site = parse("production", "example.toml", EXAMPLE).unwrap();
    let conf = render(&site, &site.balancers[0], 1, &Templates::default()).unwrap();
    let text = fs::read_to_string(folder("docs/nginx.md")).unwrap();
    let shown = blocks(&text, "nginx").into_iter().find(|block| block.starts_with("set ")).unwrap();
    assert!(directives(&conf.server).contains(&directives(&shown)), "{}", conf.server);
}
