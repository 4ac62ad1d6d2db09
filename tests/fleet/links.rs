//! Links that are cut and healed: what is cut is silent, nobody says that nothing arrives.

use bg_playground::fleet::Cut;

use crate::{
    desk::{bg, status},
    hosts::fleet,
};

#[test]
fn a_rollout_goes_over_the_network_and_a_way_back_past_a_cut_is_finished_when_it_is_healed() {
    let Some(mut site) = fleet("a rollout over a network") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    bg(&site, "deploy --release v2", 0);
    bg(&site, "flip", 0);
    site.cut("lb2", Cut::Desk).unwrap();
    let ran = bg(&site, "flip --back", 5);
    assert!(ran.stderr.contains("`lb2` did not let ssh in"), "{ran}");
    assert_eq!(["lb1", "lb2"].map(|lb| site.get_as_client(lb).unwrap().half().to_owned()), ["blue", "green"]);
    site.heal().unwrap();
    bg(&site, "resume", 0);
    assert_eq!(status(&site)["stage"], "staged");
    load.stop().expect_none_failed();
}
