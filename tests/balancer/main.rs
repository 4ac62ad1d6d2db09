//! The balancer edge on real sshd and nginx.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod conf;
mod live;
mod site;
mod wiring;
