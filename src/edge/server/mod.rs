//! One server: its fence, its releases, what runs, and who is connected to it.
//!
//! Everything that changes a server happens there under `flock <root>/.bg/lock` and only if `<root>/.bg/fence` names the
//! same journal and no higher epoch, which is raised in the same breath. So nothing that was begun before a later step
//! can land after it: neither an upload that was delayed, nor a restart of an operator who is gone.
//!
//! ```text
//! <root>/.bg/lock        held while anything here changes
//! <root>/.bg/fence       JOURNAL EPOCH
//! <root>/.bg/marker      what runs, one line of JSON; written last by an activation
//! <root>/.bg/output      what the user's command said the last time
//! <root>/.bg/releases/vN the digest of what bg unpacked
//! <root>/releases/vN     complete releases; .vN.EPOCH.* are those being made or removed
//! <root>/shared/         what outlives releases
//! <root>/current         a link to releases/vN
//! ```
//! Every function here is one or two round trips, may be called again after any interruption, and is harmless when
//! called twice.

mod activate;
mod error;
mod place;
mod prune;
mod script;
mod seen;
mod sockets;

#[cfg(test)]
mod tests;

use std::time::Duration;

use bluegreen_core::inventory::{Deploy, Place, Pool, Words};
use bluegreen_core::release::{Content, Release};

use crate::edge::host::{Hosts, Stdin};

pub use activate::{Activated, activate};
pub use bluegreen_core::rollout::Epoch;
pub use error::{ServerError, What};
pub use place::{Placed, Progress, place_release};
pub use prune::prune;
pub use seen::{Fence, Kept, Marker, Seen};
pub use sockets::{Occupancy, Peer, addresses, occupancy, peers};

/// How long each thing on a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For the lock: longer than any of bg's own small changes takes.
    pub lock: Duration,
    /// For a small script besides the lock.
    pub script: Duration,
    /// For an upload with its unpacking: 2 GB over a link of 10 Mbit/s.
    pub upload: Duration,
    /// For the `restart` line; systemd itself gives a unit 90 s to stop and 90 s to start.
    pub restart: Duration,
    /// For the `run` line, which may fetch and build.
    pub run: Duration,
    /// How long a unit is watched after the restart: some crash loops of systemd's default pace.
    pub watch: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            lock: seconds(30),
            script: seconds(60),
            upload: seconds(1800),
            restart: seconds(300),
            run: seconds(1800),
            watch: seconds(5),
        }
    }
}

/// What is to be done on one server, and by what right.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The site.
    pub site: &'a str,
    /// The server's pool.
    pub pool: &'a Pool,
    /// The server.
    pub place: &'a Place,
    /// The step's right to change it.
    pub epoch: &'a Epoch,
    /// The release in question.
    pub release: &'a Release,
    /// The template words, of this release and place.
    pub words: &'a Words,
    /// How long it may take.
    pub bounds: Bounds,
}

impl Task<'_> {
    /// Whether bg unpacks releases here (kind a), or a command of the user's does everything (kind b).
    pub fn unpacks(&self) -> bool {
        matches!(self.pool.deploy, Deploy::Unpack { .. })
    }

    /// The digest of the pool's content in this release; `None` for kind b.
    fn digest(&self) -> Result<Option<&str>, What> {
        match self.release.pools.get(&self.pool.name) {
            Some(Content::Artifact { sha256, .. }) => Ok(Some(sha256)),
            Some(Content::Command) => Ok(None),
            None => {
                let detail = format!("release {} has nothing for the pool `{}`", self.release.version, self.pool.name);
                Err(What::Unsendable { detail })
            }
        }
    }

    /// The marker once the release runs.
    fn marker(&self) -> Result<Marker, What> {
        Ok(Marker {
            site: self.site.to_owned(),
            journal: self.epoch.journal.clone(),
            epoch: self.epoch.n,
            release: Some(self.release.version.to_string()),
            activating: None,
            label: self.release.label.clone(),
            sha256: self.digest()?.map(str::to_owned),
        })
    }

    fn error(&self, what: What) -> ServerError {
        ServerError::at(&self.place.host, &self.place.root, what)
    }
}

/// What is on a server. Changes nothing, and minds nothing that is missing.
pub async fn look(hosts: &Hosts, place: &Place, bounds: &Bounds) -> Result<Seen, ServerError> {
    let values = entry(place, "-", 0, bounds).map_err(|what| ServerError::at(&place.host, &place.root, what))?;
    let run = script::LOOK.run(values, bounds.script, Stdin::Null);
    let lines = script::ask(&hosts.get(&place.host), &place.root, run).await?;
    Seen::read(&lines).map_err(|what| ServerError::at(&place.host, &place.root, what))
}

/// Raises the server's fence to `epoch` and says what is there, in one round trip: afterwards nothing of an earlier step
/// can change it any more. Makes `<root>/.bg` where it is missing.
pub async fn raise(hosts: &Hosts, place: &Place, epoch: &Epoch, bounds: &Bounds) -> Result<Seen, ServerError> {
    let at = |what| ServerError::at(&place.host, &place.root, what);
    let values = entry(place, &epoch.journal, epoch.n, bounds).map_err(at)?;
    let run = script::RAISE.run(values, bounds.lock + bounds.script, Stdin::Null);
    let lines = script::ask(&hosts.get(&place.host), &place.root, run).await?;
    Seen::read(&lines).map_err(at)
}

/// The first four arguments of every script.
fn entry(place: &Place, journal: &str, epoch: u64, bounds: &Bounds) -> Result<Vec<String>, What> {
    let root = &place.root;
    let unsendable = |detail: String| Err(What::Unsendable { detail });
    if !(root.starts_with("~/") || root.starts_with('/') && root.len() > 1) {
        return unsendable("its root is neither absolute nor under `~/`".to_owned());
    }
    if journal.is_empty() || journal.contains(char::is_whitespace) {
        return unsendable(format!("the journal's id `{journal}` has a blank in it, or is empty"));
    }
    let root = root.trim_end_matches('/').to_owned();
    Ok(vec![root, journal.to_owned(), epoch.to_string(), bounds.lock.as_secs().to_string()])
}
