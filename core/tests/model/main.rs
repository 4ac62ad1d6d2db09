//! A model of the rollout over the core's own types and functions: crashes, late messages, unreachable balancers, two
//! operators. Every reachable state is visited, and every rule that safety stands on is dropped once to see that it counts.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test, whose numbers are to be seen")]

mod site;

use bluegreen_core::{Half, rollout::Verb};
use site::{At, Late, Operator, Rules, Site, Tree};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// One run of the model.
#[derive(Clone, Copy)]
struct Run {
    operators: usize,
    crashes: u8,
    cuts: u8,
    late: bool,
    /// Whether canaries and flips go back by themselves.
    reverts: bool,
    /// Entries that the journal may get, where the whole space is too large for a test.
    entries: u64,
    rules: Rules,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    /// An operator reads the journal, and will begin a command.
    Begin(usize, Verb),
    /// An operator reads the journal, and will resume.
    Resume(usize),
    /// An operator reads the journal, and will confirm.
    Confirm(usize),
    /// On a balancer the time of an order is up.
    Fire(usize, usize),
    /// The next action of a command.
    Advance(usize),
    /// A command dies; `true`: what it was sending is still under way.
    Die(usize, bool),
    /// What was under way arrives; `false`: and is cut off half way.
    Arrive(bool),
    /// A request is given to a half by a balancer.
    Ask(usize, Half),
    /// The request of a half ends.
    Answer(Half),
    /// A balancer becomes unreachable, or reachable again.
    Toggle(usize),
}

fn side(half: Half) -> usize {
    usize::from(half == Half::Green)
}

impl Model for Run {
    type State = Site;
    type Action = Action;

    fn init_states(&self) -> Vec<Site> {
        vec![Site::balanced(self.operators, self.crashes, self.cuts, self.reverts)]
    }

    fn actions(&self, site: &Site, actions: &mut Vec<Action>) {
        if site.broken.is_some() {
            return;
        }
        for (who, operator) in site.operators.iter().enumerate() {
            if operator.is_none() {
                actions.extend(Verb::ALL.map(|verb| Action::Begin(who, verb)));
                actions.push(Action::Resume(who));
                if self.reverts {
                    actions.push(Action::Confirm(who));
                }
                continue;
            }
            actions.push(Action::Advance(who));
            if site.crashes > 0 {
                actions.push(Action::Die(who, false));
                if self.late && site.late.is_none() && site.sending(who).is_some() {
                    actions.push(Action::Die(who, true));
                }
            }
        }
        if let Some(late) = site.late {
            actions.push(Action::Arrive(true));
            if matches!(late, Late::Activate { .. }) {
                actions.push(Action::Arrive(false));
            }
        }
        for half in Half::ALL {
            if site.servers[side(half)].busy {
                actions.push(Action::Answer(half));
            } else {
                let fronts = site.fronts.iter().enumerate().filter(|(_, front)| front.tree.reaches(half));
                actions.extend(fronts.map(|(front, _)| Action::Ask(front, half)).take(1));
            }
        }
        for (front, seen) in site.fronts.iter().enumerate() {
            actions.extend((0..seen.orders.len()).map(|order| Action::Fire(front, order)));
            if !seen.up || site.cuts > 0 {
                actions.push(Action::Toggle(front));
            }
        }
    }

    fn next_state(&self, last: &Site, action: Action) -> Option<Site> {
        let mut site = last.clone();
        match action {
            Action::Begin(who, verb) => {
                site.operators[who] = Some(Operator { seen: site.log.clone(), at: At::Begin(verb) });
                // One operator alone has nobody to come in between.
                if self.operators == 1 {
                    site.advance(who, self.rules);
                }
            }
            Action::Resume(who) => {
                site.log.open.as_ref()?;
                site.operators[who] = Some(Operator { seen: site.log.clone(), at: At::Resume });
            }
            Action::Confirm(who) => {
                site.log.armed.as_ref()?;
                site.operators[who] = Some(Operator { seen: site.log.clone(), at: At::Confirm });
            }
            Action::Fire(front, order) => site.fire(front, order),
            Action::Advance(who) => {
                if !site.advance(who, self.rules) {
                    return None;
                }
            }
            Action::Die(who, sending) => {
                site.crashes -= 1;
                if sending {
                    site.late = site.sending(who);
                }
                site.operators[who] = None;
            }
            Action::Arrive(whole) => site.deliver(whole, self.rules),
            Action::Ask(_, half) => site.servers[side(half)].busy = true,
            Action::Answer(half) => site.servers[side(half)].busy = false,
            Action::Toggle(front) => {
                let front = &mut site.fronts[front];
                if front.up {
                    site.cuts -= 1;
                }
                front.up = !front.up;
            }
        }
        Some(site)
    }

    fn within_boundary(&self, site: &Site) -> bool {
        site.log.length - site.first <= self.entries
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is touched that serves, and no two writers succeed", |_, site: &Site| {
                site.broken.is_none()
            }),
            Property::always("traffic points only at a half that is healthy on a release", |_, site: &Site| {
                site.fronts.iter().all(|front| {
                    Half::ALL
                        .iter()
                        .all(|&half| !front.tree.reaches(half) || site.servers[side(half)].running.is_some())
                })
            }),
            Property::always("what the journal calls settled never goes back by itself", |_, site: &Site| {
                site.broken.is_some() || !site.may_surprise()
            }),
            Property::always("what nobody confirmed goes back by itself", |_, site: &Site| {
                site.broken.is_some() || !site.stays_unconfirmed()
            }),
            Property::always("both halves serve together only on one release", |_, site: &Site| {
                let both = site.fronts.iter().any(|front| front.tree == Tree::Both);
                !both || site.servers[0].running == site.servers[1].running
            }),
            Property::always("some command leads back to balanced", |_, site: &Site| {
                site.broken.is_some() || site.operators.iter().any(Option::is_some) || site.leads_back()
            }),
            Property::always("`flip --back` ends whatever was interrupted while blue serves", |_, site: &Site| {
                site.broken.is_some() || site.operators.iter().any(Option::is_some) || site.way_back_is_open()
            }),
        ]
    }
}

const RUN: Run =
    Run { operators: 1, crashes: 1, cuts: 1, late: true, reverts: false, entries: u64::MAX, rules: Rules::ALL };

fn check(run: Run) -> (usize, usize, Vec<&'static str>) {
    let checker = run.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    for (property, path) in &discoveries {
        println!("not held: {property}:");
        for (site, action) in path.clone().into_vec() {
            println!("  {:?} {}: {action:?}", site.log.stage, site.log.traffic);
        }
    }
    (checker.unique_state_count(), checker.max_depth(), discoveries.into_keys().collect())
}

fn holds(name: &str, run: Run) {
    let (states, depth, found) = check(run);
    println!("{name}: {states} states, depth {depth}");
    assert!(found.is_empty(), "{name}: {found:?}");
    assert!(states > 10_000, "a model that visits {states} states proves nothing");
}

/// A rule is dropped: what it stands for must be seen to break.
fn breaks(name: &str, run: Run) {
    let (_, _, found) = check(run);
    assert!(!found.is_empty(), "{name}: nothing broke without it, so the model does not need it");
}

#[test]
fn one_operator_who_may_die_at_any_point() {
    holds("one operator, one crash, one balancer cut off, a late message", RUN);
}

#[test]
fn two_operators_at_once() {
    holds("two operators, one crash, a late message", Run { operators: 2, cuts: 0, entries: 10, ..RUN });
}

#[test]
fn shifts_that_go_back_by_themselves() {
    holds("shifts that go back by themselves, one crash, a late message", Run { cuts: 0, reverts: true, ..RUN });
}

#[test]
fn shifts_that_go_back_while_a_balancer_is_cut_off() {
    holds(
        "shifts that go back by themselves, one balancer cut off",
        Run { crashes: 0, late: false, reverts: true, ..RUN },
    );
}

#[test]
#[ignore = "for a soak: two million states"]
fn shifts_that_go_back_with_everything_that_can_go_wrong() {
    holds("shifts that go back, one crash, one balancer cut off, a late message", Run { reverts: true, ..RUN });
}

#[test]
fn the_balancers_fence_counts() {
    breaks("balancer fence", Run { rules: Rules { balancer_fence: false, ..Rules::ALL }, ..RUN });
}

#[test]
fn the_servers_fence_counts() {
    breaks("server fence", Run { rules: Rules { server_fence: false, ..Rules::ALL }, ..RUN });
}

#[test]
fn compare_and_append_counts() {
    let rules = Rules { compare_and_append: false, ..Rules::ALL };
    breaks(
        "compare-and-append",
        Run { operators: 2, crashes: 0, cuts: 0, late: false, reverts: false, entries: 14, rules },
    );
}

#[test]
fn the_drain_counts() {
    breaks("drain", Run { crashes: 0, cuts: 0, late: false, rules: Rules { drain: false, ..Rules::ALL }, ..RUN });
}

#[test]
fn the_order_of_an_armed_shift_counts() {
    let rules = Rules { order: false, ..Rules::ALL };
    breaks("order of an armed shift", Run { cuts: 0, reverts: true, rules, ..RUN });
}

/// What does not fit a test's time or memory; `make soak` runs it (some minutes, some gigabytes).
mod large {
    use super::*;

    #[test]
    #[ignore = "large: `make soak` runs it"]
    fn two_operators_with_more_entries() {
        holds(
            "two operators, one crash, a late message, at most 12 entries",
            Run { operators: 2, cuts: 0, entries: 12, ..RUN },
        );
    }

    #[test]
    #[ignore = "large: `make soak` runs it"]
    fn two_operators_and_a_balancer_that_is_cut_off() {
        holds(
            "two operators, one crash, one balancer cut off, no late message, at most 10 entries",
            Run { operators: 2, late: false, entries: 10, ..RUN },
        );
    }

    #[test]
    #[ignore = "large: `make soak` runs it"]
    fn one_operator_who_may_die_twice() {
        holds(
            "one operator, two crashes, one balancer cut off, a late message, at most 16 entries",
            Run { crashes: 2, entries: 16, ..RUN },
        );
    }
}
