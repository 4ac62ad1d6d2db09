//! How a command ended: one document for machines, a line or two for people.

use bluegreen_core::rollout::{Stage, State};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::engine::{Exit, Outcome};

/// The last thing that every command says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exit code.
    pub exit: Exit,
    /// Where the site stands; `None` before setup or when it is not known.
    pub stage: Option<Stage>,
    /// The number of the rollout under way.
    pub rollout: Option<u64>,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// More keys for the JSON document.
    pub extra: Map<String, Value>,
}

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    exit: i32,
    stage: Option<Stage>,
    rollout: Option<String>,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl Answer {
    /// An answer of a command that does not look at the journal.
    pub fn new(exit: Exit, message: impl Into<String>) -> Answer {
        Answer { exit, stage: None, rollout: None, message: message.into(), hint: None, extra: Map::new() }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Answer {
        self.hint = Some(hint.into());
        self
    }

    /// The same with one more key for the JSON document.
    pub fn with(mut self, key: &str, value: Value) -> Answer {
        self.extra.insert(key.to_owned(), value);
        self
    }

    /// The same, saying where the site stands.
    pub fn at(mut self, state: &State) -> Answer {
        self.stage = state.stage;
        self.rollout = state.rollout.as_ref().map(|rollout| rollout.number);
        self
    }

    /// One line of JSON.
    pub fn document(&self) -> String {
        let document = Document {
            ok: self.exit == Exit::Done,
            exit: self.exit as i32,
            stage: self.stage,
            rollout: self.rollout.map(|number| format!("r{number}")),
            message: &self.message,
            hint: self.hint.as_deref(),
            extra: &self.extra,
        };
        // Plain data with string keys: serializing it cannot fail.
        serde_json::to_string(&document).expect("an answer is plain data")
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Answer {
        Answer { hint: outcome.hint, ..Answer::new(outcome.exit, outcome.message) }
    }
}
