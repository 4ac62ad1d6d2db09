//! What stops a step, with what it means for the command.

use std::time::Duration;

use bluegreen_core::{Half, nginx::conf::RenderError, release::Version, rollout::Effect};

use super::{balancers, card, every, read_aloud, servers, text};
use crate::{
    edge::{
        balancer::{Kind, two_phase::NotAll},
        health::{ProbeError, Unhealthy, Verdict},
        server::What,
        world::Trouble,
    },
    engine::Failure,
};

fn unhealthy(viewpoint_lost: Option<&str>) -> Unhealthy {
    Unhealthy {
        host: text("web2"),
        within: Duration::from_secs(60),
        reason: text("GET /healthz answered 503"),
        times: 12,
        from: text("lb1"),
        quote: String::new(),
        viewpoint_lost: viewpoint_lost.map(text),
    }
}

fn troubles() -> Vec<(&'static str, Trouble)> {
    let half = Half::Green;
    let version = Version(42);
    let (host, pool) = (|| text("web2"), || text("web"));
    let to = || text("all traffic on green");
    let silent = || balancers::silent().remove(0);
    let at = |kind| balancers::of(kind);
    let said = || vec![text("`lb2` is unreachable: Connection refused")];
    every!(Trouble:
        Trouble::NoDirs(_) => Trouble::NoDirs(vec![at(Kind::NoRights { command: text("sudo -n mkdir"), said: String::new() })]),
        Trouble::Unrenderable(_) => Trouble::Unrenderable(RenderError::Template {
            name: "http.conf.tera", report: text("Variable `sitee` not found in context"),
        }),
        Trouble::NotAll(_) => Trouble::NotAll(NotAll { failed: vec![silent()], not_put_back: Vec::new() }),
        Trouble::NotAll(_) => Trouble::NotAll(NotAll { failed: vec![silent()], not_put_back: vec![silent()] }),
        Trouble::Unprepared(_) => Trouble::Unprepared(silent()),
        Trouble::Unprepared(_) => Trouble::Unprepared(at(Kind::Foreign { journal: Some(text("0f3a")), at: text("current") })),
        Trouble::Unprepared(_) => Trouble::Unprepared(at(Kind::NoTimer)),
        Trouble::NotSwitched { .. } => Trouble::NotSwitched { to: to(), first: said().remove(0), more: 1 },
        Trouble::NotBack { .. } => Trouble::NotBack { to: text("all traffic on blue"), failures: said() },
        Trouble::NotFollowed { .. } => Trouble::NotFollowed { to: text("all traffic on blue"), failures: said() },
        Trouble::WentBack { .. } => Trouble::WentBack { hosts: vec![text("`lb1`"), text("`lb2`")] },
        Trouble::Untold { .. } => Trouble::Untold { untold: vec![text("`lb2` runs generation 18, not 17")] },
        Trouble::Reached { .. } => Trouble::Reached { half, traffic: text("both halves") },
        Trouble::Unconfirmed => Trouble::Unconfirmed,
        Trouble::Unguarded { .. } => Trouble::Unguarded { host: text("lb1"), half, why: text("its tree is not there") },
        Trouble::NotDrained { .. } => Trouble::NotDrained {
            half, after: Duration::from_secs(30), words: text("2 or more requests in flight on `lb1` to green"),
        },
        Trouble::Unread { .. } => Trouble::Unread { what: "its addresses", error: silent() },
        Trouble::Uncounted { .. } => Trouble::Uncounted { half, error: silent() },
        Trouble::Server(_) => Trouble::Server(servers::server_error(What::Busy)),
        Trouble::Server(_) => Trouble::Server(servers::server_error(What::Fenced { found: 31 })),
        Trouble::NoRelease { .. } => Trouble::NoRelease { version },
        Trouble::NoArtifact { .. } => Trouble::NoArtifact { version, pool: pool() },
        Trouble::Changed { .. } => Trouble::Changed { path: text("/home/anna/shop/dist/web-2.0.tar.zst"), version },
        Trouble::Artifact(_) => Trouble::Artifact(servers::artifact_errors().remove(0).1),
        Trouble::Disagree { .. } => Trouble::Disagree { half },
        Trouble::RunsAnother { .. } => Trouble::RunsAnother {
            host: host(), pool: pool(), root: text("/srv/shop/web"), version, marker: Some(text("v41")), current: Some(text("releases/v41")),
        },
        Trouble::RunsAnother { .. } => Trouble::RunsAnother {
            host: host(), pool: pool(), root: text("/srv/shop/web"), version, marker: None, current: None,
        },
        Trouble::NotHealthy { .. } => Trouble::NotHealthy {
            host: host(), pool: pool(),
            verdict: Verdict::Unhealthy { reason: text("GET /healthz answered 503"), from: text("lb1"), quote: String::new() },
        },
        Trouble::StaysUnhealthy { .. } => Trouble::StaysUnhealthy { unhealthy: unhealthy(None), is_restarted: true },
        Trouble::StaysUnhealthy { .. } => Trouble::StaysUnhealthy { unhealthy: unhealthy(None), is_restarted: false },
        Trouble::StaysUnhealthy { .. } => Trouble::StaysUnhealthy { unhealthy: unhealthy(Some("lb1")), is_restarted: true },
        Trouble::Silent { .. } => Trouble::Silent { host: host(), pool: pool() },
        Trouble::Unasked { .. } => Trouble::Unasked { host: host(), pool: pool(), error: ProbeError::NotReached { host: text("lb1") } },
        Trouble::NoneHealthy { .. } => Trouble::NoneHealthy { half, pool: pool(), said: vec![text("`web2` (web) did not answer within 3 s")] },
        Trouble::Foreign { .. } => Trouble::Foreign { host: host(), journal: text("0f3a"), rollout: None },
        Trouble::Foreign { .. } => Trouble::Foreign { host: text("lb1"), journal: text("0f3a"), rollout: Some(12) },
        Trouble::ForeignTree { .. } => Trouble::ForeignTree { host: text("lb1"), generation: 17, journal: text("0f3a"), rollout: Some(12) },
        Trouble::Overtaken { .. } => Trouble::Overtaken { host: host(), seen: 31, last: 12 },
        Trouble::Newer { .. } => Trouble::Newer { host: text("lb1"), generation: 19, highest: 17 },
        Trouble::PerhapsNewer { .. } => Trouble::PerhapsNewer { host: text("lb1"), generation: 19, highest: 17 },
    )
}

#[test]
fn steps() {
    let cards: Vec<String> = troubles()
        .into_iter()
        .map(|(name, trouble)| {
            let failure = Failure::from(trouble);
            let effect = match failure.effect {
                Effect::Nothing => "over, everything as before",
                Effect::Unhealthy => "over, unhealthy",
                Effect::Open => "stays open",
                Effect::Refused => "refused",
            };
            let card = card(name, None, &failure.message, failure.hint.as_deref());
            card.replacen('\n', &format!(" ({effect})\n"), 1)
        })
        .collect();
    insta::assert_snapshot!(read_aloud(&cards));
}
