//! `[pools.*]`: port, halves, upstream and drain; deploy and health have files of their own.

use super::places::{Census, Common, spots};
use super::reader::{Table, Value, Wrong};
use super::types::{Balance, Deploy, Drain, OnTimeout, Pool, Upstream};
use super::{deploy, health, scalar, sections, segments};
use crate::half::Half;
use crate::nginx::limits;

/// The bound of every wait that the inventory sets.
pub(super) const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Each pool has three upstreams with shared memory of their own; more is taken for a slip.
const MAX_POOLS: usize = 1_000;

/// The pools in the order of the file.
pub(super) fn pools(file: &Table<'_>, site: &str) -> Vec<Pool> {
    let Some(found) = file.require("pools", "`[pools.web]` with `port`, `blue` and `green`") else { return Vec::new() };
    let Some(table) = found.table() else { return Vec::new() };
    let entries = table.entries();
    if entries.is_empty() {
        found.wrong_key(Wrong::new("is empty", "a site needs at least one pool").help("such as `[pools.web]`"));
    }
    if let Some(entry) = entries.get(MAX_POOLS) {
        entry.wrong_key(Wrong::new("is too many pools", format!("a site has at most {MAX_POOLS}")));
    }
    let mut census = Census::default();
    entries.iter().filter_map(|entry| pool(entry, site, &mut census)).collect()
}

fn pool(entry: &Value<'_>, site: &str, census: &mut Census) -> Option<Pool> {
    let named = segments::check_name(entry, |name| limits::pool_name(site, name));
    let name = entry.key.to_owned();
    let table = entry.table()?;
    let port_key = table.get("port");
    let blue = spots(&table, Half::Blue, census.room()).unwrap_or_default();
    let green = spots(&table, Half::Green, census.room()).unwrap_or_default();
    if port_key.is_none() && !(blue.iter().chain(&green).all(|spot| spot.has_port())) {
        table.require("port", "`port = 3000`");
    }
    let port = port_key.as_ref().and_then(sections::port);
    let upstream = upstream(&table);
    let drain = drain(&table);
    let deploy = deploy::deploy(&table);
    let health = health::health(&table);
    table.finish("pools.NAME");
    // Kind b keeps only its marker there.
    let default_root = format!("~/.bg/{site}/{name}-{{{{ port }}}}");
    let root = match &deploy {
        Some((Deploy::Run { .. }, None)) => Some(default_root.as_str()),
        Some((_, root)) => root.as_deref(),
        None => None,
    };
    // A root that is made of a wrong name would only be wrong again.
    let root = root.filter(|_| named);
    let common = Common { site, pool: &name, port, root };
    let blue = census.places(&common, Half::Blue, blue);
    let green = census.places(&common, Half::Green, green);
    Some(Pool { blue, green, upstream, drain, deploy: deploy?.0, health, name })
}

fn upstream(pool: &Table<'_>) -> Upstream {
    let default = Upstream {
        keepalive: 32,
        keepalive_timeout_ms: 4_000,
        balance: Balance::LeastConn,
        max_fails: 1,
        fail_timeout_ms: 10_000,
        max_conns: 0,
    };
    let Some(table) = pool.get("upstream").and_then(|upstream| upstream.table()) else { return default };
    let number = |key, most| table.get(key).and_then(|value: Value<'_>| value.integer(0..=most));
    let upstream = Upstream {
        keepalive: number("keepalive", 10_000).unwrap_or(default.keepalive),
        keepalive_timeout_ms: table
            .get("keepalive_timeout")
            .and_then(|value| value.string(scalar::duration(1, HOUR_MS)))
            .unwrap_or(default.keepalive_timeout_ms),
        balance: balance(&table).unwrap_or(default.balance),
        max_fails: number("max_fails", 1_000).unwrap_or(default.max_fails),
        fail_timeout_ms: table
            .get("fail_timeout")
            .and_then(|value| value.string(whole_seconds))
            .unwrap_or(default.fail_timeout_ms),
        max_conns: number("max_conns", 1_000_000).unwrap_or(default.max_conns),
    };
    table.finish("pools.NAME.upstream");
    upstream
}

/// nginx takes no fractions of a second for `fail_timeout`.
fn whole_seconds(text: &str) -> Result<u64, Wrong> {
    let ms = scalar::duration(1_000, DAY_MS)(text)?;
    if ms.is_multiple_of(1_000) {
        Ok(ms)
    } else {
        Err(Wrong::new("is not in whole seconds", "nginx takes no fractions here"))
    }
}

fn balance(upstream: &Table<'_>) -> Option<Balance> {
    let hash = upstream.get("hash");
    let balance_key = upstream.get("balance");
    let balance = balance_key.as_ref().and_then(|value| {
        value.choice(&[
            ("least_conn", Balance::LeastConn),
            ("round_robin", Balance::RoundRobin),
            ("ip_hash", Balance::IpHash),
            ("random", Balance::Random),
        ])
    });
    let hash = hash.and_then(|hash| {
        if balance_key.is_some() {
            hash.wrong_key(
                Wrong::new("excludes `balance`", "one way of picking a server").help("take one of them out"),
            );
        }
        hash.string(scalar::hash_key).map(Balance::Hash)
    });
    hash.or(balance)
}

fn drain(pool: &Table<'_>) -> Drain {
    let default = Drain { timeout_ms: 30_000, on_timeout: OnTimeout::Fail, ignore: Vec::new() };
    let Some(table) = pool.get("drain").and_then(|drain| drain.table()) else { return default };
    let timeout = table.get("timeout").and_then(|value| value.string(scalar::duration(100, DAY_MS)));
    let on_timeout =
        table.get("on_timeout").and_then(|value| value.choice(&[("fail", OnTimeout::Fail), ("cut", OnTimeout::Cut)]));
    let ignore = table.get("ignore").and_then(|value| value.strings(scalar::network));
    table.finish("pools.NAME.drain");
    Drain {
        timeout_ms: timeout.unwrap_or(default.timeout_ms),
        on_timeout: on_timeout.unwrap_or(default.on_timeout),
        ignore: ignore.unwrap_or_default(),
    }
}
