//! Servers over real ssh: what is placed and activated there, and who is connected.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bg_playground::{Behaviour, Playground};
use bluegreen::edge::artifact::{Packed, pack};
use bluegreen::edge::host::{Hosts, SshSettings};
use bluegreen::edge::server::{
    Activated, Bounds, Epoch, Placed, Seen, Task, What, activate, addresses, look, occupancy, peers, place_release,
    prune, raise,
};
use bluegreen_core::inventory::{Inventory, Words, parse};
use bluegreen_core::release::{Content, Release, Version};

/// One playground and one of its servers.
struct Site {
    pg: Playground,
    inventory: Inventory,
    hosts: Hosts,
}

impl Site {
    fn start() -> Site {
        let pg = Playground::options().small().start().unwrap();
        let text = fs::read_to_string(pg.inventory_file()).unwrap();
        let inventory = parse("demo", "demo.toml", &text).unwrap_or_else(|error| panic!("{error:?}"));
        let hosts = Hosts::new(SshSettings { config: Some(pg.ssh_config()), ..SshSettings::default() });
        Site { pg, inventory, hosts }
    }

    async fn artifact(&self, label: &str, behaviour: &Behaviour) -> Packed {
        pack(self.pg.artifact("web", label, behaviour).unwrap()).await.unwrap()
    }

    /// Calls `work` with the task of release `version` on the green server.
    async fn task<T>(&self, n: u64, version: u64, packed: &Packed, work: impl AsyncFnOnce(&Task<'_>) -> T) -> T {
        let pool = &self.inventory.pools[0];
        let place = &pool.green[0];
        let content = Content::Artifact { sha256: packed.sha256.clone(), path: packed.path.display().to_string() };
        let label = format!("v{version}");
        let release =
            Release { version: Version(version), label: label.clone(), pools: [(pool.name.clone(), content)].into() };
        let words = Words {
            release: label.clone(),
            version: label,
            site: self.inventory.site.clone(),
            pool: pool.name.clone(),
            half: "green".into(),
            host: place.host.clone(),
            port: place.port.to_string(),
        };
        let epoch = Epoch { journal: "J".into(), n };
        let (site, bounds) = (self.inventory.site.as_str(), Bounds::default());
        work(&Task { site, pool, place, epoch: &epoch, release: &release, words: &words, bounds }).await
    }

    async fn place(&self, n: u64, version: u64, packed: &Packed) -> Result<Placed, What> {
        let quiet = Arc::new(|_, _| {});
        let placed =
            self.task(n, version, packed, async |task| place_release(&self.hosts, task, Some(packed), quiet).await);
        placed.await.map_err(|error| error.what)
    }

    async fn activate(&self, n: u64, version: u64, packed: &Packed) -> Result<Activated, What> {
        let activated = self.task(n, version, packed, async |task| activate(&self.hosts, task, false).await);
        activated.await.map_err(|error| error.what)
    }

    async fn look(&self) -> Seen {
        look(&self.hosts, &self.inventory.pools[0].green[0], &Bounds::default()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_from_a_directory_to_a_running_application() {
    let site = Site::start();
    let green = &site.inventory.pools[0].green[0];
    let packed = site.artifact("v1", &Behaviour::default()).await;
    assert!(!occupancy(&site.hosts, green, &Bounds::default()).await.unwrap().is_in_use());

    let most = Arc::new(AtomicU64::new(0));
    let counter = most.clone();
    let count = Arc::new(move |sent: u64, _: u64| counter.store(sent, Ordering::Relaxed));
    let placed = site.task(1, 1, &packed, async |task| place_release(&site.hosts, task, Some(&packed), count).await);
    assert_eq!(placed.await.unwrap(), Placed::Sent(most.load(Ordering::Relaxed)));
    assert_eq!(site.place(2, 1, &packed).await.unwrap(), Placed::Already);
    assert_eq!(site.activate(3, 1, &packed).await.unwrap(), Activated::Done);
    assert_eq!(site.activate(4, 1, &packed).await.unwrap(), Activated::Already);
    assert_eq!(site.pg.ask(&green.host, "/").unwrap().release(), "v1");
    let seen = site.look().await;
    assert!(site.task(4, 1, &packed, async |task| seen.runs(task)).await);

    let _held = TcpStream::connect((green.address.as_str(), green.port)).unwrap();
    let found = peers(&site.hosts, green, &[], &Bounds::default()).await.unwrap();
    assert_eq!(found.iter().map(|peer| peer.connections).sum::<usize>(), 1, "{found:?}");
    assert!(peers(&site.hosts, green, &["127.0.0.0/8".parse().unwrap()], &Bounds::default()).await.unwrap().is_empty());
    assert!(occupancy(&site.hosts, green, &Bounds::default()).await.unwrap().listening);
    let own = addresses(&site.hosts, &green.host, &Bounds::default()).await.unwrap();
    assert!(own.iter().any(|address| address.is_loopback()), "{own:?}");
    site.hosts.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_crashes_is_quoted_and_the_old_one_comes_back() {
    let site = Site::start();
    let good = site.artifact("v1", &Behaviour::default()).await;
    let bad = site.artifact("v2", &Behaviour { crashes: Some("no such module".into()), ..Behaviour::default() }).await;
    site.place(1, 1, &good).await.unwrap();
    site.activate(2, 1, &good).await.unwrap();
    site.place(3, 2, &bad).await.unwrap();
    match site.activate(4, 2, &bad).await {
        Err(What::CommandFailed { tail, .. }) => assert!(tail.contains("no such module"), "{tail}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(site.look().await.marker.unwrap().release, None);
    assert_eq!(site.activate(5, 1, &good).await.unwrap(), Activated::Done);
    let green = &site.inventory.pools[0].green[0];
    assert_eq!(site.pg.ask(&green.host, "/").unwrap().release(), "v1");

    raise(&site.hosts, green, &Epoch { journal: "J".into(), n: 9 }, &Bounds::default()).await.unwrap();
    assert!(matches!(site.activate(8, 2, &bad).await, Err(What::Fenced { found: 9 })));
    assert!(matches!(site.place(8, 3, &bad).await, Err(What::Fenced { found: 9 })));
    let removed = site.task(10, 1, &good, async |task| prune(&site.hosts, task, 0, &[]).await).await.unwrap();
    assert_eq!(removed, ["v2"]);
    assert!(Path::new(&green.root).join("releases/v1").is_dir());
    site.hosts.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compresses_well_is_sent_small() {
    let site = Site::start();
    let dir = tempfile::tempdir().unwrap();
    fs::File::create(dir.path().join("zeros")).unwrap().set_len(64 << 20).unwrap();
    let packed = pack(dir.path().to_owned()).await.unwrap();
    assert!(packed.unpacked_bytes >= 64 << 20 && site.look().await.disk_free_bytes.is_some());
    match site.place(1, 1, &packed).await.unwrap() {
        Placed::Sent(bytes) => assert!(bytes < 1 << 20),
        Placed::Already => panic!("nothing was there"),
    }
    assert_eq!(site.look().await.releases.len(), 1);
    site.hosts.close().await;
}
