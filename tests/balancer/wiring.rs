//! What `nginx -T` says, asked over ssh.

use crate::site::{Site, all, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_wired_site_has_no_findings_and_a_bare_one_says_what_is_missing() {
    let mut site = Site::wired(options()).await;
    for (host, wiring) in all(site.balancers.wiring_all().await) {
        assert!(wiring.findings.is_empty(), "{host}: {:?}", wiring.findings);
        assert_eq!(wiring.longest_limit_req_delay_ms, 0);
    }
    let slow = "http { limit_req_zone $server_port zone=slow:64k rate=2r/s; limit_req zone=slow burst=5;";
    site.pg.edit_nginx("lb1", |text| text.replace("http {", slow)).unwrap();
    assert_eq!(site.balancers.wiring("lb1").await.unwrap().longest_limit_req_delay_ms, 2_500);
    site.pg.unwire("lb2").unwrap();
    let missing = site.balancers.wiring("lb2").await.unwrap().findings;
    assert!(missing.iter().any(|finding| finding.fix.contains("http.conf")), "{missing:?}");
    site.pg.edit_nginx("lb2", |text| format!("nonsense;{text}")).unwrap();
    let refused = site.balancers.wiring("lb2").await.unwrap_err();
    assert!(refused.to_string().contains("nonsense"), "{refused}");
}
