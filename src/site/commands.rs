//! The commands, each read as a recipe: what is asked first, the plan, the drive.

use std::sync::atomic::Ordering;

use bluegreen_core::{
    Half,
    release::Release,
    rollout::{Command, Event, PlanError, State, plan, settle},
    traffic::SegmentShare,
};

use super::{Asked, Finished, Refusal, Site, Wanted, preflight::host_lines, revert::Reverted};
use crate::{
    edge::{balancer::Standing, journal::OpenJournal},
    engine::{Exit, Journal, Outcome, describe_stage, ways_on},
};

impl Site {
    pub(super) async fn dispatch(
        &self,
        asked: Asked,
        reverted: Option<&Reverted>,
        dry_run: bool,
    ) -> Result<Finished, Outcome> {
        match asked {
            Asked::Setup(wanted) => self.setup(&wanted, dry_run).await,
            Asked::Deploy(wanted, canary, revert_after_ms) => {
                self.deploy(&wanted, canary, revert_after_ms, dry_run).await
            }
            Asked::Canary(shares, revert_after_ms) => {
                self.command(Command::Canary { shares, revert_after_ms }, dry_run).await
            }
            Asked::CanaryOff => self.command(Command::CanaryOff, dry_run).await,
            Asked::Flip(revert_after_ms) => self.command(Command::Flip { revert_after_ms }, dry_run).await,
            Asked::FlipBack => self.command(Command::FlipBack, dry_run).await,
            Asked::Restore => self.command(Command::Restore, dry_run).await,
            Asked::Abort => self.abort(dry_run).await,
            Asked::Resume => self.resume(reverted, dry_run).await,
            Asked::Sync(hosts) => self.sync(&hosts, dry_run).await,
            Asked::Lock(why) => self.hold(why, dry_run).await,
            Asked::Unlock => self.release(dry_run).await,
            Asked::Confirm => self.confirm(reverted, dry_run).await,
            Asked::CopyJournal(places) => self.copy_journal(&places, dry_run).await,
        }
    }

    async fn setup(&self, wanted: &Wanted, dry_run: bool) -> Result<Finished, Outcome> {
        let state = self.peek(dry_run).await?;
        self.same_site(&state)?;
        if state.stage.is_some() {
            self.same_digest(&state)?;
            return self.set_up_already(state).await;
        }
        let release = self.make_release(wanted, state.next_version()).await?;
        // Run again, it goes on with the release that it began with, if that is still what is asked for.
        let known = state.releases.values().next_back();
        let release = match known {
            Some(known) if known.pools == release.pools && (wanted.label.is_none() || known.label == release.label) => {
                known.clone()
            }
            _ => release,
        };
        self.refuse_other_journals(&state).await?;
        self.balancers_are_ours(&state).await?;
        self.servers_are_ours(&state).await?;
        self.places_are_free(&state).await?;
        let command = Command::Setup { release, revision: state.revision_begun + 1 };
        let steps = self.planned(&state, &command)?;
        if dry_run {
            return self.dry_run(&state, &command, &steps).await;
        }
        let mut journal = self.open("setup").await?;
        // What was asked before the lock was taken must still hold.
        unchanged(&state, journal.state())?;
        if journal.state().journal.is_none() {
            let id = format!("{:016x}", rand::random::<u64>());
            journal.append(vec![Event::SiteCreated { site: self.inventory.site.clone(), journal: id }]).await?;
        }
        let synced = Event::Synced { digest: self.inventory.digest(), hosts: host_lines(&self.inventory) };
        let outcome = self.drive(&mut journal, &command, &steps, vec![synced]).await;
        let mut finished = Site::finished(outcome, &journal);
        if finished.outcome.exit == Exit::Done {
            self.after_setup(&mut finished).await;
        }
        Ok(finished)
    }

    async fn set_up_already(&self, state: State) -> Result<Finished, Outcome> {
        let outcome = Outcome::new(Exit::Done, format!("`setup` was done already; {}", describe_stage(&state)));
        let mut finished = Finished { outcome, state: Some(state), text: None };
        self.after_setup(&mut finished).await;
        Ok(finished)
    }

    /// The lines that nginx still lacks, or that all is wired.
    async fn after_setup(&self, finished: &mut Finished) {
        let wired = self.world.balancers.wired_all().await;
        let missing: Vec<&str> =
            wired.iter().filter(|(_, wired)| !matches!(wired, Ok(true))).map(|(host, _)| host.as_str()).collect();
        if missing.is_empty() {
            finished.outcome.hint = finished.state.as_ref().map(ways_on);
            return;
        }
        finished.text = Some(self.lines_to_add(&missing));
        finished.outcome.hint =
            Some("add those lines, reload nginx, then `bg check --hosts` · then `bg deploy`".to_owned());
    }

    fn lines_to_add(&self, hosts: &[&str]) -> String {
        let mut text = String::from("nginx does not include bg's files yet. Add, once:\n");
        let mut dirs: Vec<(&str, Vec<&str>)> = Vec::new();
        for balancer in self.inventory.balancers.iter().filter(|b| hosts.contains(&b.host.as_str())) {
            match dirs.iter_mut().find(|(dir, _)| *dir == balancer.dir) {
                Some((_, on)) => on.push(&balancer.host),
                None => dirs.push((&balancer.dir, vec![&balancer.host])),
            }
        }
        let several = dirs.len() > 1;
        for (dir, on) in dirs {
            text.push_str(&format!("on {}:\n  in http {{ … }}:\n    include {dir}/http.conf;\n", on.join(", ")));
            text.push_str(&format!(
                "  as the first line of every server {{ … }} of this site:\n    include {dir}/server.conf;\n"
            ));
        }
        text.push_str(if several { "on each of them:\n" } else { "" });
        text.push_str("  in each location, for its pool:\n");
        for pool in &self.inventory.pools {
            let site = &self.inventory.site;
            text.push_str(&format!(
                "    proxy_pass http://${site}_{};   # with proxy_set_header Host $host;\n",
                pool.name
            ));
        }
        text
    }

    async fn deploy(
        &self,
        wanted: &Wanted,
        canary: Option<Vec<SegmentShare>>,
        revert_after_ms: Option<u64>,
        dry_run: bool,
    ) -> Result<Finished, Outcome> {
        let mut state = self.may_deploy(&canary, revert_after_ms, dry_run).await?;
        if !dry_run && !self.has_lock.load(Ordering::SeqCst) {
            self.lock("deploy", Some(wanted)).await?;
            state = self.may_deploy(&canary, revert_after_ms, dry_run).await?;
        }
        if !dry_run {
            self.world.connect_ahead(Half::Green);
        }
        let command = Command::Deploy {
            release: self.make_release(wanted, state.next_version()).await?,
            canary,
            revert_after_ms,
        };
        self.command(command, dry_run).await
    }

    /// Refused before a long artifact is read.
    async fn may_deploy(
        &self,
        canary: &Option<Vec<SegmentShare>>,
        revert_after_ms: Option<u64>,
        dry_run: bool,
    ) -> Result<State, Outcome> {
        let state = self.peek(dry_run).await?;
        let version = state.next_version();
        let release = Release { version, label: version.to_string(), pools: Default::default() };
        let placeholder = Command::Deploy { release, canary: canary.clone(), revert_after_ms };
        self.admit(&state, &placeholder).await?;
        self.planned(&state, &placeholder)?;
        Ok(state)
    }

    /// Everything between balanced and balanced.
    async fn command(&self, command: Command, dry_run: bool) -> Result<Finished, Outcome> {
        if dry_run {
            let state = self.peek(dry_run).await?;
            self.admit(&state, &command).await?;
            let steps = self.planned(&state, &command)?;
            return self.dry_run(&state, &command, &steps).await;
        }
        // Asked before the lock is taken, so that a refusal touches nothing at all, and again with it.
        let state = self.peek(dry_run).await?;
        self.admit(&state, &command).await?;
        if let Err(error @ PlanError::Refused(_)) = plan(&state, &self.inventory.segment_names(), &command) {
            return Err(Refusal::from(error).at(&state));
        }
        let mut journal = self.open(command.as_str()).await?;
        let state = journal.state().clone();
        self.admit(&state, &command).await?;
        match plan(&state, &self.inventory.segment_names(), &command) {
            Ok(steps) => {
                self.preflight(&state, &command).await?;
                let outcome = self.drive(&mut journal, &command, &steps, Vec::new()).await;
                Ok(Site::finished(with_command(outcome, &command), &journal))
            }
            Err(PlanError::Already { verb, .. }) => {
                let outcome = self.settle(&mut journal, verb.as_str()).await?;
                Ok(Site::finished(outcome, &journal))
            }
            Err(error) => Err(Refusal::from(error).at(&state)),
        }
    }

    async fn preflight(&self, state: &State, command: &Command) -> Result<(), Outcome> {
        if !matches!(command, Command::Deploy { .. } | Command::Restore) {
            return Ok(());
        }
        self.balancers_are_ours(state).await?;
        self.wired(state, command.as_str()).await?;
        self.servers_are_ours(state).await
    }

    pub(super) fn planned(&self, state: &State, command: &Command) -> Result<bluegreen_core::rollout::Plan, Outcome> {
        plan(state, &self.inventory.segment_names(), command).map_err(|error| Refusal::from(error).at(state))
    }

    /// The command is done already: balancers that differ from the journal are settled.
    async fn settle(&self, journal: &mut OpenJournal, verb: &str) -> Result<Outcome, Outcome> {
        let state = journal.state().clone();
        let looks = self.balancers_are_ours(&state).await?;
        let id = state.journal.as_deref().unwrap_or_default();
        let hash = bluegreen_core::nginx::tree::tree(&state.traffic).hash();
        let differ: Vec<String> = looks
            .iter()
            .filter(|look| !matches!(look.standing(id), Standing::Ours(said) if said.hash == hash))
            .map(|look| format!("`{}`", look.host))
            .collect();
        if differ.is_empty() {
            let message = format!("`{verb}` was done already; {}", describe_stage(&state));
            return Ok(Outcome { exit: Exit::Done, message, hint: Some(ways_on(&state)) });
        }
        self.not_while_armed(&state, verb)?;
        let command = Command::Sync { revision: None, traffic: true };
        let outcome = self.drive(journal, &command, &settle(&state), Vec::new()).await;
        if outcome.exit != Exit::Done {
            return Ok(outcome);
        }
        let message =
            format!("`{verb}` was done already; {} differed and has the journal's traffic again", differ.join(", "));
        Ok(Outcome { message, ..outcome })
    }

    async fn abort(&self, dry_run: bool) -> Result<Finished, Outcome> {
        let state = self.peek(dry_run).await?;
        match state.open.as_ref().map(|open| &open.command) {
            // Of an open abort it is the same as resume.
            Some(Command::Abort) => return self.resume(None, dry_run).await,
            Some(Command::Setup { .. }) => {
                return Err(Refusal::NothingBefore.at(&state));
            }
            _ => {}
        }
        self.command(Command::Abort, dry_run).await
    }

    async fn resume(&self, reverted: Option<&Reverted>, dry_run: bool) -> Result<Finished, Outcome> {
        let state = self.peek(dry_run).await?;
        self.same_site(&state)?;
        self.same_digest(&state)?;
        let Some(open) = state.open.clone() else {
            if state.journal.is_none() {
                self.refuse_other_journals(&state).await?;
            }
            if reverted.is_some() {
                return Err(Refusal::NothingLeft { stage: describe_stage(&state) }.at(&state));
            }
            return Err(Refusal::NothingInterrupted.at(&state));
        };
        if open.digest != self.inventory.digest() {
            return Err(Refusal::BegunWithAnother { open: open.command.as_str() }.into());
        }
        if dry_run {
            return self.dry_run_resume(&state, &open).await;
        }
        let mut journal = self.open("resume").await?;
        unchanged(&state, journal.state())?;
        let digest = self.inventory.digest();
        let undoing = open.step.as_ref().is_some_and(|step| step.undoing);
        let outcome = self.engine(&mut journal, &digest).resume().await;
        let outcome = if undoing { outcome } else { with_command(outcome, &open.command) };
        let mut finished = Site::finished(outcome, &journal);
        if matches!(open.command, Command::Setup { .. }) && finished.outcome.exit == Exit::Done {
            self.after_setup(&mut finished).await;
        }
        Ok(finished)
    }
}

/// Nobody appended between the look at the journal and the lock.
pub(super) fn unchanged(before: &State, now: &State) -> Result<(), Outcome> {
    if before.length == now.length {
        return Ok(());
    }
    Err(Refusal::Meanwhile.at(now))
}

/// A success names its command and what makes sense next.
fn with_command(outcome: Outcome, command: &Command) -> Outcome {
    if !matches!(outcome.exit, Exit::Done) {
        return outcome;
    }
    let what = match command.release() {
        Some(release) if release.label == release.version.to_string() => {
            format!("`{}` of {}", command.as_str(), release.version)
        }
        Some(release) => format!("`{}` of {} ({})", command.as_str(), release.version, release.label),
        None => format!("`{}`", command.as_str()),
    };
    Outcome { message: format!("{what} is done; {}", outcome.message), ..outcome }
}
