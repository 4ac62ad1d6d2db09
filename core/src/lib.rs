//! What `bg` decides: the inventory, traffic as a value, the nginx files that say it, and the rollout machine.
//!
//! Nothing here reads a clock, a file, the environment or a socket: time, randomness and template texts come in as
//! values, so every decision can be tested, replayed and model-checked.

pub mod half;
pub mod hex;
pub mod inventory;
pub mod lock;
pub mod nginx;
pub mod quote;
pub mod release;
pub mod rollout;
pub mod text;
pub mod traffic;

pub use half::Half;
