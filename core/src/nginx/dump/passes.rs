//! A `proxy_pass` to a place of the site, or to one of bg's upstreams by name, passes bg by: a forgotten server block.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use super::findings::{Finding, Site};
use super::{Directive, servers};
use crate::half::Half;

const PASSES: [&str; 5] = ["proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"];

/// No value leads through more variables than this, nor means more different targets; beyond it nginx's user is on his own.
const MAX_EXPANDED: usize = 256;

type Values<'a> = HashMap<&'a str, Vec<&'a str>>;

/// What passes can lead to.
struct Targets<'a> {
    site: &'a Site<'a>,
    /// The user's own upstreams: name → the addresses of their servers.
    upstreams: Values<'a>,
    /// The user's own maps: variable → the values that they give it.
    maps: Values<'a>,
}

pub(super) fn findings(site: &Site<'_>, http: &[&Directive]) -> Vec<Finding> {
    let mut targets = Targets { site, upstreams: Values::new(), maps: Values::new() };
    http.iter().for_each(|d| targets.learn(d));
    let mut found = Vec::new();
    for server in http.iter().filter(|d| d.name == "server") {
        let mut values = targets.maps.clone();
        server.walk(&mut |d| {
            if let ("set", [variable, value]) = (d.name.as_str(), d.args.as_slice()) {
                values.entry(variable.trim_start_matches('$')).or_default().push(value);
            }
        });
        server.walk(&mut |d| {
            if let (true, Some(target)) = (PASSES.contains(&d.name.as_str()), d.args.first()) {
                found.extend(targets.check(server, d, target, &values));
            }
        });
    }
    found
}

/// Every text that `target` can stand for, with the user's own `values` in the place of his variables.
fn expand(target: &str, values: &Values<'_>) -> Vec<String> {
    let mut expanded = Vec::new();
    let mut open = vec![target.to_owned()];
    let mut steps = 0;
    while let Some(text) = open.pop() {
        steps += 1;
        // Variables without known values (a header, one of bg's own) stay: there is nothing to compare.
        let known = servers::referenced(&text).into_iter().find_map(|name| Some((name, values.get(name)?)));
        match known.filter(|_| steps < MAX_EXPANDED) {
            None => expanded.push(text),
            Some((name, values)) => {
                let braced = format!("${{{name}}}");
                let written = if text.contains(&braced) { braced } else { format!("${name}") };
                open.extend(values.iter().map(|value| text.replacen(&written, value, 1)));
            }
        }
    }
    expanded
}

impl<'a> Targets<'a> {
    fn learn(&mut self, directive: &'a Directive) {
        let entries = || directive.children().iter();
        match (directive.name.as_str(), directive.args.as_slice()) {
            ("upstream", [name]) => {
                let servers = entries().filter(|d| d.name == "server");
                self.upstreams.insert(name, servers.filter_map(|d| d.args.first().map(String::as_str)).collect());
            }
            ("map", [_, variable]) => {
                let values = entries().filter_map(|entry| entry.args.first().map(String::as_str));
                self.maps.entry(variable.trim_start_matches('$')).or_default().extend(values);
            }
            _ => {}
        }
    }

    fn check(&self, server: &Directive, pass: &Directive, target: &str, values: &Values<'_>) -> Option<Finding> {
        let what = expand(target, values).iter().find_map(|target| self.hit(&pass.name, target))?;
        let message = format!(
            "the server block `{}` ({}:{}) passes bg by: `{} {target}` leads to {}.",
            servers::name(server),
            server.file,
            server.line,
            pass.name,
            what.words
        );
        let scheme = target.split_once("://").map_or("", |(scheme, _)| scheme);
        let prefix = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
        let variable = format!("{}_{}", self.site.inventory.site, what.pool);
        Some(Finding::at(
            pass,
            message,
            format!("Write `{} {prefix}${variable};`, and the include of bg's server.conf.", pass.name),
        ))
    }

    /// What of the site a literal target reaches, directly or through an upstream of the user's.
    fn hit(&self, pass: &str, target: &str) -> Option<Hit> {
        let (default_port, authority) = authority(pass, target)?;
        let (host, port) = host_and_port(authority);
        let inventory = self.site.inventory;
        for pool in &inventory.pools {
            for half in ["both", "blue", "green"] {
                let name = format!("{}_{}_{half}", inventory.site, pool.name);
                if port.is_none() && host.eq_ignore_ascii_case(&name) {
                    return Some(Hit { pool: pool.name.clone(), words: format!("bg's upstream `{name}` by name") });
                }
            }
        }
        match self.upstreams.get(host).filter(|_| port.is_none()) {
            Some(servers) => servers.iter().find_map(|server| {
                let mut hit = self.place(host_and_port(server), Some(80))?;
                hit.words = format!("{}, through the upstream `{host}`", hit.words);
                Some(hit)
            }),
            None => self.place((host, port), default_port),
        }
    }

    fn place(&self, (host, port): (&str, Option<u16>), default_port: Option<u16>) -> Option<Hit> {
        let port = port.or(default_port)?;
        let host = canonical(host);
        for half in Half::ALL {
            for (pool, place) in self.site.inventory.places(half) {
                if place.port == port && (canonical(&place.address) == host || canonical(&place.host) == host) {
                    let words = format!("`{}:{port}`, a {half} server of pool `{}`", place.host, pool.name);
                    return Some(Hit { pool: pool.name.clone(), words });
                }
            }
        }
        None
    }
}

struct Hit {
    pool: String,
    words: String,
}

/// The `HOST[:PORT]` of a pass's target and the port it means without one; `None` for a unix socket.
fn authority<'a>(pass: &str, target: &'a str) -> Option<(Option<u16>, &'a str)> {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let default_port = match scheme {
        "https" | "grpcs" => Some(443),
        // fastcgi, uwsgi and scgi have no port of their own.
        "" if pass != "grpc_pass" => None,
        _ => Some(80),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    (!authority.is_empty() && !authority.starts_with("unix:")).then_some((default_port, authority))
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let split = match authority.rfind(']') {
        Some(end) => authority[end..].find(':').map(|at| end + at),
        None => authority.rfind(':'),
    };
    match split {
        Some(at) => (&authority[..at], authority[at + 1..].parse().ok()),
        None => (authority, None),
    }
}

/// One way to write each host: lower case, without brackets or the root's dot, IPv6 shortened, localhost as its address.
fn canonical(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    match (bare.as_str(), bare.parse::<Ipv6Addr>()) {
        ("localhost", _) | (_, Ok(Ipv6Addr::LOCALHOST)) => "127.0.0.1".to_owned(),
        (_, Ok(address)) => address.to_string(),
        _ => bare,
    }
}
