//! What the engine asks of the world, as two small traits.

use async_trait::async_trait;
use bluegreen_core::rollout::{Before, Effect, Epoch, Event, State, Step, Survey};

/// A step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the command.
    pub effect: Effect,
    /// What happened, to which object, what is unaffected.
    pub message: String,
    /// What to do next, when there is more to say than the stage's own commands.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint of its own.
    pub fn new(effect: Effect, message: impl Into<String>) -> Failure {
        Failure { effect, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

/// One step to be performed.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The state after the step's `StepStarted`.
    pub state: &'a State,
    /// What is to be done.
    pub step: &'a Step,
    /// What was recorded before it.
    pub before: &'a Before,
    /// The right to change servers.
    pub epoch: &'a Epoch,
}

/// The world that a plan changes.
#[async_trait(?Send)]
pub trait World {
    /// Looks at every balancer before a shift. An error changes nothing.
    async fn survey(&self, state: &State, step: &Step) -> Result<Survey, Failure>;

    /// Looks for what another journal, or a newer copy of this one, has left where `step` is about to begin. An error
    /// refuses, and changes nothing.
    async fn is_ours(&self, state: &State, step: &Step) -> Result<(), Failure>;

    /// Does one step. Must be idempotent. Returns what is worth a line in the journal.
    async fn perform(&self, work: Work<'_>) -> Result<Vec<String>, Failure>;

    /// Puts every balancer on the generation after N, those that did not answer included; the errors name each balancer
    /// that did not confirm and what it said.
    async fn put_back(&self, work: Work<'_>) -> Result<(), Vec<(String, String)>>;

    /// Events that belong into the same append as the step's end.
    fn settled_by(&self, step: &Step) -> Vec<Event>;
}

/// An append that did not happen.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct JournalError {
    /// What happened to which journal.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the record may be there all the same.
    pub is_unknown: bool,
}

/// The append-only record, opened by a command that has the site's lock.
#[async_trait(?Send)]
pub trait Journal {
    /// What replaying it gives.
    fn state(&self) -> &State;

    /// Appends `events` as one entry, durable when this returns. Fails when somebody else appended in
    /// between, or when the lock was lost.
    async fn append(&mut self, events: Vec<Event>) -> Result<(), JournalError>;
}
