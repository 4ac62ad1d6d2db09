//! The way back to blue is open whatever was interrupted, wherever blue serves.

use super::*;

const WAYS: [Verb; 2] = [Verb::CanaryOff, Verb::FlipBack];

fn sync() -> Command {
    Command::Sync { revision: Some(2), traffic: true }
}

/// Every command that can be open: of the table, from every stage that allows it, and beside it.
fn every_command() -> Vec<(Log, Command)> {
    let mut all = Vec::new();
    for stage in Stage::ALL {
        let log = at(stage);
        let with_canary = Command::Deploy {
            release: release(log.state.next_version().0),
            canary: Some(shares(1000, 0)),
            revert_after_ms: Some(600_000),
        };
        let armed = Command::Flip { revert_after_ms: Some(600_000) };
        let commands = Verb::ALL.map(|verb| command(verb, &log)).into_iter().chain([with_canary, armed, sync()]);
        all.extend(commands.filter(|it| plan(&log.state, &segments(), it).is_ok()).map(|it| (log.clone(), it)));
    }
    let mut log = at(Stage::Staged);
    log.run(&Command::Flip { revert_after_ms: Some(600_000) });
    all.push((log, Command::Confirm));
    all
}

/// The way back means what the table says; where that is "done already", blue is made sure of.
fn leads_back(log: &Log, what: &str) {
    let (state, stage) = (&log.state, log.state.stage.unwrap());
    for verb in WAYS {
        let what = format!("`{verb}`, {stage}, after {what}");
        let got = plan(state, &segments(), &command(verb, log));
        assert_eq!(state.next_commands().contains(&verb), got.is_ok(), "{what}");
        let is_aborting = stage != Stage::Isolated && !state.green_is_new();
        if is_aborting || matches!(stage.next(verb), Transition::Refused(_)) {
            let Err(PlanError::Refused(refusal)) = got else { panic!("{what}: {got:?}") };
            let named = refusal.to_string().contains("`restore`");
            assert!(!named || state.next_commands().contains(&Verb::Restore), "{what}: {refusal}");
            continue;
        }
        let mut log = log.clone();
        log.run(&command(verb, &log));
        let wanted = if stage == Stage::Isolated { Stage::Isolated } else { Stage::Staged };
        assert_eq!((log.state.stage, &log.state.open, log.state.unsettled), (Some(wanted), &None, false), "{what}");
        assert_eq!((&log.state.traffic, &log.state.armed), (&Traffic::on(Half::Blue, &segments()), &None), "{what}");
        log.run(&Command::Abort);
        assert_eq!(log.state.stage, Some(Stage::Balanced), "{what}");
    }
}

#[test]
fn whatever_was_interrupted_is_ended_by_the_way_back() {
    let mut points = 0;
    for (mut log, command) in every_command() {
        let steps = plan(&log.state, &segments(), &command).unwrap();
        log.append(log.state.begin(&command, &steps, "digest"));
        for index in 0..steps.steps.len() {
            let at = format!("{} before step {index}", command.as_str());
            leads_back(&log, &at);
            log.start(index);
            leads_back(&log, &at.replace("before", "in"));
            if matches!(steps.steps[index].step, Step::Commit { direction: Direction::Forward, .. }) {
                let mut failed = log.clone();
                failed.append(vec![Event::StepFailed { step: index, why: "lb2".to_owned(), undoing: true }]);
                leads_back(&failed, &at.replace("before", "undoing"));
            }
            log.append(log.state.finish(index, Vec::new()));
            points += 1;
        }
    }
    assert!(points > 100, "{points}");
}

#[test]
fn balancers_that_went_back_by_themselves_are_brought_to_blue_too() {
    for stage in [Stage::Staged, Stage::Canary] {
        let mut log = at(stage);
        log.run(&Command::Flip { revert_after_ms: Some(600_000) });
        log.append(log.state.follow(vec![("lb1".to_owned(), None)], "digest").unwrap());
        assert_eq!(log.state.stage, Some(stage));
        log.start(0);
        leads_back(&log, "not every balancer followed");
    }
}

#[test]
fn what_is_done_already_is_so_when_nothing_is_open() {
    for stage in [Stage::Isolated, Stage::Staged] {
        let State { traffic, .. } = at(stage).state;
        for verb in WAYS {
            let got = plan(&at(stage).state, &segments(), &command(verb, &at(stage)));
            assert_eq!(got, Err(PlanError::Already { verb, settle: traffic.clone() }), "`{verb}`, {stage}");
        }
    }
}
