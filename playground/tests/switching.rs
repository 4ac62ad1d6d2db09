//! The playground against what bg renders: the inventory is accepted, and a rename of bg's tree moves the clients of the
//! load generator from one half to the other without a failed request.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use bg_playground::{Behaviour, Playground};
use bluegreen_core::half::Half;
use bluegreen_core::inventory::{self, Inventory};
use bluegreen_core::nginx::conf::{Templates, render};
use bluegreen_core::nginx::tree::{Kind, tree};
use bluegreen_core::traffic::{SegmentShare, Share, Traffic};

const BOUND: Duration = Duration::from_secs(60);

fn accepted(pg: &Playground) -> Inventory {
    let text = fs::read_to_string(pg.inventory_file()).unwrap();
    inventory::parse("shop", "inventory/shop.toml", &text)
        .unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

/// Writes a generation below `live/` and makes it the current one, by rename.
fn switch(live: &Path, generation: u32, traffic: &Traffic) {
    let new = live.join(format!("gen/{generation}"));
    fs::create_dir_all(&new).unwrap();
    for entry in tree(traffic).to_files() {
        let path = new.join(&entry.path);
        match &entry.kind {
            Kind::Dir => fs::create_dir(path).unwrap(),
            Kind::EmptyFile => fs::write(path, "").unwrap(),
            Kind::Link(to) => symlink(to, path).unwrap(),
        }
    }
    let link = live.join("new");
    symlink(format!("gen/{generation}"), &link).unwrap();
    fs::rename(link, live.join("current")).unwrap();
}

fn switch_all(pg: &Playground, generation: u32, traffic: &Traffic) {
    pg.balancers().iter().for_each(|balancer| switch(&balancer.bg_dir.join("live"), generation, traffic));
}

#[test]
fn the_inventory_of_every_kind_of_playground_is_accepted() {
    accepted(&Playground::options().start().unwrap());
    let changed = Playground::options()
        .small()
        .segment("beta", "cookie.beta = \"yes\"")
        .each_pool(|pool| {
            pool.health("within", "\"3s\"")
                .drain("on_timeout", "\"cut\"")
                .upstream("keepalive", "8")
                .deploy("artifact", "")
                .deploy("restart", "")
                .deploy("run", "\"true {{ release }}\"")
                .deploy("root", "")
                .deploy("keep", "")
        })
        .inventory("[canary]\nkey = \"cookie:who\"");
    let inventory = accepted(&changed.start().unwrap());
    assert_eq!((inventory.balancers.len(), inventory.segments.len()), (1, 2));
}

#[test]
fn clients_follow_the_tree_and_no_request_fails() {
    let mut pg = Playground::options().start().unwrap();
    let inventory = accepted(&pg);
    std::thread::scope(|scope| {
        for place in pg.places() {
            let pg = &pg;
            scope.spawn(move || pg.start_app(&place.host.name, "v1", &Behaviour::default()).unwrap());
        }
    });
    for (balancer, checked) in pg.balancers().iter().zip(&inventory.balancers) {
        let conf = render(&inventory, checked, 1, &Templates::default()).unwrap();
        fs::create_dir_all(&balancer.bg_dir).unwrap();
        fs::write(balancer.bg_dir.join("http.conf"), conf.http).unwrap();
        fs::write(balancer.bg_dir.join("server.conf"), conf.server).unwrap();
    }
    switch_all(&pg, 1, &Traffic::Both);
    pg.wire().unwrap();
    let load = pg.load().rate(1000).start().unwrap();
    let both = load.wait_clients(load.mark(), BOUND).unwrap();
    assert_eq!(both.hosts.len(), 8, "{:?}", both.hosts);

    let segments = vec!["mobile".to_owned()];
    switch_all(&pg, 2, &Traffic::on(Half::Blue, &segments));
    let blue = load.wait_clients(load.mark(), BOUND).unwrap();
    assert_eq!(blue.by_half("green"), 0);

    let share = |segment: &str, hundredths| SegmentShare {
        segment: segment.into(),
        green: Share::from_hundredths(hundredths).unwrap(),
    };
    switch_all(&pg, 3, &Traffic::split(vec![share("mobile", 1000), share("all", 0)], 40));
    let tenth = load.wait_clients(load.mark(), BOUND).unwrap();
    assert!(tenth.mobile.is_about(10.0), "{:?}", tenth.mobile);
    assert_eq!((tenth.desktop.green, tenth.on_both), (0, 0));

    for generation in 4..24 {
        let half = if generation % 2 == 0 { Half::Green } else { Half::Blue };
        switch_all(&pg, generation, &Traffic::on(half, &segments));
        let seen = load.wait_requests(load.mark(), 200, BOUND).unwrap();
        assert_eq!(seen.halves.keys().collect::<Vec<_>>(), [half.as_str()]);
    }
    let all = load.stop();
    all.expect_none_failed();
    eprintln!("{} requests, the longest {} ms", all.sent, all.longest_ms);
    assert!(pg.probe("lb1", "/state?at=mobile/00/00").unwrap().body.contains("gen/23"));
}
