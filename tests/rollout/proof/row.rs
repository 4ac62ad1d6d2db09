//! One row of the matrix: a command, killed at each of its appends, and what somebody does then.

use std::{env, thread};

use bluegreen_core::rollout::{Entry, Event, Stage};
use serde_json::{Value, json};

use super::{
    clean::{leftovers, no_temporary_files, skeleton, tickets, wait_clean, wait_disarmed},
    operator::Operator,
    site::{Labels, Site},
    tally::{Tally, seed},
};
use crate::desk::{journal_file, untouched, world};

/// A command that is killed, and where it begins.
pub struct Row {
    pub name: &'static str,
    pub start: Start,
    /// `NEW` stands for the label of the release that comes.
    pub words: &'static str,
    /// Whether a command that has a row of its own is met a second time, from another stage or in another form.
    pub is_extra: bool,
}

/// Where a row's command begins.
#[derive(Clone, Copy, PartialEq)]
pub enum Start {
    /// Before setup: a site of its own for each point.
    Nothing,
    /// In that stage.
    In(Stage),
    /// Balanced, with an inventory that the balancers do not know yet.
    Changed,
    /// Balanced, and a balancer's tree was damaged.
    Drifted,
    /// Flipped, and every balancer goes back by itself unless that is confirmed.
    Armed,
}

/// What somebody does after the kill.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Follow {
    Resume,
    Abort,
    Second,
}

const FOLLOWS: [Follow; 3] = [Follow::Resume, Follow::Abort, Follow::Second];
/// What nobody may begin while a command is open.
const REFUSED: [&str; 4] = ["deploy --release v1", "canary all=3%", "flip", "restore"];

/// The uninterrupted command: its records, and where it ends.
struct Whole {
    entries: Vec<Entry>,
    end: Value,
}

/// Says where it was when a test fails.
struct Here(String);

impl Drop for Here {
    fn drop(&mut self) {
        if thread::panicking() {
            let _no_terminal = std::io::Write::write_all(&mut std::io::stderr(), self.0.as_bytes());
        }
    }
}

/// Every `of`th point of a row, from the `part`th, with one follow-up or with all.
pub fn run(row: &Row, part: usize, of: usize) {
    let (seed, mut tally) = (seed(), Tally::default());
    let is_whole = env::var("BG_MATRIX").is_ok_and(|word| word == "whole");
    // What a second balancer adds is in the short rows.
    let is_short = row.start != Start::Nothing && of == 1 && !row.is_extra;
    let balancers = if is_whole || is_short { 2 } else { 1 };
    let mut site = if row.start == Start::Nothing { Site::bare(balancers) } else { Site::serving(balancers) };
    let whole = uninterrupted(row, &mut site);
    every_step_has_both_points(&whole.entries);
    let small = skeleton(&site.pg);
    for (number, append) in (1..=whole.entries.len()).skip(part).step_by(of).enumerate() {
        if row.is_extra && !is_whole && (seed as usize).wrapping_add(number) % 2 == 0 {
            continue;
        }
        let turn = (seed as usize).wrapping_add(append) % FOLLOWS.len();
        let follows = if is_whole { &FOLLOWS[..] } else { &FOLLOWS[turn..=turn] };
        for &follow in follows {
            let what = point(&whole.entries, append);
            let here = Here(format!("in `{}`, killed {what}, then {follow:?} (BG_SEED={seed})\n", row.name));
            if row.start == Start::Nothing {
                site = Site::bare(balancers);
            }
            one(row, &mut site, &whole, append, follow, seed, &mut tally);
            tally.add("points", 1);
            drop(here);
        }
    }
    if row.start != Start::Nothing {
        site.reach(Stage::Balanced);
        assert_eq!(skeleton(&site.pg), small, "files that grow");
    }
    let (requests, cut) = served(row, &site);
    tally.add("requests", requests);
    tally.add("failed", 0);
    if row.start == Start::Changed {
        tally.add("cut_by_reload", cut);
    }
    tally.say(&format!("matrix/{}/{part}", row.name), seed);
}

/// No request has failed so far; how many were sent, and how many a reload of nginx cut.
#[track_caller]
fn served(row: &Row, site: &Site) -> (u64, u64) {
    if row.start == Start::Changed { site.none_failed_but_by_reload() } else { (site.none_failed(), 0) }
}

fn words(row: &Row, labels: &Labels) -> String {
    row.words.replace("NEW", &labels.new)
}

fn start(row: &Row, site: &mut Site) -> Labels {
    match row.start {
        Start::Nothing => {}
        Start::In(stage) => site.reach(stage),
        Start::Armed => {
            site.reach(Stage::Staged);
            site.first.expect(&site.pg, "flip --revert-after 1h", 0);
        }
        Start::Changed | Start::Drifted => {
            site.reach(Stage::Balanced);
            site.damage();
            if row.start == Start::Changed {
                site.change();
            }
        }
    }
    site.labels()
}

fn uninterrupted(row: &Row, site: &mut Site) -> Whole {
    let labels = start(row, site);
    let known = site.entries().len();
    site.first.expect(&site.pg, &words(row, &labels), 0);
    let entries = site.entries().split_off(known);
    let end = site.stands(&site.first, &labels);
    Whole { entries, end }
}

/// Each step of the plan stands in the journal twice, and each of its records is a point.
fn every_step_has_both_points(entries: &[Entry]) {
    let events = || entries.iter().flat_map(|entry| &entry.events);
    let plan = events().find_map(|event| match event {
        Event::CommandStarted { plan, .. } => Some(plan),
        _ => None,
    });
    for step in 0..plan.unwrap().steps.len() {
        let of = |is: &dyn Fn(&Event) -> bool| events().filter(|event| is(event)).count();
        assert_eq!(of(&|event| matches!(event, Event::StepStarted { step: it, .. } if *it == step)), 1);
        assert_eq!(of(&|event| matches!(event, Event::StepDone { step: it, .. } if *it == step)), 1);
    }
    assert!(entries.len() > 2 * plan.unwrap().steps.len());
}

/// A kill point in words.
fn point(entries: &[Entry], append: usize) -> String {
    let steps = entries.iter().flat_map(|entry| &entry.events).find_map(|event| match event {
        Event::CommandStarted { plan, .. } => Some(&plan.steps),
        _ => None,
    });
    let name = |step: usize| steps.and_then(|steps| steps.get(step)).map_or("", |planned| planned.step.name());
    let said = entries[append - 1].events.iter().find_map(|event| match event {
        Event::StepStarted { step, .. } => Some(format!("when step {} ({}) had begun", step + 1, name(*step))),
        Event::StepDone { step, .. } => Some(format!("when step {} ({}) was done", step + 1, name(*step))),
        _ => None,
    });
    format!("at append {append}, {}", said.unwrap_or_else(|| "at its beginning".to_owned()))
}

/// The kinds of events in records.
fn kinds(entries: &[Entry]) -> Vec<Vec<String>> {
    let kind = |event: &Event| match event {
        Event::StepStarted { step, .. } => format!("started {step}"),
        Event::StepDone { step, .. } => format!("done {step}"),
        other => serde_json::to_value(other).unwrap()["event"].to_string(),
    };
    entries.iter().map(|entry| entry.events.iter().map(kind).collect()).collect()
}

fn one(row: &Row, site: &mut Site, whole: &Whole, append: usize, follow: Follow, seed: u64, tally: &mut Tally) {
    let labels = start(row, site);
    let before = site.state();
    // An abort in restoring ends the open restore in its first record.
    let known = site.entries().len();
    site.first.killed_at(&site.pg, &words(row, &labels), append);
    assert_eq!(kinds(&site.entries()[known..]), kinds(&whole.entries[..append]), "it was killed at another point");
    tally.longest("all_ended_after_ms", wait_clean(&site.pg, &journal_file(&site.pg)));
    no_temporary_files(&site.pg);
    assert!(site.first.private_dirs().len() <= 1, "{:?}", site.first.private_dirs());
    served(row, site);
    let second = Operator::second(&site.pg);
    legal(site, &second, &labels);
    let trial = Trial { row, site, whole, labels, second };
    match follow {
        Follow::Resume => trial.resume(&trial.site.first, tally),
        Follow::Abort => trial.abort(&trial.site.first, tally),
        Follow::Second => trial.second_operator(seed as usize + append, tally),
    }
    let Trial { second, .. } = trial;
    served(row, site);
    assert_eq!(leftovers(&site.pg), Vec::<std::path::PathBuf>::new(), "left on the hosts or at the desk");
    assert!(tickets(&site.pg) <= 1);
    if site.state().armed.is_none() {
        wait_disarmed(&site.pg);
    }
    // The next command of the same operator removes what the killed one could not.
    let (ours, theirs) = (site.first.private_dirs(), second.private_dirs());
    assert!(ours.len() <= usize::from(follow == Follow::Second) && theirs.is_empty(), "{ours:?} {theirs:?}");
    assert!(site.state().rollouts <= before.rollouts + 1);
}

/// Whatever was interrupted: status says it, as the journal has it, from any desk.
#[track_caller]
fn legal(site: &Site, by: &Operator, labels: &Labels) {
    let (seen, state) = (site.stands(by, labels), site.state());
    let open = state.open.as_ref().map(|open| open.command.as_str());
    assert_eq!(seen["interrupted"], json!(open), "{seen:#}");
    assert_eq!(seen["stage"], json!(state.stage.map(Stage::as_str)), "{seen:#}");
    assert_eq!((&seen["under_way"], &seen["journal"]), (&Value::Null, &Value::Null), "{seen:#}");
    let served = seen["places"].as_array().unwrap().iter();
    let answers: Vec<&Value> = served.map(|place| &place[3]).collect();
    if seen["traffic"]["mode"] == "both" && state.stage.is_some() {
        assert_eq!(answers[0], answers[1], "both halves serve, on different releases: {seen:#}");
    }
}

/// What is done after one kill.
struct Trial<'a> {
    row: &'a Row,
    site: &'a Site,
    whole: &'a Whole,
    labels: Labels,
    second: Operator,
}

impl Trial<'_> {
    fn is_open(&self) -> bool {
        self.site.state().open.is_some()
    }

    /// It ends where the uninterrupted command would have.
    #[track_caller]
    fn resume(&self, by: &Operator, tally: &mut Tally) {
        tally.add("resumed", 1);
        if self.row.start == Start::Changed {
            return self.sync_again("resume", by);
        }
        if self.is_open() {
            by.expect(&self.site.pg, "resume", 0);
        } else {
            let ran = by.expect(&self.site.pg, "resume", 3);
            assert!(ran.stderr.contains("nothing was interrupted") || ran.stderr.contains("`bg setup`"), "{ran}");
            if self.site.state().stage.is_none() {
                by.expect(&self.site.pg, self.row.words, 0);
            }
        }
        assert_eq!(self.site.stands(by, &self.labels), self.whole.end);
    }

    /// With another inventory than the journal knows only `sync` goes on.
    #[track_caller]
    fn sync_again(&self, words: &str, by: &Operator) {
        let ran = by.expect(&self.site.pg, words, 3);
        // Done already, when it was killed after its last record.
        assert!(ran.stderr.contains("`bg sync`") || ran.stderr.contains("nothing "), "{ran}");
        by.expect(&self.site.pg, "sync", 0);
        assert_eq!(self.site.stands(by, &self.labels), self.whole.end);
    }

    /// It ends balanced on the release before; of a setup it is refused.
    #[track_caller]
    fn abort(&self, by: &Operator, tally: &mut Tally) {
        tally.add("aborted", 1);
        let pg = &self.site.pg;
        if self.row.start == Start::Nothing {
            by.expect(pg, "abort", 3);
            by.expect(pg, self.row.words, 0);
            assert_eq!(self.site.stands(by, &self.labels), self.whole.end);
            return;
        }
        if self.row.start == Start::Changed {
            return self.sync_again("abort", by);
        }
        let state = self.site.state();
        if state.open.is_none() && state.stage == Some(Stage::Balanced) {
            by.expect(pg, "abort", 3);
            assert_eq!(self.site.stands(by, &self.labels), self.whole.end);
            return;
        }
        by.expect(pg, "abort", 0);
        let seen = self.site.stands(by, &self.labels);
        let places = pg.places().iter().map(|place| json!([place.host.name, "old", true, "old"]));
        let balanced = json!({
            "stage": "balanced", "traffic": seen["traffic"], "rollout": false, "releases": ["old", "old"],
            "places": places.collect::<Vec<_>>(), "in_sync": vec![true; pg.balancers().len()], "next": ["deploy"],
            "interrupted": null, "under_way": null, "journal": null,
        });
        assert_eq!(seen, balanced);
        assert_eq!(seen["traffic"]["mode"], "both");
    }

    /// At another desk: what the table refuses is refused and touches nothing; the way back to blue is open where there is
    /// one; otherwise they finish it or undo it.
    #[track_caller]
    fn second_operator(&self, turn: usize, tally: &mut Tally) {
        tally.add("second_desk", 1);
        let pg = &self.site.pg;
        if self.is_open() {
            let before = world(pg);
            let ran = self.second.expect(pg, REFUSED[turn / 3 % REFUSED.len()], 3);
            let way_on = match self.row.start {
                Start::Changed => "`bg sync`",
                Start::Armed => "`bg confirm`",
                _ => "`bg resume`",
            };
            assert!(ran.stderr.contains(way_on), "{ran}");
            untouched(pg, &before, &ran);
            tally.add("refused", 1);
        }
        let state = self.site.state();
        let is_isolated = state.stage == Some(Stage::Isolated);
        let mut ways: Vec<&str> = state.next_commands().iter().map(|verb| verb.as_str()).collect();
        ways.retain(|verb| ["canary off", "flip --back"].contains(verb));
        // In isolated somebody goes on with it most of the time.
        if ways.is_empty() || is_isolated && !(turn / 3).is_multiple_of(3) {
            return if (turn / 3).is_multiple_of(2) {
                self.resume(&self.second, tally)
            } else {
                self.abort(&self.second, tally)
            };
        }
        self.second.expect(pg, ways[turn / 3 % ways.len()], 0);
        tally.add("led_back", 1);
        let seen = self.site.stands(&self.second, &self.labels);
        let stage = if is_isolated { "isolated" } else { "staged" };
        assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!(stage), &Value::Null), "{seen:#}");
        assert_eq!(seen["releases"][0], "old", "{seen:#}");
        assert!(is_isolated || seen["releases"][1] == "new", "{seen:#}");
        assert_eq!(seen["in_sync"], json!(vec![true; pg.balancers().len()]), "{seen:#}");
        let shares = seen["traffic"]["segments"].as_array().unwrap();
        assert!(shares.iter().all(|share| share["green_percent"] == 0.0), "{seen:#}");
    }
}
