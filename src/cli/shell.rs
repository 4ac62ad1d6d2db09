//! `shell`: the function `bg` that shares its name with the shell's builtin, and the completions.

use std::{env, os::unix::fs::PermissionsExt, path::Path};

use clap::CommandFactory;

use super::{Context, Ended, answer::Answer, args::Cli, args::ShellName, complete, error::CliError};
use crate::engine::Exit;

const BASH: &str = include_str!("shell/bash.sh");
const ZSH: &str = include_str!("shell/zsh.sh");
const FISH: &str = include_str!("shell/fish.fish");

/// Between the function and the completions, in each shell's file.
const COMPLETIONS: &str = "\n# Completions.\n";

/// Prints what the user's start-up file evaluates, or with `completions` what a package installs.
pub fn run(context: &Context, shell: ShellName, completions: bool) -> Result<Ended, CliError> {
    let script = match shell {
        ShellName::Bash => BASH,
        ShellName::Zsh => ZSH,
        ShellName::Fish => FISH,
    };
    let script = if completions { packaged(shell, script) } else { script.to_owned() };
    let script = script.replace("@PROGRAM@", &program());
    if context.screen.json {
        return Ok(Answer::new(Exit::Done, "the shell's function and completions")
            .with("script", script.into())
            .into());
    }
    context.screen.raw(script.trim_end());
    Ok(Ended::Said(Exit::Done))
}

/// The completions as the shells load them by the command's name. Those of `bg` belong to the function: without it `bg` is the
/// shell's own.
fn packaged(shell: ShellName, script: &str) -> String {
    let completions = script.split_once(COMPLETIONS).map_or("", |(_, completions)| completions);
    let without_bg = completions.lines().filter(|line| !line.starts_with("complete -c bg ")).map(|line| match line {
        line if line.starts_with("complete ") || line.contains("&& compdef ") => line.trim_end_matches(" bg"),
        line => line,
    });
    let text = without_bg.collect::<Vec<_>>().join("\n");
    match shell {
        // zsh takes the file for the function's body: loaded, it is called.
        ShellName::Zsh => format!("#compdef bluegreen\n{text}\n_bluegreen \"$@\"\n"),
        ShellName::Bash | ShellName::Fish => text,
    }
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
