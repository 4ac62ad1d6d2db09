//! Whole rollouts on the playground: real sshd, real nginx, real applications, under load.

mod desk;
mod journey;
mod kills;
mod operators;
mod servers;
