//! What core renders, in a real nginx on loopback, as root or as an ordinary user.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "core itself starts nothing and reads no clock; these tests do, and may panic"
)]

use bluegreen_core::inventory;

#[path = "../../src/nginx/samples.rs"]
mod samples;

mod rig;

mod quoting;
mod segments;
mod switching;
mod wiring;
