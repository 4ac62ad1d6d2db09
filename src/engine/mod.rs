//! Drives a plan: journal, perform, journal. Knows no ssh and no nginx: the world is behind [`World`].

mod alike;
mod clock;
mod drive;
mod report;
mod words;
mod world;

pub use alike::alike;
pub use bluegreen_core::rollout::{Effect, Survey};
pub use clock::{clock, goes_back, goes_back_at};
pub use drive::{Engine, Exit, Outcome};
pub use report::{Doing, Progress, Report, Reporter};
pub use words::{and_then, describe_stage, named, sentence, some_of, still_open, typed, ways_on};
pub use world::{Failure, Journal, JournalError, Work, World};
