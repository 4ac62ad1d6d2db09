//! Everything that ends a command before the engine has a say. Exit codes and hints stand in `errors.rs`.

use std::path::PathBuf;

use bluegreen_core::inventory::Findings;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use crate::engine::Outcome;

/// Why a command ended early. Nothing was touched, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// How to mend it.
        hint: Option<String>,
    },
    /// There is no such inventory, or more than one to choose from.
    #[error("{message}")]
    NoInventory {
        /// What is missing.
        message: String,
        /// How to mend it.
        hint: String,
    },
    /// The inventory is wrong.
    #[error("`{file}` has {}; nothing was touched", count(.findings.count()))]
    Inventory {
        /// The file as named to the user.
        file: String,
        /// Everything that is wrong with it.
        findings: Box<Findings>,
    },
    /// The inventory names templates that cannot be used.
    #[error("the inventory's `templates` cannot be used, so nothing was touched: {why}")]
    Templates {
        /// What is wrong.
        why: String,
    },
    /// The inventory holds a value that nginx cannot.
    #[error("nginx cannot hold what the inventory says, so nothing was touched: {why}")]
    Unrenderable {
        /// Which, and why.
        why: String,
    },
    /// A file or directory could not be read or written.
    #[error("could not {doing} `{}`: {source}", .path.display())]
    File {
        /// What was to be done with it: `read`, `write`, `create`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine or an edge ended it.
    #[error("{}", .0.message)]
    Ended(Outcome),
}

fn count(findings: usize) -> String {
    if findings == 1 { "an error".to_owned() } else { format!("{findings} errors") }
}

impl CliError {
    /// A wrong command line, with what to do instead.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> CliError {
        CliError::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// For `map_err`: a file that could not be `doing`.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> CliError {
        let path = path.into();
        move |source| CliError::File { doing, path, source }
    }

    /// Keys of the JSON document beyond the usual ones.
    fn extra(&self) -> Map<String, Value> {
        let mut extra = Map::new();
        if let CliError::Inventory { findings, .. } = self {
            extra.insert("findings".to_owned(), json!(findings.located()));
        }
        extra
    }

    /// What is printed above the message, for people, on a terminal of `width` columns or where nothing folds it.
    pub fn detail(&self, color: bool, width: Option<usize>) -> Option<String> {
        match self {
            CliError::Inventory { findings, .. } => Some(findings.render_within(color, width.unwrap_or(usize::MAX))),
            _ => None,
        }
    }
}

impl From<Outcome> for CliError {
    fn from(outcome: Outcome) -> CliError {
        CliError::Ended(outcome)
    }
}

impl From<&CliError> for Answer {
    fn from(error: &CliError) -> Answer {
        Answer { hint: error.hint(), extra: error.extra(), ..Answer::new(error.exit(), error.to_string()) }
    }
}
