//! `shell`: the function `bg` that shares its name with the shell's builtin, and the completions.

use std::{env, os::unix::fs::PermissionsExt, path::Path};

use clap::CommandFactory;

use super::{Context, Ended, answer::Answer, args::Cli, args::ShellName, complete, error::CliError};
use crate::engine::Exit;

const BASH: &str = include_str!("shell/bash.sh");
const ZSH: &str = include_str!("shell/zsh.sh");
const FISH: &str = include_str!("shell/fish.fish");

/// Prints what the user's start-up file evaluates.
pub fn run(context: &Context, shell: ShellName) -> Result<Ended, CliError> {
    let script = match shell {
        ShellName::Bash => BASH,
        ShellName::Zsh => ZSH,
        ShellName::Fish => FISH,
    };
    let script = script.replace("@PROGRAM@", &program());
    if context.screen.json {
        return Ok(Answer::new(Exit::Done, "the shell's function and completions")
            .with("script", script.into())
            .into());
    }
    context.screen.raw(script.trim_end());
    Ok(Ended::Said(Exit::Done))
}

/// Prints what could stand where the cursor is, one per line, with what it means after a tab.
pub fn complete(context: &Context, words: &[String]) -> Result<Ended, CliError> {
    for (value, about) in complete::candidates(&Cli::command(), words, &context.cwd) {
        context.screen.raw(&if about.is_empty() { value } else { format!("{value}\t{about}") });
    }
    Ok(Ended::Said(Exit::Done))
}

/// `bluegreen`, where PATH has it; else where this program is, quoted for all three shells.
fn program() -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|dir| is_program(&dir.join("bluegreen"))) {
        return "bluegreen".to_owned();
    }
    let here = env::current_exe().ok().and_then(|exe| exe.to_str().map(ToOwned::to_owned));
    let quotable = here.filter(|path| !path.contains(['\'', '\\', '\n']));
    quotable.map_or_else(|| "bluegreen".to_owned(), |path| format!("'{path}'"))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
