//! The walk that the tutorial takes and that `make playground` prints.

use crate::{Behaviour, Playground, Result};

/// Its commands, in their order, on a site that serves v1.
pub const WALK: [&str; 10] = [
    "bg status",
    "bg deploy --release v2",
    "bg canary mobile=10%",
    "bg flip",
    "bg flip --back",
    "bg flip",
    "bg restore",
    "bg deploy --release bad",
    "bg abort",
    "bg status",
];

/// Writes the releases that the walk needs: v2, v3, and `bad`, whose web tier never gets healthy, which is found out soon.
///
/// # Errors
/// When a file cannot be written.
pub fn for_walk(site: &Playground) -> Result<()> {
    site.release("v2")?;
    site.release("v3")?;
    site.artifact("web", "bad", &Behaviour { unhealthy: true, ..Behaviour::default() })?;
    site.artifact("api", "bad", &Behaviour::default())?;
    site.edit_inventory(|text| text.replace("within = \"15s\"", "within = \"5s\""))
}
