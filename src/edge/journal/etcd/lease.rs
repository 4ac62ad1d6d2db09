//! A lease: what is attached to it lives as long as this process renews it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    cluster::{CallError, Cluster},
    messages::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest},
};
use crate::edge::journal::{LEASE, store::awake_or_not};

/// Three tries fit into the lease.
const RENEW: Duration = Duration::from_secs(5);
const RENEW_PATIENCE: Duration = Duration::from_secs(4);
/// After a renewal that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Whoever leaves does not wait longer for it: the lease runs out by itself.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A lease of this process, renewed in the background.
#[derive(Debug)]
pub struct Lease {
    /// What etcd knows it by.
    pub id: i64,
    standing: Arc<Standing>,
    keeper: JoinHandle<()>,
}

#[derive(Debug)]
struct Standing {
    /// When the renewal was asked for that was answered last.
    renewed_ms: AtomicU64,
    is_over: AtomicBool,
}

/// The same in milliseconds.
fn awake_or_not_ms() -> u64 {
    awake_or_not().as_millis().try_into().unwrap_or(u64::MAX)
}

impl Lease {
    /// Begins a lease. What was asked of a member that did not answer may begin it a second time: it has the same id.
    pub async fn begin(cluster: &Arc<Cluster>, patience: Duration) -> Result<Lease, CallError> {
        let id = rand::random_range(1..i64::MAX);
        let ttl = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
        let standing =
            Arc::new(Standing { renewed_ms: AtomicU64::new(awake_or_not_ms()), is_over: AtomicBool::new(false) });
        match cluster.call(&LeaseGrantRequest { ttl, id }, patience).await {
            Err(error) if !error.why.contains("lease already exists") => return Err(error),
            _ => {}
        }
        let keeper = tokio::spawn(keep(cluster.clone(), id, standing.clone()));
        Ok(Lease { id, standing, keeper })
    }

    /// Whether it was not renewed in time, as this machine's clock says it.
    pub fn is_over(&self) -> bool {
        let age = awake_or_not_ms().saturating_sub(self.standing.renewed_ms.load(Relaxed));
        self.standing.is_over.load(Relaxed) || u128::from(age) >= LEASE.as_millis()
    }

    /// Ends it, and everything that is attached to it.
    pub async fn end(self, cluster: &Cluster) {
        self.keeper.abort();
        // Best effort: it runs out.
        let _ = cluster.call(&LeaseRevokeRequest { id: self.id }, END_PATIENCE).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(cluster: Arc<Cluster>, id: i64, standing: Arc<Standing>) {
    let mut pause = RENEW;
    loop {
        tokio::time::sleep(pause).await;
        let asked = awake_or_not_ms();
        pause = match cluster.call(&LeaseKeepAliveRequest { id }, RENEW_PATIENCE).await {
            Ok(left) if left.ttl > 0 => {
                standing.renewed_ms.store(asked, Relaxed);
                RENEW
            }
            Ok(_) => return standing.is_over.store(true, Relaxed),
            Err(_) => RETRY,
        };
    }
}
