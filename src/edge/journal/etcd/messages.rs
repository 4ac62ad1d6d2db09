//! The part of etcd's API (v3, gRPC) that bg speaks, field by field: what etcd's own `rpc.proto` and `kv.proto` say. Written
//! by hand, so that building bg needs no protobuf compiler; what bg does not ask for is left out.

use prost::{Message, Oneof};

/// A request, where it goes and what answers it.
pub trait Call: Message + Clone + Default + 'static {
    /// What answers it.
    type Answer: Message + Default + 'static;
    /// The method's path.
    const PATH: &'static str;
}

macro_rules! calls {
    ($($request:ty => $answer:ty, $path:literal;)+) => {
        $(impl Call for $request {
            type Answer = $answer;
            const PATH: &'static str = $path;
        })+
    };
}

calls! {
    RangeRequest => RangeResponse, "/etcdserverpb.KV/Range";
    TxnRequest => TxnResponse, "/etcdserverpb.KV/Txn";
    LeaseGrantRequest => LeaseGrantResponse, "/etcdserverpb.Lease/LeaseGrant";
    LeaseRevokeRequest => LeaseRevokeResponse, "/etcdserverpb.Lease/LeaseRevoke";
    LeaseKeepAliveRequest => LeaseKeepAliveResponse, "/etcdserverpb.Lease/LeaseKeepAlive";
    AuthenticateRequest => AuthenticateResponse, "/etcdserverpb.Auth/Authenticate";
}

/// The watch is a stream both ways.
pub const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// Of every answer.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ResponseHeader {
    /// The store's revision when it answered.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// One key.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The revision that made it.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision that changed it last.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// Its value.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

/// `sort_order`: smallest first.
pub const ASCEND: i32 = 1;
/// `sort_target`: by the revision that made the key.
pub const BY_CREATION: i32 = 2;

/// The keys from `key` up to `range_end`, or `key` alone when that is empty.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The end, not included.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// At most so many; 0: all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// See [`ASCEND`].
    #[prost(int32, tag = "5")]
    pub sort_order: i32,
    /// See [`BY_CREATION`].
    #[prost(int32, tag = "6")]
    pub sort_target: i32,
}

/// What was found.
#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    /// As of when.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The keys.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut something off.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Writes a key.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Its value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// The lease that it ends with; 0: none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
}

/// A written key.
#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOp {
    /// It.
    #[prost(oneof = "Operation", tags = "1, 2")]
    pub request: Option<Operation>,
}

/// See [`RequestOp`].
#[derive(Clone, PartialEq, Oneof)]
pub enum Operation {
    /// Reads.
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    /// Writes.
    #[prost(message, tag = "2")]
    Put(PutRequest),
}

/// What one operation of a transaction gave.
#[derive(Clone, PartialEq, Message)]
pub struct ResponseOp {
    /// It.
    #[prost(oneof = "Done", tags = "1, 2")]
    pub response: Option<Done>,
}

/// See [`ResponseOp`].
#[derive(Clone, PartialEq, Oneof)]
pub enum Done {
    /// Was read.
    #[prost(message, tag = "1")]
    Range(RangeResponse),
    /// Was written.
    #[prost(message, tag = "2")]
    Put(PutResponse),
}

/// `result`: the key's is the same.
pub const EQUAL: i32 = 0;
/// `result`: the key's is greater.
pub const GREATER: i32 = 1;
/// `target`: how often the key was written; 0: it is not there.
pub const VERSION: i32 = 0;
/// `target`: the revision that made it.
pub const CREATE: i32 = 1;
/// `target`: the revision that changed it last; 0: it is not there.
pub const MOD: i32 = 2;

/// A condition; with a `range_end` it must hold for every key of the range.
#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    /// See [`EQUAL`], [`GREATER`].
    #[prost(int32, tag = "1")]
    pub result: i32,
    /// See [`VERSION`], [`CREATE`], [`MOD`].
    #[prost(int32, tag = "2")]
    pub target: i32,
    /// The key, or the first one.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// What it is compared with.
    #[prost(oneof = "Number", tags = "4, 5, 6")]
    pub than: Option<Number>,
    /// The end of the keys, not included; empty: only one.
    #[prost(bytes = "vec", tag = "64")]
    pub range_end: Vec<u8>,
}

/// See [`Compare`]; its kind must be the target's.
#[derive(Clone, Copy, PartialEq, Eq, Oneof)]
pub enum Number {
    /// A version.
    #[prost(int64, tag = "4")]
    Version(i64),
    /// A revision of creation.
    #[prost(int64, tag = "5")]
    Create(i64),
    /// A revision of change.
    #[prost(int64, tag = "6")]
    Mod(i64),
}

/// All of `success` when every condition holds, else all of `failure`, at one instant.
#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    /// The conditions.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// When they hold.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// When not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// What a transaction did.
#[derive(Clone, PartialEq, Message)]
pub struct TxnResponse {
    /// At which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// Whether the conditions held.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    /// What the operations gave, in their order.
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<ResponseOp>,
}

/// Begins a lease.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantRequest {
    /// Seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// Its id, chosen by whoever asks.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// A lease has begun.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantResponse {}

/// Ends a lease, and with it every key that is attached to it.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseRevokeRequest {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// A lease has ended.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseRevokeResponse {}

/// Renews a lease.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseKeepAliveRequest {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// What a lease has left.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseKeepAliveResponse {
    /// Seconds; 0: it is over.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}

/// Exchanges name and password for a token. Never printed: its `Debug` would show the password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AuthenticateRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The password.
    #[prost(string, tag = "2")]
    pub password: String,
}

impl std::fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The token.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AuthenticateResponse {
    /// Goes with every call.
    #[prost(string, tag = "2")]
    pub token: String,
}

impl std::fmt::Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateResponse").finish_non_exhaustive()
    }
}

/// What a client says on the watch's stream.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    /// Begins a watch.
    #[prost(message, optional, tag = "1")]
    pub create: Option<WatchCreateRequest>,
}

/// Which keys are watched.
#[derive(Clone, PartialEq, Message)]
pub struct WatchCreateRequest {
    /// The first key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The end, not included.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// What changed at this revision or later is told.
    #[prost(int64, tag = "3")]
    pub start_revision: i64,
}

/// What the watch tells.
#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    /// Whether the watch is over.
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// What changed.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<WatchEvent>,
}

/// That something changed; what, a second look tells.
#[derive(Clone, PartialEq, Message)]
pub struct WatchEvent {}
