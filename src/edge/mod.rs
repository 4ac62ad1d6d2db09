//! The edges: everything that touches the world.

pub mod artifact;
pub mod balancer;
pub mod check;
pub mod health;
pub mod host;
pub mod journal;
pub mod server;
pub mod world;
