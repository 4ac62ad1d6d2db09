//! The load generator: thousands of distinct clients on keepalive connections, every failed request counted.

mod connection;
mod tally;

pub use tally::{Failure, Seen, Share, Span};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::error::{Error, Naming, Result};
use crate::playground::Playground;
use crate::wait::until;
use connection::{Ask, Connection};
use tally::{Tally, is_mobile};

/// No load runs longer, whoever forgot it.
const LONGEST: Duration = Duration::from_secs(3600);
/// Size of a slow upload and download.
const SLOW_BYTES: u64 = 100_000;

/// How much load, and where to. The default: 2,000 clients (half of them mobile) over 32 connections, 800 requests a
/// second, three slow uploads and three slow downloads always under way.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    to: Vec<SocketAddr>,
    prefixes: Vec<String>,
    clients: usize,
    connections: usize,
    rate: u32,
    slow: usize,
    slow_ms: u64,
    most: u64,
    longest: Duration,
}

impl LoadOptions {
    /// Load on these balancers; a request goes below one of the prefixes (`/`, `/api/`: one per pool).
    pub fn new(to: Vec<SocketAddr>, prefixes: Vec<String>) -> LoadOptions {
        LoadOptions {
            to,
            prefixes,
            clients: 2000,
            connections: 32,
            rate: 800,
            slow: 3,
            slow_ms: 2000,
            most: u64::MAX,
            longest: LONGEST,
        }
    }

    /// Other balancers than those that were named first.
    pub fn to(mut self, balancers: Vec<SocketAddr>) -> LoadOptions {
        self.to = balancers;
        self
    }

    /// How many distinct clients (user agents); every other one is mobile.
    pub fn clients(mut self, count: usize) -> LoadOptions {
        self.clients = count.max(1);
        self
    }

    /// How many keepalive connections, over all balancers.
    pub fn connections(mut self, count: usize) -> LoadOptions {
        self.connections = count.max(1);
        self
    }

    /// Requests a second, the slow ones not counted.
    pub fn rate(mut self, per_second: u32) -> LoadOptions {
        self.rate = per_second.max(1);
        self
    }

    /// How many slow uploads, and as many slow downloads, are always under way, and how long one takes.
    pub fn slow(mut self, count: usize, ms: u64) -> LoadOptions {
        (self.slow, self.slow_ms) = (count, ms.max(1));
        self
    }

    /// Ends by itself after so many requests.
    pub fn most(mut self, requests: u64) -> LoadOptions {
        self.most = requests;
        self
    }

    /// Ends by itself after so long (an hour at most).
    pub fn longest(mut self, time: Duration) -> LoadOptions {
        self.longest = time.min(LONGEST);
        self
    }

    /// Begins.
    pub fn start(self) -> Result<Load> {
        if self.to.is_empty() || self.prefixes.is_empty() {
            return Err(Error::Unknown("a load needs at least one balancer and one path".into()));
        }
        let shared = Arc::new(Shared {
            tally: Mutex::new(Tally::new(self.clients)),
            began: Instant::now(),
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            options: self,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .naming("cannot start", "the load's runtime")?;
        let theirs = shared.clone();
        let thread = thread::spawn(move || runtime.block_on(run(theirs)));
        Ok(Load { shared, thread: Some(thread) })
    }
}

impl Playground {
    /// Load on every balancer and every pool of this playground.
    pub fn load(&self) -> LoadOptions {
        let to = self.balancers().iter().map(|balancer| balancer.public).collect();
        let pools = self.options.pools.iter().enumerate();
        let prefixes = pools.map(|(index, pool)| if index == 0 { "/".into() } else { format!("/{}/", pool.name) });
        LoadOptions::new(to, prefixes.collect())
    }
}

/// A moment of a load: what was seen since then can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

/// A load that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tally: Mutex<Tally>,
    began: Instant,
    next: AtomicU64,
    stop: AtomicBool,
    options: LoadOptions,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        // The sums stay usable when another thread panicked: nothing is half written in them that matters.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.next.load(Ordering::Relaxed) >= self.options.most
            || self.began.elapsed() > self.options.longest
    }
}

impl Load {
    /// Everything since the beginning.
    pub fn seen(&self) -> Seen {
        self.shared.tally().since(0)
    }

    /// Marks this moment: requests that begin from now on are seen by [`Load::since`].
    pub fn mark(&self) -> Mark {
        Mark(self.shared.tally().open())
    }

    /// What began since the mark, and has ended.
    pub fn since(&self, mark: Mark) -> Seen {
        self.shared.tally().since(mark.0)
    }

    /// Waits until so many requests that began since the mark have ended.
    pub fn wait_requests(&self, mark: Mark, count: u64, bound: Duration) -> Result<Seen> {
        self.wait(mark, bound, &format!("{count} requests"), |seen| seen.sent >= count)
    }

    /// Waits until every client was answered since the mark: then shares mean something.
    pub fn wait_clients(&self, mark: Mark, bound: Duration) -> Result<Seen> {
        let all = self.shared.options.clients;
        self.wait(mark, bound, "an answer to every client", |seen| seen.clients() as usize >= all)
    }

    /// Waits until what was seen since the mark satisfies a condition.
    pub fn wait(&self, mark: Mark, bound: Duration, what: &str, is_met: impl Fn(&Seen) -> bool) -> Result<Seen> {
        until(bound, what, || Some(self.since(mark)).filter(|seen| is_met(seen)))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets what is under way finish, and gives everything that was seen.
    pub fn stop(mut self) -> Seen {
        self.finish();
        self.seen()
    }

    fn finish(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.finish();
    }
}

async fn run(shared: Arc<Shared>) {
    let options = &shared.options;
    let mut tasks = Vec::new();
    for index in 0..options.connections {
        let to = options.to[index % options.to.len()];
        tasks.push(tokio::spawn(many(shared.clone(), Connection::new(to), index)));
    }
    for index in 0..2 * options.slow {
        let to = options.to[index / 2 % options.to.len()];
        tasks.push(tokio::spawn(slow(shared.clone(), Connection::new(to), index)));
    }
    for task in tasks {
        let _panicked = task.await;
    }
}

/// Ordinary requests, one after the other, in turn for all clients.
async fn many(shared: Arc<Shared>, mut connection: Connection, index: usize) {
    let options = &shared.options;
    let every = Duration::from_secs(1).mul_f64(options.connections as f64 / f64::from(options.rate));
    let first = tokio::time::Instant::now() + every.mul_f64(index as f64 / options.connections as f64);
    let mut ticks = tokio::time::interval_at(first, every);
    // After a delay the rate goes on as before: a burst would measure the generator, not the site.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if shared.is_over() {
            return;
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let client = usize::try_from(number % options.clients as u64).unwrap_or(0);
        let ask = ordinary(options, client, number);
        one(&shared, &mut connection, &ask, Some(client)).await;
    }
}

/// Slow uploads (even numbers) or downloads, one after the other.
async fn slow(shared: Arc<Shared>, mut connection: Connection, index: usize) {
    let options = &shared.options;
    let mut turn = index / 2;
    while !shared.is_over() {
        let prefix = &options.prefixes[turn % options.prefixes.len()];
        let download = index % 2 == 1;
        let ask = Ask {
            method: if download { "GET" } else { "POST" },
            path: if download {
                format!("{prefix}download?bytes={SLOW_BYTES}&ms={}", options.slow_ms)
            } else {
                format!("{prefix}upload")
            },
            agent: agent(index),
            upload: if download { 0 } else { SLOW_BYTES },
            over_ms: if download { 0 } else { options.slow_ms },
            expects: download.then_some(SLOW_BYTES),
        };
        one(&shared, &mut connection, &ask, None).await;
        turn += 1;
    }
}

async fn one(shared: &Shared, connection: &mut Connection, ask: &Ask, client: Option<usize>) {
    let (window, began) = (shared.tally().current(), shared.began.elapsed());
    let began_ms = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
    let answered = connection.ask(ask).await;
    let took_ms = u64::try_from((shared.began.elapsed() - began).as_millis()).unwrap_or(u64::MAX);
    match answered {
        Ok(by) => shared.tally().ok(window, client, &by, began_ms, took_ms),
        Err(what) => {
            let request = format!("{} http://{}{} as {}", ask.method, connection.to, ask.path, ask.agent);
            shared.tally().failed(window, Failure { began_ms, request, what });
            // A site that is down must not be asked thousands of times a second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What request number `number` asks: over time every client reads and writes in every pool.
fn ordinary(options: &LoadOptions, client: usize, number: u64) -> Ask {
    let round = usize::try_from(number / options.clients as u64).unwrap_or(0) + client;
    let prefix = &options.prefixes[round % options.prefixes.len()];
    let (method, path, upload) = match round / options.prefixes.len() % 4 {
        0 => ("GET", prefix.clone(), 0),
        1 => ("GET", format!("{prefix}login"), 0),
        2 => ("POST", format!("{prefix}orders"), 700),
        _ => ("GET", format!("{prefix}slow?ms={}", number % 30), 0),
    };
    Ask { method, path, agent: agent(client), upload, over_ms: 0, expects: None }
}

fn agent(client: usize) -> String {
    if is_mobile(client) {
        format!("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Shop/{client}")
    } else {
        format!("Mozilla/5.0 (X11; Linux x86_64) Shop/{client}")
    }
}
