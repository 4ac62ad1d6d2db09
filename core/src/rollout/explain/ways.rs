//! What `resume` and `abort` would do with the open command: the same functions that they are planned with.

use super::{
    super::{
        command::{Command, Verb},
        drive::Resume,
        plan::{Plan, plan},
        state::{OpenCommand, State},
        step::{Direction, Step},
    },
    seen::{BalancerSeen, TreeSeen},
};
use crate::traffic::Traffic;

/// What one command would do from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The steps of the plan, from the one at this index on.
    Steps(usize, Plan),
    /// Every balancer is put back to this traffic, and the command is over.
    PutBack(Traffic),
    /// What `resume` does.
    AsResume,
    /// It is refused: why, and what to do instead.
    Refused(String),
}

impl Way {
    /// The steps as a dry run lists them, numbered as in the plan.
    pub fn steps(&self) -> String {
        let Way::Steps(first, plan) = self else { return String::new() };
        plan.to_string().lines().skip(*first).map(|line| format!("{line}\n")).collect()
    }

    /// What would be done, one sentence or step each.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Way::Steps(first, plan) => plan.steps.iter().skip(*first).map(|planned| planned.step.to_string()).collect(),
            Way::PutBack(back) => vec![format!("put every balancer back: {back}")],
            Way::AsResume => vec!["the same as `bg resume`".to_owned()],
            Way::Refused(why) => vec![format!("refused: {why}")],
        }
    }
}

impl State {
    /// What `resume` would do, with an inventory of this digest; `None` when nothing is open. `balancers` is what was seen
    /// of them: before a half is touched again, one that lost its tree gets it back.
    pub fn resume_way(&self, digest: &str, balancers: &[BalancerSeen]) -> Option<Way> {
        let open = self.open.as_ref()?;
        if let Some(why) = self.changed_inventory(open, digest) {
            return Some(Way::Refused(why));
        }
        if open.digest != digest {
            let why = "it was begun with another inventory than this one: bring that one back, or `bg sync` again";
            return Some(Way::Refused(why.to_owned()));
        }
        Some(match self.resume()? {
            Resume::PutBack(_) => {
                Way::PutBack(open.shift.as_ref().map_or_else(|| self.traffic.clone(), |shift| shift.back.clone()))
            }
            Resume::From(index) => Way::Steps(self.first_step(open, index, balancers), open.plan.clone()),
        })
    }

    /// What `abort` would do, with an inventory of this digest and these segments; `None` when nothing is open.
    pub fn abort_way(&self, digest: &str, segments: &[String]) -> Option<Way> {
        let open = self.open.as_ref()?;
        if matches!(open.command, Command::Setup { .. }) {
            let why = "there is nothing to go back to; `bg setup` again goes on too, or begins anew";
            return Some(Way::Refused(why.to_owned()));
        }
        if self.goes_on(&Command::Abort) {
            return Some(Way::AsResume);
        }
        if let Some(why) = self.changed_inventory(open, digest) {
            return Some(Way::Refused(why));
        }
        Some(match plan(self, segments, &Command::Abort) {
            Ok(plan) => Way::Steps(0, plan),
            Err(error) => Way::Refused(error.to_string()),
        })
    }

    /// The commands beside `abort` that end what is open, each leading traffic back to blue.
    pub fn ends_it_too(&self) -> Vec<Verb> {
        self.next_commands().into_iter().filter(|verb| *verb != Verb::Abort).collect()
    }

    /// Every command refuses an inventory that is not the journal's.
    fn changed_inventory(&self, open: &OpenCommand, digest: &str) -> Option<String> {
        if self.knows_inventory(digest) {
            return None;
        }
        let instead = match open.command {
            Command::Sync { .. } => "`bg sync` again goes on with it",
            Command::Setup { .. } => "`bg setup` again begins with it as it is now",
            _ => "take the change back for this rollout",
        };
        Some(format!("the inventory is not the one that the journal knows: {instead}"))
    }

    fn first_step(&self, open: &OpenCommand, index: usize, balancers: &[BalancerSeen]) -> usize {
        let Some(prepare) = self.shift_before(index) else { return index };
        let Step::Prepare { direction, .. } = &open.plan.steps[prepare].step else { return index };
        let has_it = |seen: &BalancerSeen| match &seen.answer {
            Ok(answer) => matches!(&answer.tree, TreeSeen::Ours { generation, traffic }
                if Some(*generation) == self.confirmed && *traffic == self.traffic),
            // What cannot be asked is named by the step itself; the way back to blue is taken all the same.
            Err(_) => *direction == Direction::Forward,
        };
        if balancers.iter().all(has_it) { index } else { prepare }
    }
}
