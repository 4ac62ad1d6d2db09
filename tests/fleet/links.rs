//! Links that are cut and healed: what is cut is silent, nobody says that nothing arrives.

use std::time::Duration;

use bg_playground::{Behaviour, Fleet, fleet::Cut, until};

use crate::{
    desk::{SOON, bg},
    hosts::{big_release, fleet, halves, in_sync, lead_to, stage},
    phase::{Phase, part_of_upload},
};

const DEPLOY: &str = "deploy --release v2";
/// A command that meets a silent host is over by then: the silence is noticed within four seconds, the host is asked once
/// more and given up after two, and in between each step goes on for some tenths of a second (more on a busy machine).
const BOUND: Duration = Duration::from_secs(25);

/// One cut: where, when, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The command that is disturbed. A deploy begins in `balanced`, everything else in `staged`.
    pub words: &'static str,
    pub phase: Phase,
    pub host: &'static str,
    pub cut: Cut,
    /// How it must end.
    pub exit: i32,
    /// What goes on from there once everything is healed, and the stage that it leads to.
    pub way_on: &'static str,
    pub stage: &'static str,
}

impl Case {
    /// Plays it; says how long the disturbed command took.
    #[track_caller]
    pub fn play(&self, site: &mut Fleet) -> Duration {
        lead_to(site, if self.words.starts_with("deploy") { "balanced" } else { "staged" });
        let held = self.phase.enter(site, self.words);
        site.cut(self.host, self.cut).unwrap();
        let ran = held.go_on(site);
        println!("{self:?}\n{ran}");
        ran.expect(self.exit);
        assert!(ran.took < BOUND, "{self:?} took {:?}", ran.took);
        assert!(ran.stderr.contains(&format!("`{}`", self.host)), "the host is named: {ran}");
        site.heal().unwrap();
        let (before, is_open) = stage(site);
        assert_eq!(is_open, self.exit == 5, "{self:?}: {before}");
        println!("{}", bg(site, self.way_on, 0));
        assert_eq!(stage(site), (self.stage.to_owned(), false), "{self:?}");
        in_sync(site);
        ran.took
    }
}

#[test]
fn a_deploy_whose_balancer_falls_silent_ends_as_promised_in_each_phase() {
    let Some(mut site) = fleet("a balancer's link cut in a deploy") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    let case = Case {
        words: DEPLOY,
        phase: Phase::Before,
        host: "lb2",
        cut: Cut::Desk,
        exit: 1,
        way_on: DEPLOY,
        stage: "staged",
    };
    case.play(&mut site);
    Case { phase: Phase::Prepared, exit: 5, way_on: "resume", stage: "balanced", ..case }.play(&mut site);
    Case { phase: Phase::Draining, exit: 5, way_on: "resume", stage: "staged", ..case }.play(&mut site);
    let slow = Behaviour { healthy_after_ms: 2_000, ..Behaviour::default() };
    site.artifact("web", "v2", &slow).unwrap();
    Case { phase: Phase::Checking, exit: 5, way_on: "abort", stage: "balanced", ..case }.play(&mut site);
    load.stop().expect_none_failed();
}

#[test]
fn a_deploy_whose_server_falls_silent_leaves_blue_untouched_and_goes_on_later() {
    let Some(mut site) = fleet("a server's link cut in a deploy") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    big_release(&site, 16);
    let case = Case {
        words: DEPLOY,
        phase: Phase::Uploading,
        host: "web2",
        cut: Cut::Desk,
        exit: 4,
        way_on: DEPLOY,
        stage: "staged",
    };
    case.play(&mut site);
    assert_eq!(part_of_upload(&site), 0, "what the cut upload left is gone");
    site.release("v2").unwrap();
    Case { phase: Phase::Activating, way_on: "abort", stage: "balanced", ..case }.play(&mut site);
    Case { phase: Phase::Activating, cut: Cut::Link, ..case }.play(&mut site);
    load.stop().expect_none_failed();
}

#[test]
fn a_flip_whose_balancer_falls_silent_is_all_or_nothing() {
    let Some(mut site) = fleet("a balancer's link cut in a flip") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    let case = Case {
        words: "flip",
        phase: Phase::Preparing,
        host: "lb2",
        cut: Cut::Desk,
        exit: 1,
        way_on: "flip",
        stage: "flipped",
    };
    case.play(&mut site);
    // Its answers are lost and its commands arrive: it is switched, and bg cannot know.
    Case { phase: Phase::Committing, cut: Cut::Answers, exit: 5, way_on: "resume", stage: "staged", ..case }
        .play(&mut site);
    assert_eq!(halves(&site), ["blue", "blue"]);
    Case { phase: Phase::Prepared, exit: 5, way_on: "abort", stage: "balanced", ..case }.play(&mut site);
    load.stop().expect_none_failed();
}

#[test]
fn a_way_back_goes_past_a_silent_balancer_and_a_short_silence_is_survived() {
    let Some(mut site) = fleet("a way back past a cut link") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    bg(&site, DEPLOY, 0);
    bg(&site, "flip", 0);
    site.cut("lb2", Cut::Desk).unwrap();
    let ran = bg(&site, "flip --back", 5);
    assert!(ran.took < BOUND && ran.stderr.contains("`lb2` did not let ssh in"), "{ran}");
    assert_eq!(halves(&site), ["blue", "green"]);
    site.heal().unwrap();
    bg(&site, "resume", 0);
    assert_eq!((stage(&site), halves(&site)), (("staged".to_owned(), false), ["blue".into(), "blue".into()]));

    // Healed before it counts as dead: TCP sends again what was lost, and the flip is done.
    let mut held = Phase::Committing.enter(&site, "flip");
    site.cut("lb2", Cut::Desk).unwrap();
    held.let_go();
    until(SOON, "lb2's switch", || (halves(&site) == ["green", "green"]).then_some(())).unwrap();
    site.heal().unwrap();
    held.go_on(&site).expect(0);
    assert_eq!(stage(&site), ("flipped".to_owned(), false));
    in_sync(&site);
    load.stop().expect_none_failed();
}
