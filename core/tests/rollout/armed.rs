//! Shifts that go back by themselves: how they are planned, replayed, confirmed, overtaken and followed.

use super::*;
use bluegreen_core::rollout::{Effect, Failed, Resume, Survey};

fn flip() -> Command {
    Command::Flip { revert_after_ms: Some(600_000) }
}

impl Log {
    fn begin(&mut self, command: &Command) {
        let plan = plan(&self.state, &segments(), command).unwrap();
        self.append(self.state.begin(command, &plan, "digest"));
    }

    /// The steps before `index`, done.
    fn until(&mut self, index: usize) {
        for index in 0..index {
            self.start(index);
            self.append(self.state.finish(index, Vec::new()));
        }
    }

    fn goes_back(&mut self) {
        let events = self.state.follow(vec![("lb1".to_owned(), None)], "digest").unwrap();
        self.append(events);
    }
}

#[test]
fn it_is_armed_between_the_two_phases() {
    let log = at(Stage::Staged);
    let shown = |command: &Command| plan(&log.state, &segments(), command).unwrap().to_string();
    let (canary, deploy) = (
        Command::Canary { shares: shares(1000, 0), revert_after_ms: Some(90_000) },
        Command::Deploy { release: release(3), canary: Some(shares(1000, 0)), revert_after_ms: Some(3_600_000) },
    );
    insta::assert_snapshot!([shown(&flip()), shown(&canary), shown(&deploy)].join("\n"));
}

#[test]
fn while_it_is_armed_nothing_is_confirmed_and_every_later_shift_has_numbers_of_its_own() {
    let mut log = at(Stage::Staged);
    log.run(&flip());
    let armed = log.state.armed.clone().unwrap();
    assert_eq!((armed.stage, armed.command, armed.arming.after_ms), (Some(Stage::Staged), "flip", 600_000));
    assert_eq!((armed.back, log.state.confirmed), (Traffic::on(Half::Blue, &segments()), None));
    // Restore's first shift is to what everybody has already.
    log.begin(&Command::Restore);
    let found = Survey { highest: armed.generation + 1, settled: log.state.confirmed.is_some() };
    assert_eq!(log.state.before(0, found).generation, Some(armed.generation + 2));
    log.until(1);
    assert!(log.state.armed.is_some(), "not before its commit");
    log.start(1);
    assert_eq!(log.state.armed, None, "overtaken");
}

#[test]
fn confirmed_it_is_like_any_other() {
    let mut log = at(Stage::Staged);
    log.run(&flip());
    let n = log.state.armed.clone().unwrap().generation;
    log.run(&Command::Confirm);
    let state = &log.state;
    assert_eq!(
        (&state.armed, state.confirmed, state.kept, state.stage),
        (&None, Some(n), Some(n), Some(Stage::Flipped))
    );
    assert_eq!(plan(state, &segments(), &Command::Confirm), Err(PlanError::NotArmed));
}

#[test]
fn once_it_went_back_the_site_is_where_it_was_and_the_others_follow() {
    let mut log = at(Stage::Canary);
    let before = log.state.clone();
    log.run(&flip());
    let n = log.state.armed.clone().unwrap().generation;
    assert!(log.state.reverted_by(n).is_none() && log.state.reverted_by(n + 2).is_none());
    assert!(log.state.reverted_by(n + 1).is_some());
    log.goes_back();
    assert_eq!((log.state.stage, &log.state.traffic), (before.stage, &before.traffic));
    assert!(log.state.unsettled, "not before every balancer is there");
    assert_eq!(log.state.failed(Effect::Nothing, true), Failed::StaysOpen);
    log.run_from(0);
    assert_eq!((log.state.confirmed, &log.state.open, log.state.unsettled), (Some(n + 1), &None, false));
    assert_eq!(log.state.next_commands(), before.next_commands());
    assert_eq!(State::replay(&log.entries).unwrap(), log.state);
}

#[test]
fn whatever_was_open_is_over_once_it_went_back() {
    for stopped_in in [flip(), Command::Restore, Command::Confirm] {
        let mut log = at(Stage::Staged);
        let commit = if stopped_in == flip() { Some(2) } else { None };
        if commit.is_none() {
            log.run(&flip());
        }
        log.begin(&stopped_in);
        log.until(commit.unwrap_or(0));
        log.start(commit.unwrap_or(0));
        log.goes_back();
        let open = log.state.open.as_ref().unwrap();
        assert_eq!((open.command.as_str(), log.state.stage), ("revert", Some(Stage::Staged)), "{stopped_in:?}");
        // What leads back goes through at once, also before the others have followed.
        assert!(log.state.admits(&Command::Abort) && log.state.admits(&Command::FlipBack));
        log.run(&Command::Abort);
        assert_eq!(log.state.stage, Some(Stage::Balanced), "{stopped_in:?}");
    }
}

#[test]
fn resumed_it_is_prepared_and_armed_anew() {
    for stopped_at in [1, 2] {
        let mut log = at(Stage::Staged);
        log.begin(&flip());
        log.until(stopped_at);
        log.start(stopped_at);
        assert_eq!(log.state.resume(), Some(Resume::From(0)), "{stopped_at}");
        let first = log.state.generation;
        log.run_from(0);
        let armed = log.state.armed.clone().unwrap();
        assert_eq!((armed.generation, armed.stage), (first + 1, Some(Stage::Staged)));
        assert_eq!(armed.back, Traffic::on(Half::Blue, &segments()), "what there was before the first try");
    }
}

#[test]
fn put_back_or_never_committed_it_is_not_armed() {
    let mut log = at(Stage::Staged);
    log.begin(&flip());
    log.until(2);
    assert_eq!(log.state.armed, None, "armed on the balancers, and not committed");
    log.start(2);
    log.append(vec![Event::StepFailed { step: 2, why: "lb2".to_owned(), undoing: true }]);
    let n = log.state.armed.clone().unwrap().generation;
    assert!(log.state.reverted_by(n + 1).is_none(), "a put-back leads there too");
    log.append(vec![Event::Undone { step: 2 }, Event::CommandEnded { done: false, why: None }]);
    assert_eq!((&log.state.armed, log.state.stage, log.state.confirmed), (&None, Some(Stage::Staged), Some(n + 1)));
}

#[test]
fn what_leads_nowhere_cannot_go_back() {
    let refused = |stage: Stage, command: Command| match plan(&at(stage).state, &segments(), &command) {
        Err(PlanError::Refused(refusal)) => assert!(refusal.to_string().contains("--revert-after"), "{refusal}"),
        other => panic!("{other:?}"),
    };
    refused(Stage::Flipped, flip());
    refused(Stage::Canary, Command::Canary { shares: shares(1000, 0), revert_after_ms: Some(60_000) });
}

#[test]
fn a_confirmation_that_did_not_reach_everybody_is_finished_or_led_back() {
    let mut log = at(Stage::Staged);
    log.run(&flip());
    log.begin(&Command::Confirm);
    log.start(0);
    assert_eq!(log.state.failed(Effect::Open, true), Failed::StaysOpen);
    log.append(vec![Event::StepFailed { step: 0, why: "lb2".to_owned(), undoing: false }]);
    assert!(log.state.goes_on(&Command::Confirm) && !log.state.admits(&Command::Restore));
    assert_eq!(log.state.resume(), Some(Resume::From(0)));
    let mut back = log.clone();
    back.run(&Command::FlipBack);
    assert_eq!((back.state.stage, &back.state.armed), (Some(Stage::Staged), &None));
    log.run_from(0);
    assert_eq!((log.state.stage, &log.state.armed), (Some(Stage::Flipped), &None));
}
