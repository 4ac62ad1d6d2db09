//! The rollout machine: stages, steps, plans, events, and the state that replaying them gives.

mod armed;
mod command;
mod drive;
mod event;
pub mod explain;
mod plan;
mod replay;
mod stage;
mod state;
mod step;

pub use armed::{Armed, Arming};
pub use command::{Command, Verb};
pub use drive::{Effect, Failed, Resume, Survey};
pub use event::{By, DecodeError, Entry, Event, FORMAT, decode, encode};
pub use plan::{Plan, PlanError, Planned, plan, settle};
pub use replay::ReplayError;
pub use stage::{Refusal, Stage, Transition, table};
pub use state::{Moved, OpenCommand, OpenShift, OpenStep, Rollout, State};
pub use step::{Before, Direction, Epoch, Step};
