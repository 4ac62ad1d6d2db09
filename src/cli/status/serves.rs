//! What the balancers serve by their own trees: all that is known of the traffic while no journal says what is intended.

use bluegreen_core::{rollout::State, traffic::Traffic};

use super::seen::BalancerSeen;
use crate::edge::balancer::{Current, Keeper, Look, Standing, TrafficSeen};

/// What one balancer's whole tree says, whoever's it is; `None` where it has none, or where what nginx makes of it is not known.
pub fn traffic(look: &Look) -> Option<Traffic> {
    match look.standing(journal(look)) {
        Standing::Ours(said) => Some(said.traffic),
        _ => None,
    }
}

/// The same in words, with whose tree it is and when it goes back by itself.
pub fn said(look: &Look) -> String {
    let goes_back = goes_back(look).unwrap_or_default();
    match look.standing(journal(look)) {
        Standing::Ours(said) => {
            let rollout = said.rollout.map(|number| format!("rollout r{number} of ")).unwrap_or_default();
            format!("serves: {} ({rollout}the journal `{}`){goes_back}", said.traffic, said.journal)
        }
        Standing::Drifted { said, why } => format!("{why}; its tree says: {}{goes_back}", said.traffic),
        standing => standing.differs(),
    }
}

/// The journal that its tree belongs to, by what the tree says.
fn journal(look: &Look) -> &str {
    match &look.traffic {
        TrafficSeen::Said(said) => &said.journal,
        _ => "",
    }
}

/// That what it serves now goes back by itself. `bg confirm` needs the journal, so the balancer alone decides.
fn goes_back(look: &Look) -> Option<String> {
    let Current::Generation(current) = look.current else { return None };
    let order = look.armed.iter().find(|order| order.generation == current && order.keeper != Keeper::Nothing)?;
    let when = match order.left_s {
        ..1 => "now".to_owned(),
        left @ 1..120 => format!("in {left} s"),
        left => format!("in {} min", left / 60),
    };
    Some(format!("; it goes back by itself {when}"))
}

/// What is wanted, in words; while a command is open, whether any balancer has it yet.
pub fn wanted(state: &State, balancers: &[BalancerSeen]) -> String {
    let wanted = state.wanted();
    let mut said = balancers.iter().filter_map(|balancer| balancer.traffic.as_ref()).peekable();
    if state.open.is_none() || said.peek().is_none() || said.any(|traffic| traffic == wanted) {
        return wanted.to_string();
    }
    format!("wanted: {wanted}; no balancer that answers has it yet")
}

/// What all balancers serve, where each says the same; and that in words, or how far it is known.
pub fn together(balancers: &[BalancerSeen]) -> (Option<Traffic>, String) {
    let said: Vec<&Traffic> = balancers.iter().filter_map(|balancer| balancer.traffic.as_ref()).collect();
    let Some(first) = said.first() else { return (None, "not known: no balancer says what it serves".to_owned()) };
    if said.iter().any(|other| other != first) {
        return (None, "not the same on every balancer; each one's is below".to_owned());
    }
    let silent: Vec<String> = balancers
        .iter()
        .filter(|balancer| balancer.traffic.is_none())
        .map(|balancer| format!("`{}`", balancer.host))
        .collect();
    if silent.is_empty() {
        return (Some((*first).clone()), format!("{first}, as every balancer's own tree says"));
    }
    (None, format!("{first}, as the balancers' own trees say; not known of {}", silent.join(", ")))
}

#[cfg(test)]
mod tests {
    use bluegreen_core::{
        half::Half,
        rollout::{By, Command, OpenCommand, Plan},
    };

    use super::*;

    fn balancer(host: &str, traffic: Option<Traffic>) -> BalancerSeen {
        let (generation, in_sync, note) = (Some(3), None, None);
        BalancerSeen {
            host: host.to_owned(),
            reachable: traffic.is_some(),
            generation,
            in_sync,
            nginx_answers: None,
            note,
            traffic,
        }
    }

    #[test]
    fn what_every_balancer_says_is_known_and_anything_else_is_said_not_to_be() {
        let together = |all: &[(&str, Option<Traffic>)]| {
            together(&all.iter().map(|(host, traffic)| balancer(host, traffic.clone())).collect::<Vec<_>>())
        };
        let both = || Some(Traffic::Both);
        let blue = || Some(Traffic::on(Half::Blue, &[]));
        assert_eq!(
            together(&[("lb1", both()), ("lb2", both())]),
            (both(), "both halves, as every balancer's own tree says".to_owned())
        );
        assert_eq!(
            together(&[("lb1", both()), ("lb2", None)]),
            (None, "both halves, as the balancers' own trees say; not known of `lb2`".to_owned())
        );
        assert_eq!(
            together(&[("lb1", both()), ("lb2", blue())]).1,
            "not the same on every balancer; each one's is below"
        );
        let state = State { traffic: Traffic::Both, ..State::default() };
        assert_eq!(wanted(&state, &[balancer("lb1", blue())]), "both halves", "no command is open: it is drift");
        let open = OpenCommand {
            command: Command::Flip { revert_after_ms: None },
            plan: Plan { steps: Vec::new(), ends_rollout: false },
            digest: String::new(),
            done: 0,
            step: None,
            shift: None,
            stage_before: None,
            since: String::new(),
            by: By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 },
        };
        let state = State { open: Some(open), ..state };
        let none = "wanted: both halves; no balancer that answers has it yet";
        assert_eq!(wanted(&state, &[balancer("lb1", blue()), balancer("lb2", None)]), none);
        assert_eq!(wanted(&state, &[balancer("lb1", blue()), balancer("lb2", both())]), "both halves");
        assert_eq!(wanted(&state, &[balancer("lb1", None)]), "both halves", "nobody says anything else");
        assert_eq!(together(&[("lb1", None)]).1, "not known: no balancer says what it serves");
    }
}
