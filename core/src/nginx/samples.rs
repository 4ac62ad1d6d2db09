//! A small checked inventory for tests, built without the parser.

use crate::inventory::*;

pub fn place(host: &str, address: &str, port: u16) -> Place {
    Place { host: host.into(), address: address.into(), port, weight: 1, root: "/srv/shop".into() }
}

pub fn pool(name: &str, blue: Vec<Place>, green: Vec<Place>) -> Pool {
    Pool {
        name: name.into(),
        blue,
        green,
        upstream: Upstream {
            keepalive: 32,
            keepalive_timeout_ms: 4_000,
            balance: Balance::LeastConn,
            max_fails: 1,
            fail_timeout_ms: 10_000,
            max_conns: 0,
        },
        drain: Drain { timeout_ms: 30_000, on_timeout: OnTimeout::Fail, ignore: vec![] },
        deploy: Deploy::Run { run: "true".into(), service: None },
        health: Health {
            path: "/".into(),
            status: vec![(200, 299)],
            interval_ms: 1_000,
            timeout_ms: 2_000,
            within_ms: 60_000,
            successes: 3,
            from: HealthFrom::Balancers,
            release_header: None,
            smoke: vec![],
            host: None,
            headers: vec![],
            scheme: "http".into(),
            port: None,
            body: None,
            run: None,
        },
    }
}

pub fn segment(name: &str, conditions: Vec<Condition>) -> Segment {
    Segment { name: name.into(), conditions }
}

/// The site `shop`: one balancer, the pools `web` and `api`, the segment `mobile`.
pub fn shop(dir: &str, probe: u16) -> Inventory {
    Inventory {
        site: "shop".into(),
        journal: JournalLocation::File(".bg/production".into()),
        ssh: Ssh { user: None, config: None, connect_timeout_ms: 10_000, parallel: 32 },
        balancers: vec![Balancer {
            host: "lb1".into(),
            address: vec![],
            dir: dir.into(),
            probe,
            test: "nginx -t".into(),
            reload: "nginx -s reload".into(),
            sudo: true,
        }],
        templates: None,
        pools: vec![
            pool("web", vec![place("web1", "127.0.0.1", 3001)], vec![place("web2", "127.0.0.1", 3002)]),
            pool("api", vec![place("api1", "127.0.0.1", 3003)], vec![place("api2", "127.0.0.1", 3004)]),
        ],
        segments: vec![segment("mobile", vec![Condition::UserAgent("(?i)android|iphone|ipad".into())])],
        canary_key: CanaryKey::Client,
    }
}
