//! Hosts, and what is asked of them.

use std::time::Duration;

use super::{card, every, read_aloud, text};
use crate::edge::{
    health::{ProbeError, Unhealthy, Verdict},
    host::HostError,
};

/// One of each, on `web2`.
pub fn host_errors() -> Vec<(&'static str, HostError)> {
    let (host, detail) = (|| text("web2"), text);
    let after = Duration::from_secs(10);
    every!(HostError:
        HostError::InvalidName { .. } => HostError::InvalidName { host: text("-oProxyCommand=x") },
        HostError::Local { .. } => HostError::Local {
            host: host(), detail: detail("`ssh` could not be started: No such file or directory (os error 2)"),
        },
        HostError::NameNotResolved { .. } => HostError::NameNotResolved {
            host: host(), detail: detail("Could not resolve hostname web2: Name or service not known"),
        },
        HostError::Unreachable { .. } => HostError::Unreachable {
            host: host(), detail: detail("connect to host web2 port 22: Connection refused"),
        },
        HostError::ConnectTimedOut { .. } => HostError::ConnectTimedOut {
            host: host(), after, detail: detail("Connection timed out"),
        },
        HostError::HostKeyUnknown { .. } => HostError::HostKeyUnknown {
            host: host(), detail: detail("No ED25519 host key is known for web2 and you have requested strict checking."),
        },
        HostError::HostKeyChanged { .. } => HostError::HostKeyChanged {
            host: host(), detail: detail("REMOTE HOST IDENTIFICATION HAS CHANGED!"),
        },
        HostError::PermissionDenied { .. } => HostError::PermissionDenied {
            host: host(), detail: detail("deploy@web2: Permission denied (publickey)."),
        },
        HostError::Dropped { .. } => HostError::Dropped {
            host: host(), attempts: 3, detail: detail("kex_exchange_identification: Connection closed by remote host"),
        },
        HostError::Connect { .. } => HostError::Connect { host: host(), detail: detail("Bad configuration option: fast") },
        HostError::NoSession { .. } => HostError::NoSession {
            host: host(), name: "place release", detail: detail("open failed: connect failed"),
        },
        HostError::NotRun { .. } => HostError::NotRun {
            host: host(), name: "place release", detail: detail("This account is currently not available."),
        },
        HostError::NoSudo { .. } => HostError::NoSudo {
            host: host(), name: "nginx -t", detail: detail("sudo: a password is required"),
        },
        HostError::Unsendable { .. } => HostError::Unsendable {
            host: host(), name: "command", detail: detail("an argument holds a NUL"),
        },
        HostError::Input { .. } => HostError::Input {
            host: host(), name: "place release", detail: detail("/tmp/bg-1/web.tar.zst: No such file or directory"),
        },
        HostError::Lost { .. } => HostError::Lost { host: host(), name: "place release", tail: text("unpacking") },
        HostError::Cut { .. } => HostError::Cut { host: host() },
        HostError::TimedOut { .. } => HostError::TimedOut {
            host: host(), name: "place release", after, ended: true, tail: text("one\ntwo"),
        },
        HostError::TimedOut { .. } => HostError::TimedOut {
            host: host(), name: "place release", after, ended: false, tail: String::new(),
        },
        HostError::Failed { .. } => HostError::Failed {
            host: host(), name: "look at server", status: 1, tail: text("stat: cannot stat '/srv': Permission denied"),
        },
        HostError::Forward { .. } => HostError::Forward {
            host: host(), target: text("10.0.0.14:3001"), detail: detail("administratively prohibited"),
        },
    )
}

#[test]
fn hosts() {
    let card = |(name, error): &(&str, HostError)| card(name, None, &error.to_string(), error.hint().as_deref());
    let cards: Vec<String> = host_errors().iter().map(card).collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

#[test]
fn health() {
    let quote = text("upstream connect error");
    let probe = every!(ProbeError:
        ProbeError::NoWay { .. } => ProbeError::NoWay { detail: text("Broken pipe") },
        ProbeError::NoAnswer => ProbeError::NoAnswer,
        ProbeError::TimedOut { .. } => ProbeError::TimedOut { after: Duration::from_secs(2) },
        ProbeError::BadAnswer { .. } => ProbeError::BadAnswer { detail: text("invalid HTTP version parsed") },
        ProbeError::BadRequest { .. } => ProbeError::BadRequest { detail: text("`health.path` is no path: `a b`") },
        ProbeError::NotReached { .. } => ProbeError::NotReached { host: text("lb1") },
        ProbeError::Host(_) => ProbeError::Host(HostError::Unreachable {
            host: text("lb1"), detail: text("Connection refused"),
        }),
    );
    let mut cards: Vec<String> =
        probe.iter().map(|(name, error)| card(name, None, &format!("GET /healthz: {error}"), None)).collect();
    let reason = text("GET /healthz answered 503");
    let verdict = Verdict::Unhealthy { reason: reason.clone(), from: text("lb1"), quote: quote.clone() };
    cards.push(card("Verdict", None, &format!("`web2` (web) is not healthy: {verdict}"), None));
    let late = |viewpoint_lost| Unhealthy {
        host: text("web2"),
        within: Duration::from_secs(60),
        reason: reason.clone(),
        times: 12,
        from: text("lb1"),
        quote: quote.clone(),
        viewpoint_lost,
    };
    cards.push(card("Unhealthy", None, &late(None).to_string(), None));
    let lost = Unhealthy { reason: text("`lb1` could not be reached in time"), ..late(Some(text("lb1"))) };
    cards.push(card("Unhealthy, the balancer at fault", None, &lost.to_string(), None));
    insta::assert_snapshot!(read_aloud(&cards));
}
