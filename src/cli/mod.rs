//! The command line: reads arguments, runs one command, prints how it ended. Nothing outside of this module prints.

mod answer;
mod args;
mod check;
mod complete;
mod error;
mod exec;
mod init;
mod locate;
mod measure;
mod progress;
mod remote;
mod rollout;
mod screen;
mod shell;
mod status;
mod stop;
mod suspend;
mod templates;
mod terminal;

use std::{ffi::OsString, io::ErrorKind, path::PathBuf};

use clap::{
    FromArgMatches,
    error::{ContextKind, ContextValue},
};

pub(crate) use self::error::CliError;
use self::{
    answer::Answer,
    args::{Cli, Cmd, Global},
    locate::Located,
    remote::with_hosts,
    screen::Screen,
};
use crate::engine::Exit;

/// What every command gets.
struct Context {
    screen: Screen,
    global: Global,
    cwd: PathBuf,
}

impl Context {
    /// The inventory that this command is about.
    fn inventory(&self) -> Result<Located, CliError> {
        locate::load(self.global.inventory.as_deref(), &self.cwd)
    }
}

/// How a command ended.
enum Ended {
    /// With this to say.
    Answer(Answer),
    /// It has said everything itself.
    Said(Exit),
}

impl From<Answer> for Ended {
    fn from(answer: Answer) -> Ended {
        Ended::Answer(answer)
    }
}

/// Runs the program with the arguments of the process and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let called = called(arguments.first());
    let cli = match parse(called, &arguments) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let screen = Screen::new(called, &cli.global);
    let cwd = match std::env::current_dir() {
        Ok(cwd) => cwd,
        Err(error) => {
            let error = match error.kind() {
                ErrorKind::NotFound => CliError::usage(
                    "the folder that this shell stands in is gone; nothing was touched",
                    "`cd` to the folder that your inventory is in",
                ),
                _ => CliError::file("read", ".")(error),
            };
            screen.error(&error);
            return error.exit() as i32;
        }
    };
    let context = Context { screen, global: cli.global, cwd };
    match dispatch(&context, cli.command) {
        Ok(Ended::Answer(answer)) => {
            screen.answer(&answer);
            answer.exit as i32
        }
        Ok(Ended::Said(exit)) => exit as i32,
        Err(error) => {
            screen.error(&error);
            error.exit() as i32
        }
    }
}

fn dispatch(context: &Context, command: Cmd) -> Result<Ended, CliError> {
    match command {
        Cmd::Init { dir } => init::run(context, &dir).map(Ended::from),
        Cmd::Check { hosts } => check::run(context, hosts).map(Ended::from),
        Cmd::Status { watch, timeout } => status::run(context, watch, timeout),
        Cmd::Exec { target, command, timeout } => exec::run(context, &target, &command, timeout).map(Ended::from),
        Cmd::Shell { shell, completions } => shell::run(context, shell, completions),
        Cmd::Complete { words } => shell::complete(context, &words),
        change => rollout::run(context, change).map(Ended::from),
    }
}

/// The name that the program was called by.
fn called(program: Option<&OsString>) -> &'static str {
    // The shells' function `bg` runs the program by its other name, since `bg` may be another file on PATH.
    if std::env::var_os("BLUEGREEN_CALLED").is_some_and(|name| name == "bg") {
        return "bg";
    }
    let name = program.map(PathBuf::from).and_then(|path| path.file_name().map(ToOwned::to_owned));
    if name.is_some_and(|name| name == "bg") { "bg" } else { "bluegreen" }
}

/// The parsed command line, or the exit code when there is nothing more to do: help, version, or a usage error.
fn parse(called: &'static str, arguments: &[OsString]) -> Result<Cli, i32> {
    let words = args::with_durations(arguments);
    let parsed = args::command(called).try_get_matches_from(words).and_then(|m| Cli::from_arg_matches(&m));
    let mut error = match parsed {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    drop_far_misses(&mut error);
    let json = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let screen = Screen::early(called, json);
    if !error.use_stderr() {
        screen.out(error.render().to_string().trim_end());
        return Err(0);
    }
    let error = no_duration(&error, arguments).unwrap_or_else(|| usage(&error, arguments));
    screen.error(&error);
    Err(2)
}

/// A word behind `--wait` that the command has no other use for was meant as its duration.
fn no_duration(error: &clap::Error, arguments: &[OsString]) -> Option<CliError> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_behind = arguments.windows(2).any(|pair| pair[0] == "--wait" && pair[1].to_str() == Some(word));
    let message = format!("`--wait {word}`: `{word}` is not a duration: a number and a unit: ms, s, m or h");
    (is_behind && !word.starts_with('-')).then(|| CliError::usage(message, "`--wait 10m`, or `--wait` alone: up to 1h"))
}

/// Of the commands that change something only those that are a single slip away are suggested: `abort` is no guess for `adopt`.
fn drop_far_misses(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand).cloned() else { return };
    let Some(ContextValue::Strings(near)) = error.remove(ContextKind::SuggestedSubcommand) else { return };
    let commands = args::command("bg");
    let is_safe = |name: &String| {
        let changes =
            commands.find_subcommand(name).is_some_and(|it| it.get_arguments().any(|a| a.get_id() == "dry_run"));
        !changes || strsim::damerau_levenshtein(&word, name) == 1
    };
    let near: Vec<String> = near.into_iter().filter(is_safe).collect();
    if !near.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
    }
}

/// What a word that has no place on the command line was meant as.
fn meant(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != clap::error::ErrorKind::UnknownArgument || word.starts_with('-') {
        return None;
    }
    let command = arguments.get(1)?.to_str()?;
    match command {
        "deploy" | "setup" => Some(format!("did you mean `bg {command} --release {word}`?")),
        "exec" => {
            let at = 3 + arguments.iter().skip(3).position(|argument| argument.to_str() == Some(word))?;
            let before: Vec<&str> = arguments[1..at].iter().map(|argument| argument.to_str()).collect::<Option<_>>()?;
            let more = if at + 1 < arguments.len() { " …" } else { "" };
            Some(format!("`--` goes before the command: `bg {} -- {word}{more}`", before.join(" ")))
        }
        _ => None,
    }
}

/// clap's words in our form: the message, then the hints.
fn usage(error: &clap::Error, arguments: &[OsString]) -> CliError {
    // Its quotes are 'these', everybody else's are `these`.
    let text = error.render().to_string().replace('\'', "`");
    if error.kind() == clap::error::ErrorKind::MissingSubcommand {
        return CliError::usage("no command was given", "`bg --help` lists them");
    }
    let mut paragraphs = text.trim_end().split("\n\n");
    let message = paragraphs.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let mut hints: Vec<String> = meant(error, arguments).into_iter().collect();
    for paragraph in paragraphs {
        let tips = paragraph.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
        hints.extend(tips.map(ToOwned::to_owned));
        hints.extend(paragraph.strip_prefix("Usage: ").map(|usage| format!("usage: {usage}")));
    }
    let command = arguments.get(1).and_then(|word| word.to_str()).filter(|word| {
        args::command("bg").get_subcommands().any(|command| command.get_name() == *word && !command.is_hide_set())
    });
    hints.push(command.map_or("`bg --help`".to_owned(), |command| format!("`bg {command} --help`")));
    CliError::usage(message, hints.join(" · "))
}
