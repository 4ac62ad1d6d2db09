//! `check`: the inventory, and with `--hosts` what it names.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Context,
    answer::Answer,
    error::CliError,
    locate::Located,
    measure::folded,
    progress::Telling,
    remote::with_hosts,
    screen::Screen,
    status::{
        deadline::Deadline,
        journal::{self, Journal},
    },
    terminal,
};
use crate::{
    edge::{
        check::{Checking, Finding, HostReport, Next},
        host::Hosts,
        journal::Store,
    },
    engine::{Exit, Report, sentence},
    site::ssh_settings,
};

/// For reading the journal: more than its own bounds on a host (twice the longest connect timeout that is usual).
const READ: Duration = Duration::from_secs(30);
/// The role of the journal among the hosts.
const JOURNAL: &str = "journal";

/// Everything that is wrong with the inventory; then, with `hosts`, on its hosts.
pub fn run(context: &Context, hosts: bool) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    if !hosts {
        let answer = Answer::new(Exit::Done, well_formed(&located)).hint("`bg check --hosts`");
        return Ok(answer.with("findings", json!([])));
    }
    let store = located.store(ssh_settings(&located.inventory, &located.base));
    let telling = asks(context.screen);
    let checked = with_hosts(&located, async |hosts| {
        let checked = look(&located, store.as_ref(), &hosts).await;
        store.leave().await;
        checked
    });
    if let Some(telling) = telling {
        telling.finish();
    }
    let checked = checked?;
    let Some((journal, mut reports)) = checked else {
        return Ok(Answer::new(Exit::Interrupted, "stopped as asked; nothing was changed"));
    };
    reports.splice(0..0, about(&journal, store.name()));
    if !context.screen.json {
        let width = terminal::size().map(|size| size.width);
        context.screen.out(&render(&reports, context.screen, width));
    }
    let answer = summary(&reports, &journal);
    Ok(match &journal.state {
        Some(state) => answer.at(state),
        None => answer,
    })
}

/// On a terminal, that every host is asked: one that hangs takes a while.
fn asks(screen: Screen) -> Option<Telling> {
    let telling = screen.live.then(|| Telling::new(screen))?;
    telling.reporter()(Report::StepStarted { number: 1, of: 1, step: "ask every host".to_owned() });
    Some(telling)
}

/// What the journal says, and what is found on the hosts with that in mind.
async fn look(located: &Located, store: &dyn Store, hosts: &Hosts) -> (Journal, Vec<HostReport>) {
    let inventory = Arc::new(located.inventory.clone());
    let check = async |journal: &Journal| {
        let (templates, state) = (&located.templates, journal.state.as_ref());
        Checking { inventory: &inventory, templates, state, hosts }.all().await
    };
    let read = || journal::read(store, &located.inventory.journal, Deadline::new(Instant::now(), READ));
    let before = read().await;
    let reports = check(&before).await;
    let Some(newer) = reports.iter().find_map(|report| report.newer.as_ref()) else { return (before, reports) };
    // Another command may have gone on meanwhile, which is no finding.
    let now = read().await;
    let journal = if now.length() == before.length() { now.outdated(newer) } else { now };
    let reports = check(&journal).await;
    (journal, reports)
}

/// That the journal does not say where the site stands.
fn about(journal: &Journal, name: String) -> Option<HostReport> {
    journal.blind?;
    let message = journal.problem.clone().unwrap_or_default();
    let fix = journal.hint.as_deref().map(sentence).unwrap_or_default();
    let findings = vec![Finding { message, fix, next: Next::Journal }];
    Some(HostReport { host: name, role: JOURNAL.to_owned(), findings, well: Vec::new(), newer: None })
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

fn summary(reports: &[HostReport], journal: &Journal) -> Answer {
    let findings: Vec<Value> = reports.iter().flat_map(documents).collect();
    let hosts = reports.iter().filter(|report| !report.findings.is_empty()).count();
    let answer = match findings.len() {
        0 => Answer::new(Exit::Done, "all is well on every host"),
        1 => Answer::new(Exit::Failed, "there is a finding; nothing was changed"),
        count if journal.blind.is_some() => {
            let message = format!("there are {count} findings, the first about the journal; nothing was changed");
            Answer::new(Exit::Failed, message)
        }
        count => {
            let on = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
            Answer::new(Exit::Failed, format!("there are {count} findings on {on}; nothing was changed"))
        }
    };
    let is_set_up = journal.state.as_ref().is_some_and(|state| state.stage.is_some());
    let hint = match journal.blind {
        Some(_) => Some("see to the journal, then `bg check --hosts` again"),
        None => next(reports, is_set_up),
    };
    let answer = match hint {
        Some(hint) => answer.hint(hint),
        None => answer,
    };
    answer.with("findings", Value::Array(findings))
}

/// What to do about all findings together: a setup only where it would not be refused.
fn next(reports: &[HostReport], is_set_up: bool) -> Option<&'static str> {
    let any = |next: Next| reports.iter().flat_map(|report| &report.findings).any(|finding| finding.next == next);
    if any(Next::Journal) {
        return Some("bring back the journal that those hosts belong to, then `bg check --hosts` again");
    }
    match (is_set_up, any(Next::Mend), any(Next::Setup)) {
        (true, false, false) => None,
        (true, ..) => Some("mend them, then `bg check --hosts` again"),
        (false, true, _) => Some("mend what `bg setup` cannot, then `bg check --hosts` again"),
        (false, false, true) => Some("`bg setup`, then what nginx needs"),
        (false, false, false) => Some("`bg setup`"),
    }
}

fn documents(report: &HostReport) -> impl Iterator<Item = Value> {
    let document = |finding: &Finding| json!({ "host": report.host, "role": report.role, "message": finding.message, "fix": finding.fix });
    report.findings.iter().map(document)
}

/// Where what is found begins.
const FOUND: usize = 10;

/// In lines that end between words, for a terminal of that width.
fn render(reports: &[HostReport], screen: Screen, width: Option<usize>) -> String {
    let mut lines = Vec::new();
    // Behind a margin of so many columns.
    let beside = |margin: &str, columns: usize, text: &str| {
        let text = screen.named(text);
        let said = match width {
            Some(width) => folded(&text, width.saturating_sub(columns + 1)),
            None => text.lines().map(ToOwned::to_owned).collect(),
        };
        let margins = std::iter::once(margin.to_owned()).chain(std::iter::repeat(" ".repeat(columns)));
        margins.zip(said).map(|(margin, line)| margin + &line).collect::<Vec<_>>()
    };
    for report in reports {
        lines.push(format!("{} ({})", screen.paint_out(&report.host, "1"), report.role));
        if !report.well.is_empty() {
            lines.extend(beside(&format!("  {} ", screen.paint_out("ok", "32")), 5, &report.well.join(" · ")));
        }
        for finding in &report.findings {
            lines.extend(beside(&format!("  {} ", screen.paint_out("finding", "31")), FOUND, &finding.message));
            lines.extend(beside(&" ".repeat(FOUND), FOUND, &finding.fix));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_folded_for_a_terminal_and_left_as_it_is_elsewhere() {
        let finding =
            Finding { message: "`lb2` did not let ssh in".to_owned(), fix: "See to it".to_owned(), next: Next::Mend };
        let report = HostReport {
            host: "lb2".to_owned(),
            role: "balancer".to_owned(),
            findings: vec![finding],
            well: vec!["answers".to_owned()],
            newer: None,
        };
        let shown = |width| render(std::slice::from_ref(&report), Screen::bare("bg", false), width);
        let whole = "lb2 (balancer)\n  ok answers\n  finding `lb2` did not let ssh in\n          See to it\n";
        assert_eq!((shown(None).as_str(), shown(Some(80)).as_str()), (whole, whole));
        let folded = "lb2 (balancer)\n  ok answers\n  finding `lb2` did\n          not let ssh\n          in\n          See to it\n";
        assert_eq!(shown(Some(22)), folded);
    }

    #[test]
    fn setup_is_the_next_step_only_where_it_is_not_refused() {
        let hint = |found: &[Next], is_set_up| {
            let finding = |next: &Next| Finding { message: "it".to_owned(), fix: String::new(), next: *next };
            let findings = found.iter().map(finding).collect();
            next(
                &[HostReport {
                    host: "lb1".to_owned(),
                    role: "balancer".to_owned(),
                    findings,
                    well: Vec::new(),
                    newer: None,
                }],
                is_set_up,
            )
        };
        assert_eq!(hint(&[], true), None);
        assert_eq!(hint(&[], false), Some("`bg setup`"));
        assert_eq!(hint(&[Next::Setup], false), Some("`bg setup`, then what nginx needs"));
        assert!(hint(&[Next::Setup, Next::Mend], false).unwrap().starts_with("mend what `bg setup` cannot"));
        assert!(hint(&[Next::Setup, Next::Journal], false).unwrap().starts_with("bring back the journal"));
        assert!(hint(&[Next::Mend], true).unwrap().starts_with("mend them"));
    }
}
