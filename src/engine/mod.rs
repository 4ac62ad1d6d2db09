//! Drives a plan: journal, perform, journal. Knows no ssh and no nginx: the world is behind [`World`].

mod drive;
mod report;
mod world;

pub use drive::{Engine, Exit, Outcome};
pub use report::{Report, Reporter};
pub use world::{Effect, Failure, Journal, JournalError, Survey, Work, World};
