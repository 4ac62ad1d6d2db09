//! The commands that change a site: from words to what is asked of it, and how it ended.

use std::{
    path::PathBuf,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bluegreen_core::{
    inventory::{Inventory, parse_canary, parse_duration},
    rollout::OpenCommand,
    traffic::SegmentShare,
};
use tokio::time::timeout;

use super::{
    Context,
    answer::Answer,
    args::{Change, Cmd, JournalCmd, NewRelease},
    error::CliError,
    locate::Located,
    progress::Telling,
    remote::{listen, runtime},
    screen::{Screen, under_name},
    stop::Stop,
    suspend::{Suspend, watch_return},
};
use crate::{
    edge::journal::Patience,
    engine::{Exit, describe_stage, ways_on},
    site::{Asked, Finished, Move, Site, Wanted, by},
};

/// The least that `--revert-after` can be: the shift itself, on every balancer, must be over well before.
const LEAST_REVERT_MS: u64 = 5_000;
/// The most: whoever wants to see it longer has seen it, and can confirm.
const MOST_REVERT_MS: u64 = 24 * 3_600_000;

/// Does what was asked, with Ctrl-C finishing the step under way and a second one leaving at once.
pub fn run(context: &Context, command: Cmd) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    let (asked, dry_run, patience) = asked(&located.inventory, command)?;
    let seen = located.clone();
    let interrupted = Arc::new(AtomicBool::new(false));
    // Without the right to hold it back, Ctrl-Z leaves on the screen what was drawn.
    let suspend = context.screen.live.then(Suspend::hold_back).and_then(Result::ok);
    let telling = Telling::new(context.screen);
    if let Some(suspend) = suspend {
        suspend.watch(telling.clone());
    }
    let site = Site::new(
        located.inventory,
        located.templates,
        located.base,
        context.cwd.clone(),
        telling.reporter(),
        interrupted.clone(),
    )
    .patient(patience);
    let screen = context.screen;
    let watched = Watched { screen, telling: telling.clone(), interrupted, waits: site.waits(), located: seen };
    let finished = runtime()?.block_on(async {
        tokio::spawn(watch_stop(listen()?, watched));
        tokio::spawn(watch_return(telling.clone()));
        Ok::<Finished, CliError>(site.run(asked, dry_run).await)
    });
    telling.finish();
    let finished = finished?;
    Ok(answer(context, finished))
}

/// What whoever asks to stop is told by.
struct Watched {
    screen: Screen,
    telling: Telling,
    interrupted: Arc<AtomicBool>,
    /// Whether the command waits for the lock at this moment.
    waits: Arc<AtomicBool>,
    located: Located,
}

/// The first time the step under way is finished, the second time the program leaves at once.
async fn watch_stop(mut stop: Stop, watched: Watched) {
    let Watched { screen, telling, interrupted, waits, located } = watched;
    loop {
        stop.asked().await;
        let waits = waits.load(Ordering::SeqCst);
        if interrupted.swap(true, Ordering::SeqCst) {
            let answer = if waits { left_the_queue() } else { left_at_once(&located).await };
            telling.finish();
            screen.answer(&answer);
            exit(Exit::Interrupted as i32);
        }
        telling.say(if waits {
            "leaving the queue"
        } else {
            "stopping after the step under way; Ctrl-C again leaves at once"
        });
    }
}

fn left_the_queue() -> Answer {
    Answer::new(Exit::Interrupted, "left the queue at once; nothing was touched")
        .hint("`bg status` shows where things stand")
}

/// How long a command that leaves at once takes to say where it left the site: a journal elsewhere may not answer.
const LAST_LOOK: Duration = Duration::from_secs(1);

async fn left_at_once(located: &Located) -> Answer {
    let answer = |message| Answer::new(Exit::Interrupted, message);
    let Ok(Ok(reading)) = timeout(LAST_LOOK, located.journal()).await else {
        return answer("left at once".to_owned()).hint("`bg status` shows where things stand");
    };
    let state = &reading.state;
    // What another command left open is not where this one stopped.
    let ours = |open: &&OpenCommand| open.step.as_ref().map_or(&open.by, |step| &step.by) == &by();
    let at = state.open.as_ref().filter(ours).and_then(OpenCommand::at).map(|planned| planned.step.to_string());
    let message = match at {
        Some(step) => format!("left at once: how far the step `{step}` got is not known; {}", describe_stage(state)),
        None => format!("left at once: nothing was begun; {}", describe_stage(state)),
    };
    answer(message).at(state).hint(ways_on(state))
}

fn answer(context: &Context, finished: Finished) -> Answer {
    let mut answer = Answer::from(finished.outcome);
    if let Some(state) = &finished.state {
        answer = answer.at(state);
    }
    match finished.text {
        Some(text) if context.screen.json => answer.with("text", under_name(&text, context.screen.called).into()),
        Some(text) => {
            context.screen.out(text.trim_end());
            answer
        }
        None => answer,
    }
}

/// What the command line asks of the site, whether only to say what that would do, and how it goes about the lock.
fn asked(inventory: &Inventory, command: Cmd) -> Result<(Asked, bool, Patience), CliError> {
    let mut skip_superseded = false;
    let (asked, change) = match command {
        Cmd::Setup { new, change } => (Asked::Setup(wanted(new)?), change),
        Cmd::Deploy { new, skip_superseded: skip, canary, revert_after, change } => {
            skip_superseded = skip;
            if canary.is_empty() && revert_after.is_some() {
                return Err(CliError::usage(
                    "`--revert-after` is about a canary, and this deploy gives none",
                    "`bg deploy --canary mobile=10% --revert-after 10m`, or leave it out",
                ));
            }
            let canary = if canary.is_empty() { None } else { Some(shares(inventory, &canary)?) };
            (Asked::Deploy(wanted(new)?, canary, after(revert_after)?), change)
        }
        Cmd::Canary { shares: words, revert_after, change } if words == ["off"] => {
            only_forward(revert_after.as_deref(), "canary off")?;
            (Asked::CanaryOff, change)
        }
        Cmd::Canary { shares: words, revert_after, change } => {
            (Asked::Canary(shares(inventory, &words)?, after(revert_after)?), change)
        }
        Cmd::Flip { back: false, revert_after, change } => (Asked::Flip(after(revert_after)?), change),
        Cmd::Flip { back: true, revert_after, change } => {
            only_forward(revert_after.as_deref(), "flip --back")?;
            (Asked::FlipBack, change)
        }
        Cmd::Confirm { change } => (Asked::Confirm, change),
        Cmd::Restore { change } => (Asked::Restore, change),
        Cmd::Abort { change } => (Asked::Abort, change),
        Cmd::Resume { change } => (Asked::Resume, change),
        Cmd::Sync { hosts, change } => (Asked::Sync(hosts), change),
        Cmd::Lock { why, dry_run } => (Asked::Lock(why), Change { dry_run, wait: None }),
        Cmd::Unlock { dry_run } => (Asked::Unlock, Change { dry_run, wait: None }),
        Cmd::Journal { command } => {
            let JournalCmd::Copy { from, to, change } = *command;
            (Asked::CopyJournal(Box::new(Move { from, to })), change)
        }
        // `dispatch` sends every other command elsewhere.
        _ => return Err(CliError::usage("this command changes no site", "`bg --help`")),
    };
    // A confirmation keeps what is, and without it the traffic would move.
    let despite_hold = matches!(asked, Asked::Confirm);
    Ok((asked, change.dry_run, Patience { wait: change.wait, skip_superseded, despite_hold }))
}

/// `--revert-after`, in milliseconds.
fn after(text: Option<String>) -> Result<Option<u64>, CliError> {
    let Some(text) = text else { return Ok(None) };
    let ms = parse_duration(&text, LEAST_REVERT_MS, MOST_REVERT_MS);
    let ms = ms.map_err(|why| CliError::usage(format!("`--revert-after`: {why}"), "`--revert-after 10m`"))?;
    Ok(Some(ms))
}

fn only_forward(revert_after: Option<&str>, command: &str) -> Result<(), CliError> {
    match revert_after {
        None => Ok(()),
        Some(_) => Err(CliError::usage(
            format!("`--revert-after` cannot be used with `{command}`, which leads back already"),
            "leave it out",
        )),
    }
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
