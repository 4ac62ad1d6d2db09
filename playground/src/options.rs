//! What a playground should look like, said in builder style.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::fleet::Fleet;
use crate::playground::Playground;

/// TOML settings of one inventory table: key and value as written, a later one replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(pub(crate) Vec<(String, String)>);

impl Settings {
    pub(crate) fn new(defaults: &[(&str, &str)]) -> Settings {
        Settings(defaults.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    /// Replaces a key, or adds it; an empty value takes it out.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.0.retain(|(known, _)| known != key);
        if !value.is_empty() {
            self.0.push((key.to_owned(), value.to_owned()));
        }
    }
}

/// A pool of the playground: its servers are called NAME1, NAME2, …; odd ones are blue, even ones green.
#[derive(Debug, Clone)]
pub struct Pool {
    pub(crate) name: String,
    pub(crate) blue: usize,
    pub(crate) green: usize,
    pub(crate) upstream: Settings,
    pub(crate) drain: Settings,
    pub(crate) deploy: Settings,
    pub(crate) health: Settings,
}

impl Pool {
    /// A pool of two blue and two green servers.
    pub fn new(name: &str) -> Pool {
        Pool {
            name: name.to_owned(),
            blue: 2,
            green: 2,
            upstream: Settings::default(),
            drain: Settings::new(&[("timeout", "\"15s\"")]),
            deploy: Settings::new(&[("keep", "3")]),
            health: Settings::new(&[
                ("path", "\"/healthz\""),
                ("interval", "\"200ms\""),
                ("timeout", "\"2s\""),
                ("within", "\"15s\""),
                ("successes", "2"),
                ("release_header", "\"X-Release\""),
                ("smoke", "[\"/\"]"),
            ]),
        }
    }

    /// How many servers each half has (at least 1).
    pub fn halves(mut self, blue: usize, green: usize) -> Pool {
        (self.blue, self.green) = (blue.max(1), green.max(1));
        self
    }

    /// A key of the pool's `upstream` table, its value as TOML; `""` takes the key out.
    pub fn upstream(mut self, key: &str, toml: &str) -> Pool {
        self.upstream.set(key, toml);
        self
    }

    /// A key of the pool's `drain` table, its value as TOML; `""` takes the key out.
    pub fn drain(mut self, key: &str, toml: &str) -> Pool {
        self.drain.set(key, toml);
        self
    }

    /// A key of the pool's `deploy` table, its value as TOML; `""` takes the key out (so `root`, `artifact` and
    /// `restart`, which the playground fills in, can be replaced or left out).
    pub fn deploy(mut self, key: &str, toml: &str) -> Pool {
        self.deploy.set(key, toml);
        if toml.is_empty() {
            self.deploy.0.push((key.to_owned(), String::new()));
        }
        self
    }

    /// A key of the pool's `health` table, its value as TOML; `""` takes the key out.
    pub fn health(mut self, key: &str, toml: &str) -> Pool {
        self.health.set(key, toml);
        self
    }
}

/// What a playground should look like. The default: two balancers, pools `web` and `api` with two blue and two green
/// servers each, a segment `mobile`, nginx not yet wired.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) balancers: usize,
    pub(crate) workers: usize,
    pub(crate) pools: Vec<Pool>,
    pub(crate) segments: Vec<(String, String)>,
    pub(crate) inventory: String,
    pub(crate) http: String,
    pub(crate) server: String,
    pub(crate) before_include: String,
    pub(crate) location: String,
    pub(crate) sshd: String,
    pub(crate) bg: Option<PathBuf>,
    pub(crate) bound: Duration,
    pub(crate) apart: bool,
    pub(crate) disk_kib: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            balancers: 2,
            workers: 2,
            pools: vec![Pool::new("web"), Pool::new("api")],
            segments: vec![("mobile".to_owned(), "user_agent = \"(?i)android|iphone|ipad\"".to_owned())],
            inventory: String::new(),
            http: String::new(),
            server: String::new(),
            before_include: String::new(),
            location: String::new(),
            sshd: String::new(),
            bg: None,
            bound: Duration::from_secs(120),
            apart: false,
            disk_kib: 64 * 1024,
        }
    }
}

impl Options {
    /// How many balancers, called lb1, lb2, … (1 to 10).
    pub fn balancers(mut self, count: usize) -> Options {
        self.balancers = count.clamp(1, 10);
        self
    }

    /// How many worker processes each nginx has.
    pub fn workers(mut self, count: usize) -> Options {
        self.workers = count.max(1);
        self
    }

    /// Replaces the pools. The first takes `/`, each other one `/NAME/`.
    pub fn pools(mut self, pools: impl IntoIterator<Item = Pool>) -> Options {
        self.pools = pools.into_iter().collect();
        self
    }

    /// Changes every pool: `options.each_pool(|pool| pool.health("within", "\"3s\""))`.
    pub fn each_pool(mut self, change: impl Fn(Pool) -> Pool) -> Options {
        self.pools = self.pools.into_iter().map(change).collect();
        self
    }

    /// One balancer, one pool `web` of one blue and one green server: what starts fastest.
    pub fn small(self) -> Options {
        self.balancers(1).pools([Pool::new("web").halves(1, 1)])
    }

    /// Adds a segment behind `mobile`; `toml` is the body of its table, such as `path = "^/beta"`.
    pub fn segment(mut self, name: &str, toml: &str) -> Options {
        self.segments.push((name.to_owned(), toml.to_owned()));
        self
    }

    /// No segments but those added after this.
    pub fn no_segments(mut self) -> Options {
        self.segments.clear();
        self
    }

    /// Text added at the end of the inventory, such as `[canary]\nkey = "cookie:who"`.
    pub fn inventory(mut self, toml: &str) -> Options {
        self.inventory.push_str(toml);
        self.inventory.push('\n');
        self
    }

    /// Text in nginx.conf at http level: maps, zones, further server blocks.
    pub fn http(mut self, conf: &str) -> Options {
        self.http.push_str(conf);
        self.http.push('\n');
        self
    }

    /// Text in the site's server block, after bg's include. `@web@` becomes the directive that passes a request on to
    /// pool `web`: `location /extra/ { @web@ }`.
    pub fn server(mut self, conf: &str) -> Options {
        self.server.push_str(conf);
        self.server.push('\n');
        self
    }

    /// Text in the site's server block, above bg's include, where it does harm.
    pub fn before_include(mut self, conf: &str) -> Options {
        self.before_include.push_str(conf);
        self.before_include.push('\n');
        self
    }

    /// Text in the location of every pool.
    pub fn location(mut self, conf: &str) -> Options {
        self.location.push_str(conf);
        self.location.push('\n');
        self
    }

    /// Text in every sshd_config.
    pub fn sshd(mut self, conf: &str) -> Options {
        self.sshd.push_str(conf);
        self.sshd.push('\n');
        self
    }

    /// The bg binary that `Playground::bg` runs; the default is the `bg` beside the playground's own binary.
    pub fn bg(mut self, binary: impl Into<PathBuf>) -> Options {
        self.bg = Some(binary.into());
        self
    }

    /// How long a `Playground::bg` may take before it is killed; default 120 s.
    pub fn bound(mut self, bound: Duration) -> Options {
        self.bound = bound;
        self
    }

    /// In a fleet: the size of the disk that each host has for bg's directory or the deploy root; default 64 MiB.
    pub fn disk_kib(mut self, kib: u64) -> Options {
        self.disk_kib = kib;
        self
    }

    /// Starts it as a fleet: every host in namespaces of its own. Only root can; see [`Fleet`].
    pub fn fleet(mut self) -> Result<Fleet> {
        self.apart = true;
        Fleet::start(self)
    }

    /// Starts it. Takes one to two seconds for ten hosts; everything is gone when the value is dropped, or its process.
    pub fn start(self) -> Result<Playground> {
        Playground::start(self)
    }
}
