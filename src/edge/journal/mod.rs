//! The journal's kinds: where the records and the site's lock are kept.

mod file;
mod open;
mod records;
mod store;

use std::{path::Path, sync::Arc};

use bluegreen_core::inventory::JournalLocation;

pub use file::FileStore;
pub use open::{OpenError, OpenJournal, Patience, Reading, read, take_turn};
pub use store::{End, Store, StoreError};

/// The journal at `location`; nothing is contacted yet. Relative paths are below `base`.
pub fn store(location: &JournalLocation, base: &Path) -> Arc<dyn Store> {
    match location {
        JournalLocation::File(path) => Arc::new(FileStore::new(base.join(path))),
    }
}
