//! A `limit_conn` at a deeper level replaces all those of the levels above: the user's replace bg's counter, bg's replaces
//! the user's limits.

use super::findings::{Finding, Severity, Site};
use super::{Directive, servers};

pub(super) fn findings(site: &Site<'_>, http: &[&Directive]) -> Vec<Finding> {
    let inherited: Vec<&&Directive> = http.iter().filter(|d| d.name == "limit_conn").collect();
    let mut found = Vec::new();
    for server in http.iter().filter(|d| d.name == "server") {
        if !server.children().iter().any(|d| site.is_server_conf(d)) {
            continue;
        }
        found.extend(overridden(site, server, &inherited));
        server.children().iter().for_each(|child| replaced(site, server, child, &mut found));
    }
    found
}

/// The user's limits of the http level, which server.conf takes away from this server block. Where it has some of its own,
/// it had given up the inherited ones already.
fn overridden(site: &Site<'_>, server: &Directive, inherited: &[&&Directive]) -> Option<Finding> {
    let own = server.children().iter().any(|d| d.name == "limit_conn" && !site.is_server_conf(d));
    let first = inherited.first().filter(|_| !own)?;
    let lines: Vec<String> = inherited.iter().map(|d| format!("`limit_conn {};`", d.args.join(" "))).collect();
    let message = format!(
        "bg's server.conf takes the inherited `limit_conn` away from the server block `{}` ({}:{}).",
        servers::name(server),
        server.file,
        server.line
    );
    let fix = format!("Repeat right after the include there: {}", lines.join(" "));
    Some(Finding { severity: Severity::Warning, bypass: false, ..Finding::at(first, message, fix) })
}

/// Blocks inside the server block whose own limits leave bg's counter out.
fn replaced(site: &Site<'_>, server: &Directive, block: &Directive, found: &mut Vec<Finding>) {
    let zone = format!("{}_inflight", site.inventory.site);
    let limits: Vec<&Directive> = block.children().iter().filter(|d| d.name == "limit_conn").collect();
    let counted = limits.iter().any(|d| d.args.first() == Some(&zone));
    if let (Some(first), false) = (limits.first(), counted) {
        let called = [std::slice::from_ref(&block.name), block.args.as_slice()].concat().join(" ");
        let message = format!(
            "the `limit_conn` of `{called}` in the server block `{}` replaces bg's: its requests are not counted, so a drain \
             would not wait for them.",
            servers::name(server)
        );
        found.push(Finding {
            bypass: hands_over(block),
            ..Finding::at(first, message, format!("Add beside it: `limit_conn {zone} 65535;`"))
        });
    }
    block.children().iter().for_each(|child| replaced(site, server, child, found));
}

/// Whether requests can get from this block to a server. nginx asks limit_conn once a request, so one that leaves this block
/// for another location stays uncounted there too.
fn hands_over(block: &Directive) -> bool {
    let mut leads_on = false;
    block.walk(&mut |d| {
        leads_on |=
            d.name.ends_with("_pass") || matches!(d.name.as_str(), "try_files" | "error_page" | "rewrite" | "index");
    });
    leads_on
}
