//! What is found on a server.

use serde::{Deserialize, Serialize};

use super::Task;
use super::error::What;
use crate::edge::artifact::Encoding;

/// The line in `<root>/.bg/marker`: who changed this server last, and what runs. While an activation is under way, or
/// after one that failed, `release` is absent and `activating` names what it was to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The site.
    pub site: String,
    /// The journal's id.
    pub journal: String,
    /// The epoch of the activation.
    pub epoch: u64,
    /// The release that runs, such as `v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The release that an activation began to make run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activating: Option<String>,
    /// The release's label.
    pub label: String,
    /// The content's digest; null where bg unpacks nothing.
    pub sha256: Option<String>,
}

/// Who may change the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The journal's id.
    pub journal: String,
    /// The highest epoch that changed it.
    pub epoch: u64,
}

/// A release in `<root>/releases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The directory's name, such as `v2`.
    pub name: String,
    /// The digest that bg recorded when it put it there; `None`: bg did not.
    pub sha256: Option<String>,
}

/// A server as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// `None`: bg never changed anything here.
    pub fence: Option<Fence>,
    /// `None`: no activation ever began here, or the marker is damaged.
    pub marker: Option<Marker>,
    /// The name that `current` points to, such as `v2`.
    pub current: Option<String>,
    /// Complete releases, in no order.
    pub releases: Vec<Kept>,
    /// Those of the programs that bg may need that are installed: awk, flock, gzip, setsid, sha256sum, systemctl, tar,
    /// timeout, zstd.
    pub tools: Vec<String>,
    /// Where the root is, or will be; `None`: the host did not say.
    pub disk_free_bytes: Option<u64>,
    /// Whether the login user may write there.
    pub writable: bool,
}

impl Seen {
    /// Reads the facts that a script reported.
    pub(super) fn read(lines: &[String]) -> Result<Seen, What> {
        let mut seen = Seen::default();
        for line in lines {
            let garbled = || What::Garbled { said: line.clone() };
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "fence" => {
                    let (journal, epoch) = rest.rsplit_once(' ').ok_or(What::DamagedFence)?;
                    let epoch = epoch.parse().map_err(|_| What::DamagedFence)?;
                    seen.fence = Some(Fence { journal: journal.to_owned(), epoch });
                }
                // A damaged marker claims nothing.
                "marker" => seen.marker = serde_json::from_str(rest).ok(),
                "current" => seen.current = Some(rest.to_owned()),
                "release" => {
                    let (name, digest) = rest.split_once(' ').ok_or_else(garbled)?;
                    let sha256 = (digest != "-").then(|| digest.to_owned());
                    seen.releases.push(Kept { name: name.to_owned(), sha256 });
                }
                "tool" => seen.tools.push(rest.to_owned()),
                "free" => seen.disk_free_bytes = rest.parse().ok().map(|kib: u64| kib.saturating_mul(1024)),
                "writable" => seen.writable = true,
                "present" => {}
                _ => return Err(garbled()),
            }
        }
        Ok(seen)
    }

    /// Whether the task's release runs here already by the marker and, where bg unpacks releases, by `current`.
    pub fn runs(&self, task: &Task<'_>) -> bool {
        let (Some(marker), Ok(wanted)) = (&self.marker, task.marker()) else { return false };
        let same = Marker { epoch: marker.epoch, ..wanted } == *marker;
        let version = task.release.version.to_string();
        same && (!task.unpacks() || self.current.as_deref() == Some(version.as_str()))
    }

    /// Whether a program is installed.
    pub fn has(&self, tool: &str) -> bool {
        self.tools.iter().any(|one| one == tool)
    }

    /// The best compression that the host can undo.
    pub(super) fn encoding(&self) -> Encoding {
        if self.has("zstd") {
            Encoding::Zstd
        } else if self.has("gzip") {
            Encoding::Gzip
        } else {
            Encoding::Plain
        }
    }
}
