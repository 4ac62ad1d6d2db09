//! The digest of what the balancers and the rollout depend on.

use serde::Serialize;

use super::types::{CanaryKey, Inventory, Place, Segment, Upstream};

/// What the digest is made of. Its JSON is journaled as a hash: change nothing here without a new `v`.
#[derive(Serialize)]
struct Canonical<'a> {
    v: u8,
    site: &'a str,
    balancers: Vec<CanonicalBalancer<'a>>,
    pools: Vec<CanonicalPool<'a>>,
    segments: &'a [Segment],
    canary_key: &'a CanaryKey,
}

/// How a balancer is tested and reloaded is left out, as deploy settings are: it can be mended in the middle.
#[derive(Serialize)]
struct CanonicalBalancer<'a> {
    host: &'a str,
    address: &'a [ipnet::IpNet],
    dir: &'a str,
    probe: u16,
}

#[derive(Serialize)]
struct CanonicalPool<'a> {
    name: &'a str,
    blue: &'a [Place],
    green: &'a [Place],
    upstream: &'a Upstream,
}

impl Inventory {
    /// sha256 (lower-case hex) of site, balancers, places, upstream settings, segments and canary key. What can be
    /// mended in the middle of a rollout (drain, health, deploy, ssh) is not in it.
    pub fn digest(&self) -> String {
        let balancers = self.balancers.iter().map(|balancer| CanonicalBalancer {
            host: &balancer.host,
            address: &balancer.address,
            dir: &balancer.dir,
            probe: balancer.probe,
        });
        let pools = self.pools.iter().map(|pool| CanonicalPool {
            name: &pool.name,
            blue: &pool.blue,
            green: &pool.green,
            upstream: &pool.upstream,
        });
        let canonical = Canonical {
            v: 1,
            site: &self.site,
            balancers: balancers.collect(),
            pools: pools.collect(),
            segments: &self.segments,
            canary_key: &self.canary_key,
        };
        // Plain structs of strings and numbers always serialize.
        let json = serde_json::to_vec(&canonical).unwrap_or_default();
        crate::hex::sha256(json)
    }
}
