//! The first release: what stops a setup, and that it goes on afterwards; and halves of which only a part is well.

use bg_playground::{Behaviour, Pool};

use super::{bg, deploy, release, says, serves, small, stage, started, state};

#[test]
fn a_setup_that_was_stopped_goes_on_when_the_reason_is_mended() {
    let mut site = small().start().unwrap();
    release(&site, "v1", &Behaviour::default());
    let nothing_there = |site: &bg_playground::Playground| {
        assert!(!site.balancer("lb1").bg_dir.exists() && !site.place("web2").root.join(".bg").exists());
        assert!(state(site).stage.is_none() && state(site).open.is_none());
    };
    site.start_app("web1", "by-hand", &Behaviour::default()).unwrap();
    let said = bg(&site, "setup --release v1", 3);
    says(
        &said,
        &["`web1` (web/blue) already serves on port", "a setup never restarts what serves", "Nothing was touched"],
    );
    assert_eq!(site.ask("web1", "/").unwrap().release(), "by-hand");
    nothing_there(&site);
    site.stop_app("web1").unwrap();
    std::fs::remove_file(site.place("web1").root.join("current")).unwrap();

    site.stop_sshd("web2").unwrap();
    says(&bg(&site, "setup --release v1", 4), &["`web2` is unreachable", "Nothing was touched", "not set up yet"]);
    nothing_there(&site);
    site.start_sshd("web2").unwrap();

    release(&site, "sick", &Behaviour { unhealthy: true, ..Behaviour::default() });
    let said = bg(&site, "setup --release sick", 4);
    says(&said, &["`web1` did not become healthy", "GET /healthz answered 503", "\nThe site is not set up yet"]);
    assert!(!said.contains("carries the site"), "{said}");
    bg(&site, "deploy --release v1", 3);
    bg(&site, "setup --release v1", 0);
    site.wire().unwrap();
    serves(&site, "both", "v1");
    says(&bg(&site, "setup --release v1", 0), &["`setup` was done already"]);
}

#[test]
fn one_dead_server_of_several_stops_the_way_forward_and_not_the_way_back() {
    let site = started(small().pools([Pool::new("web").halves(2, 2)]));
    deploy(&site, "v2", &Behaviour::default(), 0);
    site.kill_app("web4").unwrap();
    says(&bg(&site, "flip", 4), &["1 of 2 places of green failed: `web4` (web) is not healthy", "all healthy"]);
    serves(&site, "blue", "v1");
    deploy(&site, "v3", &Behaviour::default(), 0);
    bg(&site, "flip", 0);

    site.kill_app("web3").unwrap();
    let said = bg(&site, "flip --back", 0);
    says(&said, &["goes back in spite of: `web3` (web) is not healthy"]);
    assert_eq!(stage(&site), "staged");
    serves(&site, "blue", "v1");
    // The way back to both asks only for green: blue serves already.
    bg(&site, "abort", 0);
    assert_eq!(stage(&site), "balanced");
    serves(&site, "both", "v1");
    says(&bg(&site, "deploy --release v2", 4), &["1 of 2 places of blue failed: `web3` (web) is not healthy"]);
    assert_eq!((stage(&site), state(&site).rollout), ("balanced", None));
    serves(&site, "both", "v1");
}
