//! server.conf stands first in every server block that uses one of bg's variables.

use std::collections::HashSet;

use super::Directive;
use super::findings::{Finding, Site};
use crate::nginx::conf::SERVER_CONF;

/// The variables that only server.conf makes meaningful, beside the pools'.
const OWN: [&str; 7] = ["segment", "half", "raw", "path", "key", "bucket", "slot"];

/// What a person calls a server block: its first server_name, else what it listens on.
pub(super) fn name(server: &Directive) -> String {
    let first = |name: &str| {
        let directive = server.children().iter().find(|d| d.name == name)?;
        directive.args.first().filter(|arg| !arg.is_empty() && *arg != "_").cloned()
    };
    let called = first("server_name").or_else(|| first("listen").map(|listen| format!("listen {listen}")));
    called.unwrap_or_else(|| format!("line {}", server.line))
}

pub(super) fn findings(site: &Site<'_>, http: &[&Directive]) -> Vec<Finding> {
    let variables = variables(site, http);
    let servers = http.iter().filter(|d| d.name == "server");
    servers.filter_map(|server| check(site, server, &variables)).collect()
}

/// bg's variables, and those of the user's that take their value from one by a `map`.
fn variables(site: &Site<'_>, http: &[&Directive]) -> HashSet<String> {
    let of_site = |name: &str| format!("{}_{name}", site.inventory.site);
    let pools = site.inventory.pools.iter().map(|pool| of_site(&pool.name));
    let mut known: HashSet<String> = pools.chain(OWN.into_iter().map(of_site)).collect();
    let maps: Vec<&&Directive> = http.iter().filter(|d| d.name == "map").collect();
    // One more link of a chain of maps is seen in each round.
    loop {
        let before = known.len();
        for map in &maps {
            if let [_, variable] = map.args.as_slice()
                && uses(map, &known).is_some()
            {
                known.insert(variable.trim_start_matches('$').to_owned());
            }
        }
        if known.len() == before {
            return known;
        }
    }
}

/// The first use of one of the `variables` in `directive` or what stands in it.
fn uses<'a>(directive: &'a Directive, variables: &HashSet<String>) -> Option<(&'a Directive, String)> {
    let mut first = None;
    directive.walk(&mut |one| {
        if first.is_none() {
            let names = one.args.iter().chain([&one.name]).flat_map(|word| referenced(word));
            first = names.into_iter().find(|name| variables.contains(*name)).map(|name| (one, name.to_owned()));
        }
    });
    first
}

/// The names behind each `$` of a word, also as `${name}`.
pub(super) fn referenced(word: &str) -> Vec<&str> {
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let after = word.split('$').skip(1).map(|rest| rest.strip_prefix('{').unwrap_or(rest));
    after.map(|rest| &rest[..name(rest)]).filter(|name| !name.is_empty()).collect()
}

fn check(site: &Site<'_>, server: &Directive, variables: &HashSet<String>) -> Option<Finding> {
    let children = server.children();
    let include = site.include(SERVER_CONF);
    let Some(at) = children.iter().position(|d| site.is_server_conf(d)) else {
        let (user, variable) = uses(server, variables)?;
        let mut deeper = None;
        server.walk(&mut |one| deeper = deeper.or_else(|| site.is_server_conf(one).then_some(one)));
        let message = format!(
            "the server block `{}` ({}:{}) uses `${variable}` without bg's `{SERVER_CONF}`, so nothing decides there.",
            name(server),
            server.file,
            server.line
        );
        let fix = match deeper {
            Some(_) => {
                format!("It is included in a location: move it up, as the first line of the server block: `{include}`")
            }
            None => format!("Add as the first line of that server block: `{include}`"),
        };
        return Some(Finding::at(user, message, fix));
    };
    // What only configures may stand above; what runs may not: the include would come too late or never.
    let runs = |d: &&Directive| match d.name.as_str() {
        "rewrite" | "if" | "return" | "break" => true,
        "set" => uses(d, variables).is_some(),
        _ => false,
    };
    let early = children[..at].iter().find(runs)?;
    let message = format!(
        "`{}` stands above bg's `{SERVER_CONF}` in the server block `{}`: where it acts, nothing decides between the halves.",
        early.name,
        name(server)
    );
    Some(Finding::at(early, message, format!("Make this the first line of the server block: `{include}`")))
}
