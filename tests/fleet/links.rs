//! Links that are cut and healed: what is cut is silent, nobody says that nothing arrives.

use bg_playground::{Behaviour, fleet::Cut, until};

use crate::{
    case::{Case, DEPLOY},
    desk::{SOON, bg},
    hosts::{big_release, fleet, halves, in_sync, stage},
    phase::{Phase, part_of_upload},
};

#[test]
fn a_deploy_whose_balancer_falls_silent_ends_as_promised_in_each_phase() {
    let Some(mut site) = fleet("a balancer's link cut in a deploy") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    Case::new(DEPLOY, Phase::Before, "lb2").play(&mut site);
    Case::new(DEPLOY, Phase::Prepared, "lb2").play(&mut site);
    Case::new(DEPLOY, Phase::Draining, "lb2").play(&mut site);
    let slow = Behaviour { healthy_after_ms: 2_000, ..Behaviour::default() };
    site.artifact("web", "v2", &slow).unwrap();
    Case::new(DEPLOY, Phase::Checking, "lb2").aborted().play(&mut site);
    load.stop().expect_none_failed();
}

#[test]
fn a_deploy_whose_server_falls_silent_leaves_blue_untouched_and_goes_on_later() {
    let Some(mut site) = fleet("a server's link cut in a deploy") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    big_release(&site, 8);
    Case::new(DEPLOY, Phase::Uploading, "web2").play(&mut site);
    assert_eq!(part_of_upload(&site), 0, "what the cut upload left is gone");
    site.release("v2").unwrap();
    Case::new(DEPLOY, Phase::Activating, "web2").cut(Cut::Link).aborted().play(&mut site);
    load.stop().expect_none_failed();
}

#[test]
fn a_flip_whose_balancer_falls_silent_is_all_or_nothing() {
    let Some(mut site) = fleet("a balancer's link cut in a flip") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    Case::new("flip", Phase::Preparing, "lb2").play(&mut site);
    // Its answers are lost and its commands arrive: it is switched, and bg cannot know.
    Case::new("flip", Phase::Committing, "lb2").cut(Cut::Answers).play(&mut site);
    assert_eq!(halves(&site), ["blue", "blue"]);
    Case::new("flip", Phase::Prepared, "lb2").aborted().play(&mut site);
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
    assert!(ran.stderr.contains("`lb2` did not let ssh in"), "{ran}");
    assert_eq!(halves(&site), ["blue", "green"]);
    site.heal().unwrap();
    bg(&site, "resume", 0);
    assert_eq!((stage(&site), halves(&site)), (("staged".to_owned(), false), ["blue".into(), "blue".into()]));

    // Healed before it counts as dead: TCP sends again what was lost, and the flip is done. It is given more than a busy
    // machine takes to heal it.
    site.edit_inventory(|text| text.replace("connect_timeout = \"2s\"", "connect_timeout = \"20s\"")).unwrap();
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
