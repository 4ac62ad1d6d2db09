//! The checked inventory: what one site is. [`parse`] turns TOML into it, or into every error at once.

mod types;

pub use types::*;
