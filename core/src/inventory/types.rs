//! The checked types. Every value in them has been validated: names, host names and paths hold only what the contract
//! allows, every regex compiles, every share is in range. Durations are in milliseconds.

use ipnet::IpNet;
use serde::Serialize;

use crate::half::Half;

/// One site: balancers and pools that are switched together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// `[site] name`: `[a-z][a-z0-9]*`, the prefix of every nginx name.
    pub site: String,
    /// `[site] journal`.
    pub journal: JournalLocation,
    /// `[ssh]`.
    pub ssh: Ssh,
    /// `[balancers]`, ranges expanded, in the file's order.
    pub balancers: Vec<Balancer>,
    /// `[balancers] templates`: a directory (as written), or `None` for the built-in ones.
    pub templates: Option<String>,
    /// `[pools.*]` in the file's order.
    pub pools: Vec<Pool>,
    /// `[segments.*]` in the file's order; the first that matches wins. `all` is not among them.
    pub segments: Vec<Segment>,
    /// `[canary] key`.
    pub canary_key: CanaryKey,
}

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum JournalLocation {
    /// `file:PATH`, a directory on this machine, as written.
    File(String),
    /// `ssh:HOST:PATH`, a directory on a host.
    Ssh {
        /// How ssh reaches it.
        host: String,
        /// Absolute, without a `/` at its end.
        path: String,
    },
    /// `etcd:ENDPOINT,…/PREFIX`.
    Etcd(Box<EtcdLocation>),
}

/// `etcd:http://e1:2379,http://e2:2379/bg/shop` and `[etcd]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdLocation {
    /// `http://HOST:PORT`, or all of them `https://HOST:PORT`; at least one, none twice.
    pub endpoints: Vec<String>,
    /// What every key begins with: `/bg/shop`.
    pub prefix: String,
    /// `[etcd]`.
    pub access: EtcdAccess,
}

impl std::fmt::Display for EtcdLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "etcd:{}{}", self.endpoints.join(","), self.prefix)
    }
}

/// `[etcd]`: how bg shows who it is, and whom it believes. Paths as written, relative to the inventory's base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EtcdAccess {
    /// The authorities that the members' certificates must be from (PEM); `None`: those of this machine.
    pub ca: Option<String>,
    /// bg's own certificate (PEM); only with `key`.
    pub cert: Option<String>,
    /// Its key (PEM).
    pub key: Option<String>,
    /// The user; only with `password_file`.
    pub user: Option<String>,
    /// A file that holds the user's password.
    pub password_file: Option<String>,
}

impl std::fmt::Display for JournalLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            JournalLocation::File(path) => write!(f, "file:{path}"),
            JournalLocation::Ssh { host, path } => write!(f, "ssh:{host}:{path}"),
            JournalLocation::Etcd(etcd) => etcd.fmt(f),
        }
    }
}

impl JournalLocation {
    /// The same place, opened as `known` is when both are in etcd: a location given on the command line says nothing of
    /// certificates and users.
    pub fn opened_as(self, known: &JournalLocation) -> JournalLocation {
        match (self, known) {
            (JournalLocation::Etcd(etcd), JournalLocation::Etcd(known)) => {
                JournalLocation::Etcd(Box::new(EtcdLocation { access: known.access.clone(), ..*etcd }))
            }
            (other, _) => other,
        }
    }
}

/// `[ssh]`: how hosts are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ssh {
    /// `user`.
    pub user: Option<String>,
    /// `config`: a file instead of `~/.ssh/config`, as written (relative to the inventory's base).
    pub config: Option<String>,
    /// `connect_timeout`, default 10 s.
    pub connect_timeout_ms: u64,
    /// `parallel`: hosts worked on at once, default 32.
    pub parallel: usize,
}

/// A host that runs nginx in front of the pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balancer {
    /// How ssh reaches it.
    pub host: String,
    /// What the pools see it connect from; empty: the host's own addresses.
    pub address: Vec<IpNet>,
    /// bg's directory there, absolute; default `/etc/nginx/bg/<site>`.
    pub dir: String,
    /// The loopback port on which nginx answers bg; default 8474.
    pub probe: u16,
    /// Shell line that tests nginx's configuration; default `nginx -t`.
    pub test: String,
    /// Shell line that reloads nginx; default `nginx -s reload`.
    pub reload: String,
    /// Whether the root-owned work is prefixed `sudo -n`; default true.
    pub sudo: bool,
}

/// A tier of interchangeable servers in two halves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// `[a-z][a-z0-9]*`.
    pub name: String,
    /// The blue half.
    pub blue: Vec<Place>,
    /// The green half.
    pub green: Vec<Place>,
    /// `upstream`.
    pub upstream: Upstream,
    /// `drain`.
    pub drain: Drain,
    /// `[pools.NAME.deploy]`.
    pub deploy: Deploy,
    /// `[pools.NAME.health]`.
    pub health: Health,
}

impl Pool {
    /// The places of one half.
    pub fn half(&self, half: Half) -> &[Place] {
        match half {
            Half::Blue => &self.blue,
            Half::Green => &self.green,
        }
    }
}

/// One server in one half of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// How ssh reaches it: `[A-Za-z0-9._-]+`, or an address.
    pub host: String,
    /// What nginx connects to: a host name, an IPv4 or a bare IPv6 address (default: `host`).
    pub address: String,
    /// The server's port.
    pub port: u16,
    /// nginx's weight, 1 unless given.
    pub weight: u32,
    /// Kind a: the absolute root. Kind b: where the marker is kept; a leading `~/` is the login user's home.
    pub root: String,
}

/// `upstream = {…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// Idle connections kept per worker, default 32; 0 = none.
    pub keepalive: u32,
    /// Default 4 s: it must be below the application's own.
    pub keepalive_timeout_ms: u64,
    /// How nginx picks a server.
    pub balance: Balance,
    /// Default 1.
    pub max_fails: u32,
    /// Default 10 s.
    pub fail_timeout_ms: u64,
    /// 0 = no limit (nginx's default).
    pub max_conns: u32,
}

/// nginx's way of picking a server in an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Balance {
    /// nginx's default.
    RoundRobin,
    /// `least_conn` (bg's default).
    LeastConn,
    /// `ip_hash`.
    IpHash,
    /// `random`.
    Random,
    /// `hash KEY consistent`; the key is an nginx expression such as `$request_uri`, validated: `[A-Za-z0-9_$|:.-]+`.
    Hash(String),
}

/// `drain = {…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drain {
    /// Default 30 s.
    pub timeout_ms: u64,
    /// What happens when the time is up.
    pub on_timeout: OnTimeout,
    /// Peers that do not count.
    pub ignore: Vec<IpNet>,
}

/// What a drain does when its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// Stop with exit 5; traffic stays where it is safe.
    Fail,
    /// Go on, recorded with the number cut.
    Cut,
}

/// `[pools.NAME.deploy]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Deploy {
    /// Kind a: releases/vN under root, `current` switched, then restart.
    Unpack {
        /// Artifact path with template words, relative to the inventory's base.
        artifact: String,
        /// Shell line with template words.
        restart: String,
        /// systemd unit to watch for crash loops, with template words.
        service: Option<String>,
        /// Releases kept, default 10.
        keep: usize,
        /// Paths under `<root>/shared` linked into each release.
        shared: Vec<String>,
    },
    /// Kind b: a command of the user's on each host.
    Run {
        /// Shell line with template words.
        run: String,
        /// As above.
        service: Option<String>,
    },
}

/// `[pools.NAME.health]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// Default `/`.
    pub path: String,
    /// Inclusive ranges of status codes, default 200-299.
    pub status: Vec<(u16, u16)>,
    /// Default 1 s.
    pub interval_ms: u64,
    /// Default 2 s.
    pub timeout_ms: u64,
    /// Default 60 s.
    pub within_ms: u64,
    /// In a row; default 3.
    pub successes: u32,
    /// Whose point of view.
    pub from: HealthFrom,
    /// The answer must name the new release (label or vN).
    pub release_header: Option<String>,
    /// Paths that must answer < 400 too.
    pub smoke: Vec<String>,
    /// The Host header; default: the place's address:port.
    pub host: Option<String>,
    /// More request headers (name, value).
    pub headers: Vec<(String, String)>,
    /// `http` or `https`. Only `http` in [core]: `https` is a clear error.
    pub scheme: String,
    /// Another port than the place's.
    pub port: Option<u16>,
    /// A regex that the body must match.
    pub body: Option<String>,
    /// Shell line on the host for what is no HTTP: healthy = exit 0. Replaces the HTTP request.
    pub run: Option<String>,
}

/// From where a place's health is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthFrom {
    /// Through every balancer's own sshd, so firewalls count.
    Balancers,
    /// From the place's own host.
    Host,
}

/// A named slice of requests: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// `[a-z][a-z0-9]*`, none of the taken words.
    pub name: String,
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// One condition of a segment. Regexes are PCRE as nginx reads them; a leading `(?i)` means case-insensitive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Condition {
    /// `user_agent`.
    UserAgent(String),
    /// `header.NAME` (name lower-cased, `-` kept).
    Header(String, String),
    /// `cookie.NAME`.
    Cookie(String, String),
    /// `path` (of the normalised URI, `$uri`'s first value: see templates).
    Path(String),
    /// `host`.
    Host(String),
    /// `address`: networks of the client.
    Address(Vec<IpNet>),
}

/// What sticks to a half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum CanaryKey {
    /// Address + user agent.
    Client,
    /// A cookie's value; where missing, the client.
    Cookie(String),
    /// A header's value; where missing, the client.
    Header(String),
}

impl Inventory {
    /// Segment names in order, without `all`.
    pub fn segment_names(&self) -> Vec<String> {
        self.segments.iter().map(|s| s.name.clone()).collect()
    }

    /// A balancer by its ssh host.
    pub fn balancer(&self, host: &str) -> Option<&Balancer> {
        self.balancers.iter().find(|b| b.host == host)
    }

    /// Every place of one half, with its pool, in the file's order.
    pub fn places(&self, half: Half) -> impl Iterator<Item = (&Pool, &Place)> {
        self.pools.iter().flat_map(move |pool| pool.half(half).iter().map(move |place| (pool, place)))
    }
}
