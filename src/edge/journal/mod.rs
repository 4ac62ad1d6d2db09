//! The journal's backends.

mod file;

pub use file::{FileJournal, OpenError, Reading, read};
