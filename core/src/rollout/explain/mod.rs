//! What an interrupted command left behind and what leads on from there, in words: pure functions of the journal's state
//! and of what the hosts said.

mod found;
mod seen;
#[cfg(test)]
mod tests;
mod ways;

pub use found::{Found, found};
pub use seen::{BalancerSeen, InFlight, OnBalancer, OnPlace, PlaceSeen, Seen, TreeSeen};
pub use ways::Way;

use super::{
    command::Verb,
    event::By,
    state::{OpenCommand, State},
};

/// An open command that nobody carries on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// When the command began: RFC 3339, UTC.
    pub since: String,
    /// Who began it.
    pub by: By,
    /// Who began the open step, and when, where that is another process than began the command.
    pub taken_up: Option<(By, String)>,
    /// The number of the open step, or of the next, from 1.
    pub number: usize,
    /// How many steps the plan has.
    pub of: usize,
    /// Whether that step was begun.
    pub is_begun: bool,
    /// Why it failed, where it is known to have.
    pub why: Option<String>,
    /// What is on each host that the step concerns.
    pub found: Vec<Found>,
    /// What `resume` would do.
    pub resume: Way,
    /// What `abort` would do.
    pub abort: Way,
    /// The commands that end it as well, each leading all traffic back to blue.
    pub also: Vec<Verb>,
    /// "Undo failed": the balancers that the put-back did not reach, and what each said then.
    pub undo_failed: Option<Vec<(String, String)>>,
    /// What a person does next, in order; for "undo failed" only.
    pub to_do: Vec<ToDo>,
}

/// One thing that a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToDo {
    /// What, in words.
    pub what: String,
    /// What is typed for it on a host, as a line of its shell.
    pub line: Option<String>,
}

/// Explains the open command; `None` when none is open. `digest` and `segments` are the inventory's.
pub fn explain(state: &State, digest: &str, segments: &[String], seen: &Seen) -> Option<Explained> {
    let open = state.open.as_ref()?;
    let step = open.step.as_ref();
    let undo_failed = step.map(|step| &step.undo_failed).filter(|hosts| !hosts.is_empty()).cloned();
    let to_do = undo_failed.as_ref().map(|hosts| to_do(open, hosts, seen)).unwrap_or_default();
    Some(Explained {
        since: open.since.clone(),
        by: open.by.clone(),
        taken_up: step.filter(|step| step.by != open.by).map(|step| (step.by.clone(), step.since.clone())),
        number: 1 + step.map_or(open.done, |step| step.index),
        of: open.plan.steps.len(),
        is_begun: step.is_some(),
        why: step.and_then(|step| step.failed.clone()),
        found: found(state, seen),
        resume: state.resume_way(digest, &seen.balancers)?,
        abort: state.abort_way(digest, segments)?,
        also: if state.knows_inventory(digest) { state.ends_it_too() } else { Vec::new() },
        undo_failed,
        to_do,
    })
}

/// What a person does after an undoing that did not reach `hosts`, in order.
fn to_do(open: &OpenCommand, hosts: &[(String, String)], seen: &Seen) -> Vec<ToDo> {
    let Some(shift) = &open.shift else { return Vec::new() };
    let back = shift.generation.map(|n| n + 1);
    let of = |host: &str| seen.balancers.iter().find(|balancer| balancer.host == host);
    let is_back = |host: &str| {
        let answer = of(host).and_then(|balancer| balancer.answer.as_ref().ok());
        answer
            .is_some_and(|answer| matches!(answer.tree, TreeSeen::Ours { generation, .. } if Some(generation) == back))
    };
    let is_silent = |host: &str| of(host).is_none_or(|balancer| balancer.answer.is_err());
    let quoted = |hosts: &[&str]| hosts.iter().map(|host| format!("`{host}`")).collect::<Vec<_>>().join(", ");
    let named: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
    let silent: Vec<&str> = named.iter().copied().filter(|host| is_silent(host)).collect();
    let left: Vec<&str> = named.iter().copied().filter(|host| !is_back(host)).collect();
    let command = open.command.as_str();
    let mut to_do = Vec::new();
    let mut say = |what: String, line: Option<String>| to_do.push(ToDo { what, line });
    if silent.is_empty() {
        say(
            format!("every balancer answers again, so `bg resume` puts all of them back, and `{command}` is over"),
            None,
        );
    } else {
        let (them, answers) = if silent.len() == 1 { ("it", "it answers") } else { ("them", "they answer") };
        let hosts = quoted(&silent);
        say(format!("bring {hosts} back, sshd and nginx; keep clients away from {them} until {answers}"), None);
        say(format!("`bg resume` puts every balancer back once more, and then `{command}` is over"), None);
    }
    if let (Some(back), [host, ..]) = (back, left.as_slice()) {
        let dir = of(host).map_or("DIR", |balancer| balancer.dir.as_str());
        say(
            format!(
                "where only ssh stays shut: on the console of `{host}`, as bg's login user there, then `bg resume` later"
            ),
            Some(format!("cd {dir}/live && ln -s gen/{back} back && mv -T back current")),
        );
        say(
            format!(
                "where it is gone for good: give another machine its name and address, copy nginx's configuration and `{dir}` \
                 there from a balancer that was put back, start nginx, then `bg resume`"
            ),
            None,
        );
    }
    to_do
}
