//! The rollout machine: the table, the plans, replay, and walks with failures and crashes at every point.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod armed;
mod back;

use bluegreen_core::{
    Half,
    release::{Content, Release, Version},
    rollout::{
        Before, By, Command, Direction, Entry, Event, FORMAT, PlanError, Stage, State, Step, Transition, Verb, decode,
        encode, plan, table,
    },
    traffic::{SegmentShare, Share, Traffic},
};
use proptest::prelude::*;

fn segments() -> Vec<String> {
    vec!["mobile".to_owned()]
}

fn shares(mobile: u16, all: u16) -> Vec<SegmentShare> {
    let share = |segment: &str, green| SegmentShare {
        segment: segment.to_owned(),
        green: Share::from_hundredths(green).unwrap(),
    };
    vec![share("mobile", mobile), share("all", all)]
}

fn release(version: u64) -> Release {
    let content = Content::Artifact { sha256: format!("{version:064x}"), path: format!("/dist/{version}") };
    Release {
        version: Version(version),
        label: format!("label{version}"),
        pools: [("web".to_owned(), content)].into_iter().collect(),
    }
}

/// A journal in memory: the state and every entry, checked against a replay at the end.
#[derive(Default, Clone)]
struct Log {
    state: State,
    entries: Vec<Entry>,
}

impl Log {
    fn append(&mut self, events: Vec<Event>) {
        let by = By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 1 };
        let at = "2026-01-01T00:00:00Z".to_owned();
        let entry = Entry { v: FORMAT, index: self.state.length, at, by, events };
        self.state.apply(&entry).unwrap();
        self.entries.push(entry);
    }

    fn start(&mut self, index: usize) {
        let open = self.state.open.as_ref().unwrap();
        let before = match &open.plan.steps[index].step {
            Step::Prepare { .. } => Before {
                generation: Some(self.state.generation + 1),
                traffic: Some(self.state.traffic.clone()),
                ..Before::default()
            },
            Step::Commit { .. } => {
                let shift = open.shift.clone().unwrap();
                Before { generation: shift.generation, traffic: Some(shift.back), ..Before::default() }
            }
            _ => Before::default(),
        };
        self.append(vec![Event::StepStarted { step: index, before }]);
    }

    fn run_from(&mut self, first: usize) {
        let steps = self.state.open.as_ref().unwrap().plan.steps.len();
        for index in first..steps {
            self.start(index);
            self.safe();
            self.append(self.state.finish(index, Vec::new()));
            self.safe();
        }
    }

    fn run(&mut self, command: &Command) {
        let plan = plan(&self.state, &segments(), command).unwrap();
        self.append(self.state.begin(command, &plan, "digest"));
        self.run_from(0);
    }

    /// Nothing is installed or restarted on a half that may get public traffic.
    fn safe(&self) {
        let Some(open) = &self.state.open else { return };
        if self.state.stage.is_none() {
            return;
        }
        let step = open.step.as_ref().map(|step| &open.plan.steps[step.index].step);
        if let Some(half) = step.and_then(Step::touches) {
            assert!(!self.state.traffic.reaches(half), "{half} is touched while {}", self.state.traffic);
        }
    }
}

fn balanced() -> Log {
    let mut log = Log::default();
    log.append(vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]);
    log.run(&Command::Setup { release: release(1), revision: 1 });
    assert_eq!(log.state.stage, Some(Stage::Balanced));
    log
}

fn deploy(log: &Log, canary: Option<Vec<SegmentShare>>) -> Command {
    Command::Deploy { release: release(log.state.next_version().0), canary, revert_after_ms: None }
}

/// A site in each stage.
fn at(stage: Stage) -> Log {
    let mut log = balanced();
    if stage == Stage::Balanced {
        return log;
    }
    if stage == Stage::Isolated {
        let command = deploy(&log, None);
        let plan = plan(&log.state, &segments(), &command).unwrap();
        log.append(log.state.begin(&command, &plan, "digest"));
        for index in 0..3 {
            log.start(index);
            log.append(log.state.finish(index, Vec::new()));
        }
        log.start(3);
        let failed = Event::StepFailed { step: 3, why: "disk full".to_owned(), undoing: false };
        log.append(vec![failed, Event::CommandEnded { done: false, why: None }]);
        return log;
    }
    log.run(&deploy(&log, None));
    match stage {
        Stage::Canary => log.run(&Command::Canary { shares: shares(1000, 0), revert_after_ms: None }),
        Stage::Flipped => log.run(&Command::Flip { revert_after_ms: None }),
        Stage::Restoring => {
            log.run(&Command::Flip { revert_after_ms: None });
            let plan = plan(&log.state, &segments(), &Command::Restore).unwrap();
            log.append(log.state.begin(&Command::Restore, &plan, "digest"));
            for index in 0..4 {
                log.start(index);
                log.append(log.state.finish(index, Vec::new()));
            }
            log.start(4);
            let failed = Event::StepFailed { step: 4, why: "crashed".to_owned(), undoing: false };
            log.append(vec![failed, Event::CommandEnded { done: false, why: None }]);
        }
        _ => {}
    }
    assert_eq!(log.state.stage, Some(stage));
    log
}

fn command(verb: Verb, log: &Log) -> Command {
    match verb {
        Verb::Deploy => deploy(log, None),
        Verb::Canary => Command::Canary { shares: shares(2500, 0), revert_after_ms: None },
        Verb::CanaryOff => Command::CanaryOff,
        Verb::Flip => Command::Flip { revert_after_ms: None },
        Verb::FlipBack => Command::FlipBack,
        Verb::Restore => Command::Restore,
        Verb::Abort => Command::Abort,
    }
}

#[test]
fn the_table() {
    insta::assert_snapshot!(table());
}

#[test]
fn every_stage_and_command_ends_where_the_table_says() {
    for stage in Stage::ALL {
        for verb in Verb::ALL {
            let mut log = at(stage);
            let command = command(verb, &log);
            let before = log.state.clone();
            match (stage.next(verb), plan(&log.state, &segments(), &command)) {
                (Transition::To(to), Ok(_)) => {
                    log.run(&command);
                    assert_eq!(log.state.stage, Some(to), "{verb} from {stage}");
                    assert_eq!(log.state.open, None);
                    assert_eq!(log.state.rollout.is_some(), to != Stage::Balanced, "{verb} from {stage}");
                }
                (Transition::Already, Err(PlanError::Already { settle, .. })) => assert_eq!(settle, before.traffic),
                (Transition::Refused(why), Err(PlanError::Refused(got))) => assert_eq!(why, got),
                (cell, got) => panic!("{verb} from {stage}: {cell:?} and {got:?}"),
            }
        }
    }
}

#[test]
fn every_plan_reads_well() {
    let mut out = String::new();
    for stage in Stage::ALL {
        for verb in Verb::ALL {
            let log = at(stage);
            if let Ok(plan) = plan(&log.state, &segments(), &command(verb, &log)) {
                out.push_str(&format!("{verb} from {stage}\n{plan}\n"));
            }
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_site_that_is_not_set_up_has_no_commands() {
    let log = Log::default();
    for verb in Verb::ALL {
        assert_eq!(plan(&log.state, &segments(), &command(verb, &log)), Err(PlanError::NoSite));
    }
}

#[test]
fn an_interrupted_flip_is_flipped_and_an_undone_one_is_what_it_was() {
    for stage in [Stage::Staged, Stage::Canary] {
        let mut log = at(stage);
        let before = log.state.traffic.clone();
        let plan = plan(&log.state, &segments(), &Command::Flip { revert_after_ms: None }).unwrap();
        log.append(log.state.begin(&Command::Flip { revert_after_ms: None }, &plan, "digest"));
        log.start(0);
        log.append(log.state.finish(0, Vec::new()));
        assert_eq!(log.state.stage, Some(stage));
        log.start(1);
        assert_eq!(log.state.stage, Some(Stage::Flipped));
        assert_eq!(log.state.traffic, Traffic::on(Half::Green, &segments()));
        // Resumed and interrupted again: what is put back is still what was there at first.
        log.start(0);
        log.append(log.state.finish(0, Vec::new()));
        log.start(1);
        log.append(vec![Event::StepFailed { step: 1, why: "lb2".to_owned(), undoing: true }]);
        let generation = log.state.open.as_ref().unwrap().shift.as_ref().unwrap().generation.unwrap();
        log.append(vec![Event::Undone { step: 1 }, Event::CommandEnded { done: false, why: None }]);
        assert_eq!((log.state.stage, &log.state.traffic), (Some(stage), &before));
        assert_eq!(log.state.confirmed, Some(generation + 1));
    }
}

#[test]
fn releases_of_the_halves_follow_the_journey() {
    let mut log = balanced();
    let of = |log: &Log| (log.state.blue.map(|v| v.0), log.state.green.map(|v| v.0));
    assert_eq!(of(&log), (Some(1), Some(1)));
    log.run(&deploy(&log, Some(shares(1000, 0))));
    assert_eq!((log.state.stage, of(&log)), (Some(Stage::Canary), (Some(1), Some(2))));
    log.run(&deploy(&log, None));
    assert_eq!(of(&log), (Some(1), Some(3)), "every deploy makes a new release");
    log.run(&Command::Flip { revert_after_ms: None });
    log.run(&Command::Restore);
    assert_eq!((of(&log), log.state.rollouts), ((Some(3), Some(3)), 1));
    log.run(&deploy(&log, None));
    log.run(&Command::Abort);
    assert_eq!((of(&log), log.state.rollouts), ((Some(3), Some(3)), 2));
}

#[test]
fn another_tenth_in_the_next_rollout() {
    let mut log = balanced();
    log.run(&deploy(&log, Some(shares(1000, 0))));
    let first = log.state.offset();
    log.run(&Command::Canary { shares: shares(2500, 0), revert_after_ms: None });
    assert_eq!(log.state.offset(), first);
    log.run(&Command::Abort);
    log.run(&deploy(&log, Some(shares(1000, 0))));
    assert_eq!(log.state.offset(), (first + 10) % 100);
}

#[test]
fn a_backward_shift_is_never_all_or_nothing() {
    for (verb, stage) in
        [(Verb::CanaryOff, Stage::Canary), (Verb::FlipBack, Stage::Flipped), (Verb::Abort, Stage::Flipped)]
    {
        let log = at(stage);
        let plan = plan(&log.state, &segments(), &command(verb, &log)).unwrap();
        assert!(matches!(plan.steps[1].step, Step::Commit { direction: Direction::Backward, .. }), "{verb}");
    }
}

#[test]
fn an_entry_survives_its_line_and_a_changed_one_does_not() {
    for entry in &at(Stage::Restoring).entries {
        let line = encode(entry);
        assert!(!line.contains('\n'));
        assert_eq!(&decode(&line).unwrap(), entry);
        let middle = line.len() / 2;
        assert!(decode(&line[..middle]).is_err());
        assert!(decode(&line.replace("\"index\"", "\"indeX\"")).is_err());
    }
}

/// What happens to the step under way in a walk.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Fine,
    FailOver,
    Crash,
    UndoneCommit,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![6 => Just(Luck::Fine), 1 => Just(Luck::FailOver), 2 => Just(Luck::Crash), 1 => Just(Luck::UndoneCommit)]
}

fn walk_command(log: &mut Log, command: &Command, lucks: &mut impl Iterator<Item = Luck>) {
    let Ok(plan) = plan(&log.state, &segments(), command) else { return };
    log.append(log.state.begin(command, &plan, "digest"));
    for index in 0..plan.steps.len() {
        log.start(index);
        log.safe();
        match lucks.next().unwrap_or(Luck::Fine) {
            Luck::Crash => return,
            Luck::FailOver if !matches!(plan.steps[index].step, Step::Commit { .. }) => {
                let failed = Event::StepFailed { step: index, why: "x".to_owned(), undoing: false };
                log.append(vec![failed, Event::CommandEnded { done: false, why: None }]);
                return;
            }
            Luck::UndoneCommit
                if matches!(plan.steps[index].step, Step::Commit { direction: Direction::Forward, .. }) =>
            {
                log.append(vec![Event::StepFailed { step: index, why: "x".to_owned(), undoing: true }]);
                log.append(vec![Event::Undone { step: index }, Event::CommandEnded { done: false, why: None }]);
                log.safe();
                return;
            }
            _ => log.append(log.state.finish(index, Vec::new())),
        }
        log.safe();
    }
}

proptest! {
    #[test]
    fn from_every_walk_an_abort_or_a_resume_leads_on(
        verbs in prop::collection::vec(0usize..Verb::ALL.len(), 1..12),
        lucks in prop::collection::vec(luck(), 0..80),
    ) {
        let mut log = balanced();
        let mut lucks = lucks.into_iter();
        for verb in verbs {
            let verb = Verb::ALL[verb];
            if log.state.open.is_some() && !verb.leads_back() {
                // What `resume` does.
                let open = log.state.open.clone().unwrap();
                let index = open.step.as_ref().map_or(open.done, |step| step.index);
                let commit = matches!(open.plan.steps[index].step, Step::Commit { .. });
                let stage = open.plan.steps.iter().rev().find_map(|p| p.reaches.or(p.enters)).or(log.state.stage);
                log.run_from(if commit { index - 1 } else { index });
                prop_assert_eq!(log.state.stage, stage);
                continue;
            }
            let command = command(verb, &log);
            walk_command(&mut log, &command, &mut lucks);
        }
        prop_assert_eq!(&State::replay(&log.entries).unwrap(), &log.state);
        if log.state.open.is_some() || log.state.stage != Some(Stage::Balanced) {
            if let Some(open) = log.state.open.clone().filter(|open| matches!(open.command, Command::Abort)) {
                // Abort of an open abort is the same as resume.
                let index = open.step.as_ref().map_or(open.done, |step| step.index);
                let commit = matches!(open.plan.steps[index].step, Step::Commit { .. });
                log.run_from(if commit { index - 1 } else { index });
            } else if log.state.stage != Some(Stage::Balanced) {
                log.run(&Command::Abort);
            } else {
                // Interrupted before it left balanced.
                let open = log.state.open.clone().unwrap();
                log.run_from(open.step.as_ref().map_or(open.done, |step| step.index));
                if log.state.stage != Some(Stage::Balanced) { log.run(&Command::Abort); }
            }
            prop_assert_eq!(log.state.stage, Some(Stage::Balanced));
            prop_assert_eq!(log.state.open.as_ref(), None);
            prop_assert_eq!(log.state.blue, log.state.green);
            prop_assert_eq!(&log.state.traffic, &Traffic::Both);
        }
    }
}
