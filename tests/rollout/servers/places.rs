//! Where servers stand: several on one host, with ports and weights of their own; and commands by hand on all of them.

use std::net::SocketAddr;

use bg_playground::{Behaviour, Playground, app_binary, request};

use super::{bg, deploy, says, small, stage, started};

/// How many of these requests went to which port of green's host, by its answers.
fn release_at(site: &Playground, port: u16) -> String {
    let at = SocketAddr::new(site.host("web2").address.into(), port);
    request(at, "GET", "/", &[], b"").unwrap().release().to_owned()
}

#[test]
fn several_places_on_one_host_are_upgraded_and_served_beside_each_other() {
    let mut site = small().start().unwrap();
    let (first, second) = (site.place("web2").listen.port(), site.place("web2").listen.port() + 5_000);
    let address = site.host("web2").address;
    let place = format!("{{ host = \"web2\", address = \"{address}\" }}");
    let more = format!("{place}, {{ host = \"web2\", address = \"{address}\", port = {second}, weight = 2 }}");
    let root = format!("{}/{{{{ host }}}}/srv/web-{{{{ port }}}}", site.dir().display());
    let restart = format!(
        "{} restart --root {root} --pool web-{{{{ port }}}} --half {{{{ half }}}} --port {{{{ port }}}}",
        app_binary().unwrap().display()
    );
    site.edit_inventory(|text| {
        let lines = text.lines().map(|line| match line.split(' ').next() {
            Some("green") => format!("green = [{more}]"),
            Some("root") => format!("root = \"{root}\""),
            Some("restart") => format!("restart = \"{restart}\""),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    })
    .unwrap();
    site.setup("v1").unwrap().expect(0);
    deploy(&site, "v2", &Behaviour::default(), 0);
    assert_eq!([release_at(&site, first), release_at(&site, second)], ["v2", "v2"]);
    bg(&site, "flip", 0);
    // The demo application calls itself by its pool, which is the port here.
    let pools: Vec<String> = (0..9).map(|_| site.get("lb1", "/", "X11").unwrap().header("x-pool").to_owned()).collect();
    let served = |port: u16| pools.iter().filter(|pool| **pool == format!("web-{port}")).count();
    assert_eq!((served(first), served(second)), (3, 6), "by their weights: {pools:?}");

    bg(&site, "flip --back", 0);
    says(
        &deploy(&site, "v3", &Behaviour { unhealthy: true, ..Behaviour::default() }, 4),
        &["2 of 2 places of green failed"],
    );
    bg(&site, "abort", 0);
    assert_eq!((stage(&site), release_at(&site, second)), ("balanced", "v1".to_owned()));
}

#[test]
fn commands_run_by_hand_on_pools_halves_balancers_and_hosts() {
    let mut site = started(small());
    for (target, on) in
        [("web", &["web1", "web2"][..]), ("web/green", &["web2"]), ("balancers", &["lb1"]), ("web1", &["web1"])]
    {
        let ran = site.bg(["exec", target, "--", "printf", "%s in %s\\n", "a b", "$HOME;"]).unwrap();
        ran.expect(0);
        let mut lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains('│')).collect();
        lines.sort_unstable();
        let width = on.iter().map(|host| host.len()).max().unwrap();
        let wanted: Vec<String> = on.iter().map(|host| format!("{host:width$} │ a b in $HOME;")).collect();
        assert_eq!(lines, wanted, "{target}");
    }
    let ran = site.bg(["exec", "web", "--", "test $BG_HOST = web1 || { echo lost >&2; exit 3; }"]).unwrap();
    ran.expect(1);
    says(&ran.stderr, &["web2 │ lost\n", "failed on 1 of 2 hosts: `web2` ended with 3", "On the others it is done"]);
    says(&bg(&site, "exec web/gren -- true", 2), &["`web/gren` is no pool, half or host", "did you mean `web/green`?"]);
    site.stop_sshd("web2").unwrap();
    let ran = site.bg(["exec", "web", "--", "echo here"]).unwrap();
    says(&ran.expect(1).stdout, &["web1 │ here\n"]);
    says(&ran.stderr, &["`web2` is unreachable"]);
}
