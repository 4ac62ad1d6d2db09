//! The journal's kinds: where the records and the site's lock are kept.

mod etcd;
mod file;
mod open;
mod records;
mod ssh;
mod store;
mod turn;
pub mod words;

use std::{path::Path, sync::Arc};

use bluegreen_core::inventory::JournalLocation;

use super::host::SshSettings;

pub use etcd::EtcdStore;
pub use file::FileStore;
pub use open::{OpenError, OpenJournal, Reading, read};
pub use records::{Records, parse};
pub use ssh::SshStore;
pub use store::{End, LEASE, Mend, Store, StoreError};
pub use turn::{Patience, Place, Waiting, take_turn};

/// The journal at `location`; nothing is contacted yet. Relative paths are below `base`; `ssh` says how
/// hosts are reached.
pub fn store(location: &JournalLocation, base: &Path, ssh: SshSettings) -> Arc<dyn Store> {
    match location {
        JournalLocation::File(path) => Arc::new(FileStore::new(base.join(path))),
        JournalLocation::Ssh { host, path } => Arc::new(SshStore::new(host, path, ssh)),
        JournalLocation::Etcd(etcd) => Arc::new(EtcdStore::new(etcd, base)),
    }
}
