//! `check`: the inventory, and with `--hosts` what it names.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Context, answer::Answer, error::CliError, locate::Located, remote::with_hosts, screen::Screen};
use crate::{
    edge::check::{Checking, HostReport},
    engine::Exit,
};

/// Everything that is wrong with the inventory; then, with `hosts`, on its hosts.
pub fn run(context: &Context, hosts: bool) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    if !hosts {
        let answer = Answer::new(Exit::Done, well_formed(&located)).hint("`bg check --hosts`");
        return Ok(answer.with("findings", json!([])));
    }
    let state = located.journal()?.state;
    let inventory = Arc::new(located.inventory.clone());
    let templates = &located.templates;
    let checked = with_hosts(&located, async |hosts| {
        Checking { inventory: &inventory, templates, state: &state, hosts: &hosts }.all().await
    })?;
    let Some(reports) = checked else {
        return Ok(Answer::new(Exit::Interrupted, "stopped as asked; nothing was changed").at(&state));
    };
    if !context.screen.json {
        context.screen.out(&render(&reports, context.screen));
    }
    let hint = if state.stage.is_none() { Some("`bg setup`, then what nginx needs") } else { None };
    Ok(summary(&reports, hint).at(&state))
}

fn well_formed(located: &Located) -> String {
    let site = &located.inventory;
    let places: usize = site.pools.iter().map(|pool| pool.blue.len() + pool.green.len()).sum();
    let pools: Vec<&str> = site.pools.iter().map(|pool| pool.name.as_str()).collect();
    format!(
        "`{}` is well-formed: site `{}`, {} balancers, pools {} with {places} servers",
        located.file,
        site.site,
        site.balancers.len(),
        pools.join(", ")
    )
}

fn summary(reports: &[HostReport], hint: Option<&str>) -> Answer {
    let findings: Vec<Value> = reports.iter().flat_map(documents).collect();
    let hosts = reports.iter().filter(|report| !report.findings.is_empty()).count();
    let answer = match findings.len() {
        0 => Answer::new(Exit::Done, "all is well on every host"),
        1 => Answer::new(Exit::Failed, "there is a finding; nothing was changed"),
        count => {
            let on = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
            Answer::new(Exit::Failed, format!("there are {count} findings on {on}; nothing was changed"))
        }
    };
    let answer = match (hint, findings.is_empty()) {
        (Some(hint), _) => answer.hint(hint),
        (None, true) => answer,
        (None, false) => answer.hint("mend them, then `bg check --hosts` again"),
    };
    answer.with("findings", Value::Array(findings))
}

fn documents(report: &HostReport) -> impl Iterator<Item = Value> {
    let document = |finding: &crate::edge::check::Finding| json!({ "host": report.host, "role": report.role, "message": finding.message, "fix": finding.fix });
    report.findings.iter().map(document)
}

fn render(reports: &[HostReport], screen: Screen) -> String {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{} ({})", screen.paint_out(&report.host, "1"), report.role));
        if !report.well.is_empty() {
            lines.push(format!("  {} {}", screen.paint_out("ok", "32"), report.well.join(" · ")));
        }
        for finding in &report.findings {
            lines.push(format!("  {} {}", screen.paint_out("finding", "31"), finding.message));
            if !finding.fix.is_empty() {
                lines.push(format!("          {}", finding.fix));
            }
        }
    }
    lines.join("\n") + "\n"
}
