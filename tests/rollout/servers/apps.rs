//! Releases that do not work: each fails with what the host said, blue serves on, and both ways on work.

use std::fs;

use bg_playground::{Behaviour, Playground};

use super::{bg, deploy, release, says, serves, small, stage, started};

#[test]
fn a_release_that_does_not_work_is_quoted_and_blue_serves_on() {
    let site = started(small());
    let bad = |change: fn(&mut Behaviour)| {
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        behaviour
    };
    let cases: [(&str, Behaviour, &[&str]); 5] = [
        (
            "sick",
            bad(|b| b.unhealthy = true),
            &["GET /healthz answered 503", "times), seen from `lb1`", "\"release\":\"sick\""],
        ),
        (
            "stale",
            bad(|b| b.answers = Some("v1".into())),
            &["answered with the release `v1` in X-Release, not `stale`"],
        ),
        (
            "crash",
            bad(|b| b.crashes = Some("no such module: left-pad".into())),
            &["status 1", "no such module: left-pad"],
        ),
        ("broken", bad(|b| b.broken = vec!["/".into()]), &["GET / answered 500"]),
        ("dying", bad(|b| b.dies_after_ms = Some(1)), &["web2"]),
    ];
    for (number, (label, behaviour, wanted)) in cases.iter().enumerate() {
        let said = deploy(&site, label, behaviour, 4);
        says(&said, wanted);
        says(&said, &["`web2`", "Blue carries the site and was not touched", "`bg deploy`", "`bg abort`"]);
        assert_eq!(stage(&site), "isolated", "{label}");
        serves(&site, "blue", "v1");
        for refused in ["flip", "canary mobile=10%", "restore"] {
            bg(&site, refused, 3);
        }
        if number % 2 == 0 {
            deploy(&site, &format!("{label}-mended"), &Behaviour::default(), 0);
            assert_eq!(stage(&site), "staged");
            serves(&site, "blue", "v1");
        } else {
            bg(&site, "abort", 0);
            serves(&site, "both", "v1");
        }
    }
}

#[test]
fn what_gets_healthy_and_dies_gets_no_traffic() {
    let site = started(small());
    deploy(&site, "v2", &Behaviour::default(), 0);
    site.kill_app("web2").unwrap();
    for forward in ["flip", "canary mobile=10%"] {
        let said = bg(&site, forward, 4);
        says(&said, &["`web2` (web) is not healthy", "Traffic was not moved", "The site is staged"]);
        serves(&site, "blue", "v1");
    }
    assert_eq!(stage(&site), "staged");
    deploy(&site, "v3", &Behaviour::default(), 0);
    bg(&site, "flip", 0);
    serves(&site, "green", "v3");

    // Blue has died meanwhile: there is nothing to go back to, and traffic stays.
    site.kill_app("web1").unwrap();
    says(&bg(&site, "flip --back", 4), &["no place of blue in the pool `web` is healthy", "traffic stays where it is"]);
    assert_eq!(stage(&site), "flipped");
    serves(&site, "green", "v3");
    bg(&site, "restore", 0);
    serves(&site, "both", "v3");
}

#[test]
fn slow_and_stubborn_applications_are_waited_for() {
    let site = started(small());
    deploy(&site, "slow", &Behaviour { starts_after_ms: 700, healthy_after_ms: 1_200, ..Behaviour::default() }, 0);
    let stubborn = Behaviour { ignores_sigterm: true, ..Behaviour::default() };
    deploy(&site, "stubborn", &stubborn, 0);
    let before = site.app_pid("web2");
    release(&site, "v4", &Behaviour::default());
    bg(&site, "deploy --release v4", 0);
    assert_ne!(site.app_pid("web2"), before);
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v4");
    serves(&site, "blue", "v1");
    bg(&site, "abort", 0);
    serves(&site, "both", "v1");
}

#[test]
fn a_restore_that_fails_leaves_everything_on_green() {
    let site = started(small());
    deploy(&site, "v2", &Behaviour::default(), 0);
    bg(&site, "flip", 0);
    break_restart(&site, "web1");
    let said = bg(&site, "restore", 4);
    says(&said, &["`web1`", "Green carries the site", "The site is restoring", "`bg restore`", "`bg abort`"]);
    assert_eq!(stage(&site), "restoring");
    serves(&site, "green", "v2");
    for refused in ["flip", "flip --back", "canary off", "deploy --release v2"] {
        bg(&site, refused, 3);
    }
    says(&bg(&site, "restore", 4), &["`web1`"]);
    serves(&site, "green", "v2");
    mend_restart(&site, "web1");
    bg(&site, "restore", 0);
    serves(&site, "both", "v2");

    deploy(&site, "v3", &Behaviour::default(), 0);
    bg(&site, "flip", 0);
    break_restart(&site, "web1");
    bg(&site, "restore", 4);
    // Blue cannot be healed either: everything stays on green.
    says(&bg(&site, "abort", 5), &["`web1`", "Green carries the site"]);
    serves(&site, "green", "v3");
    mend_restart(&site, "web1");
    bg(&site, "abort", 0);
    assert_eq!(stage(&site), "balanced");
    serves(&site, "both", "v2");
}

#[test]
fn a_process_that_survives_its_restart_is_not_taken_for_the_new_release() {
    let site = started(small());
    let restart = |with: &str| {
        site.edit_inventory(|text| {
            let lines = text.lines().map(|line| match line.strip_prefix("restart = \"") {
                Some(line) => format!("restart = \"{with}{}", line.trim_start_matches("true || ")),
                None => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        })
        .unwrap();
    };
    restart("true || ");
    let said = deploy(&site, "v2", &Behaviour::default(), 4);
    says(&said, &["answered with the release `v1` in X-Release, not `v2`", "`bg exec web2 -- COMMAND` looks there"]);
    assert_eq!(stage(&site), "isolated");
    serves(&site, "blue", "v1");
    restart("");
    deploy(&site, "v3", &Behaviour::default(), 0);
    bg(&site, "flip", 0);

    restart("true || ");
    let said = bg(&site, "restore", 4);
    says(
        &said,
        &["`web1` did not become healthy", "the release `v1` in X-Release, not `v3`", "Green carries the site"],
    );
    says(&said, &["the next try does not restart it: do that there if it needs it"]);
    serves(&site, "green", "v3");
    restart("");
    // Blue has the release by its marker, so it is only checked; its operator restarts it.
    bg(&site, "restore", 4);
    let line = super::down::restart_line(&site, "web1", "blue");
    site.bg(["exec", "web1", "--", &line]).unwrap().expect(0);
    bg(&site, "restore", 0);
    serves(&site, "both", "v3");
}

/// From now on no restart works on this server.
pub fn break_restart(site: &Playground, host: &str) {
    let guard = "test ! -e no-more || { echo no more; exit 7; }; ";
    site.edit_inventory(|text| text.replace(guard, "").replace("restart = \"", &format!("restart = \"{guard}")))
        .unwrap();
    fs::write(site.place(host).root.join("no-more"), "").unwrap();
}

pub fn mend_restart(site: &Playground, host: &str) {
    fs::remove_file(site.place(host).root.join("no-more")).unwrap();
}
