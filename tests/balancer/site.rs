//! A small playground with the balancer edge in front of it.

use std::sync::Arc;

use bg_playground::{Options, Playground, Pool};
use bluegreen::edge::balancer::{Balancers, Generation};
use bluegreen::edge::host::{Hosts, SshSettings};
use bluegreen_core::inventory::{self, Inventory};
use bluegreen_core::nginx::conf::{Conf, Templates, render};
use bluegreen_core::nginx::tree::{HalfReleases, TrafficFile, tree};
use bluegreen_core::traffic::Traffic;

pub const JOURNAL: &str = "j-test";

pub struct Site {
    pub pg: Playground,
    pub inventory: Arc<Inventory>,
    pub balancers: Balancers,
}

pub fn options() -> Options {
    Playground::options().pools([Pool::new("web").halves(1, 1)])
}

impl Site {
    /// Nothing of bg's stands there yet.
    pub fn bare(options: Options) -> Site {
        Site::with(options.start().unwrap())
    }

    /// Directories, configuration revision 1, generation 1 (both), and nginx includes it.
    pub async fn wired(options: Options) -> Site {
        let mut site = Site::bare(options);
        all(site.balancers.create_dirs_all().await);
        site.balancers.write_conf_all(1, |host| site.conf(host, 1)).await.unwrap();
        let first = generation(1, &Traffic::Both);
        all(site.balancers.prepare_all(std::slice::from_ref(&first)).await);
        all(site.balancers.commit_all(1, JOURNAL, &first.file.hash).await);
        site.pg.wire().unwrap();
        assert!(all(site.balancers.wired_all().await).iter().all(|(_, wired)| *wired));
        site
    }

    pub fn with(pg: Playground) -> Site {
        let text = std::fs::read_to_string(pg.inventory_file()).unwrap();
        let inventory = Arc::new(inventory::parse("shop", "shop.toml", &text).unwrap());
        let hosts = Hosts::new(SshSettings { config: Some(pg.ssh_config()), ..SshSettings::default() });
        Site { balancers: Balancers::new(inventory.clone(), hosts), inventory, pg }
    }

    pub fn conf(&self, host: &str, revision: u64) -> Conf {
        let balancer = self.inventory.balancer(host).unwrap();
        render(&self.inventory, balancer, revision, &Templates::default()).unwrap()
    }

    /// Prepares, commits and confirms `traffic` as generation `n` everywhere.
    pub async fn shift(&self, n: u64, traffic: &Traffic) {
        let generation = generation(n, traffic);
        all(self.balancers.prepare_all(std::slice::from_ref(&generation)).await);
        all(self.balancers.commit_all(n, JOURNAL, &generation.file.hash).await);
        all(self.balancers.confirm_all(n, traffic, None).await);
    }

    pub fn live(&self, host: &str) -> std::path::PathBuf {
        self.pg.balancer(host).bg_dir.join("live")
    }
}

#[track_caller]
pub fn all<T>(each: bluegreen::edge::balancer::two_phase::Each<T>) -> Vec<(String, T)> {
    bluegreen::edge::balancer::two_phase::all(each).unwrap()
}

pub fn generation_of(journal: &str, n: u64, traffic: &Traffic) -> Generation {
    let tree = tree(traffic);
    let file = TrafficFile {
        site: "shop".into(),
        journal: journal.into(),
        rollout: Some(1),
        generation: n,
        hash: tree.hash(),
        traffic: traffic.clone(),
        releases: HalfReleases::default(),
    };
    Generation { tree, file }
}

pub fn generation(n: u64, traffic: &Traffic) -> Generation {
    generation_of(JOURNAL, n, traffic)
}
