//! Drained: no request in flight on any balancer, and no peer on the servers' ports that is no balancer.

use std::{net::IpAddr, time::Duration};

use bluegreen_core::{Half, inventory::OnTimeout, nginx::state::Seen, release::Version};
use ipnet::IpNet;
use tokio::time::{Instant, sleep};

use super::{Live, Spot, Trouble, release_of, upgrade::serving};
use crate::{
    edge::balancer::{InFlight, two_phase},
    engine::{Doing, Failure, Progress, Work},
};

/// Pause between two looks at what is in flight.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// The longest delay by `limit_req` that a drain waits for; a longer one would be a queue, and is named instead.
const LONGEST_DELAY: Duration = Duration::from_secs(120);

/// What still stands in the way of a drain.
#[derive(Debug, Default)]
struct Remaining {
    /// (balancer, half, how many).
    requests: Vec<(String, Seen, InFlight)>,
    /// (host, port, pool, peer, connections).
    peers: Vec<(String, String, IpAddr, usize)>,
}

impl Remaining {
    fn is_none(&self) -> bool {
        self.requests.is_empty() && self.peers.is_empty()
    }

    fn words(&self) -> String {
        let requests = self.requests.iter().map(|(host, half, count)| in_flight(*half, *count, Some(host)));
        let peers = self.peers.iter().map(|(host, _, peer, count)| {
            format!("{} to `{host}` from {peer}, which is no balancer", connections(*count))
        });
        requests.chain(peers).collect::<Vec<_>>().join("; ")
    }
}

fn connections(count: usize) -> String {
    if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") }
}

/// What one balancer counts.
fn in_flight(half: Seen, count: InFlight, host: Option<&str>) -> String {
    let at_least = match count {
        InFlight::None => 0,
        InFlight::AtLeast(n) => n,
    };
    half.requests(at_least, host)
}

/// What still stands in the way on one host, or that nothing does.
fn standing(what: Vec<String>, else_said: &str) -> Doing {
    if what.is_empty() { Doing::Done(else_said.to_owned()) } else { Doing::Says(what.join(", ")) }
}

impl Live {
    pub(super) async fn drain(&self, work: Work<'_>, half: Half, release: Version) -> Result<Vec<String>, Failure> {
        let thorough = half == Half::Blue;
        self.guard(work, half, thorough).await?;
        let release = release_of(work.state, release)?;
        let serving = |failure| serving(work, half, failure);
        let places = self.places_without(work, half, release).await.map_err(serving)?;
        self.on_spots(&places);
        if places.is_empty() {
            return Ok(vec![format!("every place of {half} has {} already", release.version)]);
        }
        self.wait_for_delayed().await?;
        let known = self.balancer_addresses().await?;
        let timeouts = places.iter().map(|spot| spot.pool.drain.timeout_ms);
        let timeout = Duration::from_millis(timeouts.max().unwrap_or_default());
        let until = Instant::now() + timeout;
        let mut last = String::new();
        loop {
            let remaining = self.remaining(work, half, &places, &known).await?;
            if remaining.is_none() {
                return Ok(Vec::new());
            }
            // Of a host that was slow to answer it is said again what it has, also where that is the same.
            let words = remaining.words();
            let line = (words != last).then(|| format!("waiting for {words}"));
            self.tell_drain(half, &places, &remaining, until, line);
            last = words;
            if Instant::now() >= until {
                return self.drain_ran_out(half, &places, &remaining, timeout);
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Every balancer's count, and the servers that somebody else is connected to.
    fn tell_drain(&self, half: Half, places: &[Spot<'_>], remaining: &Remaining, until: Instant, line: Option<String>) {
        let waits = Doing::Says(format!("waiting until nobody uses {half} any more"));
        self.progress(Progress { line, ..Progress::whole(waits).until(until.into_std()) });
        for host in self.balancers.names() {
            let counts = remaining.requests.iter().filter(|(at, ..)| *at == host);
            let counts: Vec<String> = counts.map(|(_, seen, count)| in_flight(*seen, *count, None)).collect();
            self.progress(Progress::of(&host, standing(counts, "nothing in flight")));
        }
        for spot in places {
            let host = &spot.place.host;
            let peers = remaining.peers.iter().filter(|(at, pool, ..)| at == host && *pool == spot.pool.name);
            let peers =
                peers.map(|(_, _, peer, count)| format!("{} from {peer}, which is no balancer", connections(*count)));
            let doing = standing(peers.collect(), "");
            self.progress(Progress::of(host, doing).part(&spot.pool.name));
        }
    }

    fn drain_ran_out(
        &self,
        half: Half,
        places: &[Spot<'_>],
        remaining: &Remaining,
        timeout: Duration,
    ) -> Result<Vec<String>, Failure> {
        let words = remaining.words();
        let cut = |pool: &str| places.iter().any(|s| s.pool.name == pool && s.pool.drain.on_timeout == OnTimeout::Cut);
        let all_cut = places.iter().all(|spot| spot.pool.drain.on_timeout == OnTimeout::Cut);
        let peers_cut = remaining.peers.iter().all(|(_, pool, ..)| cut(pool));
        if (remaining.requests.is_empty() || all_cut) && peers_cut {
            return Ok(vec![format!("cut after {}s, as `on_timeout = \"cut\"` says: {words}", timeout.as_secs_f64())]);
        }
        Err(Trouble::NotDrained { half, after: timeout, words }.into())
    }

    /// A request that `limit_req` delays is counted nowhere yet and then goes where it was first decided.
    async fn wait_for_delayed(&self) -> Result<(), Failure> {
        let wirings = self.asking_each(async |host| self.balancers.wiring(host).await).await;
        let mut longest = Duration::ZERO;
        for (_, wiring) in wirings {
            let what = "nginx's configuration";
            let wiring = wiring.map_err(|error| Trouble::Unread { what, error })?;
            longest = longest.max(Duration::from_millis(wiring.longest_limit_req_delay_ms));
        }
        if longest > Duration::ZERO {
            let wait = longest.min(LONGEST_DELAY);
            let text = format!("waiting {}s for requests that limit_req may still delay", wait.as_secs_f64());
            let until = std::time::Instant::now() + wait;
            let doing = Doing::Says("waiting for requests that limit_req may still delay".to_owned());
            self.progress(Progress::whole(doing).until(until).line(text));
            sleep(wait).await;
        }
        Ok(())
    }

    /// What the pools see the balancers connect from.
    async fn balancer_addresses(&self) -> Result<Vec<IpNet>, Failure> {
        let all = self.asking_each(async |host| self.balancers.addresses(host).await).await;
        let mut known = Vec::new();
        for (_, addresses) in all {
            known.extend(addresses.map_err(|error| Trouble::Unread { what: "its addresses", error })?);
        }
        Ok(known)
    }

    async fn remaining(
        &self,
        work: Work<'_>,
        half: Half,
        places: &[Spot<'_>],
        known: &[IpNet],
    ) -> Result<Remaining, Failure> {
        // Requests that began while both halves served may be on either.
        let (own, both) = (Seen::from(half), Seen::Both);
        let counts = self.asking_each(async |host| {
            let balancers = &self.balancers;
            tokio::try_join!(balancers.inflight(host, own), balancers.inflight(host, both))
        });
        let (counts, peers) = tokio::join!(counts, self.peers_of(places, known));
        let peers = peers.map_err(|failure| serving(work, half, failure))?;
        let mut remaining = Remaining { requests: Vec::new(), peers };
        let counts =
            two_phase::all(counts).map_err(|mut failed| Trouble::Uncounted { half, error: failed.remove(0) })?;
        let of_half = counts.iter().map(|(host, (count, _))| (host, own, *count));
        let of_both = counts.iter().map(|(host, (_, count))| (host, both, *count));
        let some = of_half.chain(of_both).filter(|(.., count)| *count != InFlight::None);
        remaining.requests.extend(some.map(|(host, seen, count)| (host.clone(), seen, count)));
        Ok(remaining)
    }
}
