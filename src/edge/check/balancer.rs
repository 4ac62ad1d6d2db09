//! One balancer: rights, tools, space, bg's files, nginx's wiring, and what the workers answer.

use bluegreen_core::hex;
use bluegreen_core::{
    inventory::Inventory,
    nginx::conf::{Templates, render},
};

use super::{Checking, Finding, HostReport, Next};
use crate::edge::{
    balancer::{Balancers, ConfFile, Current, Disk, Look, Presence, Standing, TrafficSeen},
    host::Run,
    world::newer_copy,
};

const READY: &str = include_str!("ready.sh");
/// Some hundred trees of the size of a canary that splits every segment.
const FREE_KIB: u64 = 50 * 1024;
/// A tree has at most a hundred entries for each segment and some hundred more; several generations stay.
const FREE_INODES: u64 = 20_000;

impl Checking<'_> {
    pub(super) async fn balancer(&self, balancers: &Balancers, host: String) -> HostReport {
        let mut report = HostReport::new(&host, "balancer");
        let look = match self.ready(&host, &mut report).await {
            true => balancers.look(&host).await,
            false => return report,
        };
        match look {
            Ok(look) => {
                self.files(&look, &mut report);
                self.wiring(balancers, &look, &mut report).await;
            }
            Err(error) => report.findings.push(Finding::unanswered(&error, error.hint())),
        }
        report
    }

    /// Tools, rights and space; `false` when the host did not answer.
    async fn ready(&self, host: &str, report: &mut HostReport) -> bool {
        let Some(balancer) = self.inventory.balancer(host) else { return false };
        let mut values = vec![balancer.dir.clone(), if balancer.sudo { "yes" } else { "no" }.to_owned()];
        // A line that only a shell understands cannot be asked about without running it.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" /._+:=,@%-".contains(&b);
        if balancer.reload.bytes().all(plain) {
            values.extend(balancer.reload.split_whitespace().map(str::to_owned));
        }
        let output = match self.hosts.get(host).run_ok(Run::script("look at the host", READY, values).standing()).await
        {
            Ok(output) => output.stdout_text(),
            Err(error) => {
                report.findings.push(Finding::unanswered(&error, error.hint()));
                return false;
            }
        };
        let found = facts(&output);
        if found.is_empty() {
            report.well.push("answers; rights, tools and disk".to_owned());
        }
        report.findings.extend(found);
        true
    }

    fn files(&self, look: &Look, report: &mut HostReport) {
        let dir = self.inventory.balancer(&look.host).map(|b| b.dir.clone()).unwrap_or_default();
        let mut found = Vec::new();
        if let Some(closed) = &look.closed {
            found.push(Finding::new(
                format!("`{closed}` is closed to others, so nginx's workers cannot read bg's tree below it"),
                format!("Run there: chmod o+x {closed}"),
            ));
        }
        match look.dir {
            Presence::Unreadable => {
                found.push(Finding::new(format!("`{dir}` cannot be read"), "Give the login user the right to read it"));
            }
            Presence::Absent => {
                let (fix, next) = match (self.is_before_setup(), self.state) {
                    (true, _) => ("`bg setup` makes it", Next::Setup),
                    (_, Some(_)) => ("`bg sync` makes it again", Next::Mend),
                    (_, None) => ("With the site's journal `bg sync` makes it again", Next::Mend),
                };
                found.push(Finding::new(format!("`{dir}` is not there"), fix).then(next));
            }
            Presence::Present => found.extend(self.contents(look, &dir)),
        }
        let journal = self.state.and_then(|state| Some((state.journal.as_deref()?, state.generation)));
        report.newer = journal.and_then(|(journal, highest)| newer_copy(look, journal, highest));
        if found.is_empty() {
            report.well.push(match self.state {
                Some(_) => format!("`{dir}` as the journal says"),
                None => format!("`{dir}`"),
            });
        }
        report.findings.extend(found);
    }

    fn contents(&self, look: &Look, dir: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        let owner = look.live.1.split(' ').nth(1).unwrap_or_default();
        if let Some(user) = look.user.as_ref().filter(|user| look.live.0 == Presence::Present && owner != **user) {
            let message = format!("`{dir}/live` belongs to `{owner}`, and bg logs in as `{user}`");
            found.push(Finding::new(message, format!("Run there as root: chown -R {user} {dir}/live")));
        }
        if let Some(state) = self.state.filter(|state| state.journal.is_some() && state.revision > 0) {
            let differences = conf_differences(self.inventory, self.templates, state.revision, look);
            let fix = "`bg sync` writes it again";
            found.extend(differences.into_iter().map(|message| Finding::new(message, fix)));
        }
        let journal = match (self.state, &look.traffic) {
            (Some(state), _) => state.journal.as_deref().unwrap_or_default(),
            // Whose it is to be is not known.
            (None, TrafficSeen::Said(said)) => &said.journal,
            (None, _) => "",
        };
        let sync = match self.state {
            Some(_) => "`bg sync` writes it again",
            None => "With the site's journal `bg sync` writes it again",
        };
        match look.standing(journal) {
            Standing::Foreign { journal, generation } => {
                let message = format!("its traffic tree (generation {generation}) is of another journal, `{journal}`");
                let fix = "Use the journal that it was made with; bg does not overwrite it";
                found.push(Finding::new(message, fix).then(Next::Journal));
            }
            Standing::Nothing if self.state.is_some_and(|state| state.stage.is_some()) => {
                found.push(Finding::new("it has no traffic tree, so all its traffic goes to blue", sync));
            }
            Standing::Drifted { why, .. } | Standing::Damaged { why, .. } => found.push(Finding::new(why, sync)),
            Standing::Ours(_) | Standing::Nothing => {}
        }
        found
    }

    async fn wiring(&self, balancers: &Balancers, look: &Look, report: &mut HostReport) {
        let wiring = match balancers.wiring(&look.host).await {
            Ok(wiring) => wiring,
            Err(error) => return report.findings.push(Finding::unanswered(&error, error.hint())),
        };
        let wired = !wiring.findings.iter().any(|finding| finding.bypass);
        let findings = wiring.findings.into_iter();
        let before = report.findings.len();
        let next = if self.is_before_setup() { Next::Setup } else { Next::Mend };
        report.findings.extend(findings.map(|finding| {
            Finding::new(format!("{}:{}: {}", finding.file, finding.line, finding.message), finding.fix).then(next)
        }));
        if report.findings.len() == before {
            report.well.push("nginx's wiring".to_owned());
        }
        if wired && !self.is_before_setup() {
            self.answers(balancers, look, report).await;
        }
    }

    /// The workers answer from the generation that is on the disk, with the journal's revision.
    async fn answers(&self, balancers: &Balancers, look: &Look, report: &mut HostReport) {
        let answer = match balancers.state(&look.host, "all/00/00").await {
            Ok(answer) => answer,
            Err(error) => {
                let fix = "See that nginx runs there and was reloaded after the include was added";
                return report.findings.push(Finding::new(error.to_string(), fix));
            }
        };
        // A link to a tree that is gone is none: the workers see nothing there either.
        let on_disk = match look.current {
            Current::Generation(number) if look.disk != Disk::Missing => Some(number),
            _ => None,
        };
        match answered(
            (answer.generation, on_disk),
            (answer.revision, self.state.map_or(answer.revision, |state| state.revision)),
        ) {
            Ok(well) => report.well.extend(well),
            Err(finding) => report.findings.push(finding),
        }
    }
}

/// The workers' answer beside what is due: (seen, on the disk) of the generation, (run, due) of the revision. Without a tree
/// there is nothing to call well: that it is missing was found on the disk.
fn answered(generation: (Option<u64>, Option<u64>), revision: (u64, u64)) -> Result<Option<String>, Finding> {
    let (seen, on_disk) = generation;
    if seen != on_disk {
        let say = |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let message = format!("nginx's workers see generation {}, and on its disk is {}", say(seen), say(on_disk));
        let fix = "The workers must see the same directory: look at chroots, containers and `disable_symlinks`";
        return Err(Finding::new(message, fix));
    }
    let (runs, due) = revision;
    if runs != due {
        let message = format!("nginx runs configuration revision {runs}, and {due} is due");
        return Err(Finding::new(message, "Reload nginx there, or run `bg sync`"));
    }
    Ok(on_disk.map(|number| format!("the probe port answers from generation {number}")))
}

fn facts(output: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for line in output.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let below = |least: u64| rest.parse::<u64>().ok().filter(|free| *free < least);
        match word {
            "lacks" => found.push(Finding::new(format!("it has no {rest}"), format!("Install {rest} there"))),
            "denied" if rest.starts_with("sudo ") => {
                let command = rest.trim_start_matches("sudo -n ");
                let fix = format!("Allow the login user in sudoers, without a password: {command}");
                found.push(Finding::new(format!("no right to run `{rest}`"), fix));
            }
            "denied" => {
                let fix = "Give the login user that right, or set `sudo = true` in [balancers]";
                found.push(Finding::new(format!("no right to {rest}"), fix));
            }
            "free" => found.extend(below(FREE_KIB).map(|free| {
                Finding::new(format!("only {} MiB are free for bg's files", free / 1024), "Make room there")
            })),
            "inodes" => found.extend(below(FREE_INODES).map(|free| {
                Finding::new(format!("only {free} inodes are free for bg's trees of small files"), "Make room there")
            })),
            _ => {}
        }
    }
    found
}

/// How http.conf and server.conf on a balancer differ from what the inventory says at `revision`; empty: not at all.
pub fn conf_differences(inventory: &Inventory, templates: &Templates, revision: u64, look: &Look) -> Vec<String> {
    let balancer = inventory.balancer(&look.host);
    let wanted = balancer.and_then(|balancer| render(inventory, balancer, revision, templates).ok());
    let Some(wanted) = wanted else { return Vec::new() };
    let files = [("http.conf", &look.http, wanted.http), ("server.conf", &look.server, wanted.server)];
    let wrong = |(name, found, wanted): (&str, &ConfFile, String)| match found {
        ConfFile::Present { sha256, .. } if *sha256 == hex::sha256(&wanted) => None,
        ConfFile::Present { .. } => Some(format!("`{name}` is not what the inventory says, or was changed by hand")),
        ConfFile::Absent => Some(format!("`{name}` is missing")),
        ConfFile::Unreadable => Some(format!("`{name}` cannot be read")),
    };
    files.into_iter().filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_well_only_from_a_generation_that_is_there() {
        let message = |generation, revision| answered(generation, revision).map_err(|finding| finding.message);
        let well = Ok(Some("the probe port answers from generation 7".to_owned()));
        assert_eq!(message((Some(7), Some(7)), (2, 2)), well);
        assert_eq!(message((None, None), (2, 2)), Ok(None));
        let wrong = |text: &str| Err(text.to_owned());
        let blind = wrong("nginx's workers see generation none, and on its disk is 7");
        assert_eq!(message((None, Some(7)), (2, 2)), blind);
        assert_eq!(message((Some(7), Some(7)), (1, 2)), wrong("nginx runs configuration revision 1, and 2 is due"));
    }

    #[test]
    fn facts_of_a_host_become_findings_with_what_to_do() {
        let output =
            "lacks flock\ndenied sudo -n nginx -s reload\ndenied write to /etc\nfree 1024\ninodes 9000000\nend\n";
        let found: Vec<String> = facts(output).into_iter().map(|f| format!("{} | {}", f.message, f.fix)).collect();
        let wanted = [
            "it has no flock | Install flock there",
            "no right to run `sudo -n nginx -s reload` | Allow the login user in sudoers, without a password: nginx -s reload",
            "no right to write to /etc | Give the login user that right, or set `sudo = true` in [balancers]",
            "only 1 MiB are free for bg's files | Make room there",
        ];
        assert_eq!(found, wanted);
    }
}
