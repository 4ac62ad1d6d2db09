//! What the driver of a plan decides, as pure functions of the state: where to go on, what to record, how a failure ends.

use super::{
    command::{Command, Verb},
    event::Event,
    replay::stage_at,
    stage::{Refusal, Stage, Transition},
    state::{OpenCommand, State},
    step::{Before, Direction, Epoch, Step},
};
use crate::{half::Half, traffic::Traffic};

/// What a failed step means for the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The step changed nothing that matters: the command is over and the stage is as before (exit 1).
    Nothing,
    /// A release, a server or its health is at fault: the command is over, no traffic moved to it (exit 4).
    Unhealthy,
    /// It is not settled how far the step got, or it ran out of time: the command stays open (exit 5).
    Open,
    /// Somebody else's work stands in the way (a fence, a foreign journal): refused, and the command stays as it is.
    Refused,
}

/// What becomes of a command whose step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failed {
    /// Every balancer is put back first; the command is over only when all confirm.
    PutBack,
    /// It stays open: `resume` or `abort` go on.
    StaysOpen,
    /// It is over, and everything is as it was before.
    Over,
    /// It is over: the release could not be made healthy.
    Unhealthy,
    /// It is over before it did anything.
    Refused,
}

/// Where `resume` goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resume {
    /// The commit at this index had begun to be undone: every balancer is put back.
    PutBack(usize),
    /// From the step at this index.
    From(usize),
}

/// What the balancers have, before generations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// The highest generation found on any balancer, 0 when there is none.
    pub highest: u64,
    /// Whether every balancer runs the wanted content in the generation that was confirmed last.
    pub settled: bool,
}

impl State {
    /// Whether green runs a release that the rollout brought: from an abort's first restart on it does not, and then only
    /// `abort` (or a new deploy) leads on, whatever the stage still says.
    pub fn green_is_new(&self) -> bool {
        self.green.is_some_and(|green| green != self.source())
    }

    /// Whether an open command lets `command` begin: only what leads traffic back to blue ends an interrupted command.
    pub fn admits(&self, command: &Command) -> bool {
        self.open.is_none() || command.verb().is_some_and(|verb| self.admits_verb(verb))
    }

    fn admits_verb(&self, verb: Verb) -> bool {
        match (&self.open, verb) {
            (None, _) => true,
            // There is nothing to go back to, or nothing that an abort could undo: they are begun again.
            (Some(OpenCommand { command: Command::Setup { .. }, .. }), _) => false,
            (Some(_), verb) => verb.leads_back(),
        }
    }

    /// Whether an inventory of this digest is the one that the site runs with; with another one only `sync` begins.
    pub fn knows_inventory(&self, digest: &str) -> bool {
        self.digest.as_deref().is_none_or(|known| known == digest)
    }

    /// Every command of the table that would go through now, in its order.
    pub fn next_commands(&self) -> Vec<Verb> {
        let Some(stage) = self.stage else { return Vec::new() };
        let goes = |verb: &Verb| matches!(self.next(*verb, stage), Transition::To(_));
        Verb::ALL.into_iter().filter(|verb| self.admits_verb(*verb)).filter(goes).collect()
    }

    /// What `verb` means in `stage`, the site's own: the table's cell, and what of the journal beside the stage counts.
    pub(super) fn next(&self, verb: Verb, stage: Stage) -> Transition {
        let is_open = self.open.is_some();
        let cell = match stage.next(verb) {
            // Interrupted before it left balanced.
            Transition::Refused(_) if is_open && verb == Verb::Abort => Transition::To(Stage::Balanced),
            // The journal says so, and a command was interrupted that was about to change it: the way back ends that
            // command, and every balancer is seen to be on blue.
            Transition::Already if is_open && verb.leads_back() => Transition::To(stage),
            // Not by the command that the table names: it is the open one, or must wait for that.
            Transition::Refused(_) if is_open && (verb, stage) == (Verb::CanaryOff, Stage::Restoring) => {
                Transition::Refused(Refusal { verb, stage, why: "blue is being upgraded: `resume` or `abort`" })
            }
            cell => cell,
        };
        match self.refused_without_new_release(verb, stage) {
            Some(refusal) if matches!(cell, Transition::To(_)) => Transition::Refused(refusal),
            _ => cell,
        }
    }

    /// What needs a new release on green is refused where green has none, although the stage would allow it. Nobody takes
    /// green for new in `isolated`.
    fn refused_without_new_release(&self, verb: Verb, stage: Stage) -> Option<Refusal> {
        let needs = !matches!(verb, Verb::Deploy | Verb::Abort) && stage != Stage::Isolated;
        let why = "an abort has begun to take green back to the old release: `abort` again finishes it";
        (needs && !self.green_is_new()).then_some(Refusal { verb, stage, why })
    }

    /// Whether `command` goes on with what is open rather than begin anew: an abort of an open abort, a confirm likewise.
    pub fn goes_on(&self, command: &Command) -> bool {
        let open = self.open.as_ref().map(|open| &open.command);
        matches!((open, command), (Some(Command::Abort), Command::Abort) | (Some(Command::Confirm), Command::Confirm))
    }

    /// Where the open command goes on; `None` when none is open.
    pub fn resume(&self) -> Option<Resume> {
        let open = self.open.as_ref()?;
        let index = open.step.as_ref().map_or(open.done, |step| step.index);
        if open.step.as_ref().is_some_and(|step| step.undoing) {
            return Some(Resume::PutBack(index));
        }
        let (earlier, rest) = open.plan.steps.split_at_checked(index)?;
        if matches!(rest.first().map(|planned| &planned.step), Some(Step::ReloadConf { .. })) {
            // One that failed puts the earlier files back, which may not even be complete: they are written anew.
            let written = earlier.iter().rposition(|planned| matches!(planned.step, Step::WriteConf { .. }));
            return Some(Resume::From(written.unwrap_or(index)));
        }
        // A commit is never continued by itself: the receiving half may have died meanwhile, so its shift is prepared
        // (and checked, and armed) anew, with numbers of its own.
        Some(Resume::From(open.shift_of(index).unwrap_or(index)))
    }

    /// The shift before the step at `index`, when that step is about to touch or check a half: where a resume goes on when a
    /// balancer lost its tree meanwhile, so that it gets it back first.
    pub fn shift_before(&self, index: usize) -> Option<usize> {
        let (earlier, rest) = self.open.as_ref()?.plan.steps.split_at_checked(index)?;
        match rest.first()?.step {
            Step::Drain { .. } | Step::Place { .. } | Step::Activate { .. } | Step::Check { .. } => {
                earlier.iter().rposition(|planned| matches!(planned.step, Step::Prepare { .. }))
            }
            _ => None,
        }
    }

    /// What is recorded before the step at `index`; for a shift the generations are chosen here.
    pub fn before(&self, index: usize, survey: Survey) -> Before {
        let Some(open) = &self.open else { return Before::default() };
        let Some(planned) = open.plan.steps.get(index) else { return Before::default() };
        let shift = open.shift.as_ref();
        match &planned.step {
            Step::Prepare { .. } => {
                let retried = shift.filter(|shift| shift.prepare == index);
                let back = match (retried, self.stage) {
                    (Some(shift), _) => shift.back.clone(),
                    (None, Some(_)) => self.traffic.clone(),
                    // Before the first tree stands, every nginx that includes bg's files sends everything to blue.
                    (None, None) => Traffic::on(Half::Blue, &[]),
                };
                let settled = survey.settled && retried.is_none();
                let generation = (!settled).then_some(1 + self.generation.max(survey.highest));
                Before { generation, traffic: Some(back), ..Before::default() }
            }
            Step::Commit { .. } => Before {
                generation: shift.and_then(|shift| shift.generation),
                traffic: shift.map(|shift| shift.back.clone()),
                ..Before::default()
            },
            Step::Place { half, .. } | Step::Activate { half, .. } => {
                Before { release: self.release(*half), ..Before::default() }
            }
            Step::WriteConf { .. } => Before { revision: Some(self.revision), ..Before::default() },
            _ => Before::default(),
        }
    }

    /// What becomes of the open command when its step under way failed with `effect`; `started`: whether the step's
    /// `StepStarted` is in the journal.
    pub fn failed(&self, effect: Effect, started: bool) -> Failed {
        let Some(open) = &self.open else { return Failed::Over };
        let step = open.at().map(|planned| &planned.step);
        if started && open.shift.is_some() && matches!(step, Some(Step::Commit { direction: Direction::Forward, .. })) {
            return Failed::PutBack;
        }
        let begun_abort = matches!(open.command, Command::Abort) && open.done > 0;
        match effect {
            // Balancers may differ: no command is over before they are settled.
            _ if self.unsettled => Failed::StaysOpen,
            Effect::Open => Failed::StaysOpen,
            // An abort stays open until it is through: `abort` and `resume` both go on with it.
            Effect::Unhealthy if begun_abort => Failed::StaysOpen,
            Effect::Unhealthy => Failed::Unhealthy,
            Effect::Refused if open.done == 0 => Failed::Refused,
            Effect::Refused => Failed::StaysOpen,
            Effect::Nothing => Failed::Over,
        }
    }

    /// The events that end the open command before its last step is done (of a commit: when it is undone). A rollout that
    /// has not left `balanced` by then is over with it.
    pub fn give_up(&self, why: &str) -> Vec<Event> {
        let mut events = vec![Event::CommandEnded { done: false, why: Some(why.to_owned()) }];
        let undone = self.open.as_ref().and_then(|open| Some((open, open.step.as_ref().filter(|step| step.undoing)?)));
        let stage = undone.map_or(self.stage, |(open, step)| stage_at(open, step.index));
        if let (Some(Stage::Balanced), Some(rollout)) = (stage, &self.rollout) {
            events.push(Event::RolloutEnded { number: rollout.number });
        }
        events
    }

    /// The right to change servers that the step under way has.
    pub fn epoch(&self) -> Epoch {
        let n = self.open.as_ref().and_then(|open| open.step.as_ref()).map_or(0, |step| step.epoch);
        Epoch { journal: self.journal.clone().unwrap_or_default(), n }
    }
}
