//! What a release of the demo application does: it travels inside the artifact, as `app.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The file in an artifact that says which release it is and how it behaves.
pub const APP_FILE: &str = "app.json";

/// How one release of the demo application behaves. The default is well-behaved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Names this release in `X-Release` instead of its own label.
    pub answers: Option<String>,
    /// Says this on stderr and exits with 1 instead of starting.
    pub crashes: Option<String>,
    /// Listens only so long after its start.
    pub starts_after_ms: u64,
    /// Does not listen while this file exists.
    pub silent_while: Option<PathBuf>,
    /// `/healthz` answers 503, always.
    pub unhealthy: bool,
    /// `/healthz` answers 503 until so long after its start.
    pub healthy_after_ms: u64,
    /// `/healthz` answers 503 while this file exists.
    pub unhealthy_while: Option<PathBuf>,
    /// Exits with 1 so long after its start.
    pub dies_after_ms: Option<u64>,
    /// SIGTERM changes nothing: only SIGKILL ends it.
    pub ignores_sigterm: bool,
    /// These paths answer 500.
    pub broken: Vec<String>,
}

/// The content of `app.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The release's label.
    pub release: String,
    /// How it behaves.
    #[serde(default)]
    pub behaviour: Behaviour,
}
