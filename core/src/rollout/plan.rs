//! A command is expanded into its plan once. The plan is data: journaled, shown by `--dry-run`, continued by `resume`.

use serde::{Deserialize, Serialize};

use super::{
    command::{Command, Verb},
    stage::{Refusal, Stage, Transition},
    state::State,
    step::{Direction, Step},
};
use crate::{half::Half, release::Version, traffic::Traffic};

/// One step of a plan and what it does to the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What is done.
    pub step: Step,
    /// The stage that the site takes when the step starts: a forward command takes the stage it leads to when its first
    /// commit on a balancer starts, so that an interrupted flip is `flipped` and the way back stands open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enters: Option<Stage>,
    /// The stage that the site takes when the step is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaches: Option<Stage>,
}

/// The steps of one command, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Planned>,
    /// Whether the last step ends the rollout.
    pub ends_rollout: bool,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, planned) in self.steps.iter().enumerate() {
            write!(f, "{:>3}. {}", number + 1, planned.step)?;
            if let Some(stage) = planned.enters.or(planned.reaches) {
                write!(f, "  → {stage}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Why a command did not become a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The table does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is done already; `settle` is the traffic that balancers which differ are brought to.
    #[error("`{verb}` is done already")]
    Already {
        /// The command.
        verb: Verb,
        /// What every balancer is expected to have.
        settle: Traffic,
    },
    /// There is no site yet.
    #[error("the site is not set up yet")]
    NoSite,
    /// No shift is armed that could be confirmed or followed.
    #[error("no shift is to go back by itself")]
    NotArmed,
}

/// Collects steps; each method is one of the phrases that the commands are made of.
struct Draft {
    segments: Vec<String>,
    steps: Vec<Planned>,
    /// After how long the command's shift to green goes back by itself.
    revert_after_ms: Option<u64>,
}

impl Draft {
    fn step(&mut self, step: Step) -> &mut Planned {
        self.steps.push(Planned { step, enters: None, reaches: None });
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// Prepare, then commit. Returns the commit, where the stage changes.
    fn shift(&mut self, to: Traffic, direction: Direction) -> &mut Planned {
        self.step(Step::Prepare { to: to.clone(), direction });
        self.step(Step::Commit { to, direction })
    }

    /// Prepare, arm if that was asked for, then commit: a shift that brings the new release to people.
    fn trial(&mut self, to: Traffic) -> &mut Planned {
        self.step(Step::Prepare { to: to.clone(), direction: Direction::Forward });
        if let Some(after_ms) = self.revert_after_ms {
            self.step(Step::ArmRevert { after_ms });
        }
        self.step(Step::Commit { to, direction: Direction::Forward })
    }

    fn shift_to(&mut self, half: Half, direction: Direction) -> &mut Planned {
        let to = Traffic::on(half, &self.segments);
        self.shift(to, direction)
    }

    /// Drain, place, activate, check: the half gets the release. Returns the index of the drain.
    fn upgrade(&mut self, half: Half, release: Version) -> usize {
        let first = self.steps.len();
        self.step(Step::Drain { half, release });
        self.step(Step::Place { half, release });
        self.step(Step::Activate { half, release });
        self.step(Step::Check { half, release });
        first
    }
}

/// Expands `command` into its plan, or says why not. Pure: the same state and command give the same plan.
/// `segments` are the inventory's names in order, without `all`.
pub fn plan(state: &State, segments: &[String], command: &Command) -> Result<Plan, PlanError> {
    let revert_after_ms = command.revert_after_ms();
    let mut draft = Draft { segments: segments.to_vec(), steps: Vec::new(), revert_after_ms };
    let verb = match command {
        Command::Setup { release, revision } => {
            setup(&mut draft, release.version, *revision);
            return Ok(Plan { steps: draft.steps, ends_rollout: false });
        }
        Command::Sync { revision, traffic } => {
            sync(&mut draft, state, *revision, *traffic);
            return Ok(Plan { steps: draft.steps, ends_rollout: false });
        }
        Command::Confirm | Command::Revert => {
            let armed = state.armed.as_ref().ok_or(PlanError::NotArmed)?;
            let follow = Step::Follow { generation: armed.generation + 1, to: armed.back.clone() };
            draft.step(if matches!(command, Command::Confirm) { Step::DisarmRevert } else { follow });
            return Ok(Plan { steps: draft.steps, ends_rollout: false });
        }
        other => other.verb().ok_or(PlanError::NoSite)?,
    };
    let stage = state.stage.ok_or(PlanError::NoSite)?;
    if verb == Verb::Abort && stage == Stage::Balanced && state.open.is_some() {
        // Interrupted before it left balanced, so no server was touched: every balancer gets `both` again, and the
        // rollout, if one was begun, is over.
        let both = State { traffic: Traffic::Both, ..state.clone() };
        return Ok(Plan { ends_rollout: state.rollout.is_some(), ..settle(&both) });
    }
    let to = match state.next(verb, stage) {
        Transition::Refused(refusal) => return Err(refusal.into()),
        Transition::Already if revert_after_ms.is_some() => return Err(nothing_to_revert(verb, stage).into()),
        Transition::Already => return Err(PlanError::Already { verb, settle: state.traffic.clone() }),
        Transition::To(to) => to,
    };
    let ends_rollout = matches!(verb, Verb::Restore | Verb::Abort);
    match command {
        Command::Deploy { release, canary, .. } => deploy(&mut draft, state, stage, release.version, canary.as_deref()),
        Command::Canary { shares, .. } => {
            draft.trial(Traffic::split(shares.clone(), state.offset())).enters = Some(Stage::Canary);
        }
        Command::Flip { .. } => draft.trial(Traffic::on(Half::Green, segments)).enters = Some(Stage::Flipped),
        Command::FlipBack | Command::CanaryOff => {
            draft.shift_to(Half::Blue, Direction::Backward).reaches = Some(to);
        }
        Command::Restore => restore(&mut draft, state),
        Command::Abort => abort(&mut draft, state, stage),
        Command::Setup { .. } | Command::Sync { .. } | Command::Confirm | Command::Revert => {}
    }
    let goes_nowhere = |planned: &Planned| matches!(&planned.step, Step::Commit { to, .. } if *to == state.traffic);
    if revert_after_ms.is_some() && !matches!(verb, Verb::Deploy) && draft.steps.iter().any(goes_nowhere) {
        return Err(nothing_to_revert(verb, stage).into());
    }
    Ok(Plan { steps: draft.steps, ends_rollout })
}

/// A shift to what everybody has already could go back to nothing else.
fn nothing_to_revert(verb: Verb, stage: Stage) -> Refusal {
    let why = "that is the traffic already, so there is nothing that `--revert-after` could go back to: go back first, then \
               forward with it";
    Refusal { verb, stage, why }
}

/// The plan that brings balancers which differ back to the traffic that the journal says.
pub fn settle(state: &State) -> Plan {
    let mut draft = Draft { segments: Vec::new(), steps: Vec::new(), revert_after_ms: None };
    let back = state.traffic.only() == Some(Half::Blue);
    draft.shift(state.traffic.clone(), if back { Direction::Backward } else { Direction::Forward });
    Plan { steps: draft.steps, ends_rollout: false }
}

fn setup(draft: &mut Draft, release: Version, revision: u64) {
    draft.step(Step::CreateDirs);
    draft.step(Step::WriteConf { revision });
    for half in Half::ALL {
        draft.step(Step::Place { half, release });
        draft.step(Step::Activate { half, release });
        draft.step(Step::Check { half, release });
    }
    draft.step(Step::ReloadConf { revision });
    // Both is committed last, when both halves are healthy: until then a missing tree means blue.
    draft.shift(Traffic::Both, Direction::Forward).reaches = Some(Stage::Balanced);
}

fn sync(draft: &mut Draft, state: &State, revision: Option<u64>, traffic: bool) {
    if let Some(revision) = revision {
        draft.step(Step::CreateDirs);
        draft.step(Step::WriteConf { revision });
        draft.step(Step::ReloadConf { revision });
    }
    if traffic {
        draft.steps.extend(settle(state).steps);
    }
}

fn deploy(
    draft: &mut Draft,
    state: &State,
    stage: Stage,
    release: Version,
    canary: Option<&[crate::traffic::SegmentShare]>,
) {
    // From a canary the traffic goes back first, as far as it can; no server is touched until all of it is back.
    let direction = if stage == Stage::Canary { Direction::Backward } else { Direction::Forward };
    let commit = draft.shift_to(Half::Blue, direction);
    match direction {
        Direction::Forward => commit.enters = Some(Stage::Isolated),
        Direction::Backward => commit.reaches = Some(Stage::Isolated),
    }
    draft.upgrade(Half::Green, release);
    if let Some(check) = draft.steps.last_mut() {
        check.reaches = Some(Stage::Staged);
    }
    if let Some(shares) = canary {
        draft.trial(Traffic::split(shares.to_vec(), state.offset_of_deploy())).enters = Some(Stage::Canary);
    }
}

fn restore(draft: &mut Draft, state: &State) {
    let (new, old) = (state.target(), state.source());
    draft.shift_to(Half::Green, Direction::Forward);
    let drain = draft.upgrade(Half::Blue, new);
    draft.steps[drain].enters = Some(Stage::Restoring);
    draft.shift(Traffic::Both, Direction::Forward);
    draft.step(Step::Prune { protect: vec![new, old] }).reaches = Some(Stage::Balanced);
}

fn abort(draft: &mut Draft, state: &State, stage: Stage) {
    let old = state.source();
    if stage == Stage::Restoring {
        // Green carries everything and blue is in pieces: blue is healed before any traffic moves.
        draft.shift_to(Half::Green, Direction::Forward);
        draft.upgrade(Half::Blue, old);
        // From here blue serves all and green is to be installed, which is what `isolated` says. Were the stage kept until
        // the end, an abort that fails after this point would leave a site where `restore` upgrades blue beside an old
        // green, and where the next abort would first ask a green half for traffic that it cannot carry.
        draft.shift_to(Half::Blue, Direction::Forward).reaches = Some(Stage::Isolated);
    } else {
        draft.shift_to(Half::Blue, Direction::Backward);
    }
    draft.upgrade(Half::Green, old);
    draft.shift(Traffic::Both, Direction::Forward).reaches = Some(Stage::Balanced);
}
