//! Real sshd, nginx and demo applications on loopback, as an ordinary user or root.
//!
//! ```no_run
//! # fn main() -> bg_playground::Result<()> {
//! use bg_playground::Playground;
//! let mut site = Playground::options().start()?;
//! site.setup("v1")?.expect(0);
//! site.bg(["status", "--json"])?.expect(0);
//! # Ok(()) }
//! ```
//!
//! Every host has its own address in 127.0.0.0/8, directory tree and sshd; every balancer its own nginx. One temporary
//! directory holds it all, and a reaper process removes it, and ends what runs, when the owner ends in whatever way. It is
//! made in /tmp, or in the directory that the environment names with `BG_PLAYGROUND_DIR`.

pub mod app;
mod artifact;
mod base;
mod behaviour;
mod block;
mod drip;
mod error;
pub mod etcd;
mod faults;
pub mod fleet;
mod get;
mod inventory;
mod keys;
mod layout;
pub mod load;
mod machine;
mod nginx;
mod options;
mod pane;
mod playground;
pub mod process;
mod programs;
pub mod reaper;
mod run;
mod sshd;
mod wait;
mod walk;

pub use behaviour::{APP_FILE, App, Behaviour};
pub use error::{Error, Result};
pub use etcd::Etcd;
pub use fleet::Fleet;
pub use get::{Answer, request};
pub use layout::{Balancer, Half, Host, Place, SITE};
pub use options::{Options, Pool};
pub use pane::Pane;
pub use playground::{Playground, skipped_unless_root};
pub use programs::{app_binary, write_program};
pub use run::{Ran, Running};
pub use wait::{listens, until};
pub use walk::{WALK, for_walk};
