//! Whole rollouts on a fleet of network namespaces, whose links are cut, hosts killed, disks filled and clocks wrong.
#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod case;
#[allow(dead_code, reason = "the end-to-end tests on loopback use the rest")]
#[path = "../rollout/desk.rs"]
mod desk;
mod hosts;
mod lines;
mod links;
mod matrix;
mod phase;
mod power;
mod reboot;
#[path = "../rollout/proof/tally.rs"]
mod tally;
