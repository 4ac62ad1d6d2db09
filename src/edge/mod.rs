//! The edges: everything that touches the world.

pub mod artifact;
pub mod host;
pub mod journal;
pub mod server;
