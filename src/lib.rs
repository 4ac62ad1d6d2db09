//! `bg`: blue-green deployment for people who run their own servers.

pub mod cli;
pub mod edge;
pub mod engine;
mod errors;
pub mod site;
