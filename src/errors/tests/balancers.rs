//! Balancers.

use super::{card, every, hosts::host_errors, read_aloud, text};
use crate::edge::balancer::{ConfTest, Error, Kind, two_phase::NotAll};

fn kinds() -> Vec<(&'static str, Kind)> {
    let lines = || vec![text("nginx: [emerg] unknown directive \"fast\" in /etc/nginx/bg/shop/http.conf:4")];
    let refused = |why| Kind::ConfRefused { why, lines: lines() };
    every!(Kind:
        Kind::Unknown => Kind::Unknown,
        Kind::Host(_) => Kind::Host(host_errors().remove(3).1),
        Kind::NoRights { .. } => Kind::NoRights {
            command: text("sudo -n nginx -t"), said: text(": sudo: a password is required"),
        },
        Kind::NoRights { .. } => Kind::NoRights { command: text("nginx -t"), said: String::new() },
        Kind::Locked { .. } => Kind::Locked { file: text("/etc/nginx/bg/shop/live/.lock") },
        Kind::NoDirs { .. } => Kind::NoDirs { path: text("/etc/nginx/bg/shop/live") },
        Kind::Foreign { .. } => Kind::Foreign { journal: Some(text("0f3a")), at: text("current") },
        Kind::Foreign { .. } => Kind::Foreign { journal: None, at: text("gen/18") },
        Kind::Fenced { .. } => Kind::Fenced { found: 19 },
        Kind::UnknownCurrent { .. } => Kind::UnknownCurrent { link: text("a directory") },
        Kind::CurrentDiffers { .. } => Kind::CurrentDiffers { generation: 17 },
        Kind::Missing { .. } => Kind::Missing { generation: 17 },
        Kind::Unarmed { .. } => Kind::Unarmed { generation: 17 },
        Kind::NoTimer => Kind::NoTimer,
        Kind::Differs { .. } => Kind::Differs { generation: 17, found: text("9c1e") },
        Kind::ConfRefused { .. } => refused(ConfTest::Staged),
        Kind::ConfRefused { .. } => refused(ConfTest::InPlace),
        Kind::ConfRefused { .. } => refused(ConfTest::Before),
        Kind::ReloadFailed { .. } => Kind::ReloadFailed {
            command: text("sudo -n nginx -s reload"), lines: vec![text("nginx: [error] invalid PID number")],
        },
        Kind::NotTakenUp { .. } => Kind::NotTakenUp {
            revision: 4, waited_ms: 30_000, what: text("an old worker still accepts connections"),
            log: text("Its error log says nothing new"),
        },
        Kind::Probe { .. } => Kind::Probe { port: 8474, site: text("shop"), why: text("connection refused or closed without an answer") },
        Kind::Unconfirmed { .. } => Kind::Unconfirmed {
            generation: 17, at: text("mobile/09/00"), expected: text("green of generation 17"), answered: text("blue of generation 15"),
        },
        Kind::Dump { .. } => Kind::Dump { command: text("sudo -n nginx -T"), lines: vec![text("no line `# configuration file …:` is in it")] },
        Kind::Broke { .. } => Kind::Broke { script: "prepare", code: 2, lines: vec![text("mv: No space left on device")] },
    )
}

#[test]
fn balancers() {
    let mut cards: Vec<String> = kinds()
        .into_iter()
        .map(|(name, kind)| {
            let error = of(kind);
            card(name, None, &error.to_string(), error.hint().as_deref())
        })
        .collect();
    let not_all = |not_put_back| NotAll {
        failed: vec![of(Kind::ReloadFailed { command: text("nginx -s reload"), lines: vec![text("no")] })],
        not_put_back,
    };
    cards.push(card("NotAll", None, &not_all(Vec::new()).to_string(), None));
    cards.push(card(
        "NotAll",
        None,
        &not_all(vec![of(Kind::NoDirs { path: text("/etc/nginx/bg/shop") })]).to_string(),
        None,
    ));
    insta::assert_snapshot!(read_aloud(&cards));
}

/// It happened on `lb1`.
pub fn of(kind: Kind) -> Error {
    Error { host: text("lb1"), kind }
}

/// A balancer that does not answer.
pub fn silent() -> Vec<Error> {
    vec![Error { host: text("web2"), kind: Kind::Host(host_errors().remove(3).1) }]
}
