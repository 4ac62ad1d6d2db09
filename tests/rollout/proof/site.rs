//! A site under load with two operators, and how it is brought to where a command begins.

use bg_playground::{Playground, load::Load};
use bluegreen_core::rollout::{Entry, Stage, State, Verb, decode};
use serde_json::{Value, json};

use super::operator::Operator;
use crate::desk::{journal, small};

/// Enough requests that one which meets a wrong moment is likely to be among them, and little against what bg costs.
const RATE: u32 = 60;

/// The two releases that a site goes back and forth between; they swap their names when a rollout is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// Of the release that was there before the rollout.
    pub old: String,
    /// Of the one that comes.
    pub new: String,
}

/// A site and who works on it.
pub struct Site {
    pub pg: Playground,
    pub first: Operator,
    load: Option<Load>,
    changes: u64,
}

impl Site {
    /// Not set up yet, both releases at hand.
    pub fn bare(balancers: usize) -> Site {
        let pg = small().balancers(balancers).start().unwrap();
        pg.release("v1").unwrap();
        pg.release("v2").unwrap();
        let first = Operator::first(&pg);
        Site { pg, first, load: None, changes: 0 }
    }

    /// Balanced on v1, under load.
    pub fn serving(balancers: usize) -> Site {
        let mut site = Site::bare(balancers);
        site.first.expect(&site.pg, "setup --release v1", 0);
        site.pg.wire().unwrap();
        site.load = Some(site.pg.load().rate(RATE).clients(200).connections(8).slow(0, 100).start().unwrap());
        site
    }

    /// The load goes to this balancer alone.
    pub fn load_only_on(&mut self, balancer: &str) {
        self.none_failed();
        let to = vec![self.pg.balancer(balancer).public];
        self.load = Some(self.pg.load().to(to).rate(RATE).clients(200).connections(8).slow(0, 100).start().unwrap());
    }

    /// The journal's records.
    pub fn entries(&self) -> Vec<Entry> {
        journal(&self.pg).lines().map_while(|line| decode(line).ok()).collect()
    }

    /// What they say.
    pub fn state(&self) -> State {
        State::replay(&self.entries()).unwrap()
    }

    /// What the releases are called, as long as the rollout lasts.
    pub fn labels(&self) -> Labels {
        let state = self.state();
        let old = state.releases.get(&state.source()).map_or("v1", |release| &release.label).to_owned();
        let new = if old == "v1" { "v2" } else { "v1" };
        Labels { old, new: new.to_owned() }
    }

    /// No request has failed so far; how many were sent.
    #[track_caller]
    pub fn none_failed(&self) -> u64 {
        self.load.as_ref().map_or(0, |load| load.seen().expect_none_failed().sent)
    }

    /// The same where nginx was reloaded: it closes idle connections then, and a client that is just sending on one sees
    /// that. Nothing else may fail. Returns how many were sent, and how many saw that.
    #[track_caller]
    pub fn none_failed_but_by_reload(&self) -> (u64, u64) {
        let Some(load) = &self.load else { return (0, 0) };
        let seen = load.seen();
        let by_reload =
            |what: &str| what.contains("connection closed before message completed") || what.contains("reset");
        let others: Vec<_> = seen.failures.iter().filter(|failure| !by_reload(&failure.what)).collect();
        assert!(others.is_empty() && seen.failed * 200 < seen.sent.max(1000), "{} failed: {others:#?}", seen.failed);
        (seen.sent, seen.failed)
    }

    /// Where the site stands as status says it and as servers answer, in words that are the same for every rollout.
    #[track_caller]
    pub fn stands(&self, by: &Operator, labels: &Labels) -> Value {
        let ran = by.expect(&self.pg, "status --json", 0);
        let seen: Value = serde_json::from_str(&ran.stdout).unwrap();
        let state = self.state();
        let role = |version: &Value| {
            let label = state.releases.values().find(|it| *version == it.version.to_string()).map(|it| &it.label);
            match label {
                None => version.clone(),
                Some(label) if *label == labels.old => json!("old"),
                Some(_) => json!("new"),
            }
        };
        let places = self.pg.places().iter().map(|place| {
            let half = if place.half == bg_playground::Half::Blue { "blue" } else { "green" };
            let shown = &seen["pools"][&place.pool][half][0];
            let answers = self.pg.ask(&place.host.name, "/").map(|answer| answer.release().to_owned());
            let answers = answers.map_or(Value::Null, |label| json!(if label == labels.old { "old" } else { "new" }));
            json!([place.host.name, role(&shown["release"]), shown["healthy"], answers])
        });
        let in_sync: Vec<&Value> = seen["balancers"].as_array().unwrap().iter().map(|it| &it["in_sync"]).collect();
        json!({
            "stage": seen["stage"], "traffic": seen["traffic"], "rollout": seen["rollout"].is_string(),
            "releases": [role(&seen["releases"]["blue"]), role(&seen["releases"]["green"])],
            "places": places.collect::<Vec<_>>(), "in_sync": in_sync, "next": seen["next"],
            "interrupted": seen["interrupted"]["command"], "under_way": seen["under_way"], "journal": seen["journal"],
        })
    }

    /// Brings the site to that stage, with the new release on green where it has one.
    #[track_caller]
    pub fn reach(&mut self, wanted: Stage) {
        for _ in 0..12 {
            let state = self.state();
            let stage = state.stage.unwrap();
            let Some(words) = self.way(&state, stage, wanted) else { return };
            if words.starts_with("killed ") {
                // The first append is the command's beginning, the sixth the drain's.
                self.first.killed_at(&self.pg, "restore", 6);
            } else {
                self.first.expect(&self.pg, &words, 0);
            }
        }
        panic!("{wanted} was not reached: {:?}", self.state());
    }

    /// The next command on the way there; `None`: it is there.
    fn way(&self, state: &State, stage: Stage, wanted: Stage) -> Option<String> {
        let there = stage == wanted && (stage == Stage::Balanced || state.green_is_new());
        let open = state.open.is_some();
        if there && (!open || stage == Stage::Restoring) {
            return None;
        }
        let next = state.next_commands();
        let deploy = format!("deploy --release {}", self.labels().new);
        let word = match (wanted, stage) {
            _ if open && stage == Stage::Balanced => "resume",
            _ if open || !next.contains(&Verb::Deploy) && !next.contains(&Verb::Restore) => "abort",
            (Stage::Balanced, _) => "abort",
            (_, Stage::Balanced | Stage::Isolated) => &deploy,
            (_, Stage::Restoring) => "abort",
            (Stage::Staged, Stage::Canary) => "canary off",
            (Stage::Staged | Stage::Canary, Stage::Flipped) => "flip --back",
            (Stage::Canary, _) => "canary all=10%",
            (Stage::Flipped | Stage::Restoring, Stage::Staged | Stage::Canary) => "flip",
            (Stage::Restoring, Stage::Flipped) => "killed restore",
            (wanted, stage) => panic!("no way from {stage} to {wanted}"),
        };
        Some(word.to_owned())
    }

    /// The inventory gets another rule for its segment: there is something to sync.
    pub fn change(&mut self) {
        self.changes += 1;
        let rule = format!("|ipad|tablet{}", self.changes);
        let change = |text: &str| {
            let (before, after) = text.split_once("|ipad").unwrap();
            let (_, after) = after.split_once('"').unwrap();
            format!("{before}{rule}\"{after}")
        };
        self.pg.edit_inventory(change).unwrap();
    }

    /// A balancer lost what says that both halves serve, and sends everything to blue.
    pub fn damage(&self) {
        let both = self.pg.balancers()[0].bg_dir.join("live/current/both");
        std::fs::remove_file(both).unwrap();
    }
}
