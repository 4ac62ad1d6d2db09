//! What is asked before anything is touched. Every refusal here leaves the world as it was.

use bluegreen_core::{
    Half,
    inventory::Inventory,
    rollout::{Command, OpenCommand, Stage, State},
};

use super::{OtherInventory, Refusal, Site};
use crate::{
    edge::{
        balancer::{Look, Standing, two_phase},
        host::fan_out,
        server::{self, Bounds, Seen},
        world::{Spot, foreign, other_journal, refuse_foreign, refuse_foreign_server},
    },
    engine::{Outcome, describe_stage},
};

/// Every host of the inventory, one line each: what only a later version of bg lets change.
pub(super) fn host_lines(inventory: &Inventory) -> Vec<String> {
    let balancers = inventory.balancers.iter().map(|b| format!("balancer {} {}", b.host, b.dir));
    let places = Half::ALL.into_iter().flat_map(|half| {
        inventory.places(half).map(move |(pool, place)| {
            format!("{}/{half} {} {}:{} {}", pool.name, place.host, place.address, place.port, place.root)
        })
    });
    balancers.chain(places).collect()
}

/// Whether `sync` takes over what `inventory` says: in a rollout, over an interrupted command and with other hosts it does not.
pub fn sync_takes_over(state: &State, inventory: &Inventory) -> bool {
    let is_free = state.open.as_ref().is_none_or(|open| matches!(open.command, Command::Sync { .. }));
    state.stage == Some(Stage::Balanced) && is_free && !has_other_hosts(state, inventory)
}

fn has_other_hosts(state: &State, inventory: &Inventory) -> bool {
    let now = host_lines(inventory);
    state.hosts.iter().any(|line| !now.contains(line)) || now.iter().any(|line| !state.hosts.contains(line))
}

/// Why every command but `sync` is refused with `inventory`; `None`: it is the one that the site runs with.
pub fn other_inventory(state: &State, inventory: &Inventory) -> Option<OtherInventory> {
    let digest = inventory.digest();
    (!state.knows_inventory(&digest)).then(|| OtherInventory {
        stage: state.stage,
        is_old: state.digests.contains(&digest),
        taken_over: sync_takes_over(state, inventory),
        has_open: state.open.is_some(),
    })
}

impl Site {
    /// The site is set up, this inventory is the journal's, and no interrupted command stands in the way.
    pub(super) async fn admit(&self, state: &State, command: &Command) -> Result<(), Outcome> {
        self.is_set_up(state).await?;
        self.same_digest(state)?;
        let Some(open) = state.open.as_ref().filter(|_| !state.admits(command)) else { return Ok(()) };
        let at = open.at().map(|planned| planned.step.to_string()).unwrap_or_default();
        Err(Refusal::Interrupted { open: open.command.as_str(), at, asked: command.as_str() }.at(state))
    }

    /// The journal is this site's, which is set up.
    pub(super) async fn is_set_up(&self, state: &State) -> Result<(), Outcome> {
        self.same_site(state)?;
        if state.stage.is_none() {
            self.refuse_other_journals(state).await?;
            return Err(not_set_up(state));
        }
        Ok(())
    }

    pub(super) fn same_site(&self, state: &State) -> Result<(), Outcome> {
        match &state.site {
            Some(site) if *site != self.inventory.site => {
                let (journal, inventory) = (site.clone(), self.inventory.site.clone());
                Err(Refusal::OtherSite { journal, inventory }.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn same_digest(&self, state: &State) -> Result<(), Outcome> {
        match other_inventory(state, &self.inventory) {
            Some(other) => Err(Refusal::Inventory(other).into()),
            None => Ok(()),
        }
    }

    /// Trees and markers of another journal, named before a new journal is begun.
    pub(super) async fn refuse_other_journals(&self, state: &State) -> Result<(), Outcome> {
        let journal = state.journal.as_deref().unwrap_or_default();
        for (host, look) in self.world.look_balancers().await {
            let Ok(look) = look else { continue };
            match look.standing(journal) {
                Standing::Ours(said) | Standing::Drifted { said, .. } if journal.is_empty() => {
                    return Err(Outcome::from(foreign(&host, &said.journal, said.rollout)));
                }
                Standing::Foreign { journal, .. } => {
                    return Err(Outcome::from(foreign(&host, &journal, look.rollout())));
                }
                _ => {}
            }
        }
        for (spot, seen) in self.look_servers().await {
            let Ok(seen) = seen else { continue };
            if let Some(other) = other_journal(&seen, journal) {
                return Err(Outcome::from(foreign(&spot.place.host, &other, None)));
            }
        }
        Ok(())
    }

    async fn look_servers(&self) -> Vec<(Spot<'_>, Result<Seen, server::ServerError>)> {
        self.world.look_servers(Half::ALL.into_iter().flat_map(|half| self.world.spots(half)).collect()).await
    }

    /// Every balancer answers, and what it has is of this journal.
    pub(super) async fn balancers_are_ours(&self, state: &State) -> Result<Vec<Look>, Outcome> {
        let journal = state.journal.as_deref().unwrap_or_default();
        let looks = two_phase::all(self.world.look_balancers().await)
            .map_err(|errors| Refusal::BalancersSilent { errors, stage: describe_stage(state) })?;
        for (_, look) in &looks {
            refuse_foreign(look, journal, state.generation)?;
        }
        Ok(looks.into_iter().map(|(_, look)| look).collect())
    }

    /// Every server answers and belongs to this journal or to none.
    pub(super) async fn servers_are_ours(&self, state: &State) -> Result<(), Outcome> {
        let mut errors = Vec::new();
        for (spot, seen) in self.look_servers().await {
            match seen {
                Ok(seen) => refuse_foreign_server(&spot.place.host, &seen, state)?,
                Err(error) => errors.push((error, format!("{}/{}", spot.pool.name, spot.half))),
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Refusal::ServersSilent { errors, stage: describe_stage(state) }.into()),
        }
    }

    /// Whether traffic could pass bg by, from every balancer's own configuration, and whether nginx answers for this site.
    pub(super) async fn wired(&self, state: &State, command: &'static str) -> Result<(), Outcome> {
        let balancers = &self.world.balancers;
        let (wirings, answers) = tokio::join!(
            fan_out(
                balancers.names(),
                self.world.hosts.parallel(),
                |host| async move { balancers.wiring(&host).await }
            ),
            fan_out(balancers.names(), self.world.hosts.parallel(), |host| async move {
                balancers.state(&host, "all/00/00").await
            })
        );
        let (mut certain, mut unknown) = (Vec::new(), Vec::new());
        for (host, wiring) in wirings {
            match wiring {
                Ok(wiring) => certain.extend(
                    wiring
                        .findings
                        .iter()
                        .filter(|finding| finding.bypass)
                        .map(|finding| format!("`{host}`: {finding}")),
                ),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        for (host, answer) in answers {
            match answer {
                Ok(answer) if answer.revision == state.revision => {}
                Ok(answer) => certain.push(format!(
                    "`{host}`: nginx runs revision {} of bg's configuration, and {} is on its disk: reload it",
                    answer.revision, state.revision
                )),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        match certain.is_empty() && unknown.is_empty() {
            true => Ok(()),
            false => Err(Refusal::PassesBy { command, certain, unknown }.into()),
        }
    }

    /// A place that serves already is never restarted by a setup, unless this setup put it there.
    pub(super) async fn places_are_free(&self, state: &State) -> Result<(), Outcome> {
        let journal = state.journal.as_deref().unwrap_or_default();
        let hosts = &self.world.hosts;
        let spots: Vec<Spot<'_>> = Half::ALL.into_iter().flat_map(|half| self.world.spots(half)).collect();
        let found = fan_out(spots, hosts.parallel(), |spot| async move {
            let bounds = Bounds::default();
            let (seen, occupancy) =
                tokio::join!(server::look(hosts, spot.place, &bounds), server::occupancy(hosts, spot.place, &bounds));
            Ok::<_, server::ServerError>((seen?, occupancy?))
        })
        .await;
        for (spot, result) in found {
            let Ok((seen, occupancy)) = result else { continue };
            let ours = seen.marker.as_ref().is_some_and(|marker| !journal.is_empty() && marker.journal == journal);
            if occupancy.is_in_use() && !ours {
                let (host, half) = (spot.place.host.clone(), format!("{}/{}", spot.pool.name, spot.half));
                return Err(Refusal::InUse { host, half, port: spot.place.port }.into());
            }
        }
        Ok(())
    }
}

/// A site must be set up first, or its setup finished.
pub(super) fn not_set_up(state: &State) -> Outcome {
    let at = state.open.as_ref().and_then(OpenCommand::at).map(|at| at.step.to_string());
    Refusal::NotSetUp { at }.at(state)
}
