//! nginx refuses its configuration on the second of two balancers: neither changes.

use super::*;

/// `/state` of both balancers: site and revision.
fn revisions(site: &Playground) -> Vec<String> {
    let of = |name: &str| {
        let body = site.probe(name, "/state?at=all/00/00").unwrap().body;
        body.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    vec![of("lb1"), of("lb2")]
}

#[test]
fn nginx_refuses_on_the_second_balancer_during_setup_and_neither_changes() {
    let mut site = two_balancers().start().unwrap();
    site.edit_nginx("lb2", |conf| format!("{conf}\nnonsense here;\n")).unwrap();
    let ran = site.setup("v1").unwrap();
    ran.expect(1);
    assert_says(&ran, &["`lb2`", "nonsense", "nginx.conf"]);
    for balancer in site.balancers() {
        assert!(!balancer.bg_dir.join("http.conf").exists(), "{balancer:?}");
        assert!(!balancer.bg_dir.join("server.conf").exists(), "{balancer:?}");
        assert_eq!(generation(balancer), None);
    }
    assert_eq!(pids(&site), [None, None], "no server was touched");
    assert_eq!(status(&site)["stage"], Value::Null);

    site.edit_nginx("lb2", |conf| conf.replace("nonsense here;", "")).unwrap();
    site.setup("v1").unwrap().expect(0);
    assert_stage(&site, "balanced");
    assert_eq!(site.get("lb2", "/", DESKTOP).unwrap().release(), "v1");
}

#[test]
fn nginx_refuses_on_the_second_balancer_during_sync_and_neither_changes() {
    let mut site = set_up(two_balancers().segment("beta", "path = \"^/beta\""));
    // Somebody uses a variable of bg's own on one balancer, and its segment goes away.
    site.edit_nginx("lb2", |conf| conf.replace("location / {", "add_header X-Beta $shop_is_beta;\nlocation / {"))
        .unwrap();
    let variables = fs::read_to_string(site.balancer("lb2").bg_dir.join("http.conf")).unwrap();
    assert!(variables.contains("$shop_is_beta "), "{variables}");
    site.reload_nginx("lb2").unwrap();
    let (before, answered) = (balancers(&site), revisions(&site));
    site.edit_inventory(|text| text.replace("[segments.beta]\npath = \"^/beta\"", "")).unwrap();

    run(&site, "deploy --release v2").expect(3);
    let ran = run(&site, "sync");
    ran.expect(1);
    assert_says(&ran, &["`lb2`", "shop_is_beta", "balanced"]);
    let conf = |all: Vec<Vec<(PathBuf, String)>>| -> Vec<(PathBuf, String)> {
        all.into_iter()
            .flatten()
            .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == ".staged"))
            .collect()
    };
    assert_eq!(conf(balancers(&site)), conf(before), "byte for byte");
    assert_eq!(revisions(&site), answered);

    site.edit_nginx("lb2", |conf| conf.replace("add_header X-Beta $shop_is_beta;", "")).unwrap();
    run(&site, "sync").expect(0);
    assert_ne!(revisions(&site), answered);
    assert_eq!(revisions(&site)[0], revisions(&site)[1]);
    assert_eq!(in_sync(&site, "lb1").0, true);
    run(&site, "deploy --release v2").expect(0);
}

#[test]
fn changed_upstream_settings_reach_every_balancer_or_none() {
    let mut site = set_up(two_balancers());
    let answered = revisions(&site);
    let before = balancers(&site);
    site.edit_nginx("lb2", |conf| format!("{conf}\nnonsense here;\n")).unwrap();
    site.edit_inventory(|text| format!("{text}\n[pools.web.upstream]\nkeepalive = 7\n")).unwrap();
    let ran = run(&site, "sync");
    ran.expect(1);
    assert_says(&ran, &["`lb2`", "with and without the new files", "`bg sync` again"]);
    assert_eq!(revisions(&site), answered);
    for (found, before) in balancers(&site).iter().zip(&before) {
        let conf = |all: &[(PathBuf, String)]| -> Vec<String> {
            all.iter()
                .filter(|(path, _)| path.parent().is_some_and(|dir| dir.ends_with("bg/shop")))
                .map(|it| it.1.clone())
                .collect()
        };
        assert_eq!(conf(found), conf(before));
    }
    site.edit_nginx("lb2", |conf| conf.replace("nonsense here;", "")).unwrap();
    run(&site, "sync").expect(0);
    assert_ne!(revisions(&site), answered);
}
