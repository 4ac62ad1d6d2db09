//! Releases: v1, v2, … over the life of the site, each a map pool → immutable content.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A release's number; shown as `v7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What a pool's servers get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Kind a: an artifact, by the sha256 (lower-case hex) of what is uploaded, and where it was on the operator's machine.
    Artifact {
        /// sha256 of the artifact file; of a directory: of its deterministic tar.
        sha256: String,
        /// The path as resolved when the release was made.
        path: String,
    },
    /// Kind b: a command of the user's on each host decides; there is nothing to hash.
    Command,
}

/// One release of the whole site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub version: Version,
    /// The user's label: `--release`, else `git describe`, else the version.
    pub label: String,
    /// Pool → content, in the inventory's order.
    pub pools: IndexMap<String, Content>,
}

/// Whether `label` may name a release: `[A-Za-z0-9][A-Za-z0-9._+-]{0,63}`.
pub fn label_is_valid(label: &str) -> bool {
    let mut bytes = label.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && label.len() <= 64
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
}
