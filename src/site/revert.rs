//! Traffic that goes back by itself: what every command does first when it has, and `bg confirm`.

use std::sync::atomic::Ordering;

use bluegreen_core::rollout::{Command, State};

use super::{Asked, Finished, Refusal, Site};
use crate::{
    edge::balancer::{Current, Look},
    engine::{Exit, Journal, Outcome, and_then, clock, describe_stage, ways_on},
};

/// Traffic went back by itself, and this command was the first to see it.
#[derive(Debug, Clone)]
pub(super) struct Reverted {
    /// What happened, as a sentence without its full stop.
    pub said: String,
    /// How taking the other balancers there ended; `None` in a dry run, which takes none.
    pub followed: Option<Outcome>,
}

/// A balancer that went back by itself, with when (RFC 3339, UTC) where it recorded it.
pub type Back = (String, Option<String>);

/// Those that went back by themselves from what `state` says is armed.
pub fn went_back<'a>(state: &State, looks: impl IntoIterator<Item = &'a Look>) -> Vec<Back> {
    let back = looks.into_iter().filter_map(|look| {
        let Current::Generation(current) = look.current else { return None };
        let armed = state.reverted_by(current)?;
        let at = look.reverted.iter().find(|(generation, _)| *generation == armed.generation);
        Some((look.host.clone(), at.map(|(_, at)| at.to_string())))
    });
    back.collect()
}

/// Who went back, when, and why, as a sentence without its full stop.
pub fn said_back(command: &str, back: &[Back]) -> String {
    let each = back.iter().map(|(host, at)| match at.as_ref().and_then(|at| at.parse().ok()) {
        Some(at) => format!("`{host}` at {}", clock(at)),
        None => format!("`{host}`"),
    });
    let each: Vec<String> = each.collect();
    let places = each.join(", ");
    format!("`{command}` was not confirmed there in time, so the traffic went back by itself: {places}")
}

impl Site {
    /// What comes before any command: when balancers went back by themselves, that is recorded and the others follow, so that
    /// the command is judged by what is. A dry run only assumes it.
    pub(super) async fn follow(&self, asked: &Asked, dry_run: bool) -> Result<Option<Reverted>, Outcome> {
        if !asked.takes_the_lock() {
            return Ok(None);
        }
        let state = self.peek(dry_run).await?;
        let Some(armed) = state.armed.clone() else { return Ok(None) };
        // Every command says these itself.
        if self.same_site(&state).is_err() || self.same_digest(&state).is_err() {
            return Ok(None);
        }
        let looks = self.world.look_balancers().await;
        let back = went_back(&state, looks.iter().filter_map(|(_, look)| look.as_ref().ok()));
        if back.is_empty() {
            return Ok(None);
        }
        let said = said_back(armed.command, &back);
        self.world.warn(&said);
        if dry_run {
            self.assumes_reverted.store(true, Ordering::SeqCst);
            return Ok(Some(Reverted { said, followed: None }));
        }
        if !self.has_lock.load(Ordering::SeqCst) {
            self.lock(asked.as_str(), asked.deploys()).await?;
        }
        let mut journal = self.open(asked.as_str()).await?;
        super::commands::unchanged(&state, journal.state())?;
        let digest = self.inventory.digest();
        let outcome = self.engine(&mut journal, &digest).follow(back).await;
        Ok(Some(Reverted { said, followed: Some(outcome) }))
    }

    pub(super) async fn confirm(&self, reverted: Option<&Reverted>, dry_run: bool) -> Result<Finished, Outcome> {
        let state = self.peek(dry_run).await?;
        if let Some(reverted) = reverted {
            return Ok(self.too_late(reverted, state));
        }
        self.may_confirm(&state).await?;
        if state.armed.is_none() {
            if state.kept.is_none() || state.kept != state.confirmed {
                return Err(Refusal::NothingToConfirm.at(&state));
            }
            let message = format!("it was confirmed already; {}", describe_stage(&state));
            let outcome = Outcome { exit: Exit::Done, message, hint: Some(ways_on(&state)) };
            return Ok(Finished { outcome, state: Some(state), text: None });
        }
        let steps = self.planned(&state, &Command::Confirm)?;
        if dry_run {
            return self.dry_run(&state, &Command::Confirm, &steps).await;
        }
        let mut journal = self.open("confirm").await?;
        super::commands::unchanged(&state, journal.state())?;
        let outcome = if state.goes_on(&Command::Confirm) {
            let digest = self.inventory.digest();
            self.engine(&mut journal, &digest).resume().await
        } else {
            self.drive(&mut journal, &Command::Confirm, &steps, Vec::new()).await
        };
        let finished = Site::finished(outcome, &journal);
        drop(journal);
        if finished.outcome.exit == Exit::Open
            && let Some(reverted) = self.follow(&Asked::Confirm, false).await?
        {
            // The time was up between the question and the answer.
            return Ok(self.too_late(&reverted, self.peek(false).await?));
        }
        let Outcome { exit: Exit::Done, message, hint } = finished.outcome else { return Ok(finished) };
        let message = format!("confirmed: the traffic stays; {message}");
        Ok(Finished { outcome: Outcome { exit: Exit::Done, message, hint }, ..finished })
    }

    async fn may_confirm(&self, state: &State) -> Result<(), Outcome> {
        self.is_set_up(state).await?;
        self.same_digest(state)?;
        let Some(open) = state.open.as_ref().filter(|open| !matches!(open.command, Command::Confirm)) else {
            return Ok(());
        };
        let at = open.at().map(|planned| planned.step.to_string()).unwrap_or_default();
        Err(Refusal::NotConfirmable { open: open.command.as_str(), at }.at(state))
    }

    fn too_late(&self, reverted: &Reverted, state: State) -> Finished {
        let outcome = match &reverted.followed {
            Some(outcome) if outcome.exit != Exit::Done => {
                let message = and_then(&format!("too late: {}", reverted.said), &outcome.message);
                Outcome { message, ..outcome.clone() }
            }
            _ => {
                let message =
                    format!("too late: {}. All traffic is as before; {}", reverted.said, describe_stage(&state));
                Outcome { exit: Exit::Failed, message, hint: Some(ways_on(&state)) }
            }
        };
        Finished { outcome, state: Some(state), text: None }
    }

    /// Applying the traffic again would end what goes back by itself, unseen.
    pub(super) fn not_while_armed(&self, state: &State, command: &str) -> Result<(), Outcome> {
        if state.armed.is_none() {
            return Ok(());
        }
        Err(Refusal::WouldDisarm { command: command.to_owned(), stage: describe_stage(state) }.into())
    }
}
