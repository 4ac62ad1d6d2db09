//! A command brought up to a step of its plan, exactly.

use bluegreen_core::rollout::{Resume, Step};

use super::site::Site;

/// `bg WORDS`, begun or resumed, killed when its step `target` is done.
pub fn until_done(site: &Site, words: &str, target: usize) {
    let state = site.state();
    let beginning = 1 + usize::from(state.journal.is_none());
    match state.resume() {
        None => site.first.killed_at(&site.pg, words, beginning + 2 * (target + 1)),
        Some(Resume::From(from)) => site.first.killed_at(&site.pg, "resume", 2 * (target + 1 - from)),
        Some(Resume::PutBack(index)) => panic!("step {index} is being undone"),
    };
}

/// The steps of the open command.
pub fn open_steps(site: &Site) -> Vec<Step> {
    let open = site.state().open.expect("a command is open");
    open.plan.steps.into_iter().map(|planned| planned.step).collect()
}
