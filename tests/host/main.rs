//! Hosts over real OpenSSH: what runs there, what is told apart, and that nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod alone;
mod bounds;
mod commands;
mod connecting;
mod health;
mod sshd;
mod standing;
