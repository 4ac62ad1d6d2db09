//! Traffic that goes back by itself: when, and where each balancer stands.

use bluegreen_core::rollout::{Armed, Command, State};
use serde::Serialize;

use crate::{
    edge::balancer::{Current, Keeper, Look},
    engine::goes_back_at,
    site::{said_back, went_back},
};

/// How late a timer that lives may be before it is said: it tries again every few seconds when it cannot go back.
pub const LATE_S: i64 = 15;

/// A shift that goes back by itself, or has.
#[derive(Debug, Clone, Serialize)]
pub struct Revert {
    /// When the time is up: RFC 3339, UTC.
    pub at: Option<String>,
    /// The generation that goes back, to the next one.
    pub generation: u64,
    /// In the inventory's order.
    pub balancers: Vec<BalancerRevert>,
    /// That it went back, in words; the others are to follow.
    #[serde(skip)]
    pub went_back: Option<String>,
}

/// Where one balancer stands.
#[derive(Debug, Clone, Serialize)]
pub struct BalancerRevert {
    /// How ssh reaches it.
    pub host: String,
    /// `armed`, `reverted`, `timer gone`, `overdue`, `confirmed`, `not switched`, `superseded` or `unknown`.
    pub state: &'static str,
}

/// What a look found, or nothing where a balancer did not answer.
pub type Looked<'a> = (&'a str, Option<&'a Look>);

/// What the journal says of it, and what was seen; `None` when nothing goes back by itself.
pub fn revert(state: &State, looked: &[Looked<'_>]) -> Option<Revert> {
    let armed = state.armed.as_ref()?;
    let back = went_back(state, looked.iter().filter_map(|(_, look)| *look));
    let one = |(host, look): &Looked<'_>| BalancerRevert {
        host: (*host).to_owned(),
        state: look.map_or("unknown", |look| standing(state, armed, look)),
    };
    Some(Revert {
        at: goes_back_at(armed).map(|at| at.to_string()),
        generation: armed.generation,
        balancers: looked.iter().map(one).collect(),
        went_back: (!back.is_empty()).then(|| said_back(armed.command, &back)),
    })
}

fn standing(state: &State, armed: &Armed, look: &Look) -> &'static str {
    let n = armed.generation;
    let order = look.armed.iter().find(|order| order.generation == n);
    match look.current {
        Current::Generation(current) if current == n => match order {
            Some(order) if order.left_s < -LATE_S => "overdue",
            Some(order) if order.keeper != Keeper::Nothing => "armed",
            Some(order) if order.left_s < 0 => "overdue",
            Some(_) => "timer gone",
            None if state.open.as_ref().is_some_and(|open| matches!(open.command, Command::Confirm)) => "confirmed",
            None => "timer gone",
        },
        Current::Generation(current) if current == n + 1 => "reverted",
        Current::Generation(current) if current > n => "superseded",
        _ => "not switched",
    }
}
