//! `init`: an inventory and the templates to start from.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
};

use bluegreen_core::{inventory::EXAMPLE, nginx::conf::BUILTIN};
use serde_json::json;

use super::{Context, answer::Answer, error::CliError};
use crate::engine::Exit;

/// Writes what is missing in `dir` and leaves alone what is there.
pub fn run(context: &Context, dir: &Path) -> Result<Answer, CliError> {
    let root = context.cwd.join(dir);
    let inventory = ("inventory/production.toml".to_owned(), EXAMPLE);
    let templates = BUILTIN.iter().map(|(name, text)| (format!("nginx-templates/{name}"), *text));
    let (mut written, mut left) = (Vec::new(), Vec::new());
    for (name, text) in [inventory].into_iter().chain(templates) {
        let list = if write_new(&root.join(&name), text)? { &mut written } else { &mut left };
        let shown = dir.join(&name);
        list.push(shown.strip_prefix(".").unwrap_or(&shown).display().to_string());
    }
    let mut message = Vec::new();
    if !written.is_empty() {
        message.push(format!("wrote {}", ticked(&written)));
    }
    if !left.is_empty() {
        message.push(format!("left alone what is there already: {}", ticked(&left)));
    }
    let go = if dir == Path::new(".") { String::new() } else { format!("`cd {}`, ", dir.display()) };
    let hint = format!("{go}fill in `inventory/production.toml`, then `bg check`, `bg check --hosts` and `bg setup`");
    let answer = Answer::new(Exit::Done, message.join("\n")).hint(hint);
    Ok(answer.with("written", json!(written)).with("left", json!(left)))
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether the file was written: never over another, nor through a dangling link.
fn write_new(path: &Path, text: &str) -> Result<bool, CliError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true).map_err(CliError::file("write", path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(CliError::file("write", path)(error)),
    }
}
