//! What ends a command before it touches anything, or what it says where the site's journal is moved: each kind with its words.
//! Exit codes and hints stand in `errors.rs`.

use bluegreen_core::{
    nginx::conf::RenderError,
    rollout::{PlanError, Stage},
};

use crate::{
    edge::{artifact::ArtifactError, balancer, server::ServerError},
    engine::{alike, sentence},
};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The stage does not allow it.
    #[error("{}", not_planned(.0))]
    Stage(#[from] PlanError),
    /// Another command is interrupted, and this one does not go on with it.
    #[error("`{open}` was interrupted at the step `{at}`, so `{asked}` was refused and nothing was touched")]
    Interrupted {
        /// The open command.
        open: &'static str,
        /// The step that is under way or comes next.
        at: String,
        /// The command that was refused.
        asked: &'static str,
    },
    /// The setup is not done.
    #[error("{}", not_set_up(.at.as_deref()))]
    NotSetUp {
        /// The step at which the setup was interrupted, where it was begun.
        at: Option<String>,
    },
    /// A setup cannot be aborted.
    #[error("the setup was interrupted, and there is nothing to go back to. Nothing was touched")]
    NothingBefore,
    /// `resume` without anything open.
    #[error("nothing was interrupted, so there is nothing to resume")]
    NothingInterrupted,
    /// `resume` after what was open went back by itself.
    #[error("there is nothing left to resume; {stage}")]
    NothingLeft {
        /// Where the site stands, as a clause.
        stage: String,
    },
    /// What is open was planned from another inventory.
    #[error("`{open}` was begun with another inventory than this one, so it was not resumed. Nothing was touched")]
    BegunWithAnother {
        /// The open command.
        open: &'static str,
    },
    /// Somebody appended between the look at the journal and the lock.
    #[error("another command changed the site meanwhile; nothing was touched")]
    Meanwhile,
    /// The journal is another site's.
    #[error("the journal is of the site `{journal}`, and the inventory of `{inventory}`. Nothing was touched")]
    OtherSite {
        /// The journal's site.
        journal: String,
        /// The inventory's.
        inventory: String,
    },
    /// The inventory is not the one that the site runs with.
    #[error("{}. Nothing was touched", .0.as_str())]
    Inventory(OtherInventory),
    /// `sync` while the site is not balanced.
    #[error(
        "the inventory's hosts, upstreams, segments and canary key change only while the site is balanced. Nothing was touched"
    )]
    NotBalanced {
        /// The commands that lead there, as a hint.
        ways: String,
    },
    /// `sync` with other hosts.
    #[error(
        "the inventory names other hosts than the site was set up with, which this version of bg cannot take over. Nothing was \
         touched:\n  {}",
        .changed.join("\n  ")
    )]
    OtherHosts {
        /// Each line with `-` or `+` before it.
        changed: Vec<String>,
    },
    /// `sync` over something interrupted.
    #[error("`{open}` was interrupted, so `sync` was refused. Nothing was touched")]
    SyncInterrupted {
        /// The open command.
        open: &'static str,
    },
    /// `sync` of no balancer.
    #[error("there is no balancer `{host}` in the inventory; there are {}. Nothing was touched", quoted(.known))]
    NoSuchBalancer {
        /// As it was typed.
        host: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The inventory cannot be rendered.
    #[error("{0}. Nothing was touched")]
    Unrenderable(#[from] RenderError),
    /// Balancers that do not answer.
    #[error("{}. Nothing was touched; {stage}", list(.errors))]
    BalancersSilent {
        /// What each said; at least one.
        errors: Vec<balancer::Error>,
        /// Where the site stands, as a clause.
        stage: String,
    },
    /// Servers that do not answer.
    #[error("{}. Nothing was touched; {stage}", servers(.errors))]
    ServersSilent {
        /// What each said, and as what it stands in the inventory: `web/green`; at least one.
        errors: Vec<(ServerError, String)>,
        /// Where the site stands, as a clause.
        stage: String,
    },
    /// Traffic could pass bg by, or nobody can tell.
    #[error(
        "`{command}` is refused, because {}, and nothing was touched:\n  {}",
        passes_by(.certain), .certain.iter().chain(.unknown).cloned().collect::<Vec<_>>().join("\n  ")
    )]
    PassesBy {
        /// The command that was refused.
        command: &'static str,
        /// What was found, a line each.
        certain: Vec<String>,
        /// What could not be found out, a line each.
        unknown: Vec<String>,
    },
    /// A setup over something that serves.
    #[error(
        "`{host}` ({half}) already serves on port {port}, and a setup never restarts what serves. Nothing was touched"
    )]
    InUse {
        /// The server.
        host: String,
        /// As what it stands in the inventory: `web/green`.
        half: String,
        /// The port.
        port: u16,
    },
    /// `confirm` of nothing.
    #[error("there is nothing to confirm: no traffic is to go back by itself. Nothing was touched")]
    NothingToConfirm,
    /// `confirm` before the shift is over.
    #[error("`{open}` was interrupted at the step `{at}`, so there is nothing to confirm yet; nothing was touched")]
    NotConfirmable {
        /// The open command.
        open: &'static str,
        /// The step that is under way or comes next.
        at: String,
    },
    /// Something that would disarm what goes back by itself.
    #[error(
        "`{command}` would apply the traffic again, and so end that it goes back by itself; nothing was touched. {}",
        sentence(.stage)
    )]
    WouldDisarm {
        /// The command that was refused.
        command: String,
        /// Where the site stands, as a clause.
        stage: String,
    },
    /// `lock` without a site.
    #[error(
        "there is no site here that could be held: it is not set up yet, or its journal is elsewhere. Nothing was touched"
    )]
    NothingToHold,
    /// `lock` beside another one.
    #[error("somebody else held the site at the same moment, and released it. Nothing was touched")]
    HeldMeanwhile,
    /// `unlock` beside another one.
    #[error("the lock by hand changed while it was being released, so it was left as it is now")]
    HoldChanged,
    /// The command line names what the inventory has not, or no release.
    #[error("{0}. Nothing was touched")]
    Usage(String),
    /// An artifact that cannot be used.
    #[error("pool `{pool}`: {error}. No release was made and nothing was touched")]
    Artifact {
        /// The pool.
        pool: String,
        /// Why not.
        error: ArtifactError,
        /// Releases that are built, where this one is not: the newest first.
        builds: Vec<String>,
    },
    /// A journal copied onto itself.
    #[error("`{place}` is both: a journal is copied to another place. Nothing was touched")]
    SamePlace {
        /// Its location.
        place: String,
    },
    /// A copy of nothing.
    #[error("`{place}` holds no journal, so there is nothing to copy. Nothing was touched")]
    NothingToCopy {
        /// Its location.
        place: String,
    },
    /// The target is an unfinished copy of another one.
    #[error("`{place}` is an unfinished copy of `{source_place}`. Nothing was touched")]
    CopyOfAnother {
        /// The target.
        place: String,
        /// What it is a copy of.
        source_place: String,
    },
    /// The target is a journal already.
    #[error(
        "`{place}` holds a journal already{whose}. A journal is copied only to an empty place, and nothing was touched"
    )]
    NotEmpty {
        /// The target.
        place: String,
        /// What is known of it, ready to follow; may be empty.
        whose: String,
    },
    /// Ctrl-C while records are copied.
    #[error("stopped as asked: {done} of {of} records are copied. `{from}` is still the site's journal, and unchanged")]
    CopyStopped {
        /// Records in the target.
        done: u64,
        /// Records in all.
        of: usize,
        /// The old journal.
        from: String,
        /// The new one.
        to: String,
    },
    /// The copy did not come to its end.
    #[error("the copy `{to}` was not finished: {why}. `{from}` is still the site's journal, and unchanged")]
    CopyFailed {
        /// Why.
        why: String,
        /// The old journal.
        from: String,
        /// The new one.
        to: String,
    },
    /// The old journal stays open.
    #[error("everything is copied to `{to}`, but `{from}` was not closed: {why}. It is still the site's journal")]
    NotClosed {
        /// Why.
        why: String,
        /// The old journal.
        from: String,
        /// The new one.
        to: String,
    },
    /// The new journal is closed still.
    #[error(
        "everything is copied and `{from}` is closed, but `{to}` could not be opened yet: {why}. Until then every command is \
         refused; the site goes on serving"
    )]
    NotOpened {
        /// Why.
        why: String,
        /// The old journal.
        from: String,
        /// The new one.
        to: String,
    },
    /// The journal was moved to where it is not.
    #[error("`{from}` was moved to `{to}`, which does not hold what was copied to it. Nothing was touched")]
    CopyGone {
        /// The old journal.
        from: String,
        /// The new one.
        to: String,
    },
}

/// How an inventory differs from the one that the site runs with, and whether `sync` takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherInventory {
    /// Where the site stands.
    pub stage: Option<Stage>,
    /// Whether the journal knew it earlier.
    pub is_old: bool,
    /// Whether `sync` would take it over now.
    pub taken_over: bool,
    /// Whether a command is open.
    pub has_open: bool,
}

impl OtherInventory {
    /// What is wrong, as a sentence without its full stop.
    pub fn as_str(&self) -> &'static str {
        match self.stage {
            None => "the inventory's hosts, upstreams, segments or canary key were changed since the setup began",
            Some(_) if self.is_old => {
                "this inventory is probably an outdated copy: the journal has known it, and a newer one since"
            }
            Some(_) => {
                "the inventory's hosts, upstreams, segments or canary key are not the ones that the site runs with"
            }
        }
    }
}

fn not_planned(error: &PlanError) -> String {
    match error {
        PlanError::Refused(refusal) => format!("{refusal}. Nothing was touched"),
        PlanError::Already { verb, .. } => format!("`{verb}` was done already"),
        PlanError::NotArmed => Refusal::NothingToConfirm.to_string(),
        PlanError::NoSite => not_set_up(None),
    }
}

fn not_set_up(at: Option<&str>) -> String {
    match at {
        Some(at) => {
            format!("the site is not set up yet: `setup` was interrupted at the step `{at}`. Nothing was touched")
        }
        None => "the site is not set up yet, so nothing was touched".to_owned(),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn list(errors: &[balancer::Error]) -> String {
    alike(errors.iter().map(|error| (error.host.clone(), error.to_string()))).join("; ")
}

fn servers(errors: &[(ServerError, String)]) -> String {
    alike(errors.iter().map(|(error, half)| (error.host.clone(), format!("{error} ({half})")))).join("; ")
}

fn passes_by(certain: &[String]) -> &'static str {
    match certain.is_empty() {
        true => "bg cannot tell whether all public traffic passes it",
        false => "public traffic could pass bg by",
    }
}
