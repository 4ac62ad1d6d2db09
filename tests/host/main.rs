//! Hosts over real OpenSSH: what runs there, what is told apart, and that nothing is left behind.

mod bounds;
mod commands;
mod connecting;
mod health;
mod sshd;
