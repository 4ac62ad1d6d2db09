//! Every step of every plan is done twice: the command is killed when the step is done, the record that says so is torn off
//! the journal at some byte, and `resume` does the step again. What is left is what doing it once leaves.

use std::fs::{self, File};

use bluegreen_core::rollout::Stage;
use serde_json::Value;

use super::{
    clean::leftovers,
    site::Site,
    steps::until_done,
    tally::{Tally, seed},
};
use crate::desk::{journal, journal_file};

/// Cuts the journal's last record at a byte between its first and its last.
fn tear(site: &Site, seed: u64) {
    let whole = journal(&site.pg);
    let begin = whole.trim_end().rfind('\n').map_or(0, |newline| newline + 1);
    let length = whole.len() - begin;
    // Its newline alone missing is no torn record.
    let kept = 1 + usize::try_from(seed).unwrap() % (length - 2);
    let file = File::options().write(true).open(journal_file(&site.pg)).unwrap();
    file.set_len((begin + kept) as u64).unwrap();
}

/// `bg WORDS` up to and with its step `target`, that last step done, its record torn off.
fn until_torn(site: &Site, words: &str, target: usize, seed: u64) {
    until_done(site, words, target);
    tear(site, seed.wrapping_mul(31).wrapping_add(target as u64));
    let open = site.state().open.unwrap();
    assert_eq!(open.step.map(|step| step.index), Some(target), "the record that was torn off said that it was done");
}

/// A command, each of its steps done twice; returns where it ends.
fn twice(site: &Site, words: &str, seed: u64, tally: &mut Tally) -> Value {
    until_torn(site, words, 0, seed);
    let steps = site.state().open.unwrap().plan.steps.len();
    for target in 1..steps {
        until_torn(site, words, target, seed);
    }
    let ran = site.first.expect(&site.pg, "resume", 0);
    assert!(ran.stderr.contains("torn by a crash"), "{ran}");
    assert_eq!(leftovers(&site.pg), Vec::<std::path::PathBuf>::new(), "{words}");
    tally.add("steps_done_twice", steps as u64);
    site.stands(&site.first, &site.labels())
}

#[test]
fn every_step_of_a_rollout_done_twice_leaves_what_once_leaves() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut site = Site::serving(1);
    let journey = ["deploy --release NEW --canary mobile=10%", "flip", "restore"];
    let once: Vec<Value> = journey
        .iter()
        .map(|words| {
            let labels = site.labels();
            site.first.expect(&site.pg, &words.replace("NEW", &labels.new), 0);
            site.stands(&site.first, &site.labels())
        })
        .collect();
    for (words, wanted) in journey.iter().zip(once) {
        let words = words.replace("NEW", &site.labels().new);
        assert_eq!(twice(&site, &words, seed, &mut tally), wanted, "{words} (BG_SEED={seed})");
    }
    site.reach(Stage::Canary);
    let end = twice(&site, "abort", seed, &mut tally);
    assert_eq!((&end["stage"], &end["traffic"]["mode"]), (&"balanced".into(), &"both".into()), "{end:#}");
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say("twice/rollout", seed);
}

#[test]
fn every_step_of_a_setup_and_a_sync_done_twice_leaves_what_once_leaves() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut site = Site::bare(1);
    let end = twice(&site, "setup --release v1", seed, &mut tally);
    assert_eq!((&end["stage"], &end["in_sync"][0]), (&"balanced".into(), &true.into()), "{end:#}");
    site.pg.wire().unwrap();
    site.damage();
    let end = twice(&site, "sync", seed, &mut tally);
    assert_eq!((&end["stage"], &end["in_sync"][0]), (&"balanced".into(), &true.into()), "{end:#}");
    // What bg wrote is gone, as from a replaced disk: the configuration is written and loaded again.
    fs::remove_file(site.pg.balancers()[0].bg_dir.join("server.conf")).unwrap();
    let end = twice(&site, "sync", seed, &mut tally);
    assert_eq!((&end["stage"], &end["in_sync"][0]), (&"balanced".into(), &true.into()), "{end:#}");
    tally.say("twice/setup and sync", seed);
}
