//! Who may name whom, read from the sources.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every file below `dir` with one of these endings, what was built left out.
fn files(dir: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                dirs.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The code below `dir` that is not only for tests, line by line, without comments: (file:line, code).
fn code(dir: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in files(dir, &[".rs"]) {
        let shown = path.display().to_string();
        if shown.contains("tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let of_program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in of_program.lines().enumerate() {
            let code = line.split("//").next().unwrap().to_owned();
            lines.push((format!("{shown}:{}", number + 1), code));
        }
    }
    lines
}

/// Whether `code` names the path `word`, such as `edge::`, and not another that ends alike.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || char == '_' || char == '.')
    })
}

#[track_caller]
fn nowhere(lines: &[(String, String)], words: &[&str]) {
    let found = lines.iter().filter(|(_, code)| words.iter().any(|word| names(code, word)));
    let found: Vec<String> = found.map(|(at, code)| format!("{at}: {}", code.trim())).collect();
    assert!(found.is_empty(), "{words:?} in\n{}", found.join("\n"));
}

#[test]
fn the_engine_knows_no_ssh_and_no_nginx() {
    nowhere(
        &code("src/engine"),
        &["edge::", "crate::edge", "site::", "crate::site", "cli::", "crate::cli", "openssh::", "hyper::"],
    );
}

#[test]
fn each_layer_names_only_those_below_it() {
    nowhere(&code("src/edge"), &["site::", "cli::"]);
    nowhere(&code("src/site"), &["cli::"]);
}

/// An error is asked itself what it means; the file that answers may name every layer.
#[test]
fn nobody_names_the_file_of_hints_and_exit_codes() {
    for dir in ["src/engine", "src/edge", "src/site", "src/cli"] {
        nowhere(&code(dir), &["errors::"]);
    }
}

#[test]
fn the_core_touches_nothing() {
    let words =
        ["tokio", "std::fs", "std::process", "std::env", "std::time", "std::thread", "rand::", "async ", "env!"];
    nowhere(&code("core/src"), &words);
    let printing = ["print!", "println!", "eprint!", "eprintln!", "io::stdout", "io::stderr", "fs::", "process::"];
    nowhere(&code("core/src"), &printing);
}

#[test]
fn only_the_command_line_prints() {
    let words = ["print!", "println!", "eprint!", "eprintln!", "stdout()", "io::stderr", "stderr()"];
    for dir in ["src/engine", "src/edge", "src/site"] {
        nowhere(&code(dir), &words);
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, or this file would be found.
    let words =
        [["TO", "DO"], ["FIX", "ME"], ["to", "do!("], ["unimple", "mented!("], ["db", "g!("]].map(|it| it.concat());
    let found: Vec<String> = files(".", &[".rs", ".sh", ".toml", ".md", ".conf", ".tera", ".yml"])
        .into_iter()
        .filter(|path| fs::read_to_string(path).is_ok_and(|text| words.iter().any(|word| text.contains(word))))
        .map(|path| path.display().to_string())
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
