//! The keys of a journal in etcd, and what a transaction says of them.

use super::messages::{
    ASCEND, BY_CREATION, CREATE, Compare, Done, EQUAL, GREATER, KeyValue, MOD, Number, Operation, PutRequest,
    RangeRequest, RequestOp, TxnResponse, VERSION,
};

/// The keys below one prefix.
#[derive(Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// `prefix` has no slash at its end.
    pub fn new(prefix: &str) -> Keys {
        Keys { prefix: prefix.to_owned() }
    }

    /// What all of them begin with.
    pub fn all(&self) -> String {
        format!("{}/", self.prefix)
    }

    /// A record, from 0; in the order of their numbers they sort.
    pub fn record(&self, number: u64) -> String {
        format!("{}/journal/{number:016}", self.prefix)
    }

    /// Behind the last record.
    pub fn journal_end(&self) -> Vec<u8> {
        ended(&format!("{}/journal/", self.prefix))
    }

    /// A command's ticket.
    pub fn ticket(&self, lease: i64) -> String {
        format!("{}/queue/{lease:016x}", self.prefix)
    }

    /// The tickets, oldest first; `limit` 0: all of them.
    pub fn queue(&self, limit: i64) -> RangeRequest {
        let key = format!("{}/queue/", self.prefix);
        let range_end = ended(&key);
        RangeRequest { key: key.into_bytes(), range_end, limit, sort_order: ASCEND, sort_target: BY_CREATION }
    }

    /// The lock by hand.
    pub fn hold(&self) -> String {
        format!("{}/hold", self.prefix)
    }

    /// One key.
    pub fn one(key: &str) -> RangeRequest {
        RangeRequest { key: key.as_bytes().to_vec(), ..RangeRequest::default() }
    }
}

/// Behind every key that begins with `start`, which ends with a slash.
pub fn ended(start: &str) -> Vec<u8> {
    let mut end = start.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// Reads.
pub fn range(request: RangeRequest) -> RequestOp {
    RequestOp { request: Some(Operation::Range(request)) }
}

/// Writes; `lease` 0: for good.
pub fn put(key: &str, value: Vec<u8>, lease: i64) -> RequestOp {
    RequestOp { request: Some(Operation::Put(PutRequest { key: key.as_bytes().to_vec(), value, lease })) }
}

fn compare(key: &str, result: i32, target: i32, than: Number) -> Compare {
    Compare { result, target, key: key.as_bytes().to_vec(), than: Some(than), range_end: Vec::new() }
}

/// The key is not there.
pub fn absent(key: &str) -> Compare {
    compare(key, EQUAL, VERSION, Number::Version(0))
}

/// The key is there.
pub fn present(key: &str) -> Compare {
    compare(key, GREATER, VERSION, Number::Version(0))
}

/// The key was made by this revision.
pub fn made_at(key: &str, revision: i64) -> Compare {
    compare(key, EQUAL, CREATE, Number::Create(revision))
}

/// The key was changed last by this revision; 0: it never was there.
pub fn unchanged(key: &str, revision: i64) -> Compare {
    compare(key, EQUAL, MOD, Number::Mod(revision))
}

/// Every key of the range was made by this revision or a later one.
pub fn none_older(range: RangeRequest, revision: i64) -> Compare {
    let than = Some(Number::Create(revision - 1));
    Compare { result: GREATER, target: CREATE, key: range.key, than, range_end: range.range_end }
}

/// What the transaction's operation number `at` read.
pub fn found(answer: &TxnResponse, at: usize) -> &[KeyValue] {
    match answer.responses.get(at).and_then(|op| op.response.as_ref()) {
        Some(Done::Range(range)) => &range.kvs,
        _ => &[],
    }
}
