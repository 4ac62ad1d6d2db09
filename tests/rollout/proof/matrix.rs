//! The kill matrix: `bg` is killed at every append that a command makes, which is at both journal points of every step of
//! its plan and at its beginning; then somebody (a) resumes, (b) aborts, (c) works on from another desk. The points come
//! from the journal of the command's own uninterrupted run, so that no step can be forgotten.
//!
//! `make test` meets every point of every command once, the follow-up rotating by a seed that is printed, and every other
//! point where a command is met a second time, from another stage or in another form; with `BG_MATRIX=whole` every point is
//! met with every follow-up. `BG_SEED` repeats a run.

use bluegreen_core::rollout::Stage;

use super::row::{Row, Start, run};

const DEPLOY: Row = Row {
    name: "deploy",
    start: Start::In(Stage::Balanced),
    words: "deploy --release NEW --canary mobile=10%",
    is_extra: false,
};
const DEPLOY_AGAIN: Row =
    Row { name: "deploy again", start: Start::In(Stage::Canary), words: "deploy --release NEW", is_extra: true };
const CANARY: Row =
    Row { name: "canary", start: Start::In(Stage::Staged), words: "canary mobile=12.5% all=1%", is_extra: false };
const CANARY_OFF: Row =
    Row { name: "canary off", start: Start::In(Stage::Canary), words: "canary off", is_extra: false };
const FLIP: Row = Row { name: "flip", start: Start::In(Stage::Staged), words: "flip", is_extra: false };
const FLIP_ARMED: Row = Row {
    name: "flip --revert-after",
    start: Start::In(Stage::Staged),
    words: "flip --revert-after 1h",
    is_extra: true,
};
const CONFIRM: Row = Row { name: "confirm", start: Start::Armed, words: "confirm", is_extra: true };
const FLIP_BACK: Row =
    Row { name: "flip --back", start: Start::In(Stage::Flipped), words: "flip --back", is_extra: false };
const RESTORE: Row = Row { name: "restore", start: Start::In(Stage::Flipped), words: "restore", is_extra: false };
const ABORT: Row = Row { name: "abort", start: Start::In(Stage::Canary), words: "abort", is_extra: false };
const ABORT_RESTORING: Row =
    Row { name: "abort in restoring", start: Start::In(Stage::Restoring), words: "abort", is_extra: true };
const SYNC: Row = Row { name: "sync", start: Start::Changed, words: "sync", is_extra: true };
const SYNC_DRIFT: Row = Row { name: "sync of a drift", start: Start::Drifted, words: "sync", is_extra: true };
const SETUP: Row = Row { name: "setup", start: Start::Nothing, words: "setup --release v1", is_extra: false };

#[test]
fn killed_in_a_deploy_first_part() {
    run(&DEPLOY, 0, 2);
}

#[test]
fn killed_in_a_deploy_second_part() {
    run(&DEPLOY, 1, 2);
}

#[test]
fn killed_in_a_deploy_out_of_a_canary() {
    run(&DEPLOY_AGAIN, 0, 1);
}

#[test]
fn killed_in_a_canary() {
    run(&CANARY, 0, 1);
}

#[test]
fn killed_in_a_canary_off() {
    run(&CANARY_OFF, 0, 1);
}

#[test]
fn killed_in_a_flip() {
    run(&FLIP, 0, 1);
}

#[test]
fn killed_in_a_flip_that_is_to_be_confirmed() {
    run(&FLIP_ARMED, 0, 1);
}

#[test]
fn killed_in_a_confirm() {
    run(&CONFIRM, 0, 1);
}

#[test]
fn killed_in_a_flip_back() {
    run(&FLIP_BACK, 0, 1);
}

#[test]
fn killed_in_a_restore_first_part() {
    run(&RESTORE, 0, 2);
}

#[test]
fn killed_in_a_restore_second_part() {
    run(&RESTORE, 1, 2);
}

#[test]
fn killed_in_an_abort_first_part() {
    run(&ABORT, 0, 2);
}

#[test]
fn killed_in_an_abort_second_part() {
    run(&ABORT, 1, 2);
}

#[test]
fn killed_in_an_abort_out_of_restoring_first_part() {
    run(&ABORT_RESTORING, 0, 2);
}

#[test]
fn killed_in_an_abort_out_of_restoring_second_part() {
    run(&ABORT_RESTORING, 1, 2);
}

#[test]
fn killed_in_a_sync() {
    run(&SYNC, 0, 1);
}

#[test]
fn killed_in_a_sync_of_a_drift() {
    run(&SYNC_DRIFT, 0, 1);
}

#[test]
fn killed_in_a_setup_first_part() {
    run(&SETUP, 0, 2);
}

#[test]
fn killed_in_a_setup_second_part() {
    run(&SETUP, 1, 2);
}
