//! The stage machine as one pure function: the table of docs/design.md, cell by cell.

use serde::{Deserialize, Serialize};

use super::command::Verb;

/// Where a site stands in its rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Both halves serve the same release.
    Balanced,
    /// Blue serves all; green is being installed, or its install failed.
    Isolated,
    /// Green runs the new release, is healthy, and gets no public traffic.
    Staged,
    /// Some slice of the clients goes to green.
    Canary,
    /// Green serves all and blue still has the old release.
    Flipped,
    /// Blue is being upgraded while green carries everything.
    Restoring,
}

impl Stage {
    /// Every stage, in the order of the journey.
    pub const ALL: [Stage; 6] =
        [Stage::Balanced, Stage::Isolated, Stage::Staged, Stage::Canary, Stage::Flipped, Stage::Restoring];

    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Balanced => "balanced",
            Stage::Isolated => "isolated",
            Stage::Staged => "staged",
            Stage::Canary => "canary",
            Stage::Flipped => "flipped",
            Stage::Restoring => "restoring",
        }
    }

    /// What `verb` means in this stage. This is the whole table; everything else derives from it.
    pub fn next(self, verb: Verb) -> Transition {
        use Stage::{Balanced, Canary, Flipped, Isolated, Restoring, Staged};
        use Transition::{Already, To};
        let refused = |why| Transition::Refused(Refusal { verb, stage: self, why });
        match (verb, self) {
            (Verb::Deploy, Balanced | Isolated | Staged | Canary) => To(Staged),
            (Verb::Deploy, Flipped) => refused("green carries all traffic: `restore` or `flip --back` first"),
            (Verb::Deploy, Restoring) => refused("blue is being upgraded: `restore` or `abort` first"),

            (Verb::Canary, Staged | Canary) => To(Canary),
            (Verb::Canary, Balanced) => refused("there is no new release to try: `deploy` first"),
            (Verb::Canary, Isolated) => {
                refused("green is not healthy on the new release yet: `deploy` again or `abort`")
            }
            (Verb::Canary, Flipped) => refused("all traffic is on green already: `flip --back` first"),
            (Verb::Canary, Restoring) => refused("blue is being upgraded: `restore` or `abort` first"),

            (Verb::CanaryOff, Canary) => To(Staged),
            (Verb::CanaryOff, Isolated | Staged) => Already,
            (Verb::CanaryOff, Balanced) => refused("no rollout is under way"),
            (Verb::CanaryOff, Flipped) => refused("all traffic is on green: `flip --back` takes it to blue"),
            (Verb::CanaryOff, Restoring) => refused("blue is being upgraded: `restore` or `abort`"),

            (Verb::Flip, Staged | Canary) => To(Flipped),
            (Verb::Flip, Flipped) => Already,
            (Verb::Flip, Balanced) => refused("there is no new release to flip to: `deploy` first"),
            (Verb::Flip, Isolated) => refused("green is not healthy on the new release yet: `deploy` again or `abort`"),
            (Verb::Flip, Restoring) => refused("all traffic is on green and blue is being upgraded: `restore` goes on"),

            (Verb::FlipBack, Canary | Flipped) => To(Staged),
            (Verb::FlipBack, Isolated | Staged) => Already,
            (Verb::FlipBack, Balanced) => refused("no rollout is under way"),
            (Verb::FlipBack, Restoring) => {
                refused("blue is being upgraded and cannot take the traffic: `abort` heals it first")
            }

            (Verb::Restore, Flipped | Restoring) => To(Balanced),
            (Verb::Restore, Balanced) => refused("both halves serve already"),
            (Verb::Restore, Isolated) => {
                refused("green is not healthy on the new release yet: `deploy` again or `abort`")
            }
            (Verb::Restore, Staged | Canary) => refused("blue still carries traffic: `flip` first, or `abort`"),

            (Verb::Abort, Balanced) => refused("nothing is under way"),
            (Verb::Abort, _) => To(Balanced),
        }
    }

    /// Every command that is neither refused nor done already, in the order of the table.
    pub fn allowed(self) -> Vec<Verb> {
        Verb::ALL.into_iter().filter(|&verb| matches!(self.next(verb), Transition::To(_))).collect()
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The command goes through and leads there (a deploy with a canary leads on to `canary`).
    To(Stage),
    /// It is done already; balancers that differ are settled.
    Already,
    /// It is not allowed here.
    Refused(Refusal),
}

/// Why a command is not allowed in a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{verb}` is refused while the site is {stage}: {why}")]
pub struct Refusal {
    /// The command.
    pub verb: Verb,
    /// The stage.
    pub stage: Stage,
    /// The reason, with what is allowed instead.
    pub why: &'static str,
}

/// The table as Markdown, for the documents.
pub fn table() -> String {
    let mut out = String::from("| |");
    for stage in Stage::ALL {
        out.push_str(&format!(" {stage} |"));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(Stage::ALL.len()));
    out.push('\n');
    for verb in Verb::ALL {
        out.push_str(&format!("| {verb} |"));
        for stage in Stage::ALL {
            let cell = match stage.next(verb) {
                Transition::To(to) => format!("→ {to}"),
                Transition::Already => "done already".to_owned(),
                Transition::Refused(refusal) => format!("refused: {}", refusal.why),
            };
            out.push_str(&format!(" {cell} |"));
        }
        out.push('\n');
    }
    out
}
