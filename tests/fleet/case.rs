//! One fault in one phase of one command, and what must come of it.

use std::time::Duration;

use bg_playground::{Fleet, fleet::Cut};

use crate::{
    desk::bg,
    hosts::{in_sync, lead_to, stage},
    phase::Phase,
};

/// A command that meets a silent host is over by then: the silence is noticed within four seconds, the host is asked once
/// more and given up after two, a check for health takes its eight, and each step goes on for some tenths of a second (more
/// on a machine that is busy with ten other things).
const BOUND: Duration = Duration::from_secs(45);

pub const DEPLOY: &str = "deploy --release v2";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A way is cut, and healed when the command has ended.
    Cut(Cut),
    /// The host loses power, and starts again when the command has ended.
    Power,
}

/// A fault: where, when, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The command that is disturbed. A deploy begins in `balanced`, everything else in `staged`.
    pub words: &'static str,
    pub phase: Phase,
    pub host: &'static str,
    pub fault: Fault,
    /// How it must end.
    pub exit: i32,
    /// What goes on from there once everything is healed, and the stage that it leads to.
    pub way_on: &'static str,
    pub stage: &'static str,
    /// The longest that the disturbed command may take.
    pub bound: Duration,
}

impl Case {
    /// A way between the desk and a host that is cut in a phase of a deploy or of a flip, with what the phase and the kind
    /// of host promise; it is then finished or tried again.
    pub fn new(words: &'static str, phase: Phase, host: &'static str) -> Case {
        let leads_to = if words.starts_with("deploy") { "staged" } else { "flipped" };
        let began_in = if words.starts_with("deploy") { "balanced" } else { "staged" };
        let (exit, way_on, stage) = match phase {
            // The installation failed and is over: green is not what it should be, and gets no traffic.
            _ if host.starts_with("web") => (4, words, leads_to),
            // Nothing was switched anywhere.
            Phase::Before | Phase::Preparing => (1, words, leads_to),
            // Put back, but not known to be everywhere.
            Phase::Prepared | Phase::Committing => (5, "resume", began_in),
            // The shift is done; what comes after it cannot be done without knowing that this balancer still has it.
            _ => (5, "resume", leads_to),
        };
        Case { words, phase, host, fault: Fault::Cut(Cut::Desk), exit, way_on, stage, bound: BOUND }
    }

    pub fn fault(self, fault: Fault) -> Case {
        Case { fault, ..self }
    }

    pub fn cut(self, cut: Cut) -> Case {
        self.fault(Fault::Cut(cut))
    }

    /// The rollout is then ended instead. (Where it had not begun there is nothing to be ended.)
    pub fn aborted(self) -> Case {
        Case { way_on: "abort", stage: "balanced", ..self }
    }

    /// Plays it; says how long the disturbed command took.
    #[track_caller]
    pub fn play(&self, site: &mut Fleet) -> Duration {
        lead_to(site, if self.words.starts_with("deploy") { "balanced" } else { "staged" });
        let mut held = self.phase.enter(site, self.words);
        match self.fault {
            Fault::Cut(cut) => site.cut(self.host, cut).unwrap(),
            Fault::Power => site.kill(self.host).unwrap(),
        }
        held.let_go();
        let ran = held.go_on(site);
        println!("{self:?}\n{ran}");
        // The trees had arrived, and so may the answer have, before the lost commands are missed: then the switch misses them.
        let got_further =
            self.phase == Phase::Preparing && self.fault == Fault::Cut(Cut::Commands) && ran.code == Some(5);
        let expected = if got_further {
            Case { fault: self.fault, ..Case::new(self.words, Phase::Prepared, self.host) }
        } else {
            *self
        };
        ran.expect(expected.exit);
        assert!(ran.took < self.bound, "{self:?} took {:?}", ran.took);
        assert!(ran.stderr.contains(&format!("`{}`", self.host)), "the host is named: {ran}");
        match self.fault {
            Fault::Cut(_) => site.heal().unwrap(),
            Fault::Power => site.boot(self.host).unwrap(),
        }
        let (before, is_open) = stage(site);
        assert_eq!(is_open, expected.exit == 5, "{self:?}: {before}");
        println!("{}", bg(site, expected.way_on, 0));
        assert_eq!(stage(site), (expected.stage.to_owned(), false), "{self:?}");
        in_sync(site);
        println!(
            "fault: {:?} of {} in {:?} of {}: exit {} after {:.1} s, {} → {}",
            self.fault,
            self.host,
            self.phase,
            self.words,
            expected.exit,
            ran.took.as_secs_f64(),
            expected.way_on,
            expected.stage
        );
        ran.took
    }
}
