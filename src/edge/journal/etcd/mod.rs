//! The journal in etcd, for sites where no single host may be the one that must be up. Below the prefix: `journal/N`, one
//! record each, made and never changed; `queue/LEASE`, a ticket of each command that has the lock or waits for it, attached
//! to the command's lease; `hold`, empty unless the lock is held by hand.
//!
//! An append is one transaction: the record is not there yet, the one before it is, the caller's ticket is still the one
//! that it made, and no ticket is older. So it may be sent twice, to two members: one of them makes the record, and the
//! other finds it. One that is carried out late, after its caller has given up its ticket, does nothing.

mod cluster;
mod keys;
mod lease;
mod messages;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bluegreen_core::{
    inventory::EtcdLocation,
    lock::{Hold, Queue, Queued, Ticket},
};

use self::{
    cluster::{Access, CallError, Cluster, NOBODY},
    keys::{Keys, absent, ended, made_at, none_older, put, range, unchanged},
    lease::Lease,
    messages::{KeyValue, RangeRequest, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest},
};
use super::{
    store::{End, Mend, Store, StoreError},
    turn::lost,
};

/// Whoever only looks is not kept: `status` shows the hosts all the same.
const LOOK: Duration = Duration::from_secs(2);
/// Whoever changes the site waits until the members have a new leader: one to three seconds after one of them died.
const CHANGE: Duration = Duration::from_secs(10);
/// Looking at the queue costs a round trip; a change of it is told at once.
const PAUSE: Duration = Duration::from_secs(1);
/// etcd takes requests of 1.5 MiB; the transaction's conditions need some of it.
const MAX_RECORD: usize = 1_500_000;
/// Records are asked for in pages, more at once as long as they are small.
const FIRST_PAGE: i64 = 16;
const MAX_PAGE: i64 = 128;
const SMALL_PAGE: usize = 256 << 10;

/// A journal in etcd.
pub struct EtcdStore {
    name: String,
    keys: Keys,
    cluster: Arc<Cluster>,
    ours: Mutex<Option<Ours>>,
    /// The revision that the queue was seen at last.
    seen: AtomicI64,
}

/// This command's place in the queue.
#[derive(Debug)]
struct Ours {
    lease: Lease,
    key: String,
    /// The revision that made it: nobody else's ticket has it.
    made: i64,
}

impl EtcdStore {
    /// The journal at `location`; nothing is contacted yet. Files are below `base`.
    pub fn new(location: &EtcdLocation, base: &Path) -> EtcdStore {
        let access = location.access.clone();
        let below = |path: String| base.join(path);
        let access = Access {
            ca: access.ca.map(below),
            identity: access.cert.zip(access.key).map(|(cert, key)| (below(cert), below(key))),
            user: access.user.zip(access.password_file).map(|(user, file)| (user, below(file))),
        };
        EtcdStore {
            name: location.to_string(),
            keys: Keys::new(&location.prefix),
            cluster: Arc::new(Cluster::new(location.endpoints.clone(), access)),
            ours: Mutex::default(),
            seen: AtomicI64::new(0),
        }
    }

    fn ours(&self) -> MutexGuard<'_, Option<Ours>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        if self.ours().is_some() { CHANGE } else { LOOK }
    }

    fn failed(&self, doing: &str) -> impl FnOnce(CallError) -> StoreError {
        let name = self.name.clone();
        move |error| mendable(format!("the journal `{name}` could not be {doing}: {}", error.why))
    }

    /// Makes the ticket's key, attached to the lease; returns the revision that made it.
    async fn make_ticket(&self, key: &str, ticket: &Ticket, lease: &Lease) -> Result<i64, StoreError> {
        let failed = || self.failed("locked");
        let text = serde_json::to_vec(ticket).map_err(|error| StoreError::Failed(error.to_string()))?;
        let request = TxnRequest {
            compare: vec![absent(key)],
            success: vec![put(key, text, lease.id)],
            failure: vec![range(Keys::one(key))],
        };
        let answer = self.cluster.call(&request, CHANGE).await.map_err(failed())?;
        if answer.succeeded {
            return Ok(answer.header.map_or(0, |header| header.revision));
        }
        // Made by what was sent to a member that did not answer: no other process has this lease.
        let found = keys::found(&answer, 0).first().map(|kv| kv.create_revision);
        found.ok_or_else(|| failed()(CallError { why: "its ticket was taken away".to_owned(), is_unknown: false }))
    }

    /// Why a transaction that appends did nothing. `Ok`: because it was carried out before.
    fn why_not(&self, answer: &TxnResponse, line: &str, key: &str, made: i64) -> Result<(), StoreError> {
        let there = keys::found(answer, 0).first();
        if there.is_some_and(|kv| kv.value == line.as_bytes()) {
            return Ok(());
        }
        let first = keys::found(answer, 1).first();
        let is_first = first.is_some_and(|kv| kv.key == key.as_bytes() && kv.create_revision == made);
        if !is_first {
            return Err(lost(&self.name));
        }
        let why = match there {
            Some(_) => "somebody else appended to it while this command was under way",
            None => "it was cut short while this command was under way",
        };
        Err(StoreError::Conflict(why.to_owned()))
    }

    /// The records of one page from `key` on, and whether there are more.
    async fn page(&self, key: Vec<u8>, limit: i64) -> Result<(Vec<KeyValue>, bool), StoreError> {
        let range_end = self.keys.journal_end();
        let request = RangeRequest { key, range_end, limit, ..RangeRequest::default() };
        let answer = self.cluster.call(&request, self.patience()).await.map_err(self.failed("read"))?;
        Ok((answer.kvs, answer.more))
    }

    async fn hold(&self) -> Result<(i64, Option<Hold>), StoreError> {
        let request = Keys::one(&self.keys.hold());
        let answer = self.cluster.call(&request, CHANGE).await.map_err(self.failed("read"))?;
        let Some(kv) = answer.kvs.first() else { return Ok((0, None)) };
        Ok((kv.mod_revision, Self::held(kv)))
    }

    fn held(kv: &KeyValue) -> Option<Hold> {
        (!kv.value.is_empty()).then(|| Hold::read(&kv.value))
    }

    fn decoded<T: serde::de::DeserializeOwned>(&self, kv: &KeyValue) -> Result<T, StoreError> {
        let key = String::from_utf8_lossy(&kv.key);
        let unread = |error| StoreError::Failed(format!("`{key}` in `{}` cannot be read: {error}", self.name));
        serde_json::from_slice(&kv.value).map_err(unread)
    }
}

fn mendable(why: String) -> StoreError {
    if why.contains(NOBODY) {
        StoreError::Mendable { why, mend: Mend::Members }
    } else if why.contains("database space exceeded") {
        StoreError::Mendable { why, mend: Mend::RoomInEtcd }
    } else {
        StoreError::Failed(why)
    }
}

#[async_trait]
impl Store for EtcdStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self) -> Result<Vec<u8>, StoreError> {
        let (mut bytes, mut limit) = (Vec::new(), FIRST_PAGE);
        let mut from = self.keys.record(0).into_bytes();
        loop {
            let (records, more) = self.page(from, limit).await?;
            let before = bytes.len();
            for record in &records {
                bytes.extend_from_slice(&record.value);
                bytes.push(b'\n');
            }
            let Some(last) = records.into_iter().next_back().filter(|_| more) else { return Ok(bytes) };
            // The next key there can be.
            from = [last.key, vec![0]].concat();
            limit = if bytes.len() - before < SMALL_PAGE { MAX_PAGE.min(limit * 2) } else { FIRST_PAGE };
        }
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        let hold = Keys::one(&self.keys.hold());
        let request = TxnRequest { success: vec![range(hold), range(self.keys.queue(0))], ..TxnRequest::default() };
        let answer = self.cluster.call(&request, self.patience()).await.map_err(self.failed("read"))?;
        self.seen.store(answer.header.map_or(0, |header| header.revision), Relaxed);
        let hold = keys::found(&answer, 0).first().and_then(Self::held);
        let tickets = keys::found(&answer, 1)
            .iter()
            .map(|kv| Ok(Queued { id: String::from_utf8_lossy(&kv.key).into_owned(), ticket: self.decoded(kv)? }));
        Ok(Queue { hold, tickets: tickets.collect::<Result<_, StoreError>>()? })
    }

    async fn enter(&self, ticket: &Ticket) -> Result<String, StoreError> {
        let lease = Lease::begin(&self.cluster, CHANGE).await.map_err(self.failed("locked"))?;
        let key = self.keys.ticket(lease.id);
        match self.make_ticket(&key, ticket, &lease).await {
            Ok(made) => {
                *self.ours() = Some(Ours { lease, key: key.clone(), made });
                Ok(key)
            }
            Err(error) => {
                lease.end(&self.cluster).await;
                Err(error)
            }
        }
    }

    async fn begin(&self) -> Result<(), StoreError> {
        // The first ticket is the lock: every append asks for it.
        Ok(())
    }

    async fn leave(&self) {
        let ours = self.ours().take();
        if let Some(ours) = ours {
            ours.lease.end(&self.cluster).await;
        }
    }

    async fn append(&self, end: End, line: &str) -> Result<End, StoreError> {
        let ours = self.ours().as_ref().filter(|ours| !ours.lease.is_over()).map(|ours| (ours.key.clone(), ours.made));
        let Some((ticket, made)) = ours else { return Err(lost(&self.name)) };
        if line.len() > MAX_RECORD {
            return Err(StoreError::Failed(format!(
                "the record has {} bytes, and etcd takes none longer than {MAX_RECORD}",
                line.len()
            )));
        }
        let key = self.keys.record(end.records);
        let mut compare = vec![absent(&key), made_at(&ticket, made), none_older(self.keys.queue(0), made)];
        if let Some(last) = end.records.checked_sub(1) {
            compare.push(keys::present(&self.keys.record(last)));
        }
        let request = TxnRequest {
            compare,
            success: vec![put(&key, line.as_bytes().to_vec(), 0)],
            failure: vec![range(Keys::one(&key)), range(self.keys.queue(1))],
        };
        match self.cluster.call(&request, CHANGE).await {
            Ok(answer) if answer.succeeded => {}
            Ok(answer) => self.why_not(&answer, line, &ticket, made)?,
            Err(error) if error.is_unknown => {
                return Err(StoreError::Unknown(format!(
                    "whether the last record reached the journal is not known: {}. Nothing more was done",
                    error.why
                )));
            }
            Err(error) => return Err(mendable(error.why)),
        }
        let bytes = end.bytes + line.len() as u64 + 1;
        Ok(End { records: end.records + 1, bytes, unterminated: false })
    }

    async fn set_hold(&self, from: Option<&Hold>, to: Option<&Hold>) -> Result<bool, StoreError> {
        let (changed, now) = self.hold().await?;
        if now.as_ref() != from {
            return Ok(false);
        }
        let key = self.keys.hold();
        // Released by an empty value: a revision that was compared once never comes again, so what is carried out late
        // does nothing.
        let value = to.map(serde_json::to_vec).transpose().map_err(|error| StoreError::Failed(error.to_string()))?;
        let request = TxnRequest {
            compare: vec![unchanged(&key, changed)],
            success: vec![put(&key, value.unwrap_or_default(), 0)],
            failure: Vec::new(),
        };
        let answer = self.cluster.call(&request, CHANGE).await.map_err(self.failed("locked or unlocked"))?;
        // What was sent to a member that did not answer may have been it.
        Ok(answer.succeeded || from != to && self.hold().await?.1.as_ref() == to)
    }

    fn pause(&self) -> Duration {
        PAUSE
    }

    async fn changed(&self, within: Duration) {
        let range_end = ended(&self.keys.all());
        let start_revision = self.seen.load(Relaxed) + 1;
        let create = WatchCreateRequest { key: self.keys.all().into_bytes(), range_end, start_revision };
        let watch = async {
            if !self.cluster.watch(WatchRequest { create: Some(create) }).await {
                std::future::pending::<()>().await;
            }
        };
        // The bound is the caller's: there may be nothing to tell.
        let _ = tokio::time::timeout(within, watch).await;
    }
}
