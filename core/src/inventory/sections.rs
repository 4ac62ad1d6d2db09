//! The inventory as a whole, and its small sections: site, ssh, balancers, canary.

use std::collections::HashMap;

use super::reader::{Table, Value, Wrong};
use super::types::{Balancer, CanaryKey, Inventory, JournalLocation, Ssh};
use super::{etcd, journal, pools, ranges, scalar, segments};

/// Every shift is prepared and committed on all of them; more is taken for a slip in a range.
const MAX_BALANCERS: usize = 1_000;
/// A command connects to no more hosts than this at once.
const MAX_PARALLEL: u32 = 1_024;
const DEFAULT_PARALLEL: usize = 32;
const DEFAULT_CONNECT_MS: u64 = 10_000;
const DEFAULT_PROBE: u16 = 8474;
/// Stands for a site's name that was reported, so that nothing which is made of it is reported too.
const STAND_IN: &str = "site";

/// Reads the whole file. What is wrong is in the table's sink; the value then holds defaults in its place.
pub(super) fn inventory(short_name: &str, file: Table<'_>) -> Inventory {
    let (site, mut journal) = site(short_name, &file);
    etcd::access(&file, journal.as_mut());
    let ssh = ssh(&file);
    let (balancers, templates) = balancers(&file, &site);
    let pools = pools::pools(&file, &site);
    let segments = segments::segments(&file, &site);
    let canary_key = canary_key(&file);
    file.finish("");
    let journal = journal.unwrap_or_else(|| default_journal(short_name));
    Inventory { site, journal, ssh, balancers, templates, pools, segments, canary_key }
}

/// The site's name and its journal; `None`: what it says of the journal is wrong.
fn site(short_name: &str, file: &Table<'_>) -> (String, Option<JournalLocation>) {
    let table = file.require("site", "`[site]` with `name = \"shop\"`").and_then(|site| site.table());
    let Some(table) = table else { return (STAND_IN.to_owned(), None) };
    let name = table.require("name", "`name = \"shop\"`").and_then(|name| name.string(scalar::site_name));
    let journal = match table.get("journal") {
        Some(journal) => journal.string(journal::location),
        None => Some(default_journal(short_name)),
    };
    table.finish("site");
    (name.unwrap_or_else(|| STAND_IN.to_owned()), journal)
}

fn default_journal(short_name: &str) -> JournalLocation {
    JournalLocation::File(format!(".bg/{short_name}"))
}

fn ssh(file: &Table<'_>) -> Ssh {
    let default = Ssh { user: None, config: None, connect_timeout_ms: DEFAULT_CONNECT_MS, parallel: DEFAULT_PARALLEL };
    let Some(table) = file.get("ssh").and_then(|ssh| ssh.table()) else { return default };
    let timeout = scalar::duration(100, 600_000);
    let parallel = table.get("parallel").and_then(|value| value.integer(1..=MAX_PARALLEL));
    let ssh = Ssh {
        user: table.get("user").and_then(|value| value.string(scalar::user)),
        config: table.get("config").and_then(|value| value.string(scalar::own_path)),
        connect_timeout_ms: table
            .get("connect_timeout")
            .and_then(|value| value.string(timeout))
            .unwrap_or(DEFAULT_CONNECT_MS),
        parallel: parallel.map_or(DEFAULT_PARALLEL, |number| number as usize),
    };
    table.finish("ssh");
    ssh
}

/// The balancers, and where their templates are.
fn balancers(file: &Table<'_>, site: &str) -> (Vec<Balancer>, Option<String>) {
    let found = file.require("balancers", "`[balancers]` with `hosts = [\"lb1\"]`").and_then(|found| found.table());
    let Some(table) = found else { return (Vec::new(), None) };
    let common = Balancer {
        host: String::new(),
        address: Vec::new(),
        dir: format!("/etc/nginx/bg/{site}"),
        probe: DEFAULT_PROBE,
        test: "nginx -t".to_owned(),
        reload: "nginx -s reload".to_owned(),
        sudo: table.get("sudo").and_then(|value| value.boolean()).unwrap_or(true),
    };
    let common = balancer_keys(&table, common);
    if let Some(switch) = table.get("switch") {
        switch.choice(&[("live", ())]);
    }
    let templates = table.get("templates").and_then(|value| value.string(scalar::own_path));
    let hosts = table
        .require("hosts", "`hosts = [\"lb[1-2].example.net\"]`")
        .and_then(|hosts| hosts.array().map(|all| (hosts, all)));
    let mut balancers = Vec::new();
    if let Some((hosts, elements)) = hosts {
        if elements.is_empty() {
            hosts.wrong(Wrong::new("is empty", "a site needs at least one balancer"));
        }
        let mut lines = HashMap::new();
        for element in &elements {
            add_balancers(element, &common, &mut lines, &mut balancers);
            if balancers.len() > MAX_BALANCERS {
                element.wrong(Wrong::new("is too many balancers", format!("a site has at most {MAX_BALANCERS}")));
                break;
            }
        }
    }
    table.finish("balancers");
    (balancers, templates)
}

/// The keys that `[balancers]` has for all and that a host's own table may change.
fn balancer_keys(table: &Table<'_>, common: Balancer) -> Balancer {
    let line = |key| table.get(key).and_then(|value: Value<'_>| value.string(scalar::line));
    Balancer {
        dir: table.get("dir").and_then(|value| value.string(scalar::nginx_directory)).unwrap_or(common.dir),
        probe: table.get("probe").and_then(|value| port(&value)).unwrap_or(common.probe),
        test: line("test").unwrap_or(common.test),
        reload: line("reload").unwrap_or(common.reload),
        ..common
    }
}

/// Adds what one element of `hosts` stands for; `lines` holds the line of every host so far.
fn add_balancers(
    element: &Value<'_>,
    common: &Balancer,
    lines: &mut HashMap<String, usize>,
    balancers: &mut Vec<Balancer>,
) {
    let (hosts, balancer) = if element.is_table() {
        let Some(table) = element.table() else { return };
        let hosts = table.require("host", "`host = \"lb3\"`").and_then(|host| host.string(ranges::expand));
        let address = table.get("address").and_then(|address| networks(&address)).unwrap_or_default();
        let balancer = balancer_keys(&table, common.clone());
        table.finish("balancers.hosts");
        (hosts, Balancer { address, ..balancer })
    } else {
        (element.string(ranges::expand), common.clone())
    };
    for host in hosts.into_iter().flatten() {
        if let Some(line) = lines.insert(host.to_ascii_lowercase(), element.line()) {
            let what = format!("names the balancer `{host}` a second time");
            element.wrong(Wrong::new(what, format!("the first one stands on line {line}")));
        } else {
            balancers.push(Balancer { host, ..balancer.clone() });
        }
    }
}

/// A TCP port.
pub(super) fn port(value: &Value<'_>) -> Option<u16> {
    value.integer(1..=65_535).and_then(|port| u16::try_from(port).ok())
}

/// One network, or an array of them.
pub(super) fn networks(value: &Value<'_>) -> Option<Vec<ipnet::IpNet>> {
    if value.is_string() { value.string(scalar::network).map(|one| vec![one]) } else { value.strings(scalar::network) }
}

fn canary_key(file: &Table<'_>) -> CanaryKey {
    let Some(table) = file.get("canary").and_then(|canary| canary.table()) else { return CanaryKey::Client };
    let key = table.get("key").and_then(|key| key.string(sticky_key));
    table.finish("canary");
    key.unwrap_or(CanaryKey::Client)
}

fn sticky_key(text: &str) -> Result<CanaryKey, Wrong> {
    match text.split_once(':') {
        None if text == "client" => Ok(CanaryKey::Client),
        Some((kind @ "cookie", name)) => {
            scalar::cookie_name(name).map(CanaryKey::Cookie).map_err(|wrong| wrong.shifted(kind.len() + 1))
        }
        Some((kind @ "header", name)) => {
            scalar::nginx_header_name(name).map(CanaryKey::Header).map_err(|wrong| wrong.shifted(kind.len() + 1))
        }
        _ => Err(Wrong::new("is not a known value", "must be `client`, `cookie:NAME` or `header:NAME`")),
    }
}
