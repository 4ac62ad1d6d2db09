//! What a good inventory becomes.

use super::*;

#[test]
fn the_example_parses() {
    let inventory = parse("production", "inventory/example.toml", EXAMPLE).unwrap_or_else(|e| panic!("{e}"));
    insta::assert_debug_snapshot!(inventory);
}

/// A line of the example without its comment sign, where it is one that can be taken away: a key, a table, a host.
fn uncommented(line: &str) -> Option<String> {
    let (indent, rest) = line.split_once("# ")?;
    let key = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
    let is_entry =
        rest.starts_with(['[', '{']) || rest.split_once(" = ").is_some_and(|(name, _)| name.chars().all(key));
    (indent.trim().is_empty() && is_entry).then(|| format!("{indent}{rest}"))
}

#[test]
fn every_commented_line_of_the_example_may_be_taken_in_by_itself() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut taken = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some(plain) = uncommented(line) else { continue };
        let mut with: Vec<&str> = lines.clone();
        with[at] = &plain;
        // A table is nothing without its first key.
        let next = if plain.starts_with('[') { uncommented(lines[at + 1]) } else { None };
        if let Some(next) = &next {
            with[at + 1] = next;
        }
        good(&with.join("\n"));
        taken += 1;
    }
    assert!(taken > 30, "{taken}");
}

#[test]
fn the_whole_example_may_be_taken_in() {
    let all: Vec<String> = EXAMPLE.lines().map(|line| uncommented(line).unwrap_or_else(|| line.to_owned())).collect();
    let inventory = good(&all.join("\n"));
    assert_eq!(inventory.ssh.user.as_deref(), Some("deploy"));
    assert_eq!(inventory.templates.as_deref(), Some("nginx-templates"));
    assert_eq!(inventory.balancers[2].probe, 8475);
    assert_eq!(inventory.pools[0].health.release_header.as_deref(), Some("X-Release"));
    assert_eq!(inventory.pools[0].health.body.as_deref(), Some("\"status\":\"ok\""));
    assert_eq!(inventory.segments[1].conditions.len(), 2);
}

#[test]
fn the_contract_s_own_inventory_parses_without_its_later_parts() {
    let inventory = good(include_str!("contract.toml"));
    assert_eq!(inventory.balancers.len(), 2);
    assert_eq!(inventory.pools[0].health.smoke, ["/", "/login"]);
}

#[test]
fn the_journal_is_named_after_the_inventory_unless_it_says_otherwise() {
    assert_eq!(good(GOOD).journal, JournalLocation::File(".bg/production".to_owned()));
    let elsewhere = changed("name = \"shop\"", "name = \"shop\"\njournal = \"file:/var/lib/bg/shop\"");
    assert_eq!(good(&elsewhere).journal, JournalLocation::File("/var/lib/bg/shop".to_owned()));
    for (host, text) in [("lb1", "ssh:lb1:/var/lib/bg/shop"), ("2001:db8::7", "ssh:2001:db8::7:/var/lib/bg/shop/")] {
        let shared = changed("name = \"shop\"", &format!("name = \"shop\"\njournal = \"{text}\""));
        let (host, path) = (host.to_owned(), "/var/lib/bg/shop".to_owned());
        assert_eq!(good(&shared).journal, JournalLocation::Ssh { host, path });
    }
}

#[test]
fn a_journal_in_etcd_has_endpoints_a_prefix_and_what_opens_it() {
    let site = "name = \"shop\"";
    let location = "etcd:https://e1:2379,https://[::1]:2380,https://10.0.0.3:1/bg/shop-1.eu";
    let text = changed(site, &format!("{site}\njournal = \"{location}\""));
    let JournalLocation::Etcd(etcd) = good(&text).journal else { panic!("no etcd") };
    assert_eq!(etcd.endpoints, ["https://e1:2379", "https://[::1]:2380", "https://10.0.0.3:1"]);
    assert_eq!(etcd.prefix, "/bg/shop-1.eu");
    assert_eq!(etcd.access, EtcdAccess::default());
    assert_eq!(etcd.to_string(), location);
    let keys = ["ca", "cert", "key", "user", "password_file"];
    let table: String = keys.iter().map(|key| format!("{key} = \"etcd/{key}\"\n")).collect();
    let JournalLocation::Etcd(etcd) = good(&format!("{text}\n[etcd]\n{table}")).journal else { panic!("no etcd") };
    let EtcdAccess { ca, cert, key, user, password_file } = etcd.access;
    assert_eq!([ca, cert, key, user, password_file].map(Option::unwrap), keys.map(|key| format!("etcd/{key}")));
}

#[test]
fn numeric_ranges_expand_in_order() {
    let hosts = |pattern: &str| -> Vec<String> {
        let text = changed("hosts = [\"lb1\", \"lb2\"]", &format!("hosts = [{pattern:?}]"));
        good(&text).balancers.into_iter().map(|balancer| balancer.host).collect()
    };
    assert_eq!(hosts("lb[1-3].example.net"), ["lb1.example.net", "lb2.example.net", "lb3.example.net"]);
    assert_eq!(hosts("lb[08-11]"), ["lb08", "lb09", "lb10", "lb11"]);
    assert_eq!(hosts("r[1-2]n[0-1]"), ["r1n0", "r1n1", "r2n0", "r2n1"]);
    assert_eq!(hosts("lb[7-7]"), ["lb7"]);
    assert_eq!(hosts("10.0.0.[9-11]"), ["10.0.0.9", "10.0.0.10", "10.0.0.11"]);
}

#[test]
fn a_host_may_differ_from_the_others() {
    let text = changed(
        "hosts = [\"lb1\", \"lb2\"]",
        r#"hosts = ["lb1", { host = "lb[2-3]", address = ["10.0.0.2", "10.1.0.0/16"], dir = "/opt/bg/", probe = 9000, test = "t", reload = "r" }]
dir = "/srv/bg"
sudo = false
switch = "live""#,
    );
    insta::assert_debug_snapshot!(good(&text).balancers);
}

#[test]
fn one_machine_may_stand_in_several_places() {
    let text = changed("\"web1\"", r#""app", { host = "app", port = 3001 }"#)
        .replace("[\"web2\"]", r#"[{ host = "app", port = 3002 }, { host = "web2", address = "2001:DB8::1" }]"#)
        .replace("/srv/shop/web", "/srv/{{ site }}/{{ pool }}/{{ half }}-{{ port }}");
    insta::assert_debug_snapshot!(
        good(&text).pools[0].blue.iter().chain(&good(&text).pools[0].green).collect::<Vec<_>>()
    );
}

#[test]
fn a_port_of_the_pool_s_is_not_needed_when_every_place_has_one() {
    let text = changed("port = 3000\n", "")
        .replace("[\"web1\"]", "[{ host = \"a\", port = 1 }]")
        .replace("[\"web2\"]", "[{ host = \"b\", port = 65535 }]");
    assert_eq!(good(&text).pools[0].green[0].port, 65535);
}

#[test]
fn a_command_of_the_user_s_keeps_its_marker_at_home_unless_a_root_is_given() {
    let roots = |deploy: &str| good(&with_deploy(deploy)).pools[0].blue[0].root.clone();
    assert_eq!(roots("run = \"./deploy {{ release }}\""), "~/.bg/shop/web-3000");
    assert_eq!(roots("run = \"./deploy\", root = \"~/mark/{{ half }}\""), "~/mark/blue");
    assert_eq!(roots("run = \"./deploy\", root = \"/var/lib/mark/\""), "/var/lib/mark");
}

#[test]
fn pools_and_segments_keep_the_order_of_the_file() {
    let pool = GOOD[GOOD.find("[pools.web]").unwrap()..GOOD.find("[segments").unwrap()].to_owned();
    let other = |name: &str| pool.replace("pools.web", &format!("pools.{name}")).replace("\"web", &format!("\"{name}"));
    let text = with(&format!(
        "[segments.beta]\npath = \"^/b\"\n[segments.aaa]\nhost = \"x\"\n{}{}",
        other("zeta"),
        other("alpha")
    ));
    let inventory = good(&text);
    assert_eq!(inventory.segment_names(), ["mobile", "beta", "aaa"]);
    let pools: Vec<&str> = inventory.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(pools, ["web", "zeta", "alpha"]);
}

#[test]
fn conditions_of_every_kind_are_read() {
    let text = with(
        r#"[segments.staff]
address = "10.0.0.9"
header.X-Beta = "^1$"
cookie = { Staff = "yes" }
path = "^/(?!api)"
host = '(\w+)\.example'
[canary]
key = "cookie:session""#,
    );
    let inventory = good(&text);
    assert_eq!(inventory.canary_key, CanaryKey::Cookie("session".to_owned()));
    insta::assert_debug_snapshot!(inventory.segments[1]);
}

#[test]
fn every_duration_unit_is_read() {
    for (text, ms) in [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("1h", 3_600_000)] {
        assert_eq!(good(&with_pool(&format!("drain.timeout = {text:?}"))).pools[0].drain.timeout_ms, ms);
    }
}

#[test]
fn the_digest_follows_what_the_balancers_depend_on_and_nothing_else() {
    let digest = good(GOOD).digest();
    insta::assert_snapshot!(digest, @"7e2e934194fb35807513df0a9dc0b0b6f5c114121934ea5c55f03847e2a22180");
    let same = [
        with_pool("drain = { timeout = \"1s\", on_timeout = \"cut\" }"),
        with_pool("health = { path = \"/x\", successes = 1 }"),
        with_deploy("root = \"/srv/shop/web\", artifact = \"other\", restart = \"other\", keep = 3"),
        with("[ssh]\nuser = \"someone\""),
        changed("hosts =", "reload = \"service nginx reload\"\nhosts ="),
        format!("# a comment\n{GOOD}"),
    ];
    for text in same {
        assert_eq!(good(&text).digest(), digest, "{text}");
    }
    let other = [
        changed("\"shop\"", "\"shoe\""),
        changed("\"lb2\"", "\"lb3\""),
        changed("hosts =", "probe = 1234\nhosts ="),
        changed("\"lb1\", \"lb2\"", "\"lb2\", \"lb1\""),
        changed("3000", "3001"),
        changed("/srv/shop/web", "/srv/web"),
        changed("[\"web1\"]", "[{ host = \"web1\", weight = 2 }]"),
        with_pool("upstream.keepalive = 3"),
        changed("android", "Android"),
        changed("segments.mobile", "segments.phone"),
        with("[canary]\nkey = \"header:X-User\""),
    ];
    for text in other {
        assert_ne!(good(&text).digest(), digest, "{text}");
    }
}
