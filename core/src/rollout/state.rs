//! State is replay(journal).

use std::collections::BTreeMap;

use super::{
    command::Command,
    event::{Entry, Event},
    plan::{Plan, Planned},
    stage::Stage,
    step::{Before, Direction, Step},
};
use crate::{
    half::Half,
    release::{Release, Version},
    traffic::{Traffic, bucket_offset},
};

/// The rollout under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// r1, r2, …
    pub number: u64,
    /// The first bucket that its canary takes.
    pub offset: u8,
    /// The release that an abort returns to.
    pub from: Version,
    /// The release that green is to get: of the latest deploy.
    pub to: Version,
}

/// A step that was started and is not known to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStep {
    /// Its index in the plan.
    pub index: usize,
    /// What undoing it needs.
    pub before: Before,
    /// The journal index of its (last) `StepStarted`: the epoch of what it does on servers.
    pub epoch: u64,
    /// Why it failed, when it is known to have.
    pub failed: Option<String>,
    /// Whether its undoing has begun.
    pub undoing: bool,
}

/// A shift between its first `StepStarted` and the end of its commit or of its undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenShift {
    /// The index of its Prepare in the plan; its Commit is the next.
    pub prepare: usize,
    /// N, when the shift needed one: N+1 holds the traffic to put back.
    pub generation: Option<u64>,
    /// What the balancers had before its first attempt: what a put-back returns to.
    pub back: Traffic,
}

/// A command that was started and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCommand {
    /// What was asked.
    pub command: Command,
    /// Its steps.
    pub plan: Plan,
    /// Steps done so far: the index of the next.
    pub done: usize,
    /// The step under way.
    pub step: Option<OpenStep>,
    /// The shift that was prepared last and is not over.
    pub shift: Option<OpenShift>,
    /// The stage when it began, to which a put-back forward shift returns.
    pub stage_before: Option<Stage>,
    /// When it began.
    pub since: String,
}

impl OpenCommand {
    /// The step that is under way or comes next.
    pub fn at(&self) -> Option<&Planned> {
        self.plan.steps.get(self.step.as_ref().map_or(self.done, |step| step.index))
    }
}

/// What replaying a journal gives.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The site's name, once created.
    pub site: Option<String>,
    /// The journal's id, once created.
    pub journal: Option<String>,
    /// `None` until setup is done.
    pub stage: Option<Stage>,
    /// The rollout under way.
    pub rollout: Option<Rollout>,
    /// The number of the last rollout that was begun.
    pub rollouts: u64,
    /// Every release that was made.
    pub releases: BTreeMap<Version, Release>,
    /// Blue's release; `None` while its hosts disagree.
    pub blue: Option<Version>,
    /// Green's release; `None` while its hosts disagree.
    pub green: Option<Version>,
    /// What every balancer is meant to have.
    pub traffic: Traffic,
    /// The highest generation that was ever chosen; 0 before the first.
    pub generation: u64,
    /// The generation that every balancer confirmed last, while no later one was chosen: only then is "it has that
    /// already" a reason not to shift, for no delayed commit can change it.
    pub confirmed: Option<u64>,
    /// Whether a commit was begun and neither confirmed by every balancer nor put back on all of them: until then some may
    /// have one traffic and some another, whichever command is open.
    pub unsettled: bool,
    /// The configuration revision that the balancers are meant to have; 0 before the first.
    pub revision: u64,
    /// The highest revision that was ever begun.
    pub revision_begun: u64,
    /// The digest of the rendered configuration.
    pub conf_digest: Option<String>,
    /// The inventory's digest.
    pub digest: Option<String>,
    /// The hosts that the site was set up or synced with, one line each.
    pub hosts: Vec<String>,
    /// Every digest that stood in the journal.
    pub digests: Vec<String>,
    /// The command that is open.
    pub open: Option<OpenCommand>,
    /// The number of entries: the index of the next.
    pub length: u64,
}

impl Default for State {
    fn default() -> State {
        State {
            site: None,
            journal: None,
            stage: None,
            rollout: None,
            rollouts: 0,
            releases: BTreeMap::new(),
            blue: None,
            green: None,
            traffic: Traffic::Both,
            generation: 0,
            confirmed: None,
            unsettled: false,
            revision: 0,
            revision_begun: 0,
            conf_digest: None,
            digest: None,
            hosts: Vec::new(),
            digests: Vec::new(),
            open: None,
            length: 0,
        }
    }
}

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

    /// The release of one half.
    pub fn release(&self, half: Half) -> Option<Version> {
        match half {
            Half::Blue => self.blue,
            Half::Green => self.green,
        }
    }

    fn release_mut(&mut self, half: Half) -> &mut Option<Version> {
        match half {
            Half::Blue => &mut self.blue,
            Half::Green => &mut self.green,
        }
    }

    /// The number of the next release.
    pub fn next_version(&self) -> Version {
        Version(self.releases.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// The release that blue gets when green is restored to service: what green runs. A deploy that was interrupted before
    /// it touched green has made a release that green does not run.
    pub fn target(&self) -> Version {
        self.green.or(self.rollout.as_ref().map(|rollout| rollout.to)).or(self.blue).unwrap_or(Version(0))
    }

    /// The release that an abort returns to; outside of a rollout, what blue serves.
    pub fn source(&self) -> Version {
        self.rollout.as_ref().map(|rollout| rollout.from).or(self.blue).unwrap_or(Version(0))
    }

    /// The bucket offset of the rollout under way, 0 outside of one.
    pub fn offset(&self) -> u8 {
        self.rollout.as_ref().map_or(0, |rollout| rollout.offset)
    }

    /// The bucket offset that a deploy's canary gets: of the rollout under way or of the one it begins.
    pub fn offset_of_deploy(&self) -> u8 {
        match &self.rollout {
            Some(rollout) => rollout.offset,
            None => bucket_offset(self.site.as_deref().unwrap_or_default(), self.rollouts + 1),
        }
    }

    /// The events with which `command` begins: the release it makes, the rollout it begins, its plan.
    /// An open command that it supersedes is ended in the same append.
    pub fn begin(&self, command: &Command, plan: &Plan, digest: &str) -> Vec<Event> {
        let mut events = Vec::new();
        if self.open.is_some() {
            let why = Some(format!("superseded by `{}`", command.as_str()));
            events.push(Event::CommandEnded { done: false, why });
        }
        if let Some(release) = command.release()
            && !self.releases.contains_key(&release.version)
        {
            events.push(Event::ReleaseMade { release: release.clone() });
        }
        if matches!(command, Command::Deploy { .. }) && self.rollout.is_none() {
            let number = self.rollouts + 1;
            events.push(Event::RolloutStarted { number, offset: self.offset_of_deploy(), from: self.source() });
        }
        events.push(Event::CommandStarted { command: command.clone(), plan: plan.clone(), digest: digest.to_owned() });
        events
    }

    /// The events that close the step at `index`: with the last one, command and rollout end in the same append.
    pub fn finish(&self, index: usize, notes: Vec<String>) -> Vec<Event> {
        let mut events = vec![Event::StepDone { step: index, notes }];
        let Some(open) = &self.open else { return events };
        if index + 1 == open.plan.steps.len() {
            events.push(Event::CommandEnded { done: true, why: None });
            if let (true, Some(rollout)) = (open.plan.ends_rollout, &self.rollout) {
                events.push(Event::RolloutEnded { number: rollout.number });
            }
        }
        events
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
            _ if self.journal.is_none() => return Err("the site was not created yet".to_owned()),
            Event::ReleaseMade { release } => self.release_made(release)?,
            Event::RolloutStarted { number, offset, from } => self.rollout_started(*number, *offset, *from)?,
            Event::CommandStarted { command, plan, digest } => self.command_started(command, plan, digest, entry)?,
            Event::StepStarted { step, before } => self.step_started(*step, before, entry.index)?,
            Event::StepDone { step, .. } => self.step_done(*step)?,
            Event::StepFailed { step, why, undoing } => {
                let open = self.open_step(*step)?;
                open.failed = Some(why.clone());
                open.undoing = *undoing;
            }
            Event::UndoFailed { step, .. } => self.open_step(*step)?.undoing = true,
            Event::Undone { step } => self.undone(*step)?,
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
            done: 0,
            step: None,
            shift: None,
            stage_before: self.stage,
            since: entry.at.clone(),
        });
        Ok(())
    }

    fn step_started(&mut self, index: usize, before: &Before, epoch: u64) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("no command is open")?;
        // A resume may begin the open step again, and a commit that is resumed begins with preparing anew.
        let again = open.step.as_ref().is_some_and(|step| step.index == index);
        let from_prepare = index < open.done && matches!(open.plan.steps[index].step, Step::Prepare { .. });
        if !(again || index == open.done || from_prepare) || index >= open.plan.steps.len() {
            return Err(format!("step {index} is not due"));
        }
        open.done = index;
        open.step = Some(OpenStep { index, before: before.clone(), epoch, failed: None, undoing: false });
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
                open.shift = Some(OpenShift { prepare: index, generation: before.generation, back });
            }
            Step::Commit { to, .. } => {
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

    fn step_done(&mut self, index: usize) -> Result<(), String> {
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
                if let Some(generation) = shift.and_then(|shift| shift.generation) {
                    self.confirmed = Some(generation);
                }
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

impl OpenCommand {
    /// Whether the open step is a backward shift, which may be partly committed for good.
    pub fn is_backward_shift(&self) -> bool {
        matches!(
            self.at().map(|planned| &planned.step),
            Some(
                Step::Prepare { direction: Direction::Backward, .. }
                    | Step::Commit { direction: Direction::Backward, .. }
            )
        )
    }
}
