//! Whole rollouts on the playground: real sshd, real nginx, real applications, under load.

#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod balancers;
mod delayed;
mod desk;
mod etcd;
mod explained;
mod first_use;
mod journey;
mod kills;
mod lock;
mod operators;
mod proof;
mod revert;
mod screen;
mod servers;
mod shared;
mod table;
mod tutorial;
