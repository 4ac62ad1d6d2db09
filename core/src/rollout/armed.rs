//! A shift that every balancer goes back from by itself, unless it is confirmed in time.

use super::{
    command::Command,
    event::Event,
    plan::{PlanError, plan},
    replay::stage_at,
    stage::Stage,
    state::{OpenCommand, State},
};
use crate::traffic::Traffic;

/// When the balancers were armed, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arming {
    /// When the last one was: RFC 3339, UTC.
    pub since: String,
    /// How long after its own arming each goes back. Milliseconds.
    pub after_ms: u64,
}

/// An armed shift whose commit has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// N: a balancer that goes back by itself goes from N to N+1.
    pub generation: u64,
    /// What N+1 holds.
    pub back: Traffic,
    /// The stage that the site is in again once they went back.
    pub stage: Option<Stage>,
    /// The command that armed it, as it is typed.
    pub command: &'static str,
    /// When, and for how long.
    pub arming: Arming,
}

/// What is armed when the commit at `index` begins.
pub(super) fn armed_by(open: &OpenCommand, index: usize) -> Option<Armed> {
    let shift = open.shift.as_ref()?;
    Some(Armed {
        generation: shift.generation?,
        back: shift.back.clone(),
        stage: stage_at(open, index),
        command: open.command.as_str(),
        arming: shift.arming.clone()?,
    })
}

impl State {
    /// What went back by itself, when a balancer that runs generation `current` shows that one did. Nothing while a shift
    /// is being undone: that leads to the same generation.
    pub fn reverted_by(&self, current: u64) -> Option<&Armed> {
        let undoing = self.open.as_ref().and_then(|open| open.step.as_ref()).is_some_and(|step| step.undoing);
        self.armed.as_ref().filter(|armed| !undoing && current == armed.generation + 1)
    }

    /// The events that record that `hosts` went back by themselves, and begin to take the others there too. Whatever
    /// command was open is over.
    ///
    /// # Errors
    /// When nothing is armed.
    pub fn follow(&self, hosts: Vec<(String, Option<String>)>, digest: &str) -> Result<Vec<Event>, PlanError> {
        let armed = self.armed.as_ref().ok_or(PlanError::NotArmed)?;
        let steps = plan(self, &[], &Command::Revert)?;
        let mut events = self.begin(&Command::Revert, &steps, digest);
        // Right before the command: it begins in the stage that the site is in again.
        events.insert(events.len() - 1, Event::Reverted { generation: armed.generation, hosts });
        Ok(events)
    }

    /// The same state once the armed shift went back everywhere: what a reader shows before a command records it.
    pub fn after_revert(&self) -> State {
        let mut state = self.clone();
        if let Some(armed) = state.armed.take() {
            state.open = None;
            state.traffic = armed.back;
            state.stage = armed.stage;
            state.confirmed = None;
            state.unsettled = true;
        }
        state
    }

    pub(super) fn reverted(&mut self, generation: u64) -> Result<(), String> {
        if self.open.is_some() {
            return Err("a command is open".to_owned());
        }
        if self.armed.as_ref().is_none_or(|armed| armed.generation != generation) {
            return Err(format!("generation {generation} was not to go back by itself"));
        }
        *self = self.after_revert();
        Ok(())
    }
}
