//! The loop: next step, journal, perform, journal.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use bluegreen_core::{
    rollout::{Before, Command, Direction, Epoch, Event, OpenCommand, Plan, Stage, State, Step},
    traffic::Traffic,
};

use super::{Effect, Failure, Journal, JournalError, Report, Reporter, Work, World};
use bluegreen_core::half::Half;

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

impl From<JournalError> for Outcome {
    fn from(error: JournalError) -> Outcome {
        Outcome::new(Exit::Failed, error.message)
    }
}

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
        let mut events = self.journal.state().begin(command, plan, self.digest);
        events.extend(also);
        if let Err(error) = self.journal.append(events) {
            return error.into();
        }
        self.drive(0).await
    }

    /// Finishes the open command from its stored plan, or the undoing of its shift.
    pub async fn resume(&mut self) -> Outcome {
        let Some(open) = self.journal.state().open.clone() else {
            return Outcome::new(Exit::Refused, "nothing was interrupted, so there is nothing to resume");
        };
        let index = open.step.as_ref().map_or(open.done, |step| step.index);
        if open.step.as_ref().is_some_and(|step| step.undoing) {
            return self.resume_undoing(&open, index).await;
        }
        // A commit is never continued by itself: the receiving half may have died meanwhile, so its shift is prepared
        // (and checked) anew, with numbers of its own.
        let commit = matches!(open.plan.steps.get(index).map(|planned| &planned.step), Some(Step::Commit { .. }));
        self.drive(if commit { index.saturating_sub(1) } else { index }).await
    }

    async fn resume_undoing(&mut self, open: &OpenCommand, index: usize) -> Outcome {
        match self.undo(index).await {
            Ok(()) => {
                let stage = describe_stage(self.journal.state());
                Outcome::new(
                    Exit::Done,
                    format!("the interrupted `{}` was put back on every balancer; {stage}", open.command.as_str()),
                )
            }
            Err(outcome) => outcome,
        }
    }

    async fn drive(&mut self, first: usize) -> Outcome {
        let Some(plan) = self.journal.state().open.as_ref().map(|open| open.plan.clone()) else {
            return Outcome::new(Exit::Failed, "the journal holds no open command to carry out");
        };
        for index in first..plan.steps.len() {
            if self.interrupted.load(Ordering::SeqCst) {
                return self.stopped();
            }
            if let Err(outcome) = self.step(&plan, index).await {
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

    async fn step(&mut self, plan: &Plan, index: usize) -> Result<(), Outcome> {
        let step = &plan.steps[index].step;
        let started = Instant::now();
        let words = step.to_string();
        (self.reporter)(Report::StepStarted { number: index + 1, of: plan.steps.len(), step: words.clone() });
        let before = match self.before(step, index).await {
            Ok(before) => before,
            Err(failure) => {
                (self.reporter)(Report::StepFailed { step: words, elapsed: started.elapsed() });
                return Err(self.fail_unstarted(failure));
            }
        };
        self.journal.append(vec![Event::StepStarted { step: index, before: before.clone() }])?;
        match self.perform(step, &before).await {
            Ok(notes) => {
                let mut events = self.world.settled_by(step);
                events.extend(self.journal.state().finish(index, notes.clone()));
                self.journal.append(events)?;
                (self.reporter)(Report::StepDone { step: words, elapsed: started.elapsed(), notes });
                Ok(())
            }
            Err(failure) => {
                (self.reporter)(Report::StepFailed { step: words, elapsed: started.elapsed() });
                Err(self.fail(step, index, failure).await)
            }
        }
    }

    /// What is recorded before the step; for a shift the generations are chosen here.
    async fn before(&mut self, step: &Step, index: usize) -> Result<Before, Failure> {
        let state = self.journal.state();
        let open_shift = state.open.as_ref().and_then(|open| open.shift.clone());
        Ok(match step {
            Step::Prepare { .. } => {
                let survey = self.world.survey(state, step).await?;
                let retried = open_shift.filter(|shift| shift.prepare == index);
                let back = match (&retried, state.stage) {
                    (Some(shift), _) => shift.back.clone(),
                    (None, Some(_)) => state.traffic.clone(),
                    // Before the first tree stands, every nginx that includes bg's files sends everything to blue.
                    (None, None) => Traffic::on(Half::Blue, &[]),
                };
                let generation =
                    (!survey.settled || retried.is_some()).then_some(1 + state.generation.max(survey.highest));
                Before { generation, traffic: Some(back), ..Before::default() }
            }
            Step::Commit { .. } => Before {
                generation: open_shift.as_ref().and_then(|shift| shift.generation),
                traffic: open_shift.map(|shift| shift.back),
                ..Before::default()
            },
            Step::Place { half, .. } | Step::Activate { half, .. } => {
                Before { release: state.release(*half), ..Before::default() }
            }
            Step::WriteConf { .. } => Before { revision: Some(state.revision), ..Before::default() },
            _ => Before::default(),
        })
    }

    async fn perform(&self, step: &Step, before: &Before) -> Result<Vec<String>, Failure> {
        let state = self.journal.state();
        let epoch = epoch(state);
        self.world.perform(Work { state, step, before, epoch: &epoch }).await
    }

    /// A step that failed before it was begun: nothing was sent.
    fn fail_unstarted(&mut self, failure: Failure) -> Outcome {
        let exit = exit_of(self.journal.state(), &failure);
        if exit == Exit::Open {
            return self.left(exit, failure);
        }
        let ended = Event::CommandEnded { done: false, why: Some(failure.message.clone()) };
        if let Err(error) = self.journal.append(vec![ended]) {
            return error.into();
        }
        self.left(exit, failure)
    }

    async fn fail(&mut self, step: &Step, index: usize, failure: Failure) -> Outcome {
        if let Step::Commit { direction: Direction::Forward, .. } = step
            && self.journal.state().open.as_ref().and_then(|open| open.shift.as_ref()).is_some()
        {
            return self.fail_commit(index, failure).await;
        }
        let why = failure.message.clone();
        let mut events = vec![Event::StepFailed { step: index, why: why.clone(), undoing: false }];
        let state = self.journal.state();
        let exit = exit_of(state, &failure);
        if exit != Exit::Open {
            events.push(Event::CommandEnded { done: false, why: Some(why) });
        }
        if let Err(error) = self.journal.append(events) {
            return error.into();
        }
        self.left(exit, failure)
    }

    async fn fail_commit(&mut self, index: usize, failure: Failure) -> Outcome {
        let failed = Event::StepFailed { step: index, why: failure.message.clone(), undoing: true };
        if let Err(error) = self.journal.append(vec![failed]) {
            return error.into();
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
        let state = self.journal.state();
        let Some(open) = state.open.clone() else {
            return Err(Outcome::new(Exit::Failed, "the journal holds no open command to undo"));
        };
        let Some(planned) = open.plan.steps.get(index) else {
            return Err(Outcome::new(Exit::Failed, "the open command's plan is shorter than its journal says"));
        };
        let before = open.step.map(|step| step.before).unwrap_or_default();
        let epoch = epoch(state);
        let work = Work { state, step: &planned.step, before: &before, epoch: &epoch };
        match self.world.put_back(work).await {
            Ok(()) => {
                let why = Some("a balancer failed, and all were put back".to_owned());
                self.journal.append(vec![Event::Undone { step: index }, Event::CommandEnded { done: false, why }])?;
                Ok(())
            }
            Err(hosts) => {
                let list: Vec<String> = hosts.iter().map(|(host, said)| format!("`{host}`: {said}")).collect();
                self.journal.append(vec![Event::UndoFailed { step: index, hosts }])?;
                let state = self.journal.state();
                Err(Outcome {
                    exit: Exit::Open,
                    message: format!(
                        "the shift failed and putting it back did not reach every balancer: {}. The others have the \
                         traffic of before; both halves are up, no server was touched",
                        list.join("; ")
                    ),
                    hint: Some(ways_on(state)),
                })
            }
        }
    }

    fn left(&self, exit: Exit, failure: Failure) -> Outcome {
        let state = self.journal.state();
        let ways = ways_on(state);
        Outcome {
            exit,
            message: format!("{}. {}", failure.message.trim_end_matches('.'), sentence(&describe_stage(state))),
            hint: Some(failure.hint.map_or(ways.clone(), |hint| format!("{hint} · {ways}"))),
        }
    }
}

/// How the command ends, or whether it stays open.
fn exit_of(state: &State, failure: &Failure) -> Exit {
    let Some(open) = &state.open else { return Exit::Failed };
    let begun_abort = matches!(open.command, Command::Abort) && open.done > 0;
    match failure.effect {
        // Balancers may differ: no command is over before they are settled.
        _ if state.unsettled => Exit::Open,
        Effect::Open => Exit::Open,
        // An abort stays open until it is through: `abort` and `resume` both go on with it.
        Effect::Unhealthy if begun_abort => Exit::Open,
        Effect::Unhealthy => Exit::Unhealthy,
        Effect::Refused if open.done == 0 => Exit::Refused,
        Effect::Refused => Exit::Open,
        Effect::Nothing => Exit::Failed,
    }
}

fn epoch(state: &State) -> Epoch {
    let n = state.open.as_ref().and_then(|open| open.step.as_ref()).map_or(0, |step| step.epoch);
    Epoch { journal: state.journal.clone().unwrap_or_default(), n }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Where things stand, as a clause.
pub fn describe_stage(state: &State) -> String {
    match state.stage {
        None => "the site is not set up yet".to_owned(),
        Some(Stage::Balanced) => format!("the site is balanced: {}", state.traffic),
        Some(stage) => format!("the site is {stage}: {}", state.traffic),
    }
}

/// The commands that go on from here, as a hint.
pub fn ways_on(state: &State) -> String {
    if state.open.is_some() {
        return "`bg resume` finishes it · `bg abort` undoes the rollout · `bg status` shows where things stand"
            .to_owned();
    }
    let verbs = state.stage.map(Stage::allowed).unwrap_or_default();
    if verbs.is_empty() {
        return "`bg setup`".to_owned();
    }
    verbs.iter().map(|verb| format!("`bg {verb}`")).collect::<Vec<_>>().join(" · ")
}
