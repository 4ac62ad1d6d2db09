//! Every error as it is seen, one readable file for each kind of thing that can fail, to be read aloud.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod balancers;
mod command_line;
mod hosts;
mod journals;
mod refusals;
mod servers;
mod steps;

use bluegreen_core::{
    lock::{Queued, Ticket},
    rollout::By,
};

use crate::{
    cli::CliError,
    engine::{Exit, Outcome},
};

/// A value of every variant. A variant that is not listed does not compile; a value under another one's name stops the test.
macro_rules! every {
    ($type:ty: $($pattern:pat => $sample:expr),+ $(,)?) => {{
        #[allow(unreachable_patterns, reason = "a variant may have several samples")]
        fn is_listed(value: &$type) {
            match value {
                $($pattern => {})+
            }
        }
        let mut samples: Vec<(&'static str, $type)> = Vec::new();
        $(
            let sample: $type = $sample;
            assert!(matches!(&sample, $pattern), "{sample:?} is no {}", stringify!($pattern));
            is_listed(&sample);
            samples.push((stringify!($pattern), sample));
        )+
        samples
    }};
}
use every;

/// One error under its name: what is printed, and before it the exit code where it is decided.
fn card(name: &str, exit: Option<Exit>, message: &str, hint: Option<&str>) -> String {
    let name = name.split([' ', '{', '(']).next().unwrap_or_default();
    let exit = exit.map(|exit| format!(" (exit {})", exit as i32)).unwrap_or_default();
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("== {name}{exit}\nerror: {message}{hint}\n")
}

fn ended(name: &str, outcome: &Outcome) -> String {
    card(name, Some(outcome.exit), &outcome.message, outcome.hint.as_deref())
}

fn early(name: &str, error: &CliError) -> String {
    let detail = error.detail(false, None).map(|detail| detail + "\n").unwrap_or_default();
    let card = card(name, Some(error.exit()), &error.to_string(), error.hint().as_deref());
    card.replacen("error: ", &format!("{detail}error: "), 1)
}

/// All of them, in the form that every one has: no blanks too many, and nothing behind the last word.
fn read_aloud(cards: &[String]) -> String {
    for card in cards {
        for line in card.lines().filter(|line| line.starts_with("error: ") || line.starts_with("hint: ")) {
            // What a host said may end as it likes.
            assert!(!line.ends_with([' ', ';', ',']), "`{line}`");
            assert!(line.starts_with("error: ") || !line.ends_with('.'), "`{line}`");
            assert!(["  ", " ;", ". ."].iter().all(|odd| !line.contains(odd)), "`{line}`");
        }
    }
    cards.join("\n")
}

fn text(words: &str) -> String {
    words.to_owned()
}

fn anna() -> By {
    By { user: text("anna"), host: text("desk"), pid: 4711 }
}

/// A time that lies ahead: no age is told, which would change from day to day.
const AHEAD: &str = "9999-01-01T00:00:00Z";

fn queued(command: &str, release: Option<&str>) -> Queued {
    let ticket =
        Ticket { by: anna(), command: text(command), release: release.map(text), waits: false, since: text(AHEAD) };
    Queued { id: text("1"), ticket }
}
