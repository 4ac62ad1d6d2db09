//! What is refused before anything is touched, and what a journal's move can end with.

use bluegreen_core::{
    Half,
    nginx::conf::RenderError,
    release::Version,
    rollout::{PlanError, Rollout, Stage, State, Transition, Verb},
    traffic::Traffic,
};

use super::{balancers, ended, every, read_aloud, servers, text};
use crate::{
    edge::{balancer, server::What},
    engine::describe_stage,
    site::{OtherInventory, Refusal},
};

/// In the rollout from v41 to v42.
fn at(stage: Option<Stage>) -> State {
    let Some(stage) = stage else { return State::default() };
    let (from, to) = (Version(41), Version(42));
    let balanced = stage == Stage::Balanced;
    let green = match stage {
        Stage::Flipped | Stage::Restoring => Half::Green,
        _ => Half::Blue,
    };
    State {
        stage: Some(stage),
        rollout: (!balanced).then_some(Rollout { number: 12, offset: 20, from, to }),
        blue: Some(from),
        green: Some(if balanced { from } else { to }),
        traffic: if balanced { Traffic::Both } else { Traffic::on(green, &[]) },
        ..State::default()
    }
}

/// An artifact that is not there, beside releases that are.
fn missing(builds: &[&str]) -> Refusal {
    let builds = builds.iter().map(|build| text(build)).collect();
    Refusal::Artifact { pool: text("web"), error: servers::artifact_errors().remove(0).1, builds }
}

#[test]
fn stages() {
    let cells = Stage::ALL.into_iter().flat_map(|stage| Verb::ALL.map(|verb| (stage, verb)));
    let refused = cells.filter_map(|(stage, verb)| match stage.next(verb) {
        Transition::Refused(refusal) => {
            let name = format!("{stage}:{verb}").replace(' ', "-");
            Some(ended(&name, &Refusal::from(PlanError::from(refusal)).at(&at(Some(stage)))))
        }
        _ => None,
    });
    let mut cards: Vec<String> = refused.collect();
    let others = every!(PlanError:
        PlanError::Refused(_) => match Stage::Balanced.next(Verb::Flip) {
            Transition::Refused(refusal) => PlanError::Refused(refusal),
            _ => panic!("flip is refused in balanced"),
        },
        PlanError::Already { .. } => PlanError::Already { verb: Verb::FlipBack, settle: Traffic::Both },
        PlanError::NoSite => PlanError::NoSite,
        PlanError::NotArmed => PlanError::NotArmed,
    );
    let state = at(None);
    cards.extend(others.into_iter().skip(2).map(|(name, error)| ended(name, &Refusal::from(error).at(&state))));
    insta::assert_snapshot!(read_aloud(&cards));
}

fn other_inventories() -> Vec<OtherInventory> {
    let balanced = Some(Stage::Balanced);
    let other = |stage, is_old, taken_over, has_open| OtherInventory { stage, is_old, taken_over, has_open };
    vec![
        other(None, false, false, true),
        other(balanced, true, true, false),
        other(balanced, false, true, false),
        other(balanced, false, false, false),
        other(Some(Stage::Canary), false, false, false),
    ]
}

#[test]
fn refusals() {
    let staged = at(Some(Stage::Staged));
    let stage = || describe_stage(&staged);
    let (from, to) = (|| text("file:.bg/shop"), || text("ssh:lb1:/var/lib/bg/shop"));
    let silent = || server_error_unreachable();
    let mut samples = every!(Refusal:
        Refusal::Stage(_) => Refusal::Stage(PlanError::NoSite),
        Refusal::Interrupted { .. } => Refusal::Interrupted { open: "deploy", at: text("drain green"), asked: "flip" },
        Refusal::NotSetUp { .. } => Refusal::NotSetUp { at: None },
        Refusal::NotSetUp { .. } => Refusal::NotSetUp { at: Some(text("place v1 on blue")) },
        Refusal::NothingBefore => Refusal::NothingBefore,
        Refusal::NothingInterrupted => Refusal::NothingInterrupted,
        Refusal::NothingLeft { .. } => Refusal::NothingLeft { stage: stage() },
        Refusal::BegunWithAnother { .. } => Refusal::BegunWithAnother { open: "restore" },
        Refusal::Meanwhile => Refusal::Meanwhile,
        Refusal::OtherSite { .. } => Refusal::OtherSite { journal: text("blog"), inventory: text("shop") },
        Refusal::NotBalanced { .. } => Refusal::NotBalanced { ways: text("`bg flip` · `bg abort`") },
        Refusal::OtherHosts { .. } => Refusal::OtherHosts {
            changed: vec![text("- web/green web2 web2:3000 /srv/shop/web"), text("+ web/green web9 web9:3000 /srv/shop/web")],
        },
        Refusal::SyncInterrupted { .. } => Refusal::SyncInterrupted { open: "restore" },
        Refusal::NoSuchBalancer { .. } => Refusal::NoSuchBalancer { host: text("lb9"), known: vec![text("lb1"), text("lb2")] },
        Refusal::Unrenderable(_) => Refusal::Unrenderable(RenderError::Template {
            name: "http.conf.tera", report: text("Variable `sitee` not found in context"),
        }),
        Refusal::BalancersSilent { .. } => Refusal::BalancersSilent { errors: balancers::silent(), stage: stage() },
        Refusal::ServersSilent { .. } => Refusal::ServersSilent { errors: vec![(silent(), text("web/green"))], stage: stage() },
        Refusal::ServersSilent { .. } => Refusal::ServersSilent {
            errors: vec![(servers::server_error(What::MissingTool { tool: text("flock") }), text("web/green"))], stage: stage(),
        },
        Refusal::PassesBy { .. } => Refusal::PassesBy {
            command: "deploy", certain: vec![text("`lb1`: /etc/nginx/conf.d/shop.conf:12: `proxy_pass http://web2:3000` …")],
            unknown: vec![text("`lb2` is unreachable: Connection refused")],
        },
        Refusal::PassesBy { .. } => Refusal::PassesBy {
            command: "deploy", certain: Vec::new(), unknown: vec![text("`lb2` is unreachable: Connection refused")],
        },
        Refusal::InUse { .. } => Refusal::InUse { host: text("web1"), half: text("web/blue"), port: 3000 },
        Refusal::NothingToConfirm => Refusal::NothingToConfirm,
        Refusal::NotConfirmable { .. } => Refusal::NotConfirmable { open: "flip", at: text("switch: all traffic to green") },
        Refusal::WouldDisarm { .. } => Refusal::WouldDisarm { command: text("sync"), stage: stage() },
        Refusal::NothingToHold => Refusal::NothingToHold,
        Refusal::HeldMeanwhile => Refusal::HeldMeanwhile,
        Refusal::HoldChanged => Refusal::HoldChanged,
        Refusal::Usage(_) => Refusal::Usage(text("`--artifact cms=…`: there is no pool `cms`; there are web, api")),
        Refusal::Artifact { .. } => missing(&[]),
        Refusal::Artifact { .. } => missing(&["2.0", "1.9", "1.8", "1.7", "1.6", "1.5", "1.4"]),
        Refusal::Artifact { .. } => Refusal::Artifact { error: servers::artifact_errors().remove(7).1, pool: text("web"), builds: vec![] },
        Refusal::SamePlace { .. } => Refusal::SamePlace { place: from() },
        Refusal::NothingToCopy { .. } => Refusal::NothingToCopy { place: from() },
        Refusal::CopyOfAnother { .. } => Refusal::CopyOfAnother { place: to(), source_place: text("file:old") },
        Refusal::NotEmpty { .. } => Refusal::NotEmpty { place: to(), whose: text(", of the site `blog`") },
        Refusal::CopyStopped { .. } => Refusal::CopyStopped { done: 12, of: 40, from: from(), to: to() },
        Refusal::CopyFailed { .. } => Refusal::CopyFailed { why: text("its lock was lost"), from: from(), to: to() },
        Refusal::NotClosed { .. } => Refusal::NotClosed { why: text("the disk is full"), from: from(), to: to() },
        Refusal::NotOpened { .. } => Refusal::NotOpened {
            why: text("its lock by hand changed at the same moment"), from: from(), to: to(),
        },
        Refusal::CopyGone { .. } => Refusal::CopyGone { from: from(), to: to() },
        Refusal::Inventory(_) => Refusal::Inventory(other_inventories().remove(0)),
    );
    samples.extend(other_inventories().into_iter().skip(1).map(|other| ("Inventory", Refusal::Inventory(other))));
    let cards: Vec<String> = samples
        .into_iter()
        .map(|(name, refusal)| ended(name.trim_start_matches("Refusal::"), &refusal.at(&staged)))
        .collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

fn server_error_unreachable() -> crate::edge::server::ServerError {
    let balancer::Kind::Host(error) = balancers::silent().remove(0).kind else { panic!("it is of a host") };
    servers::server_error(What::Host(error))
}
