//! Every kind of error, as it is shown.

use super::*;

macro_rules! shows {
    ($name:ident, $($text:expr),+ $(,)?) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), shown(&[$($text.to_string()),+]));
        }
    };
}

shows!(
    no_toml,
    "[site\nname = 3",
    "[site]\nname = \"a\"\nname = \"b\"",
    "a = \"unterminated",
    "[site]\nname = \"a\u{7}b\""
);

#[test]
fn a_wrong_name_is_one_error_and_not_also_the_paths_made_of_it() {
    let run = |text: String| {
        text.replace(GOOD.lines().find(|line| line.starts_with("deploy")).unwrap(), "deploy = { run = \"true\" }")
    };
    for text in [
        run(changed("\"shop\"", "\"Shop!\"")),
        changed("\"shop\"", "3").replace("/srv/shop/web", "/srv/{{ site }}/web"),
        run(changed("pools.web", "pools.\"a b\"")),
        changed("pools.web", "pools.\"a b\"").replace("/srv/shop/web", "/srv/{{ pool }}"),
    ] {
        assert_eq!(wrong(&text).to_string().matches("error: ").count(), 1, "{}", wrong(&text));
    }
}

shows!(nothing_at_all, "", "site = 1\nbalancers = []\npools = {}");

shows!(
    unknown_keys,
    with("[ballancers]\nhosts = []"),
    with("[hooks]\nbefore_deploy = \"x\""),
    changed("name =", "nmae = \"shop\"\nname ="),
    changed("hosts =", "log = \"/var/log/x\"\nhosts ="),
    with_pool("upstream = { keepalive = 1, keepalive_timout = \"4s\" }"),
    with_pool("gren = []"),
    with_pool("\"\\u001b[31m\" = 1"),
    with("[segments.a]\nuseragent = \"x\""),
    with("[canary]\nkey = \"client\"\nsteps = []"),
    with_deploy("local = \"./deploy.sh\""),
    with("[ssh]\nhost_key_checking = false"),
);

shows!(
    wrong_types,
    changed("3000", "\"3000\""),
    changed("[\"web1\"]", "\"web1\""),
    changed("[\"web1\"]", "[3]"),
    changed("hosts =", "sudo = \"no\"\nhosts ="),
    with_pool("drain = 30"),
    with_pool("drain.timeout = 30"),
    with_pool("health = []"),
    with_pool("health.status = 2024-01-01"),
    with_pool("upstream.keepalive = 1.5"),
    with("[segments]\nx = true"),
);

shows!(
    missing_keys,
    changed("name = \"shop\"\n", ""),
    changed("hosts = [\"lb1\", \"lb2\"]\n", ""),
    changed("port = 3000\n", ""),
    changed("blue = [\"web1\"]\n", ""),
    changed("[\"web1\"]", "[{ address = \"10.0.0.1\" }]"),
    with_deploy("root = \"/srv\""),
    with_deploy(""),
    with_deploy("artifact = \"a\""),
    GOOD.lines().filter(|line| !line.starts_with("deploy")).collect::<Vec<_>>().join("\n"),
);

shows!(
    names,
    changed("\"shop\"", "\"Shop\""),
    changed("\"shop\"", "\"\""),
    changed("\"shop\"", "\"http\""),
    changed("pools.web", "pools.web-1"),
    changed("pools.web", "pools.bucket"),
    changed("pools.web", "pools.\"a;b\""),
    changed("segments.mobile", "segments.all"),
    changed("segments.mobile", "segments.1st"),
);

shows!(
    hosts_and_ranges,
    changed("\"lb1\"", "\"-oProxyCommand=x\""),
    changed("\"lb1\"", "\"root@lb1\""),
    changed("\"lb1\"", "\"lb 1\""),
    changed("\"lb1\"", "\"\""),
    changed("\"lb1\"", "\"10.0.0.300\""),
    changed("\"lb1\"", "\"lb[3-1]\""),
    changed("\"lb1\"", "\"lb[1-99999]\""),
    changed("\"lb1\"", "\"lb[1-99][1-99]\""),
    changed("\"lb1\"", "\"lb[01-100]\""),
    changed("\"lb1\"", "\"lb[1-\""),
    changed("\"lb1\"", "\"lb1]\""),
    changed("\"lb1\"", "\"lb[1,2]\""),
    changed("\"lb1\"", "\"lb[a-c]\""),
    changed("\"lb1\"", "\"l\\nb[1-2]\""),
);

shows!(
    addresses,
    changed("\"web1\"", "{ host = \"web1\", address = \"10.0.0.1:80\" }"),
    changed("\"web1\"", "{ host = \"web1\", address = \"[::1]\" }"),
    changed("\"web1\"", "{ host = \"web1\", address = \"unix:/run/x\" }"),
    changed("\"web1\"", "{ host = \"web1\", address = \"0::\" }"),
    changed("\"web1\"", "{ host = \"web[1-2]\", address = \"10.0.0.1\" }"),
    changed("\"lb1\"", "{ host = \"lb1\", address = \"10.0.0.0/33\" }"),
    with_pool("drain.ignore = [\"10.0.0.9/8\", \"monitor\"]"),
    with("[segments.a]\naddress = []"),
);

shows!(
    twice,
    changed("\"lb2\"", "\"LB1\""),
    changed("\"lb2\"", "\"lb[1-3]\""),
    changed("[\"web2\"]", "[\"web1\"]"),
    changed("[\"web2\"]", "[{ host = \"web2\", address = \"WEB1\" }]"),
    changed("[\"web2\"]", "[{ host = \"web1\", port = 3001 }]"),
    with("[pools.api]\nport = 3000\nblue = [\"web1\"]\ngreen = [\"api2\"]\ndeploy.run = \"x\""),
    changed(
        "[\"web1\"]",
        "[{ host = \"a\", address = \"2001:db8::1\" }, { host = \"b\", address = \"2001:DB8:0::1\" }]"
    ),
    with("[segments.a]\nheader.X-A = \"1\"\nheader.x-a = \"2\""),
);

shows!(
    empty_things,
    changed("[\"web1\"]", "[]"),
    changed("[\"lb1\", \"lb2\"]", "[]"),
    with("[segments.none]"),
    with("[segments.none]\nheader = {}"),
    with_pool("health.path = \"\""),
    changed("hosts =", "test = \" \"\nhosts ="),
);

shows!(
    numbers,
    changed("3000", "0"),
    changed("3000", "65536"),
    changed("3000", "-1"),
    changed("3000", "99999999999999999999"),
    changed("\"web1\"", "{ host = \"web1\", weight = 0 }"),
    with_deploy("root = \"/r\", artifact = \"a\", restart = \"r\", keep = 1"),
    with("[ssh]\nparallel = 0"),
    with_pool("health.successes = 0"),
);

shows!(
    durations,
    with_pool("drain.timeout = \"30\""),
    with_pool("drain.timeout = \"1m30s\""),
    with_pool("drain.timeout = \"0s\""),
    with_pool("drain.timeout = \"99999999999999999999h\""),
    with_pool("drain.timeout = \"1 s\""),
    with_pool("drain.timeout = \"é\""),
    with_pool("upstream.fail_timeout = \"1500ms\""),
    with("[ssh]\nconnect_timeout = \"1d\""),
);

shows!(
    choices,
    changed("hosts =", "switch = \"reload\"\nhosts ="),
    with_pool("drain.on_timeout = \"fial\""),
    with_pool("upstream.balance = \"leastconn\""),
    with_pool("upstream = { balance = \"random\", hash = \"$uri\" }"),
    with_pool("upstream.hash = \"constant\""),
    with_pool("upstream.hash = \"$uri;evil\""),
    with("[canary]\nkey = \"ip\""),
    with("[canary]\nkey = \"cookie:a-b\""),
    with("[canary]\nkey = \"header:\""),
    changed("name =", "journal = \"zookeeper:z1\"\nname ="),
    changed("name =", "journal = \"file:\"\nname ="),
    changed("name =", "journal = \"ssh:lb1\"\nname ="),
    changed("name =", "journal = \"ssh:lb1:~/bg\"\nname ="),
    changed("name =", "journal = \"ssh:deploy@lb1:/var/lib/bg\"\nname ="),
    changed("name =", "journal = \"ssh:lb1:/var/../bg\"\nname ="),
);

fn journal(location: &str) -> String {
    changed("name =", &format!("journal = \"{location}\"\nname ="))
}

shows!(
    etcd_locations,
    journal("etcd:"),
    journal("etcd:e1:2379/bg/shop"),
    journal("etcd:http://e1:2379"),
    journal("etcd:http://e1:2379/"),
    journal("etcd:http://e1/bg/shop"),
    journal("etcd:http://e1:/bg/shop"),
    journal("etcd:http://e1:99999/bg/shop"),
    journal("etcd:http://e1:+80/bg/shop"),
    journal("etcd:http://:2379/bg/shop"),
    journal("etcd:http://::1:2379/bg/shop"),
    journal("etcd:http://[::g]:2379/bg/shop"),
    journal("etcd:http://e_1!:2379/bg/shop"),
    journal("etcd:http://bg:secret@e1:2379/bg/shop"),
    journal("etcd:http://e1:2379,/bg/shop"),
    journal("etcd:http://e1:2379,ftp://e2:2379/bg/shop"),
    journal("etcd:http://e1:2379,https://e2:2379/bg/shop"),
    journal("etcd:http://e1:2379,http://e2:2379,http://E1:2379/bg/shop"),
    journal("etcd:http://e1:2379/bg/shop,http://e2:2379/bg/shop"),
    journal("etcd:http://e1:2379/bg//shop"),
    journal("etcd:http://e1:2379/bg/shop/"),
    journal("etcd:http://e1:2379/bg/../shop"),
    journal("etcd:http://e1:2379/bg?x"),
    journal(&format!("etcd:{}/bg", (0..10).map(|n| format!("http://e{n}:1")).collect::<Vec<_>>().join(","))),
);

shows!(
    etcd_access,
    with("[etcd]\nca = \"ca.pem\""),
    journal("etcd:http://e1:2379/bg") + "\n[etcd]\nca = \"ca.pem\"",
    journal("etcd:https://e1:2379/bg") + "\n[etcd]\ncert = \"c.pem\"",
    journal("etcd:https://e1:2379/bg") + "\n[etcd]\nkey = \"c.key\"\nuser = \"\"",
    journal("etcd:https://e1:2379/bg") + "\n[etcd]\nuser = \"bg\"\npassword = \"secret\"",
    journal("etcd:https://e1:2379/bg") + "\n[etcd]\npassword_file = \"p\"",
    journal("etcd:https://e1/bg") + "\n[etcd]\nca = \"ca.pem\"",
);

shows!(
    paths,
    changed("hosts =", "dir = \"etc/nginx\"\nhosts ="),
    changed("hosts =", "dir = \"/etc/nginx/../bg\"\nhosts ="),
    changed("hosts =", "dir = \"/\"\nhosts ="),
    changed("hosts =", "dir = \"/etc/ng inx;\"\nhosts ="),
    changed("/srv/shop/web", "/srv//web"),
    changed("/srv/shop/web", "~/web"),
    changed("/srv/shop/web", "/srv/{{ host }}").replace("\"web1\"", "\"2001:db8::1\""),
    with_deploy("run = \"x\", root = \"~/../x\""),
    with_deploy("root = \"/r\", artifact = \"https://ci/x.tar\", restart = \"r\""),
    with_deploy(
        "root = \"/r\", artifact = \"a\", restart = \"r\", shared = [\"/up\", \"a/../b\", \"up\", \"up/x\", \"up-x\", \"up\"]"
    ),
    with_deploy("root = \"/r\", artifact = \"a\", restart = \"a\\nb\""),
    with_deploy("root = \"/r\", artifact = \"a\", restart = \"r\", run = \"x\""),
);

shows!(
    health,
    with_pool("health.path = \"healthz\""),
    with_pool("health.path = \"/a b\""),
    with_pool("health.smoke = [\"/\", \"login\", \"/#x\"]"),
    with_pool("health.status = \"2xx\""),
    with_pool("health.status = \"299-200\""),
    with_pool("health.status = \"200, 700\""),
    with_pool("health.scheme = \"https\""),
    with_pool("health.body = \"(a\""),
    with_pool("health.headers = { Host = \"x\", \"a b\" = \"y\", X = \"a\\tb\", Connection = \"close\" }"),
    with_pool("health.host = \"a/b\""),
    with_pool("health = { within = \"2s\", successes = 3 }"),
    with_pool("health = { within = \"1s\", successes = 1 }"),
    with_pool("health = { interval = \"1h\" }"),
    with_pool("health = { run = \"check\", path = \"/x\", smoke = [\"/\"] }"),
    with_pool("health.release_header = \"X Release\""),
);

shows!(
    regexes,
    with("[segments.a]\npath = \"(a\""),
    with("[segments.a]\npath = \"a)\""),
    with("[segments.a]\npath = \"[a\""),
    with("[segments.a]\npath = '''a\\'''"),
    with("[segments.a]\npath = \"*a\""),
    with("[segments.a]\npath = \"a|+b\""),
    with("[segments.a]\npath = \"a{5,2}\""),
    with("[segments.a]\npath = \"a{99999}\""),
    with("[segments.a]\npath = \"[z-a]\""),
    with("[segments.a]\npath = \"(?<half>green)\""),
    with("[segments.a]\npath = \"a\\u0000b\""),
    with(&format!("[segments.a]\npath = \"{}\"", "x".repeat(10_000))),
    with("[segments.a]\ncookie.a-b = \"x\"\nheader.\"a b\" = \"x\""),
);

#[test]
fn a_name_must_fit_into_nginx_s_variables() {
    let long = [("\"shop\"", "\"LONG\""), ("segments.mobile", "segments.LONG"), ("pools.web", "pools.LONG")];
    for (from, to) in long {
        let findings = wrong(&changed(from, &to.replace("LONG", &"m".repeat(42))));
        let message = &findings.iter().next().unwrap().message;
        assert!(message.ends_with("cannot be used in nginx"), "{findings}");
    }
}

#[test]
fn what_only_pcre_knows_is_no_error() {
    let patterns = [
        r"^/(?!api)(?=x)(?<!y)(?<=z)(?>atomic)",
        r"(a)\1 a++ a*? \K \R \h",
        r"(?i)a (?i:b) (?#comment)* (?|a|b)",
        r"[]a] [^]a] [[] [a-] [\]] [[:alpha:]_] [\Q]\E]",
        r"a{ a{x} a{,3} {} a{2,} x{2,3}? y{2}+",
        r"\Q(*[\E \( \[ \\",
        r"é+ [é-ü] (?:é)",
        r"(*UTF8)^a$ ; { } $ ' # ",
        "\"",
    ];
    for pattern in patterns {
        let text = with(&format!("[segments.a]\npath = {}", toml::Value::String(pattern.to_owned())));
        assert_eq!(good(&text).segments[1].conditions, [Condition::Path(pattern.to_owned())]);
    }
}

/// The whole point: one look at the output, and all can be mended.
#[test]
fn all_errors_are_found_at_once() {
    let text = r#"[site]
name = "Shop"
jornal = "file:x"

[balancers]
hosts = ["lb[2-1]", "lb1", "lb1"]
probe = 99999
switch = "reload"

[pools.web]
port = "3000"
blue = []
green = ["web2", "web2"]
drain = { timeout = "30" }
deploy = { root = "srv", artifact = "{{ relase }}", restart = "r" }
health = { status = "2xx" }

[segments.all]
user_agent = "(android"

[canary]
key = "ip"
"#;
    let findings = wrong(text);
    insta::assert_snapshot!(findings.to_string());
    insta::assert_debug_snapshot!(findings.located()[0]);
}

#[test]
fn color_is_only_paint() {
    let findings = wrong(&changed("3000", "0"));
    let painted = findings.render(true);
    assert!(painted.contains("\u{1b}["));
    let mut bare = String::new();
    let mut parts = painted.split("\u{1b}[");
    bare.push_str(parts.next().unwrap());
    parts.for_each(|part| bare.push_str(part.split_once('m').unwrap().1));
    assert_eq!(bare, findings.to_string());
}

#[test]
fn on_a_terminal_what_finds_no_room_beside_stands_below_and_is_folded() {
    let upstream = "upstream = { keepalive = 1, keepalive_timout = \"4s\" }";
    let findings = wrong(&with_pool(upstream));
    let shown = findings.render_within(false, 80);
    let below = "  |                             ^^^^^^^^^^^^^^^^\n  |\n  = note: bg knows keepalive, keepalive_timeout, balance, hash, max_fails,\n          \
                 fail_timeout, max_conns\n  = help: did you mean `keepalive_timeout`?\n";
    assert!(shown.contains(below), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 80), "{shown}");
    assert_eq!(findings.render_within(false, 200), findings.to_string());
}
