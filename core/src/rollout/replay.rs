//! Replaying the journal: what each event does to the state, and which events cannot follow.

use super::{
    armed::{Arming, armed_by},
    command::Command,
    event::{Entry, Event},
    plan::Plan,
    stage::Stage,
    state::{Moved, OpenCommand, OpenShift, OpenStep, Rollout, State},
    step::{Before, Step},
};
use crate::{
    half::Half,
    release::{Release, Version},
};

/// An event that cannot follow what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {index} of the journal does not follow from the ones before it: {why}")]
pub struct ReplayError {
    /// The entry's index.
    pub index: u64,
    /// What is wrong with it.
    pub why: String,
}

impl State {
    /// Replays `entries` from the beginning.
    pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<State, ReplayError> {
        let mut state = State::default();
        for entry in entries {
            state.apply(entry)?;
        }
        Ok(state)
    }

    /// Applies one more entry. On an error the state is not to be used further.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        let wrong = |why: &str| ReplayError { index: entry.index, why: why.to_owned() };
        if entry.index != self.length {
            return Err(wrong(&format!("it says it is number {}, and number {} is due", entry.index, self.length)));
        }
        for event in &entry.events {
            self.event(event, entry).map_err(|why| wrong(&why))?;
        }
        self.length += 1;
        Ok(())
    }

    fn release_mut(&mut self, half: Half) -> &mut Option<Version> {
        match half {
            Half::Blue => &mut self.blue,
            Half::Green => &mut self.green,
        }
    }

    fn event(&mut self, event: &Event, entry: &Entry) -> Result<(), String> {
        match event {
            Event::SiteCreated { site, journal } => {
                if self.journal.is_some() {
                    return Err("the site was created already".to_owned());
                }
                self.site = Some(site.clone());
                self.journal = Some(journal.clone());
            }
            _ if self.moved.is_some() => return Err("the journal was closed before".to_owned()),
            _ if self.journal.is_none() => return Err("the site was not created yet".to_owned()),
            Event::ReleaseMade { release } => self.release_made(release)?,
            Event::RolloutStarted { number, offset, from } => self.rollout_started(*number, *offset, *from)?,
            Event::CommandStarted { command, plan, digest } => self.command_started(command, plan, digest, entry)?,
            Event::StepStarted { step, before } => self.step_started(*step, before, entry)?,
            Event::StepDone { step, .. } => self.step_done(*step, &entry.at)?,
            Event::StepFailed { step, why, undoing } => {
                let open = self.open_step(*step)?;
                open.failed = Some(why.clone());
                open.undoing = *undoing;
            }
            Event::UndoFailed { step, hosts } => {
                let open = self.open_step(*step)?;
                open.undoing = true;
                open.undo_failed.clone_from(hosts);
            }
            Event::Undone { step } => self.undone(*step)?,
            Event::Reverted { generation, .. } => self.reverted(*generation)?,
            Event::Configured { revision, digest } => {
                self.revision = *revision;
                self.conf_digest = Some(digest.clone());
            }
            Event::Synced { digest, hosts } => {
                self.accept_digest(digest);
                self.hosts.clone_from(hosts);
            }
            Event::CommandEnded { .. } => {
                self.open.take().ok_or("no command is open")?;
            }
            Event::RolloutEnded { number } => {
                let rollout = self.rollout.take().ok_or("no rollout is under way")?;
                if rollout.number != *number {
                    return Err(format!("rollout r{} is under way, not r{number}", rollout.number));
                }
            }
            Event::Moved { to } => {
                self.moved = Some(Moved { to: to.clone(), by: entry.by.clone(), since: entry.at.clone() });
            }
        }
        Ok(())
    }

    fn release_made(&mut self, release: &Release) -> Result<(), String> {
        if release.version != self.next_version() {
            return Err(format!("release {} is due, not {}", self.next_version(), release.version));
        }
        self.releases.insert(release.version, release.clone());
        Ok(())
    }

    fn rollout_started(&mut self, number: u64, offset: u8, from: Version) -> Result<(), String> {
        if self.rollout.is_some() || number != self.rollouts + 1 {
            return Err(format!("rollout r{number} cannot begin here"));
        }
        self.rollouts = number;
        self.rollout = Some(Rollout { number, offset, from, to: from });
        Ok(())
    }

    fn command_started(&mut self, command: &Command, plan: &Plan, digest: &str, entry: &Entry) -> Result<(), String> {
        if self.open.is_some() {
            return Err(format!("`{}` begins while another command is open", command.as_str()));
        }
        if let (Command::Deploy { release, .. }, Some(rollout)) = (command, &mut self.rollout) {
            rollout.to = release.version;
        }
        if self.digest.is_none() {
            self.accept_digest(digest);
        }
        self.open = Some(OpenCommand {
            command: command.clone(),
            plan: plan.clone(),
            digest: digest.to_owned(),
            done: 0,
            step: None,
            shift: None,
            stage_before: self.stage,
            since: entry.at.clone(),
            by: entry.by.clone(),
        });
        Ok(())
    }

    fn step_started(&mut self, index: usize, before: &Before, entry: &Entry) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("no command is open")?;
        // A resume may begin the open step again; a commit that is resumed begins with preparing anew, and a reload with
        // writing the files anew.
        let again = open.step.as_ref().is_some_and(|step| step.index == index);
        let earlier = open.plan.steps.get(index).filter(|_| index < open.done).map(|planned| &planned.step);
        let anew = matches!(earlier, Some(Step::Prepare { .. } | Step::WriteConf { .. }));
        if !(again || index == open.done || anew) || index >= open.plan.steps.len() {
            return Err(format!("step {index} is not due"));
        }
        open.done = index;
        open.step = Some(OpenStep {
            index,
            before: before.clone(),
            epoch: entry.index,
            failed: None,
            undoing: false,
            undo_failed: Vec::new(),
            since: entry.at.clone(),
            by: entry.by.clone(),
        });
        let planned = open.plan.steps[index].clone();
        if let Some(stage) = planned.enters {
            self.stage = Some(stage);
        }
        match &planned.step {
            Step::Prepare { .. } => {
                // A shift that is prepared again keeps what its first attempt began from.
                let earlier = open.shift.take().filter(|shift| shift.prepare == index);
                let back = earlier.map(|shift| shift.back).or_else(|| before.traffic.clone());
                let back = back.unwrap_or_else(|| self.traffic.clone());
                open.shift = Some(OpenShift { prepare: index, generation: before.generation, back, arming: None });
            }
            Step::Commit { to, .. } => {
                // From here the balancers may go back from this shift, and no more from an earlier one for long.
                self.armed = armed_by(open, index);
                self.traffic = to.clone();
                self.unsettled = true;
            }
            Step::Activate { half, .. } => *self.release_mut(*half) = None,
            Step::WriteConf { revision } => self.revision_begun = self.revision_begun.max(*revision),
            _ => {}
        }
        if let Some(generation) = before.generation {
            // N and N+1 are spent, whatever becomes of them.
            self.generation = self.generation.max(generation + 1);
            self.confirmed = None;
        }
        Ok(())
    }

    fn step_done(&mut self, index: usize, at: &str) -> Result<(), String> {
        self.open_step(index)?;
        let open = self.open.as_mut().ok_or("no command is open")?;
        open.step = None;
        open.done = index + 1;
        let planned = open.plan.steps[index].clone();
        if let Some(stage) = planned.reaches {
            self.stage = Some(stage);
        }
        match planned.step {
            Step::Activate { half, release } => *self.release_mut(half) = Some(release),
            Step::Commit { .. } => {
                let shift = open.shift.take();
                self.unsettled = false;
                if let Some(generation) = shift.and_then(|shift| shift.generation).filter(|_| self.armed.is_none()) {
                    self.confirmed = Some(generation);
                }
            }
            Step::ArmRevert { after_ms } => {
                let arming = Arming { since: at.to_owned(), after_ms };
                if let Some(shift) = open.shift.as_mut().filter(|shift| shift.generation.is_some()) {
                    shift.arming = Some(arming);
                }
            }
            Step::DisarmRevert => {
                let armed = self.armed.take().ok_or("nothing is armed")?;
                self.confirmed = Some(armed.generation);
                self.kept = self.confirmed;
            }
            Step::Follow { generation, .. } => {
                self.unsettled = false;
                self.confirmed = Some(generation);
            }
            _ => {}
        }
        Ok(())
    }

    fn undone(&mut self, index: usize) -> Result<(), String> {
        self.open_step(index)?;
        let open = self.open.as_mut().ok_or("no command is open")?;
        open.step = None;
        let shift = open.shift.take().ok_or("no shift is under way")?;
        self.confirmed = shift.generation.map(|generation| generation + 1).or(self.confirmed);
        self.unsettled = false;
        self.armed = None;
        self.traffic = shift.back;
        self.stage = stage_at(open, index);
        Ok(())
    }

    fn open_step(&mut self, index: usize) -> Result<&mut OpenStep, String> {
        let open = self.open.as_mut().ok_or("no command is open")?;
        match &mut open.step {
            Some(step) if step.index == index => Ok(step),
            _ => Err(format!("step {index} is not under way")),
        }
    }

    fn accept_digest(&mut self, digest: &str) {
        self.digest = Some(digest.to_owned());
        if !self.digests.iter().any(|known| known == digest) {
            self.digests.push(digest.to_owned());
        }
    }
}

/// The stage that the command had reached just before the step at `index`: where a put-back shift leaves the site.
pub(super) fn stage_at(open: &OpenCommand, index: usize) -> Option<Stage> {
    let earlier = open.plan.steps.iter().take(index);
    earlier.fold(open.stage_before, |stage, planned| planned.reaches.or(planned.enters).or(stage))
}
