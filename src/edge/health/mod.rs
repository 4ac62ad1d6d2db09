//! Whether a place is healthy, asked over forwarded connections: one small HTTP request at a time, bounded in time and size.

mod http;
mod probe;
mod verdict;

pub use http::{Answer, ProbeError, Request, get};
pub use probe::{Depth, Probe, Progress, for_place};
pub use verdict::{Unhealthy, Verdict};
