//! State is replay(journal).

use std::collections::BTreeMap;

use super::{
    armed::{Armed, Arming},
    command::Command,
    event::{By, Event},
    plan::{Plan, Planned},
    stage::Stage,
    step::{Before, Step},
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

/// The journal was closed, and where the site goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The location of the other journal, as the inventory is to say it.
    pub to: String,
    /// Who moved it.
    pub by: By,
    /// When: RFC 3339, UTC.
    pub since: String,
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
    /// The balancers that its last undoing did not reach, and what each said: "undo failed" is where it stands then.
    pub undo_failed: Vec<(String, String)>,
    /// When it was started (last): RFC 3339, UTC.
    pub since: String,
    /// Who started it (last): another than the command's own where somebody resumed it.
    pub by: By,
}

/// A shift between its first `StepStarted` and the end of its commit or of its undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenShift {
    /// The index of its Prepare in the plan; its Commit follows, armed or not.
    pub prepare: usize,
    /// N, when the shift needed one: N+1 holds the traffic to put back.
    pub generation: Option<u64>,
    /// What the balancers had before its first attempt: what a put-back returns to.
    pub back: Traffic,
    /// Set when every balancer is armed to go back from it by itself.
    pub arming: Option<Arming>,
}

/// A command that was started and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCommand {
    /// What was asked.
    pub command: Command,
    /// Its steps.
    pub plan: Plan,
    /// The digest of the inventory that it was planned from.
    pub digest: String,
    /// Steps done so far: the index of the next.
    pub done: usize,
    /// The step under way.
    pub step: Option<OpenStep>,
    /// The shift that was prepared last and is not over.
    pub shift: Option<OpenShift>,
    /// The stage when it began, to which a put-back forward shift returns.
    pub stage_before: Option<Stage>,
    /// When it began: RFC 3339, UTC.
    pub since: String,
    /// Who began it.
    pub by: By,
}

impl OpenCommand {
    /// The step that is under way or comes next.
    pub fn at(&self) -> Option<&Planned> {
        self.plan.steps.get(self.step.as_ref().map_or(self.done, |step| step.index))
    }

    /// The Prepare of the shift that the step at `index` arms or commits; `None` for any other step.
    pub fn shift_of(&self, index: usize) -> Option<usize> {
        let (earlier, rest) = self.plan.steps.split_at_checked(index)?;
        match rest.first()?.step {
            Step::ArmRevert { .. } | Step::Commit { .. } => {
                earlier.iter().rposition(|planned| matches!(planned.step, Step::Prepare { .. }))
            }
            _ => None,
        }
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
    /// The shift that the balancers go back from by themselves; from its commit until it is confirmed, overtaken by the
    /// commit of a later one, or reverted. `confirmed` is `None` meanwhile.
    pub armed: Option<Armed>,
    /// The generation that `confirm` kept last.
    pub kept: Option<u64>,
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
    /// Where the site goes on, once this journal is closed.
    pub moved: Option<Moved>,
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
            armed: None,
            kept: None,
            revision: 0,
            revision_begun: 0,
            conf_digest: None,
            digest: None,
            hosts: Vec::new(),
            digests: Vec::new(),
            open: None,
            moved: None,
            length: 0,
        }
    }
}

impl State {
    /// The release of one half.
    pub fn release(&self, half: Half) -> Option<Version> {
        match half {
            Half::Blue => self.blue,
            Half::Green => self.green,
        }
    }

    /// What every balancer is to have: while a shift is being undone, what it is put back to.
    pub fn wanted(&self) -> &Traffic {
        let undone = self.open.as_ref().filter(|open| open.step.as_ref().is_some_and(|step| step.undoing));
        undone.and_then(|open| open.shift.as_ref()).map_or(&self.traffic, |shift| &shift.back)
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
}
