//! The commands that change a site: from words to what is asked of it, and how it ended.

use std::{
    path::PathBuf,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bluegreen_core::{inventory::Inventory, inventory::parse_canary, traffic::SegmentShare};

use super::{
    Context,
    answer::Answer,
    args::{Cmd, NewRelease},
    error::CliError,
    progress,
};
use crate::site::{Asked, Finished, Site, Wanted};

/// Does what was asked, with Ctrl-C finishing the step under way and a second one leaving at once.
pub fn run(context: &Context, command: Cmd) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    let (asked, dry_run) = asked(&located.inventory, command)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let reporter = progress::reporter(context.screen);
    let site = Site::new(
        located.inventory,
        located.templates,
        located.base,
        context.cwd.clone(),
        reporter,
        interrupted.clone(),
    );
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::file("start", "the asynchronous runtime"))?;
    let finished = runtime.block_on(async {
        tokio::spawn(watch_ctrl_c(context.screen, interrupted));
        site.run(asked, dry_run).await
    });
    Ok(answer(context, finished))
}

async fn watch_ctrl_c(screen: super::screen::Screen, interrupted: Arc<AtomicBool>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if interrupted.swap(true, Ordering::SeqCst) {
            screen.err("leaving at once: the step under way is not finished; `bg status` shows where things stand");
            exit(130);
        }
        screen.err("stopping after the step under way; Ctrl-C again leaves at once");
    }
}

fn answer(context: &Context, finished: Finished) -> Answer {
    let mut answer = Answer::from(finished.outcome);
    if let Some(state) = &finished.state {
        answer = answer.at(state);
    }
    match finished.text {
        Some(text) if context.screen.json => answer.with("text", text.into()),
        Some(text) => {
            context.screen.out(text.trim_end());
            answer
        }
        None => answer,
    }
}

/// What the command line asks of the site, and whether only to say what that would do.
fn asked(inventory: &Inventory, command: Cmd) -> Result<(Asked, bool), CliError> {
    Ok(match command {
        Cmd::Setup { new, change } => (Asked::Setup(wanted(new)?), change.dry_run),
        Cmd::Deploy { new, canary, change } => {
            let canary = if canary.is_empty() { None } else { Some(shares(inventory, &canary)?) };
            (Asked::Deploy(wanted(new)?, canary), change.dry_run)
        }
        Cmd::Canary { shares: words, change } if words == ["off"] => (Asked::CanaryOff, change.dry_run),
        Cmd::Canary { shares: words, change } => (Asked::Canary(shares(inventory, &words)?), change.dry_run),
        Cmd::Flip { back: false, change } => (Asked::Flip, change.dry_run),
        Cmd::Flip { back: true, change } => (Asked::FlipBack, change.dry_run),
        Cmd::Restore { change } => (Asked::Restore, change.dry_run),
        Cmd::Abort { change } => (Asked::Abort, change.dry_run),
        Cmd::Resume { change } => (Asked::Resume, change.dry_run),
        Cmd::Sync { hosts, change } => (Asked::Sync(hosts), change.dry_run),
        // `dispatch` sends every other command elsewhere.
        _ => return Err(CliError::usage("this command changes no site", "`bg --help`")),
    })
}

/// `--release` and `--artifact POOL=PATH`.
fn wanted(new: NewRelease) -> Result<Wanted, CliError> {
    let pair = |text: String| match text.split_once('=') {
        Some((pool, path)) if !pool.is_empty() && !path.is_empty() => Ok((pool.to_owned(), PathBuf::from(path))),
        _ => Err(CliError::usage(
            format!("`--artifact {text}` names no pool and path"),
            "`--artifact web=dist/web.tar.zst`",
        )),
    };
    let artifacts = new.artifacts.into_iter().map(pair).collect::<Result<_, _>>()?;
    Ok(Wanted { label: new.release, artifacts })
}

/// `SEGMENT=PERCENT…`: every segment of the inventory in order.
fn shares(inventory: &Inventory, words: &[String]) -> Result<Vec<SegmentShare>, CliError> {
    parse_canary(inventory, words)
        .map_err(|errors| CliError::usage(errors.0.join("\n"), "`bg canary mobile=10%`; `all` is everybody else"))
}
