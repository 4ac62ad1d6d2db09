//! The journal in etcd: members that die, hang and come back, leases, appends whose answer never came, TLS and users.

mod alone;
mod members;
mod secured;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bg_playground::Etcd;
use bluegreen::edge::journal::{End, EtcdStore, Patience, Store, StoreError, Waiting, take_turn};
use bluegreen_core::{
    inventory::{EtcdAccess, EtcdLocation},
    lock::{Hold, Ticket},
    rollout::By,
};

/// More than anything takes that does not wait for a lease.
pub const SOON: Duration = Duration::from_secs(30);

/// A look is not waited for so long as a change, which takes ten seconds to be given up.
const SOONER_THAN_A_CHANGE: Duration = Duration::from_secs(9);

fn by(user: &str) -> By {
    By { user: user.to_owned(), host: "desk".to_owned(), pid: 7 }
}

fn ticket(user: &str) -> Ticket {
    Ticket {
        by: by(user),
        command: "flip".to_owned(),
        release: None,
        since: "2026-01-01T00:00:00Z".to_owned(),
        waits: true,
    }
}

fn location(etcd: &Etcd) -> EtcdLocation {
    EtcdLocation { endpoints: etcd.endpoints(), prefix: "/bg/shop".to_owned(), access: EtcdAccess::default() }
}

/// The journal as one more command sees it.
fn store(etcd: &Etcd) -> Arc<dyn Store> {
    Arc::new(EtcdStore::new(&location(etcd), etcd.dir()))
}

/// A command that has the lock.
async fn holder(etcd: &Etcd, user: &str) -> Arc<dyn Store> {
    let store = store(etcd);
    take_turn(store.as_ref(), &ticket(user), Patience::default(), &mut |_| false).await.unwrap();
    store
}

/// Appends these records one by one.
async fn append(
    store: &Arc<dyn Store>,
    mut end: End,
    lines: impl IntoIterator<Item = String>,
) -> Result<End, StoreError> {
    for line in lines {
        end = store.append(end, &line).await?;
    }
    Ok(end)
}

/// What the journal holds. A look is given up soon, as that of `bg status` is: sooner than another leader may be elected.
async fn lines(etcd: &Etcd) -> Vec<String> {
    let begun = Instant::now();
    let bytes = loop {
        match store(etcd).read().await {
            Ok(bytes) => break bytes,
            Err(error) => assert!(begun.elapsed() < SOON, "{error}"),
        }
    };
    String::from_utf8(bytes).unwrap().lines().map(ToOwned::to_owned).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("record {n}")).collect()
}

fn hold() -> Hold {
    Hold { by: by("anna"), since: "2026-01-01T00:00:00Z".to_owned(), why: None, copy_of: None }
}
