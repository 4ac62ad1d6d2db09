//! http.conf and server.conf: written, tested, reloaded, put back.

use bluegreen::edge::balancer::{ConfFile, ConfTest, InFlight, Kind, Reloaded, Restored};

use bluegreen_core::nginx::state::Seen;

use crate::site::{Site, all, options};

fn revision(site: &Site, host: &str) -> String {
    let text = std::fs::read_to_string(site.pg.balancer(host).bg_dir.join("http.conf")).unwrap();
    text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_is_written_reloaded_and_answered_everywhere() {
    let site = Site::wired(options()).await;
    let written = site.balancers.write_conf_all(2, |host| site.conf(host, 2)).await.unwrap();
    assert!(written.iter().all(|(_, changed)| *changed));
    let again = site.balancers.write_conf_all(2, |host| site.conf(host, 2)).await.unwrap();
    assert!(again.iter().all(|(_, changed)| !*changed), "a second run changes nothing");
    assert_eq!(site.balancers.state("lb1", "all/00/00").await.unwrap().revision, 1);
    let began = std::time::Instant::now();
    let reloaded = site.balancers.reload_conf_all(2).await.unwrap();
    eprintln!("reload on two balancers: {} ms", began.elapsed().as_millis());
    assert!(reloaded.iter().all(|(_, how)| *how == Reloaded::InEffect));
    for host in ["lb1", "lb2"] {
        assert_eq!(site.balancers.state(host, "all/00/00").await.unwrap().revision, 2);
        assert!(!site.pg.balancer(host).bg_dir.join(".before").exists());
    }
    let ConfFile::Present { first_line, .. } = site.balancers.look("lb1").await.unwrap().http else { panic!() };
    assert!(first_line.ends_with("revision 2"), "{first_line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nginx_refuses_on_the_second_balancer_changes_neither() {
    let site = Site::wired(options()).await;
    let conf = |host: &str| {
        let mut conf = site.conf(host, 2);
        if host == "lb2" {
            conf.http.push_str("no_such_directive on;\n");
        }
        conf
    };
    let failed = site.balancers.write_conf_all(2, conf).await.unwrap_err();
    assert!(failed.not_put_back.is_empty() && failed.failed.len() == 1, "{failed}");
    assert!(failed.to_string().contains("no_such_directive"), "{failed}");
    assert!(matches!(failed.failed[0].kind, Kind::ConfRefused { why: ConfTest::Staged, .. }));
    for host in ["lb1", "lb2"] {
        assert_eq!(revision(&site, host), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_the_whole_configuration_refuses_is_put_back() {
    let mut site = Site::wired(options().balancers(1)).await;
    // The user has an upstream of that name already: bg's own small configuration cannot know.
    site.pg.edit_nginx("lb1", |text| text.replace("http {", "http { upstream taken { server 127.0.0.1:1; }")).unwrap();
    let mut conf = site.conf("lb1", 2);
    conf.http.push_str("upstream taken { server 127.0.0.1:1; }\n");
    let refused = site.balancers.write_conf("lb1", 2, &conf).await.unwrap_err();
    assert!(matches!(refused.kind, Kind::ConfRefused { why: ConfTest::InPlace, .. }), "{refused}");
    assert_eq!(revision(&site, "lb1"), "1");
    assert_eq!(site.balancers.restore_conf("lb1", 2).await.unwrap(), Restored::Nothing);
    // Broken by the user's own hand: said so.
    site.pg.edit_nginx("lb1", |text| text.replace("http {", "http { nonsense;")).unwrap();
    let refused = site.balancers.write_conf("lb1", 2, &site.conf("lb1", 2)).await.unwrap_err();
    assert!(matches!(refused.kind, Kind::ConfRefused { why: ConfTest::Before, .. }), "{refused}");
    assert_eq!(revision(&site, "lb1"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_back_and_their_revision_named() {
    let site = Site::wired(options().balancers(1)).await;
    site.balancers.settle_conf("lb1").await.unwrap();
    assert!(site.balancers.write_conf("lb1", 2, &site.conf("lb1", 2)).await.unwrap());
    assert_eq!(site.balancers.restore_conf("lb1", 7).await.unwrap(), Restored::Nothing, "not that revision's");
    for _ in 0..2 {
        assert_eq!(site.balancers.restore_conf("lb1", 2).await.unwrap(), Restored::Files(Some(1)));
        assert_eq!(revision(&site, "lb1"), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_nginx_includes_the_files_nothing_is_reloaded() {
    let site = Site::bare(options());
    all(site.balancers.create_dirs_all().await);
    site.balancers.write_conf_all(1, |host| site.conf(host, 1)).await.unwrap();
    let reloaded = site.balancers.reload_conf_all(1).await.unwrap();
    assert!(reloaded.iter().all(|(_, how)| *how == Reloaded::NotWired), "{reloaded:?}");
    let failed = site.balancers.write_conf_all(2, |host| {
        let mut conf = site.conf(host, 2);
        conf.server.push_str("}\n");
        conf
    });
    assert_eq!(failed.await.unwrap_err().failed.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_is_said_with_nginx_own_words() {
    let mut site = Site::wired(options().balancers(1)).await;
    site.pg.edit_nginx("lb1", |text| text.replace("http {", "http { nonsense;")).unwrap();
    let failed = site.balancers.reload_conf("lb1", 1).await.unwrap_err();
    assert!(
        matches!(&failed.kind, Kind::ReloadFailed { lines, .. } if lines.iter().any(|l| l.contains("nonsense"))),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_does_not_wait_for_what_old_workers_still_carry() {
    let site = Site::wired(options().balancers(1)).await;
    for host in ["web1", "web2"] {
        site.pg.start_app(host, "v1", &bg_playground::Behaviour::default()).unwrap();
    }
    let mut upload = std::net::TcpStream::connect(site.pg.balancer("lb1").public).unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\n";
    std::io::Write::write_all(&mut upload, head).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while site.balancers.inflight("lb1", Seen::Both).await.unwrap() == InFlight::None {
        assert!(std::time::Instant::now() < until, "the upload never arrived");
    }
    site.balancers.write_conf_all(2, |host| site.conf(host, 2)).await.unwrap();
    site.balancers.reload_conf_all(2).await.unwrap();
    // The counter outlives the reload: the old worker still carries the upload, and that is seen.
    assert_eq!(site.balancers.inflight("lb1", Seen::Both).await.unwrap(), InFlight::AtLeast(1));
    drop(upload);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_nginx_accepts_and_does_not_take_up_is_put_back_everywhere() {
    let mut site = Site::wired(options()).await;
    // The other balancer must take it up within that, also on a busy machine.
    site.balancers = site.balancers.with_reload_bound(std::time::Duration::from_secs(6));
    // A zone whose key changed passes `nginx -t`, and fails in the running master.
    let conf = |host: &str| {
        let mut conf = site.conf(host, 2);
        if host == "lb2" {
            conf.http = conf.http.replace("limit_conn_zone $shop_half", "limit_conn_zone $shop_raw");
        }
        conf
    };
    site.balancers.write_conf_all(2, conf).await.unwrap();
    let failed = site.balancers.reload_conf_all(2).await.unwrap_err();
    assert!(failed.not_put_back.is_empty() && failed.failed.len() == 1, "{failed}");
    assert!(matches!(failed.failed[0].kind, Kind::NotTakenUp { revision: 2, .. }), "{failed}");
    assert!(failed.to_string().contains("previously it used"), "nginx's own words: {failed}");
    for host in ["lb1", "lb2"] {
        assert_eq!(site.balancers.state(host, "all/00/00").await.unwrap().revision, 1, "{host}");
        assert_eq!(revision(&site, host), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_is_down_leaves_the_other_as_it_was() {
    let mut site = Site::wired(options()).await;
    site.pg.stop_sshd("lb2").unwrap();
    let failed = site.balancers.write_conf_all(2, |host| site.conf(host, 2)).await.unwrap_err();
    assert!(failed.failed.len() == 1 && failed.failed[0].is_unreachable(), "{failed}");
    assert!(failed.not_put_back.is_empty(), "{failed}");
    assert_eq!((revision(&site, "lb1"), revision(&site, "lb2")), ("1".into(), "1".into()));
}
