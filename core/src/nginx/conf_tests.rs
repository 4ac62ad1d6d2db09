use super::*;
use crate::inventory::{Balance, CanaryKey, Condition};
use crate::nginx::samples::{place, segment, shop};

const DIR: &str = "/etc/nginx/bg/shop";

fn rendered(inventory: &Inventory) -> Conf {
    render(inventory, &inventory.balancers[0], 7, &Templates::default()).unwrap()
}

/// Every kind of condition, cookie names that nginx has no variable for, IPv6, weights, all limits.
fn rich() -> Inventory {
    let mut shop = shop(DIR, 8474);
    shop.segments.push(segment(
        "staff",
        vec![
            Condition::Address(vec![
                "10.1.2.3/8".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ]),
            Condition::Header("x-beta".into(), "^(1|yes)$".into()),
            Condition::Cookie("staff".into(), r#"^"a;{b}\.$"#.into()),
            Condition::Cookie("my-id.x".into(), ".".into()),
            Condition::Path("^/intern/".into()),
            Condition::Host(r"^intern\.".into()),
        ],
    ));
    shop.canary_key = CanaryKey::Cookie("visitor-id".into());
    let web = &mut shop.pools[0];
    web.green[0] = place("web2", "2001:db8::2", 3001);
    web.green[0].weight = 2;
    web.upstream.balance = Balance::Hash("$request_uri".into());
    web.upstream.max_conns = 100;
    web.upstream.fail_timeout_ms = 1_500;
    shop.pools[1].upstream.keepalive = 0;
    shop.pools[1].upstream.balance = Balance::RoundRobin;
    shop
}

#[test]
fn the_files_of_a_rich_inventory() {
    let conf = rendered(&rich());
    insta::assert_snapshot!("http_conf", conf.http);
    insta::assert_snapshot!("server_conf", conf.server);
}

#[test]
fn names_are_as_promised() {
    let conf = rendered(&shop(DIR, 8474));
    for name in [
        "upstream shop_web_both {",
        "upstream shop_web_blue {",
        "upstream shop_web_green {",
        "$shop_web {",
        "$shop_segment {",
        "$shop_half {",
        "zone=shop_inflight:",
        "server_name bg-shop;",
        "listen 127.0.0.1:8474;",
        "location = /inflight1000 {",
    ] {
        assert!(conf.http.contains(name), "{name}");
    }
    assert!(!conf.http.contains("upstream shop_web {") && !conf.http.contains("volatile;"));
}

#[test]
fn the_first_line_is_read_back() {
    let conf = rendered(&shop(DIR, 8474));
    let first = FirstLine { site: "shop".into(), revision: 7 };
    assert_eq!(conf.http.lines().next(), Some("# bg: site shop, configuration revision 7"));
    assert_eq!(parse_first_line(&conf.http), Some(first.clone()));
    assert_eq!(parse_first_line(&conf.server), Some(first));
    for other in
        ["", "# bg: site shop", "# bg: site Shop!, configuration revision 7", "# bg: site s, configuration revision x"]
    {
        assert_eq!(parse_first_line(other), None, "{other:?}");
    }
}

#[test]
fn the_digest_tells_revisions_and_contents_apart() {
    let inventory = shop(DIR, 8474);
    let of = |inventory: &Inventory, revision| {
        render(inventory, &inventory.balancers[0], revision, &Templates::default()).unwrap().digest()
    };
    assert_eq!(of(&inventory, 7), of(&inventory, 7));
    assert_ne!(of(&inventory, 7), of(&inventory, 8));
    assert_ne!(of(&inventory, 7), of(&rich(), 7));
}

#[test]
fn no_keepalive_is_no_directive() {
    let mut inventory = shop(DIR, 8474);
    inventory.pools.iter_mut().for_each(|pool| pool.upstream.keepalive = 0);
    let conf = rendered(&inventory);
    assert!(!conf.http.contains("    keepalive "));
}

#[test]
fn a_broken_template_names_itself_and_the_place() {
    let inventory = shop(DIR, 8474);
    let templates = Templates::new("upstream {{ nope }}", "ok");
    let error = render(&inventory, &inventory.balancers[0], 7, &templates).unwrap_err().to_string();
    assert!(error.contains("http.conf.tera") && error.contains("nope"), "{error}");
}

#[test]
fn a_template_of_the_users_own_keeps_bgs_first_line() {
    let inventory = shop(DIR, 8474);
    let conf = render(&inventory, &inventory.balancers[0], 9, &Templates::new("# {{ site }}", "{{ \"a;b\" | quote }}"))
        .unwrap();
    assert_eq!(conf.http, "# bg: site shop, configuration revision 9\n# shop");
    assert_eq!(conf.server, "# bg: site shop, configuration revision 9\n\"a;b\"");
}

#[test]
fn what_nginx_cannot_hold_is_refused_with_its_place() {
    let with = |condition| {
        let mut inventory = shop(DIR, 8474);
        inventory.segments = vec![segment("mobile", vec![condition])];
        render(&inventory, &inventory.balancers[0], 7, &Templates::default()).unwrap_err().to_string()
    };
    let long = with(Condition::UserAgent("a".repeat(10_000)));
    assert!(long.starts_with("`user_agent` of segment `mobile`: it takes 10003 bytes"), "{long}");
    assert!(with(Condition::Path("a\nb".into())).contains("control character U+000A"));
    assert!(with(Condition::Header("x y".into(), "a".into())).contains("`x y` is no name"));
    assert!(with(Condition::Cookie("a;b".into(), "a".into())).contains("`a;b` is no name"));
    let mut inventory = shop("/etc/nginx/b g", 8474);
    assert!(render(&inventory, &inventory.balancers[0], 7, &Templates::default()).is_err());
    inventory = shop(DIR, 8474);
    inventory.pools[0].blue[0].address = "a;b".into();
    assert!(render(&inventory, &inventory.balancers[0], 7, &Templates::default()).is_err());
}
