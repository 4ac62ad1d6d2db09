//! The loop: next step, journal, perform, journal.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use bluegreen_core::rollout::{Before, Command, Event, Failed, OpenCommand, Plan, Resume, Step, Survey};

use super::{
    Effect, Failure, Journal, JournalError, Report, Reporter, Work, World, and_then, describe_stage, named, still_open,
    ways_on,
};

/// How a command ended: the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done = 0,
    /// 1: failed, and everything is as it was before.
    Failed = 1,
    /// 2: usage or inventory wrong.
    Usage = 2,
    /// 3: refused.
    Refused = 3,
    /// 4: the release could not be made healthy.
    Unhealthy = 4,
    /// 5: the journal holds an open command.
    Open = 5,
    /// 130: Ctrl-C.
    Interrupted = 130,
}

/// How a command ended, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code.
    pub exit: Exit,
    /// What happened and what is unaffected.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Outcome {
    /// An outcome without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Outcome {
        Outcome { exit, message: message.into(), hint: None }
    }
}

/// What a look before the first record has found where that step begins a shift.
type Surveyed = Option<Result<Survey, Failure>>;

/// Drives one command over a journal and a world.
pub struct Engine<'a> {
    /// The record of intent.
    pub journal: &'a mut dyn Journal,
    /// What is changed.
    pub world: &'a dyn World,
    /// Where progress goes.
    pub reporter: Reporter,
    /// Set by Ctrl-C: the running step is finished and the command stays open.
    pub interrupted: &'a AtomicBool,
    /// The inventory's digest.
    pub digest: &'a str,
}

impl Engine<'_> {
    /// Begins `command` with its plan and carries it out. An open command is superseded, and `also` recorded, in the same
    /// append.
    pub async fn run(&mut self, command: &Command, plan: &Plan, also: Vec<Event>) -> Outcome {
        if self.interrupted.load(Ordering::SeqCst) {
            let state = self.journal.state();
            let message = format!(
                "stopped as asked before `{}` began: nothing was touched; {}",
                command.as_str(),
                describe_stage(state)
            );
            return Outcome { exit: Exit::Interrupted, message, hint: Some(ways_on(state)) };
        }
        let survey = match self.look(plan, 0).await {
            Ok(survey) => survey,
            Err(failure) => return self.not_begun(failure),
        };
        let mut events = self.journal.state().begin(command, plan, self.digest);
        events.extend(also);
        if let Err(error) = self.journal.append(events).await {
            return error.into();
        }
        self.drive(0, survey.map(Ok)).await
    }

    /// A refusal by what the hosts have comes before anything is recorded: it must not end an open command either. Returns
    /// what was found where the step at `index` begins a shift.
    async fn look(&self, plan: &Plan, index: usize) -> Result<Option<Survey>, Failure> {
        let Some(step) = plan.steps.get(index).map(|planned| &planned.step) else { return Ok(None) };
        let state = self.journal.state();
        let survey = async {
            match step {
                Step::Prepare { .. } => self.world.survey(state, step).await.map(Some),
                _ => Ok(None),
            }
        };
        let (is_ours, survey) = tokio::join!(self.world.is_ours(state, step), survey);
        is_ours.and(survey)
    }

    /// Records that `hosts` went back by themselves, and takes every other balancer there too. Whatever was open is over.
    pub async fn follow(&mut self, hosts: Vec<(String, Option<String>)>) -> Outcome {
        let events = match self.journal.state().follow(hosts, self.digest) {
            Ok(events) => events,
            Err(error) => return Outcome::new(Exit::Failed, error.to_string()),
        };
        let steps = events.iter().find_map(|event| match event {
            Event::CommandStarted { plan, .. } => Some(plan),
            _ => None,
        });
        if let Some(steps) = steps
            && let Err(failure) = self.look(steps, 0).await
        {
            return self.not_begun(failure);
        }
        if let Err(error) = self.journal.append(events).await {
            return error.into();
        }
        self.drive(0, None).await
    }

    fn not_begun(&self, failure: Failure) -> Outcome {
        let exit = match failure.effect {
            Effect::Nothing | Effect::Open if self.journal.state().open.is_some() => Exit::Open,
            effect => Exit::from(effect),
        };
        let outcome = self.left(exit, failure);
        match still_open(self.journal.state()).filter(|_| exit == Exit::Open) {
            Some(still) => Outcome { message: and_then(&outcome.message, &still), ..outcome },
            None => outcome,
        }
    }

    /// Finishes the open command from its stored plan, or the undoing of its shift.
    pub async fn resume(&mut self) -> Outcome {
        let state = self.journal.state();
        let (Some(open), Some(way)) = (state.open.clone(), state.resume()) else {
            return Outcome::new(Exit::Refused, "nothing was interrupted, so there is nothing to resume");
        };
        let (Resume::PutBack(index) | Resume::From(index)) = way;
        let survey = match self.look(&open.plan, index).await {
            Err(failure) if failure.effect == Effect::Refused => return self.not_begun(failure),
            looked => looked.transpose(),
        };
        match way {
            Resume::PutBack(index) => self.resume_undoing(&open, index).await,
            Resume::From(index) => {
                let first = self.first_step(&open, index).await;
                self.drive(first, survey.filter(|_| first == index)).await
            }
        }
    }

    /// Where to go on: before a half is touched again, a balancer that lost its tree meanwhile gets it back.
    async fn first_step(&self, open: &OpenCommand, index: usize) -> usize {
        let state = self.journal.state();
        let Some(prepare) = state.shift_before(index) else { return index };
        match self.world.survey(state, &open.plan.steps[prepare].step).await {
            Ok(survey) if !survey.settled => prepare,
            // What cannot be asked is named by the step itself.
            _ => index,
        }
    }

    async fn resume_undoing(&mut self, open: &OpenCommand, index: usize) -> Outcome {
        match self.undo(index).await {
            Ok(()) => {
                let stage = describe_stage(self.journal.state());
                Outcome::new(
                    Exit::Done,
                    format!(
                        "the interrupted `{}` is undone: every balancer was put back; {stage}",
                        open.command.as_str()
                    ),
                )
            }
            Err(outcome) => outcome,
        }
    }

    /// `survey`: what the first step found already, when it is a shift.
    async fn drive(&mut self, first: usize, mut survey: Surveyed) -> Outcome {
        let Some(plan) = self.journal.state().open.as_ref().map(|open| open.plan.clone()) else {
            return Outcome::new(Exit::Failed, "the journal holds no open command to carry out");
        };
        for index in first..plan.steps.len() {
            if self.interrupted.load(Ordering::SeqCst) {
                return self.stopped();
            }
            if let Err(outcome) = self.step(&plan, index, survey.take()).await {
                return outcome;
            }
        }
        // The last step was finished all the same; whoever pressed Ctrl-C wants nothing to follow.
        let exit = if self.interrupted.load(Ordering::SeqCst) { Exit::Interrupted } else { Exit::Done };
        let state = self.journal.state();
        Outcome { exit, message: describe_stage(state), hint: Some(ways_on(state)) }
    }

    fn stopped(&self) -> Outcome {
        let state = self.journal.state();
        let next = state.open.as_ref().and_then(OpenCommand::at).map(|planned| planned.step.to_string());
        Outcome {
            exit: Exit::Interrupted,
            message: format!(
                "stopped as asked, before the step `{}`; {}",
                next.unwrap_or_default(),
                describe_stage(state)
            ),
            hint: Some(ways_on(state)),
        }
    }

    async fn step(&mut self, plan: &Plan, index: usize, survey: Surveyed) -> Result<(), Outcome> {
        let step = &plan.steps[index].step;
        let started = Instant::now();
        let words = step.to_string();
        (self.reporter)(Report::StepStarted { number: index + 1, of: plan.steps.len(), step: words.clone() });
        let before = match self.before(step, index, survey).await {
            Ok(before) => before,
            Err(failure) => {
                (self.reporter)(Report::StepFailed { step: words, elapsed: started.elapsed() });
                return Err(self.fail_unstarted(failure).await);
            }
        };
        let begun = self.journal.append(vec![Event::StepStarted { step: index, before: before.clone() }]).await;
        begun.map_err(|error| self.lost(error))?;
        match self.perform(step, &before).await {
            Ok(notes) => {
                let mut events = self.world.settled_by(step);
                events.extend(self.journal.state().finish(index, notes.clone()));
                self.journal.append(events).await.map_err(|error| self.lost(error))?;
                (self.reporter)(Report::StepDone { step: words, elapsed: started.elapsed(), notes });
                Ok(())
            }
            Err(failure) => {
                (self.reporter)(Report::StepFailed { step: words, elapsed: started.elapsed() });
                Err(self.fail(index, failure).await)
            }
        }
    }

    /// What is recorded before the step; before a shift the balancers are looked at.
    async fn before(&self, step: &Step, index: usize, survey: Surveyed) -> Result<Before, Failure> {
        let state = self.journal.state();
        let survey = match (step, survey) {
            (_, Some(survey)) => survey?,
            (Step::Prepare { .. }, None) => self.world.survey(state, step).await?,
            (_, None) => Survey { highest: 0, settled: false },
        };
        Ok(state.before(index, survey))
    }

    async fn perform(&self, step: &Step, before: &Before) -> Result<Vec<String>, Failure> {
        let state = self.journal.state();
        let epoch = state.epoch();
        self.world.perform(Work { state, step, before, epoch: &epoch }).await
    }

    /// A step that failed before it was begun: nothing was sent.
    async fn fail_unstarted(&mut self, failure: Failure) -> Outcome {
        let failed = self.journal.state().failed(failure.effect, false);
        let events = self.journal.state().give_up(&failure.message);
        match Exit::from(failed) {
            Exit::Open => self.left(Exit::Open, failure),
            exit => match self.journal.append(events).await {
                Ok(()) => self.left(exit, failure),
                Err(error) => self.lost(error),
            },
        }
    }

    async fn fail(&mut self, index: usize, failure: Failure) -> Outcome {
        let failed = self.journal.state().failed(failure.effect, true);
        if failed == Failed::PutBack {
            return self.fail_commit(index, failure).await;
        }
        let (why, exit) = (failure.message.clone(), Exit::from(failed));
        let mut events = vec![Event::StepFailed { step: index, why: why.clone(), undoing: false }];
        if exit != Exit::Open {
            events.extend(self.journal.state().give_up(&why));
        }
        match self.journal.append(events).await {
            Ok(()) => self.left(exit, failure),
            Err(error) => self.lost(error),
        }
    }

    /// The journal could not be appended to: what was done last is not recorded, and a begun command stays open.
    fn lost(&self, error: JournalError) -> Outcome {
        let state = self.journal.state();
        let exit = if state.open.is_some() || error.is_unknown { Exit::Open } else { Exit::Failed };
        Outcome { exit, message: error.message, hint: Some(format!("{}, then {}", error.hint, ways_on(state))) }
    }

    async fn fail_commit(&mut self, index: usize, failure: Failure) -> Outcome {
        let failed = Event::StepFailed { step: index, why: failure.message.clone(), undoing: true };
        if let Err(error) = self.journal.append(vec![failed]).await {
            return self.lost(error);
        }
        match self.undo(index).await {
            Ok(()) => {
                let message = format!("{}. Every balancer was put back", failure.message);
                self.left(Exit::Failed, Failure { message, ..failure })
            }
            Err(outcome) => outcome,
        }
    }

    /// Puts every balancer back. On success the command is over.
    async fn undo(&mut self, index: usize) -> Result<(), Outcome> {
        (self.reporter)(Report::PuttingBack);
        let started = Instant::now();
        let state = self.journal.state();
        let Some(open) = state.open.clone() else {
            return Err(Outcome::new(Exit::Failed, "the journal holds no open command to undo"));
        };
        let Some(planned) = open.plan.steps.get(index) else {
            return Err(Outcome::new(Exit::Failed, "the open command's plan is shorter than its journal says"));
        };
        let before = open.step.map(|step| step.before).unwrap_or_default();
        let epoch = state.epoch();
        let work = Work { state, step: &planned.step, before: &before, epoch: &epoch };
        let put_back = self.world.put_back(work).await;
        (self.reporter)(Report::PutBack { is_whole: put_back.is_ok(), elapsed: started.elapsed() });
        match put_back {
            Ok(()) => {
                let mut events = vec![Event::Undone { step: index }];
                events.extend(self.journal.state().give_up("a balancer failed, and all were put back"));
                self.journal.append(events).await.map_err(|error| self.lost(error))
            }
            Err(hosts) => {
                let list: Vec<String> = hosts.iter().map(|(host, said)| named(host, said)).collect();
                let recorded = self.journal.append(vec![Event::UndoFailed { step: index, hosts }]).await;
                recorded.map_err(|error| self.lost(error))?;
                let state = self.journal.state();
                Err(Outcome {
                    exit: Exit::Open,
                    message: format!(
                        "undo failed: `{}` failed, and putting it back did not reach every balancer: {}. Every other one has \
                         what it had before ({}); one that is named here may have either, and both halves can serve it. No \
                         server was touched",
                        open.plan.steps[index].step,
                        list.join("; "),
                        state.wanted()
                    ),
                    hint: Some(format!("bring back what is named · {} and what to do next", ways_on(state))),
                })
            }
        }
    }

    fn left(&self, exit: Exit, failure: Failure) -> Outcome {
        let state = self.journal.state();
        let ways = ways_on(state);
        Outcome {
            exit,
            message: and_then(&failure.message, &describe_stage(state)),
            hint: Some(failure.hint.map_or(ways.clone(), |hint| format!("{hint} · {ways}"))),
        }
    }
}
