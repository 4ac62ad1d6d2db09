//! What is asked before anything is touched. Every refusal here leaves the world as it was.

use bluegreen_core::{
    Half,
    inventory::Inventory,
    rollout::{Command, OpenCommand, Stage, State},
};

use super::{Site, refused, refused_here};
use crate::{
    edge::{
        balancer::{Look, Standing, two_phase},
        host::fan_out,
        server::{self, Bounds, Seen},
        world::{Spot, foreign, other_journal, refuse_foreign, refuse_foreign_server},
    },
    engine::{Effect, Exit, Failure, Outcome, describe_stage},
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

/// Why every command but `sync` is refused with `inventory`, and what to do; `None`: it is the one that the site runs with.
pub fn other_inventory(state: &State, inventory: &Inventory) -> Option<(&'static str, &'static str)> {
    let digest = inventory.digest();
    if state.knows_inventory(&digest) {
        return None;
    }
    let is_old = state.digests.contains(&digest);
    let message = match state.stage {
        None => "the inventory's hosts, upstreams, segments or canary key were changed since the setup began",
        Some(_) if is_old => {
            "this inventory is probably an outdated copy: the journal has known it, and a newer one since"
        }
        Some(_) => "the inventory's hosts, upstreams, segments or canary key are not the ones that the site runs with",
    };
    let takes_over = sync_takes_over(state, inventory);
    let hint = match state.stage {
        None => "`bg setup` again begins with the inventory as it is now",
        Some(_) if takes_over && is_old => {
            "use the newest inventory; if this one is meant, `bg sync` makes it so again"
        }
        Some(_) if takes_over => "`bg sync` brings the balancers up to it, or take the change back",
        Some(Stage::Balanced) if state.open.is_none() => {
            "take the change back: it names other hosts, which this version of bg cannot take over"
        }
        Some(_) => "take the change back for this rollout; `bg sync` takes it over once the site is balanced",
    };
    Some((message, hint))
}

impl Site {
    /// The site is set up, this inventory is the journal's, and no interrupted command stands in the way.
    pub(super) async fn admit(&self, state: &State, command: &Command) -> Result<(), Outcome> {
        self.is_set_up(state).await?;
        self.same_digest(state)?;
        let Some(open) = state.open.as_ref().filter(|_| !state.admits(command)) else { return Ok(()) };
        let at = open.at().map(|planned| planned.step.to_string()).unwrap_or_default();
        Err(refused_here(
            format!(
                "`{}` was interrupted at the step `{at}`, so `{}` was refused and nothing was touched",
                open.command.as_str(),
                command.as_str()
            ),
            state,
        ))
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
            Some(site) if *site != self.inventory.site => Err(refused(
                format!("the journal is of the site `{site}`, and the inventory of `{}`", self.inventory.site),
                "give each site a journal of its own (`[site] journal`)",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn same_digest(&self, state: &State) -> Result<(), Outcome> {
        match other_inventory(state, &self.inventory) {
            Some((message, hint)) => Err(refused(format!("{message}. Nothing was touched"), hint)),
            None => Ok(()),
        }
    }

    /// Trees and markers of another journal, named before a new journal is begun.
    pub(super) async fn refuse_other_journals(&self, state: &State) -> Result<(), Outcome> {
        let journal = state.journal.as_deref().unwrap_or_default();
        for (host, look) in self.world.balancers.look_all().await {
            let Ok(look) = look else { continue };
            match look.standing(journal) {
                Standing::Ours(said) | Standing::Drifted { said, .. } if journal.is_empty() => {
                    return Err(outcome_of(foreign(&host, &said.journal, said.rollout)));
                }
                Standing::Foreign { journal, .. } => return Err(outcome_of(foreign(&host, &journal, look.rollout()))),
                _ => {}
            }
        }
        for (spot, seen) in self.look_servers().await {
            let Ok(seen) = seen else { continue };
            if let Some(other) = other_journal(&seen, journal) {
                return Err(outcome_of(foreign(&spot.place.host, &other, None)));
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
        let looks = two_phase::all(self.world.balancers.look_all().await).map_err(|errors| {
            let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Outcome {
                exit: Exit::Failed,
                message: format!("{}. Nothing was touched; {}", said.join("; "), describe_stage(state)),
                hint: Some("bring the balancer back, then try again".to_owned()),
            }
        })?;
        for (_, look) in &looks {
            refuse_foreign(look, journal, state.generation).map_err(outcome_of)?;
        }
        Ok(looks.into_iter().map(|(_, look)| look).collect())
    }

    /// Every server answers and belongs to this journal or to none.
    pub(super) async fn servers_are_ours(&self, state: &State) -> Result<(), Outcome> {
        let mut unreachable = Vec::new();
        let mut hint = None;
        for (spot, seen) in self.look_servers().await {
            match seen {
                Ok(seen) => refuse_foreign_server(&spot.place.host, &seen, state).map_err(outcome_of)?,
                Err(error) => {
                    hint = hint.or(error.hint());
                    unreachable.push(format!("{} ({}/{})", error, spot.pool.name, spot.half));
                }
            }
        }
        if unreachable.is_empty() {
            return Ok(());
        }
        Err(Outcome {
            exit: Exit::Unhealthy,
            message: format!("{}. Nothing was touched; {}", unreachable.join("; "), describe_stage(state)),
            hint: Some(match hint {
                Some(hint) => format!("{hint} · repair the server, then try again"),
                None => "repair the server, then try again".to_owned(),
            }),
        })
    }

    /// Whether traffic could pass bg by, from every balancer's own configuration, and whether nginx answers for this site.
    pub(super) async fn wired(&self, state: &State, command: &str) -> Result<(), Outcome> {
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
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for (host, wiring) in wirings {
            match wiring {
                Ok(wiring) => found.extend(
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
                Ok(answer) => found.push(format!(
                    "`{host}`: nginx runs revision {} of bg's configuration, and {} is on its disk: reload it",
                    answer.revision, state.revision
                )),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        let (why, hint) = match (found.is_empty(), unknown.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => ("bg cannot tell whether all public traffic passes it", "mend that"),
            (false, _) => ("public traffic could pass bg by", "mend nginx's configuration and reload it"),
        };
        found.extend(unknown);
        Err(refused(
            format!("`{command}` is refused, because {why}, and nothing was touched:\n  {}", found.join("\n  ")),
            format!("{hint}, then try again · `bg check --hosts` says more"),
        ))
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
                return Err(refused(
                    format!(
                        "`{}` ({}/{}) already serves on port {}, and a setup never restarts what serves. Nothing was touched",
                        spot.place.host, spot.pool.name, spot.half, spot.place.port
                    ),
                    "stop it first, or give the new site other ports and roots",
                ));
            }
        }
        Ok(())
    }
}

/// A site must be set up first, or its setup finished.
pub(super) fn not_set_up(state: &State) -> Outcome {
    let message = match state.open.as_ref().and_then(OpenCommand::at) {
        Some(at) => format!(
            "the site is not set up yet: `setup` was interrupted at the step `{}`. Nothing was touched",
            at.step
        ),
        None => "the site is not set up yet, so nothing was touched".to_owned(),
    };
    refused_here(message, state)
}

/// A failure of the world before anything was begun.
pub(super) fn outcome_of(failure: Failure) -> Outcome {
    let exit = match failure.effect {
        Effect::Nothing => Exit::Failed,
        Effect::Unhealthy => Exit::Unhealthy,
        Effect::Open => Exit::Failed,
        Effect::Refused => Exit::Refused,
    };
    Outcome { exit, message: failure.message, hint: failure.hint }
}
