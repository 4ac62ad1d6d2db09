//! Every key that an inventory can have. The parser knows no other, and docs/inventory.md is made from this table; tests parse
//! each default, example and bound that stands here.

use std::fmt::Write as _;

use super::scalar::spoken_duration;

/// A table of the inventory. `NAME` in its path stands for a name that the user chooses.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Such as `pools.NAME.health`; empty: the file itself.
    pub path: &'static str,
    /// In the order in which they are documented.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds without it.
    pub default: Default,
    /// A value, as TOML.
    pub example: &'static str,
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// In words.
    Said(&'static str),
    /// A string with a number and a unit; bounds in milliseconds.
    Duration(u64, u64),
    /// An integer, and its bounds.
    Integer(u32, u32),
    /// One of these strings.
    OneOf(&'static [&'static str]),
}

/// What holds where a key is not there.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// It must be there.
    Required,
    /// In words: there is no value that would mean the same.
    Said(&'static str),
    /// This value, as TOML.
    Value(&'static str),
    /// A value that depends on other keys: in words, and as TOML for the site `shop` in a file `production.toml`.
    Made(&'static str, &'static str),
}

use self::Default::{Made, Required, Value};
use self::Kind::{Duration, Integer, OneOf};

const fn said(words: &'static str) -> Default {
    Default::Said(words)
}
const fn is(words: &'static str) -> Kind {
    Kind::Said(words)
}

const STRING: Kind = Kind::Said("string");
const PATH: Kind = Kind::Said("path on this machine");
const LINE: Kind = Kind::Said("shell line");
const REGEX: Kind = Kind::Said("regex");
const PORT: Kind = Kind::Integer(1, 65_535);
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600_000;

macro_rules! sections {
    ($($path:literal { $($name:ident: $kind:expr, $default:expr, $example:literal, $meaning:literal;)* })*) => {
        &[$(Section { path: $path, keys: &[$(
            Key { name: stringify!($name), kind: $kind, default: $default, example: $example, meaning: $meaning },
        )*] },)*]
    };
}

/// All of them, in the order of the reference.
pub const SECTIONS: &[Section] = sections! {
    "" {
        site: is("table"), Required, r#"{ name = "shop" }"#, "The site's name and its journal.";
        etcd: is("table"), said("none"), r#"{ user = "bg", password_file = "etcd/password" }"#,
            "What opens a journal that is in etcd.";
        ssh: is("table"), said("your ssh config"), r#"{ user = "deploy" }"#, "How hosts are reached.";
        balancers: is("table"), Required, r#"{ hosts = ["lb1"] }"#, "The hosts that run nginx in front of the pools.";
        pools: is("tables by name"), Required,
            r#"{ web = { port = 3000, blue = ["web1"], green = ["web2"], deploy = { run = "/opt/deploy.sh" } } }"#,
            "The tiers of servers, at least one.";
        segments: is("tables by name"), said("none"), r#"{ mobile = { user_agent = "(?i)android|iphone" } }"#,
            "Named slices of requests, for canaries.";
        canary: is("table"), said("as below"), r#"{ key = "cookie:visitor" }"#, "What sticks to a half.";
    }
    "site" {
        name: is("name"), Required, r#""shop""#,
            "A lower-case letter, then lower-case letters and digits. Every nginx name that bg writes begins with it.";
        journal: is("`file:DIRECTORY`, `ssh:HOST:/DIRECTORY` or `etcd:ENDPOINT,…/PREFIX`"),
            Made(r#"`"file:.bg/<the file's name>"`"#, r#""file:.bg/production""#), r#""ssh:lb1:/var/lib/bg/shop""#,
            "Where everything is recorded that was intended and done. To move it: `bg journal copy`.";
    }
    "etcd" {
        ca: PATH, said("the authorities that this machine trusts"), r#""etcd/ca.pem""#,
            "The authorities that the members' certificates must be from (PEM).";
        cert: PATH, said("none"), r#""etcd/client.pem""#, "bg's own certificate (PEM); only with `key`.";
        key: PATH, said("none"), r#""etcd/client.key""#, "Its key (PEM).";
        user: STRING, said("none"), r#""bg""#, "The user in etcd; only with `password_file`.";
        password_file: PATH, said("none"), r#""etcd/password""#, "The file that holds the user's password.";
    }
    "ssh" {
        user: STRING, said("what your ssh config says"), r#""deploy""#, "The login user on every host.";
        config: PATH, said("`~/.ssh/config`"), r#""ssh_config""#, "A config file instead of your own.";
        connect_timeout: Duration(100, 10 * 60 * SECOND), Value(r#""10s""#), r#""2s""#,
            "A host that does not answer is given up after that; one that falls silent later within twice as long, 20 s at most.";
        parallel: Integer(1, 1_024), Value("32"), "8", "Hosts worked on at once.";
    }
    "balancers" {
        hosts: is("array of hosts"), Required, r#"["lb[1-2].example.net"]"#,
            "As ssh reaches them. A numeric range expands; a host that differs is a table, see below.";
        dir: is("directory there"), Made(r#"`"/etc/nginx/bg/<site>"`"#, r#""/etc/nginx/bg/shop""#), r#""/srv/nginx/bg/shop""#,
            "bg's directory. It belongs to root, with http.conf and server.conf; only `live/` in it is the login user's.";
        probe: PORT, Value("8474"), "8475", "The loopback port on the balancer where nginx answers bg, and only bg.";
        switch: OneOf(&["live"]), Value(r#""live""#), r#""live""#, "How traffic is shifted: by a rename, nothing is reloaded.";
        templates: PATH, said("the built-in ones"), r#""nginx-templates""#,
            "A directory with your own http.conf.tera and server.conf.tera.";
        test: LINE, Value(r#""nginx -t""#), r#""/opt/nginx/sbin/nginx -t""#, "Tests nginx's configuration.";
        reload: LINE, Value(r#""nginx -s reload""#), r#""systemctl reload nginx""#,
            "Reloads nginx, when http.conf or server.conf changed.";
        sudo: is("boolean"), Value("true"), "false", "Whether what only root may do there is prefixed with `sudo -n`.";
    }
    "balancers.hosts" {
        host: is("host or range"), Required, r#""lb3.example.net""#, "How ssh reaches it.";
        address: is("address or network, or an array of them"), said("the host's own addresses"), r#""10.0.0.3""#,
            "What the pools see it connect from: a drain tells its connections from other peers' by that.";
        dir: is("directory there"), said("that of `[balancers]`"), r#""/srv/nginx/bg/shop""#, "Instead of `[balancers] dir`.";
        probe: PORT, said("that of `[balancers]`"), "8475", "Instead of `[balancers] probe`.";
        test: LINE, said("that of `[balancers]`"), r#""docker exec web nginx -t""#, "Instead of `[balancers] test`.";
        reload: LINE, said("that of `[balancers]`"), r#""docker exec web nginx -s reload""#, "Instead of `[balancers] reload`.";
    }
    "pools.NAME" {
        port: PORT, said("none: then every server names its own"), "3000", "The port of the pool's servers.";
        blue: is("array of hosts"), Required, r#"["web1", "web3"]"#,
            "The blue half, at least one server. Ranges expand; a server that differs is a table, see below.";
        green: is("array of hosts"), Required, r#"["web2", { host = "web4", weight = 2 }]"#, "The green half.";
        upstream: is("table"), said("as below"), r#"{ keepalive = 16 }"#, "How nginx talks to the servers.";
        drain: is("table"), said("as below"), r#"{ timeout = "2m" }"#, "How a half is emptied before it is touched.";
        deploy: is("table"), Required, r#"{ run = "/opt/deploy.sh {{ release }}" }"#, "How a release comes onto a server.";
        health: is("table"), said("as below"), r#"{ path = "/healthz" }"#, "When a server is healthy.";
    }
    "pools.NAME.blue" {
        host: is("host or range"), Required, r#""web4.example.net""#, "How ssh reaches it.";
        address: is("host name or address"), said("`host`"), r#""10.0.0.14""#, "What nginx connects to; without a port.";
        port: PORT, said("the pool's"), "3001", "Instead of the pool's `port`.";
        weight: Integer(1, 1_000), Value("1"), "2", "How many requests it gets beside the others, as in nginx.";
    }
    "pools.NAME.upstream" {
        keepalive: Integer(0, 10_000), Value("32"), "16", "Idle connections that each worker keeps; 0: none.";
        keepalive_timeout: Duration(1, HOUR), Value(r#""4s""#), r#""30s""#,
            "When nginx closes an idle one. It must be below the application's own: Node.js closes after 5 s.";
        balance: OneOf(&["least_conn", "round_robin", "ip_hash", "random"]), Value(r#""least_conn""#), r#""round_robin""#,
            "How nginx picks a server.";
        hash: is("nginx expression with a variable"), said("none"), r#""$request_uri""#,
            "Instead of `balance`: the same key goes to the same server (consistent hashing).";
        max_fails: Integer(0, 1_000), Value("1"), "3", "Failures within `fail_timeout` after which nginx passes a server over; 0: never.";
        fail_timeout: Duration(SECOND, 24 * HOUR), Value(r#""10s""#), r#""5s""#, "That time, and for how long; whole seconds.";
        max_conns: Integer(0, 1_000_000), Value("0"), "200", "Connections to one server at once; 0: as many as come.";
    }
    "pools.NAME.drain" {
        timeout: Duration(100, 24 * HOUR), Value(r#""30s""#), r#""2m""#, "How long requests in flight may take to end.";
        on_timeout: OneOf(&["fail", "cut"]), Value(r#""fail""#), r#""cut""#,
            "`fail`: the command stops with 5, traffic stays where it is safe. `cut`: it goes on, and records how many were cut.";
        ignore: is("array of addresses and networks"), Value("[]"), r#"["10.0.0.9", "10.1.0.0/16"]"#,
            "Peers on the server's port that do not count, such as a monitor.";
    }
    "pools.NAME.deploy" {
        root: is("directory there; words: site, pool, half, host, port"),
            said("required; with `run`: `~/.bg/<site>/<pool>-<port>`"), r#""/srv/shop/web""#,
            "Where `releases/`, `current` and `shared/` are, and bg's marker.";
        artifact: is("path on this machine; words: release, version, site, pool"), said("required, unless `run` is there"),
            r#""dist/web-{{ release }}.tar.zst""#, "What is unpacked: a directory, .tar, .tar.gz or .tar.zst.";
        restart: is("shell line; all words"), said("required, unless `run` is there"), r#""sudo -n systemctl restart shop-web""#,
            "Runs on the server once `current` points to the new release.";
        service: is("systemd unit; all words"), said("not watched"), r#""shop-web.service""#,
            "Watched for crash loops after the restart.";
        keep: Integer(2, 10_000), Value("10"), "5", "Releases kept on each server; `restore` removes older ones.";
        shared: is("array of paths below the release"), Value("[]"), r#"["uploads", "config/local.json"]"#,
            "Kept in `<root>/shared` and linked into each release.";
        run: is("shell line; all words"), said("none"), r#""/opt/deploy.sh {{ release }} {{ half }}""#,
            "Instead of `artifact` and `restart`: a command of yours on each server. Exit 0 means installed.";
    }
    "pools.NAME.health" {
        path: is("path of a request"), Value(r#""/""#), r#""/healthz""#, "What is asked.";
        status: is("status codes and ranges"), Value(r#""200-299""#), r#""200, 204, 301-308""#, "What must be answered.";
        interval: Duration(10, HOUR), Value(r#""1s""#), r#""500ms""#, "The time from one request to the next.";
        timeout: Duration(10, HOUR), Value(r#""2s""#), r#""5s""#, "How long one answer may take.";
        within: Duration(100, HOUR), Value(r#""60s""#), r#""3m""#, "Healthy by then, or the command fails.";
        successes: Integer(1, 1_000), Value("3"), "5", "As many in a row. Right before a shift one is asked.";
        from: OneOf(&["balancers", "host"]), Value(r#""balancers""#), r#""host""#,
            "Who asks: every balancer, so that firewalls count, or the server's own host.";
        release_header: is("header's name"), said("not looked at"), r#""X-Release""#,
            "The answer must name the new release in it, its label or vN: an old process that survived its restart cannot pass.";
        smoke: is("array of paths"), Value("[]"), r#"["/", "/login"]"#, "After an installation these must answer below 400 too.";
        host: is("Host header"), said("the server's address and port"), r#""www.example.net""#, "What is asked for.";
        headers: is("table of strings"), Value("{}"), r#"{ Accept = "application/json" }"#, "More headers of the request.";
        scheme: OneOf(&["http"]), Value(r#""http""#), r#""http""#, "For https let a command decide: `run`.";
        port: PORT, said("the server's"), "9000", "Another port than the one that gets the traffic.";
        body: REGEX, said("not looked at"), r#""\"status\": *\"ok\"""#, "What the answer's body must match.";
        run: is("shell line; all words"), said("none"), r#""/opt/check.sh {{ port }}""#,
            "Instead of a request: a command on the server, healthy with exit 0. Only the times stay beside it.";
    }
    "segments.NAME" {
        user_agent: REGEX, said("any"), r#""(?i)android|iphone|ipad""#, "The User-Agent header.";
        path: REGEX, said("any"), r#""^/beta/""#, "The path as nginx has normalised it, without the query.";
        host: REGEX, said("any"), r#""^beta\\.""#, "The host that is asked for.";
        header: is("table of regexes"), said("any"), r#"{ x-beta = "^1$" }"#, "Headers by name; written `header.x-beta = …` too.";
        cookie: is("table of regexes"), said("any"), r#"{ staff = "^yes$" }"#, "Cookies by name; written `cookie.staff = …` too.";
        address: is("address or network, or an array of them"), said("any"), r#"["10.0.0.0/8", "2001:db8::/32"]"#,
            "The client's address, as nginx has it.";
    }
    "canary" {
        key: is("`client`, `cookie:NAME` or `header:NAME`"), Value(r#""client""#), r#""cookie:visitor""#,
            "What sticks to a half: address and user agent, a cookie, or a header. Where that one is missing: the client.";
    }
};

/// The keys of a table; none where there is no such table.
pub(super) fn keys(path: &str) -> &'static [Key] {
    SECTIONS.iter().find(|section| section.path == path).map_or(&[], |section| section.keys)
}

/// The table of one section for the reference, in Markdown.
pub fn reference(section: &Section) -> String {
    let mut text = String::from("| key | value | default | example | meaning |\n|---|---|---|---|---|\n");
    for key in section.keys {
        let example = code(&format!("{} = {}", key.name, key.example));
        let _ = writeln!(text, "| `{}` | {} | {} | {example} | {} |", key.name, key.kind, key.default, key.meaning);
    }
    text
}

/// Code in a cell: what parts cells is escaped.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Said(words) => f.write_str(words),
            Kind::Duration(least, most) => {
                write!(f, "duration, {} to {}", spoken_duration(*least), spoken_duration(*most))
            }
            Kind::Integer(least, most) => write!(f, "integer, {least} to {most}"),
            Kind::OneOf(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                f.write_str(&words.join(", "))
            }
        }
    }
}

impl std::fmt::Display for Default {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Default::Required => f.write_str("**required**"),
            Default::Said(words) | Default::Made(words, _) => f.write_str(words),
            Default::Value(toml) => f.write_str(&code(toml)),
        }
    }
}
