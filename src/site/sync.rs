//! `bg sync`: the balancers are brought up to what the inventory and the journal say.

use bluegreen_core::hex;
use bluegreen_core::rollout::{Command, Event, Stage, State};

use super::{Finished, Refusal, Site, preflight::host_lines};
use crate::{
    edge::{
        balancer::{ConfFile, Look, Standing},
        world::{conf_digest, render_all},
    },
    engine::{Exit, Journal, Outcome, describe_stage, ways_on},
};

impl Site {
    pub(super) async fn sync(&self, hosts: &[String], dry_run: bool) -> Result<Finished, Outcome> {
        for host in hosts {
            if self.inventory.balancer(host).is_none() {
                let (host, known) = (host.clone(), self.world.balancers.names());
                return Err(Refusal::NoSuchBalancer { host, known }.into());
            }
        }
        let mut state = self.peek(dry_run).await?;
        self.may_sync(&state).await?;
        let mut locked = None;
        if !dry_run {
            let journal = self.open("sync").await?;
            state = journal.state().clone();
            self.may_sync(&state).await?;
            locked = Some(journal);
        }
        let looks = self.balancers_are_ours(&state).await?;
        let asked: Vec<&Look> = looks.iter().filter(|look| hosts.is_empty() || hosts.contains(&look.host)).collect();
        let conf = self.conf_differs(&state, &asked)?;
        let traffic = self.traffic_differs(&state, &asked);
        if !traffic.is_empty() {
            self.not_while_armed(&state, "sync")?;
        }
        let changed = state.digest.as_deref() != Some(self.inventory.digest().as_str());
        let command = Command::Sync {
            revision: (!conf.is_empty()).then_some(state.revision_begun + 1),
            traffic: !traffic.is_empty(),
        };
        let steps = self.planned(&state, &command)?;
        let Some(mut journal) = locked else { return self.dry_run(&state, &command, &steps).await };
        let synced = Event::Synced { digest: self.inventory.digest(), hosts: host_lines(&self.inventory) };
        if steps.steps.is_empty() {
            if changed {
                journal.append(vec![synced]).await?;
            }
            let message = format!("every balancer is in sync already; {}", describe_stage(journal.state()));
            return Ok(Site::finished(Outcome::new(Exit::Done, message), &journal));
        }
        let outcome = self.drive(&mut journal, &command, &steps, Vec::new()).await;
        if outcome.exit == Exit::Done {
            // Only what every balancer runs is accepted as the journal's own.
            journal.append(vec![synced]).await?;
        }
        let outcome = match outcome.exit {
            Exit::Done => {
                let message = format!("{} in sync again; {}", said(&conf, &traffic), describe_stage(journal.state()));
                Outcome { message, ..outcome }
            }
            // A deploy would be refused until the inventory's change is in effect.
            Exit::Failed if changed => Outcome { hint: Some("mend it, then `bg sync` again".to_owned()), ..outcome },
            _ => outcome,
        };
        Ok(Site::finished(outcome, &journal))
    }

    async fn may_sync(&self, state: &State) -> Result<(), Outcome> {
        self.is_set_up(state).await?;
        if let Some(open) = &state.open
            && !matches!(open.command, Command::Sync { .. })
        {
            return Err(Refusal::SyncInterrupted { open: open.command.as_str() }.at(state));
        }
        if state.digest.as_deref() == Some(self.inventory.digest().as_str()) {
            return Ok(());
        }
        if state.stage != Some(Stage::Balanced) {
            return Err(Refusal::NotBalanced { ways: ways_on(state) }.into());
        }
        let now = host_lines(&self.inventory);
        let mut changed: Vec<String> =
            state.hosts.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}")).collect();
        changed.extend(now.iter().filter(|line| !state.hosts.contains(line)).map(|line| format!("+ {line}")));
        if changed.is_empty() {
            return Ok(());
        }
        Err(Refusal::OtherHosts { changed }.into())
    }

    /// The balancers whose http.conf or server.conf is not what the inventory says; all, when it says something new.
    fn conf_differs(&self, state: &State, looks: &[&Look]) -> Result<Vec<String>, Outcome> {
        let digest = conf_digest(&self.inventory, &self.world.templates).map_err(Refusal::from)?;
        if state.conf_digest.as_deref() != Some(digest.as_str()) {
            return Ok(looks.iter().map(|look| look.host.clone()).collect());
        }
        let rendered = render_all(&self.inventory, &self.world.templates, state.revision).map_err(Refusal::from)?;
        let same = |file: &ConfFile, text: &str| matches!(file, ConfFile::Present { sha256, .. } if *sha256 == hex::sha256(text));
        let differs = looks.iter().filter(|look| {
            rendered
                .get(&look.host)
                .is_none_or(|conf| !same(&look.http, &conf.http) || !same(&look.server, &conf.server))
        });
        Ok(differs.map(|look| look.host.clone()).collect())
    }

    fn traffic_differs(&self, state: &State, looks: &[&Look]) -> Vec<String> {
        let journal = state.journal.as_deref().unwrap_or_default();
        let hash = bluegreen_core::nginx::tree::tree(&state.traffic).hash();
        let differs =
            looks.iter().filter(|look| !matches!(look.standing(journal), Standing::Ours(said) if said.hash == hash));
        differs.map(|look| look.host.clone()).collect()
    }
}

fn said(conf: &[String], traffic: &[String]) -> String {
    let mut hosts: Vec<&String> = conf.iter().chain(traffic).collect();
    hosts.sort();
    hosts.dedup();
    let named: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
    format!("{} {}", named.join(", "), if named.len() == 1 { "is" } else { "are" })
}
