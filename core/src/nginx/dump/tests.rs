use super::*;
use crate::inventory::Inventory;
use crate::nginx::conf::{Templates, render};
use crate::nginx::samples::{place, shop};

const DIR: &str = "/etc/nginx/bg/shop";
const INCLUDE: &str = "include /etc/nginx/bg/shop/server.conf;";

fn inventory() -> Inventory {
    let mut shop = shop(DIR, 8474);
    shop.pools[0].blue[0] = place("web1", "10.0.0.11", 3000);
    shop.pools[0].green[0] = place("web2", "web2.internal", 3000);
    shop.pools[1].blue[0] = place("api1", "2001:db8::1", 80);
    shop.pools[1].green[0] = place("api2", "127.0.0.1", 443);
    shop
}

/// What `nginx -T` prints for these files.
fn printed(files: &[(&str, &str)]) -> String {
    files.iter().map(|(name, text)| format!("# configuration file {name}:\n{text}\n\n")).collect()
}

/// A configuration whose http block holds `http`, with bg's files where the includes say.
fn dump(http: &str) -> Dump {
    let conf = render(&inventory(), &inventory().balancers[0], 3, &Templates::default()).unwrap();
    let main = format!("user www-data;\nevents {{}}\nhttp {{\n{http}\n}}\n");
    let mut files = vec![("/etc/nginx/nginx.conf", main.as_str())];
    if http.contains("http.conf") {
        files.push(("/etc/nginx/bg/shop/http.conf", &conf.http));
    }
    if http.contains("server.conf") {
        files.push(("/etc/nginx/bg/shop/server.conf", &conf.server));
    }
    Dump::parse(&printed(&files)).unwrap()
}

fn found(http: &str) -> Vec<Finding> {
    let inventory = inventory();
    findings(&inventory, &inventory.balancers[0], &dump(http))
}

/// What is found in a server block with `body` beside a wired one.
fn in_server(body: &str) -> Vec<Finding> {
    found(&format!(
        "include bg/shop/http.conf;\nserver {{ listen 80; {INCLUDE}\n location / {{ proxy_pass http://$shop_web; }} }}\n\
         server {{ server_name old.example.net;\n{body}\n}}"
    ))
}

fn only(found: Vec<Finding>) -> Finding {
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_wired_configuration_has_no_findings() {
    assert_eq!(in_server(&format!("{INCLUDE} location /api/ {{ proxy_pass http://$shop_api; }}")), []);
    assert_eq!(in_server("return 301 https://$host$request_uri;"), []);
    assert_eq!(
        in_server("location / { proxy_pass http://10.0.0.99:3000; } location /x { proxy_pass http://unix:/run/x:/; }"),
        []
    );
    assert_eq!(in_server(&format!("listen 81; set $currency EUR; {INCLUDE} add_header X $shop_half;")), []);
}

#[test]
fn a_missing_http_conf_is_found_with_the_line_to_add() {
    let finding = only(found("server { listen 80; root /srv; }"));
    assert!(finding.bypass && finding.fix.contains("include /etc/nginx/bg/shop/http.conf;"), "{finding}");
    assert_eq!((finding.file.as_str(), finding.line), ("/etc/nginx/nginx.conf", 3));
    assert!(only(found("include bg/shop/http.conf; include /etc/nginx/bg/*/http.conf;")).message.contains("2 times"));
}

#[test]
fn a_configuration_without_an_http_block_switches_nothing() {
    let dump = Dump::parse(&printed(&[("/etc/nginx/nginx.conf", "events {}\n")])).unwrap();
    let inventory = inventory();
    assert!(only(findings(&inventory, &inventory.balancers[0], &dump)).message.contains("no `http` block"));
}

#[test]
fn a_server_block_without_the_include_is_found() {
    for body in [
        "location / { proxy_pass http://$shop_web; }",
        "location / { grpc_pass grpc://${shop_web}; }",
        "location / { if ($arg_x) { proxy_pass http://$shop_web; } }",
        "access_log /var/log/x main if=$shop_half;",
    ] {
        let finding = only(in_server(body));
        assert!(
            finding.bypass && finding.message.contains("`old.example.net`") && finding.fix.contains(INCLUDE),
            "{finding}"
        );
    }
    let deeper = only(in_server(&format!("location / {{ {INCLUDE} proxy_pass http://$shop_web; }}")));
    assert!(deeper.fix.contains("move it up"), "{deeper}");
}

#[test]
fn a_variable_of_the_users_that_comes_from_bgs_needs_the_include_too() {
    let http = "include bg/shop/http.conf; map $uri $second { default $first; } map $uri $first { default $shop_web; ~^/api $shop_api; } \
                server { location / { proxy_pass http://$second; } }";
    assert!(only(found(http)).message.contains("`$second`"));
}

#[test]
fn an_include_that_comes_too_late_is_found() {
    for early in ["rewrite ^/old /new last;", "if ($http_x) { break; }", "return 200;", "set $x $shop_half;"] {
        let finding = only(in_server(&format!("{early} {INCLUDE} location / {{ proxy_pass http://$shop_web; }}")));
        assert!(finding.bypass && finding.message.contains("stands above"), "{early}: {finding}");
    }
}

#[test]
fn an_included_file_counts_where_it_stands() {
    let conf = render(&inventory(), &inventory().balancers[0], 3, &Templates::default()).unwrap();
    let main = "http { include bg/shop/http.conf; include sites/*.conf; }";
    let site = "server { include snippets/start.conf; location / { proxy_pass http://$shop_web; } }";
    let dump = Dump::parse(&printed(&[
        ("/etc/nginx/nginx.conf", main),
        ("/etc/nginx/bg/shop/http.conf", &conf.http),
        ("/etc/nginx/sites/a.conf", site),
        ("/etc/nginx/snippets/start.conf", "rewrite ^/a /b;\ninclude bg/shop/server.conf;\n"),
        ("/etc/nginx/bg/shop/server.conf", &conf.server),
        ("/etc/nginx/sites/b.conf", "server { server_name b;\n\nlocation / { proxy_pass http://$shop_api; } }"),
        ("/etc/nginx/sites/.hidden.conf", "not read at all }"),
    ]));
    assert_eq!(dump.unwrap_err().to_string(), "/etc/nginx/sites/.hidden.conf:1: `}` closes nothing");
    let dump = Dump::parse(&printed(&[
        ("/etc/nginx/nginx.conf", main),
        ("/etc/nginx/bg/shop/http.conf", &conf.http),
        ("/etc/nginx/sites/a.conf", site),
        ("/etc/nginx/snippets/start.conf", "rewrite ^/a /b;\ninclude bg/shop/server.conf;\n"),
        ("/etc/nginx/bg/shop/server.conf", &conf.server),
        ("/etc/nginx/sites/b.conf", "server { server_name b;\n\nlocation / { proxy_pass http://$shop_api; } }"),
    ]))
    .unwrap();
    let inventory = inventory();
    let found = findings(&inventory, &inventory.balancers[0], &dump);
    let places: Vec<(&str, usize)> = found.iter().map(|f| (f.file.as_str(), f.line)).collect();
    assert_eq!(places, [("/etc/nginx/snippets/start.conf", 1), ("/etc/nginx/sites/b.conf", 3)], "{found:#?}");
}

#[test]
fn a_forgotten_server_block_that_names_a_server_is_found() {
    let table = [
        ("proxy_pass http://web2.internal:3000;", "`web2:3000`, a green server of pool `web`"),
        ("proxy_pass http://WEB2.internal.:3000/x;", "`web2:3000`"),
        ("proxy_pass http://web2:3000;", "`web2:3000`"),
        ("proxy_pass http://10.0.0.11:3000;", "`web1:3000`, a blue server"),
        ("proxy_pass http://[2001:DB8:0::1];", "`api1:80`, a blue server of pool `api`"),
        ("proxy_pass https://localhost/;", "`api2:443`"),
        ("fastcgi_pass web2:3000;", "`web2:3000`"),
        ("grpc_pass grpc://web2:3000;", "`web2:3000`"),
        ("uwsgi_pass uwsgi://web2:3000;", "`web2:3000`"),
        ("set $b web2:3000; proxy_pass http://$b/x;", "`web2:3000`"),
        ("set $b http://web2; proxy_pass ${b}:3000;", "`web2:3000`"),
        ("proxy_pass http://shop_web_green;", "bg's upstream `shop_web_green` by name"),
        ("proxy_pass http://shop_api_both/;", "bg's upstream `shop_api_both` by name"),
    ];
    for (pass, words) in table {
        let finding = only(in_server(&format!("location / {{ {pass} }}")));
        assert!(finding.bypass && finding.message.contains(words), "{pass}: {finding}");
    }
    for other in ["web2:3001", "web2", "web3:3000", "10.0.0.1:3000", "shop_web_green:99", "[2001:db8::2]"] {
        assert_eq!(in_server(&format!("location / {{ proxy_pass http://{other}; }}")), [], "{other}");
    }
}

#[test]
fn a_users_own_upstream_and_map_are_looked_through() {
    let wired = "include bg/shop/http.conf;";
    let server = |target: &str| format!("server {{ server_name x; location / {{ proxy_pass http://{target}; }} }}");
    let upstream = "upstream old { server 10.9.9.9:1; server web2:3000 backup; }";
    let finding = only(found(&format!("{wired} {upstream} {}", server("old"))));
    assert!(
        finding.message.contains("`web2:3000`, a green server of pool `web`, through the upstream `old`"),
        "{finding}"
    );
    let default_port = "upstream old { server [2001:db8::1]; }";
    assert!(only(found(&format!("{wired} {default_port} {}", server("old")))).message.contains("`api1:80`"));
    let map = "map $host $to { default old; x other; }";
    assert_eq!(found(&format!("{wired} {upstream} {map} {}", server("$to"))).len(), 1);
    assert_eq!(found(&format!("{wired} {upstream} {}", server("elsewhere"))), []);
}

#[test]
fn variables_that_lead_in_a_circle_end() {
    assert_eq!(in_server("set $a $b; set $b $a; location / { proxy_pass http://$a; }"), []);
}

#[test]
fn a_limit_conn_of_the_users_that_replaces_the_counter_is_found() {
    let body = |location: &str| format!("{INCLUDE}\nlocation / {{ {location} }}");
    let finding = only(in_server(&body("limit_conn perip 5; proxy_pass http://$shop_web;")));
    assert!(finding.bypass && finding.fix.contains("limit_conn shop_inflight 65535;"), "{finding}");
    let nested = only(in_server(&body("location /a { limit_conn perip 5; try_files $uri @app; }")));
    assert!(nested.bypass && nested.message.contains("`location /a`"), "{nested}");
    assert!(!only(in_server(&body("limit_conn perip 5; root /srv/static;"))).bypass);
    assert_eq!(
        in_server(&body("limit_conn perip 5; limit_conn shop_inflight 65535; proxy_pass http://$shop_web;")),
        []
    );
    assert_eq!(in_server(&format!("{INCLUDE} limit_conn perip 5;")), []);
    assert_eq!(in_server("location / { limit_conn perip 5; return 200; }"), []);
}

#[test]
fn an_inherited_limit_conn_that_is_taken_away_is_found() {
    let http = |own: &str| {
        format!(
            "include bg/shop/http.conf; limit_conn perserver 10; limit_conn all 99; server {{ {INCLUDE} {own} }} server {{ listen 81; }}"
        )
    };
    let finding = only(found(&http("")));
    assert_eq!((finding.severity, finding.bypass), (Severity::Warning, false));
    assert!(finding.fix.contains("`limit_conn perserver 10;` `limit_conn all 99;`"), "{finding}");
    assert_eq!(found(&http("limit_conn perserver 10;")), []);
}

#[test]
fn the_longest_delay_of_limit_req() {
    let zones = "limit_req_zone $a zone=slow:64k rate=30r/m; limit_req_zone $a zone=fast:64k rate=100r/s;";
    let table = [
        ("", 0),
        ("limit_req zone=slow;", 0),
        ("limit_req zone=slow burst=5;", 10_000),
        ("limit_req zone=slow burst=5 nodelay;", 0),
        ("limit_req zone=slow burst=5 delay=2;", 6_000),
        ("limit_req zone=fast burst=5;", 50),
        ("limit_req zone=fast burst=5; limit_req zone=slow burst=1;", 2_000),
        ("server { location / { limit_req burst=20 zone=fast; } }", 200),
    ];
    for (limits, delay_ms) in table {
        assert_eq!(longest_limit_req_delay_ms(&dump(&format!("{zones} {limits}"))), delay_ms, "{limits}");
    }
}

#[test]
fn words_are_read_as_nginx_reads_them() {
    let text = r#"a "b;{}#" 'c"d' e\"f g\\h i\tj \d+ ${k}l{ m#n "o
p"; } # q { ;
r;"#;
    let dump = Dump::parse(&printed(&[("/n.conf", text)])).unwrap();
    let first = &dump.root[0];
    assert_eq!(first.args, ["b;{}#", "c\"d", "e\"f", "g\\h", "i\tj", "\\d+", "${k}l"]);
    let inner = &first.children()[0];
    assert_eq!((inner.name.as_str(), inner.args.as_slice()), ("m#n", ["o\np".to_owned()].as_slice()));
    assert_eq!((dump.root[1].name.as_str(), dump.root[1].line), ("r", 3));
}

#[test]
fn what_nginx_would_not_have_loaded_is_refused_with_its_place() {
    let table = [
        ("a {", "1: `{` is never closed"),
        ("\na", "2: a directive is not ended by `;`"),
        ("a { b }", "1: a directive is not ended by `;`"),
        ("; a", "1: a directive has no name"),
        ("a \"b;", "1: a quote is never closed"),
        ("a \"b\"c;", "1: something follows a closing quote"),
    ];
    for (text, message) in table {
        assert_eq!(Dump::parse(&printed(&[("/n.conf", text)])).unwrap_err().to_string(), format!("/n.conf:{message}"));
    }
    assert_eq!(Dump::parse("nginx: command not found").unwrap_err(), DumpError::NoFiles);
}

#[test]
fn includes_are_found_as_glob_finds_them() {
    let table = [
        ("/a/*.conf", "/a/b.conf", true),
        ("/a/*.conf", "/a/.b.conf", false),
        ("/a/*.conf", "/a/b/c.conf", false),
        ("/a/*/c.conf", "/a/b/c.conf", true),
        ("/a/[bc]?.x", "/a/b1.x", true),
        ("/a/[!b]*", "/a/b", false),
        ("/a/[a-c]", "/a/b", true),
        ("/a//./b", "/a/b", true),
        ("/a/[", "/a/[", true),
    ];
    for (pattern, path, matches) in table {
        assert_eq!(glob(pattern, path), matches, "{pattern} {path}");
    }
}

#[test]
fn an_include_that_includes_itself_ends() {
    let dump = Dump::parse(&printed(&[("/n.conf", "a; include n.conf;")])).unwrap();
    assert_eq!(dump.root.len(), MAX_DEPTH + 1);
}
