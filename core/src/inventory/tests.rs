//! What an inventory says, and what is said about a wrong one.

use super::*;

mod bounds;
mod canary;
mod keys;
mod refused;
mod valid;
mod words;

/// A small inventory that is in order; the tests change a line of it.
pub(super) const GOOD: &str = r#"[site]
name = "shop"

[balancers]
hosts = ["lb1", "lb2"]

[pools.web]
port = 3000
blue = ["web1"]
green = ["web2"]
deploy = { root = "/srv/shop/web", artifact = "dist/web.tar", restart = "systemctl restart web" }

[segments.mobile]
user_agent = "(?i)android|iphone"
"#;

/// The good inventory with one piece of text replaced.
pub(super) fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good inventory does not contain {from}");
    GOOD.replacen(from, to, 1)
}

/// The good inventory with more lines at its end.
pub(super) fn with(more: &str) -> String {
    format!("{GOOD}\n{more}\n")
}

/// The good inventory with more keys in `[pools.web]`.
pub(super) fn with_pool(more: &str) -> String {
    changed("port = 3000", &format!("port = 3000\n{more}"))
}

/// The good inventory with another deploy table.
pub(super) fn with_deploy(deploy: &str) -> String {
    let line = GOOD.lines().find(|line| line.starts_with("deploy = ")).unwrap();
    changed(line, &format!("deploy = {{ {deploy} }}"))
}

/// Parses what must be in order.
pub(super) fn good(text: &str) -> Inventory {
    parse("production", "inventory/production.toml", text).unwrap_or_else(|findings| panic!("{findings}"))
}

/// Parses what must be wrong.
pub(super) fn wrong(text: &str) -> Findings {
    match parse("production", "inventory/production.toml", text) {
        Ok(_) => panic!("nothing was found to be wrong in:\n{text}"),
        Err(findings) => findings,
    }
}

/// What is shown for each of several wrong inventories.
pub(super) fn shown(texts: &[String]) -> String {
    let blocks: Vec<String> = texts.iter().map(|text| wrong(text).to_string()).collect();
    blocks.join("\n----\n")
}
