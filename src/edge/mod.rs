//! The edges: everything that touches the world.

pub mod artifact;
