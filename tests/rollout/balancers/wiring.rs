//! A forgotten line of nginx that would let traffic pass bg by: deploy and restore refuse, and say where it stands.

use super::*;

/// The line of a balancer's nginx.conf that holds `text`, as `nginx.conf:LINE`.
fn place_of(site: &Playground, text: &str) -> String {
    let conf = fs::read_to_string(site.balancer("lb1").prefix.join("nginx.conf")).unwrap();
    let line = conf.lines().position(|line| line.contains(text)).unwrap() + 1;
    format!("nginx.conf:{line}")
}

#[test]
fn deploy_and_restore_refuse_while_traffic_could_pass_bg_by() {
    let mut site = set_up(one_balancer());
    let green = site.place("web2").listen;
    let public = site.balancer("lb1").public;
    let server = |inner: &str| format!("  server {{ listen {public}; server_name forgotten.test; {inner} }}\n");
    let by_address = format!("proxy_pass http://{green};");
    let forgotten = [
        (server(&format!("location / {{ {by_address} }}")), by_address.as_str()),
        (server("location / { proxy_pass http://shop_web_green; }"), "proxy_pass http://shop_web_green;"),
        (server("location /no-include { proxy_pass http://$shop_web; }"), "/no-include"),
    ];
    let refuses = |site: &mut Playground, command: &str| {
        let original = fs::read_to_string(site.balancer("lb1").prefix.join("nginx.conf")).unwrap();
        for (block, marked) in &forgotten {
            site.edit_nginx("lb1", |conf| {
                let (head, _) = conf.trim_end().rsplit_once('}').unwrap();
                format!("{head}\n{block}}}\n")
            })
            .unwrap();
            let before = (balancers(site), pids(site));
            let ran = run(site, command);
            ran.expect(3);
            assert_says(&ran, &["`lb1`", &place_of(site, marked), "nothing was touched"]);
            assert_eq!((balancers(site), pids(site)), before);
        }
        site.edit_nginx("lb1", |_| original).unwrap();
    };
    refuses(&mut site, "deploy --release v2");
    assert_stage(&site, "balanced");
    run(&site, "deploy --release v2").expect(0);
    run(&site, "flip").expect(0);
    refuses(&mut site, "restore");
    assert_stage(&site, "flipped");
    run(&site, "restore").expect(0);
}
