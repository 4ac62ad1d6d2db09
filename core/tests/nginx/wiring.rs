//! Testing files before they are put in place, and reading a real `nginx -T`.

use std::path::Path;

use bluegreen_core::nginx::conf::{SERVER_CONF, test_conf};
use bluegreen_core::nginx::dump::{Dump, Finding, findings, longest_limit_req_delay_ms};
use bluegreen_core::traffic::Traffic;

use crate::rig::{Written, nginx};

/// Tests the files in `bg` in a minimal configuration below `scratch`; what nginx says.
fn staged(written: &bluegreen_core::inventory::Inventory, bg: &Path, scratch: &Path) -> Result<(), String> {
    let path = |name: &str| bg.join(name).to_str().unwrap().to_owned();
    let balancer = &written.balancers[0];
    let text = test_conf(written, balancer, &path("http.conf"), &path(SERVER_CONF), scratch.to_str().unwrap()).unwrap();
    let conf = scratch.join("test.conf");
    std::fs::write(&conf, text).unwrap();
    let output = nginx(&conf, &["-t"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn staged_files_are_tested_beside_the_nginx_that_runs() {
    let rig = Written::new(|_| (), "", "").start(&Traffic::Both);
    let bg = rig.dir.path().join("bg");
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(staged(&rig.inventory, &bg, scratch.path()), Ok(()));
    let copy = tempfile::tempdir().unwrap();
    for name in ["http.conf", SERVER_CONF] {
        std::fs::copy(bg.join(name), copy.path().join(name)).unwrap();
    }
    std::fs::write(copy.path().join(SERVER_CONF), "set $shop_raw blue;\nif (-f nope {\n").unwrap();
    let said = staged(&rig.inventory, copy.path(), scratch.path()).unwrap_err();
    assert!(said.contains("server.conf"), "{said}");
    assert_eq!(rig.get("/", "x").status, 200, "the running one was not touched");
}

/// What a real `nginx -T` of this configuration is found to be like.
fn real(locations: &str, http: &str) -> (Vec<Finding>, u64) {
    let written = Written::new(|_| (), locations, http);
    let places: Vec<String> =
        written.inventory.places(bluegreen_core::Half::Green).map(|(_, p)| p.port.to_string()).collect();
    let conf = written.conf();
    let text = std::fs::read_to_string(&conf).unwrap().replace("GREEN_PORT", &places[0]);
    std::fs::write(&conf, text).unwrap();
    let output = nginx(&conf, &["-T"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dump = Dump::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(dump.files.len(), 3, "the main file and bg's two");
    (findings(&written.inventory, &written.inventory.balancers[0], &dump), longest_limit_req_delay_ms(&dump))
}

#[test]
fn a_real_wired_nginx_has_no_findings() {
    assert_eq!(real("", ""), (vec![], 0));
}

#[test]
fn a_real_nginx_is_read_with_all_that_passes_bg_by() {
    let http = "limit_req_zone $server_port zone=slow:64k rate=2r/s; limit_conn_zone $server_port zone=per:64k; limit_conn per 9;
        upstream old { server 127.0.0.1:GREEN_PORT; }
        server { listen 127.0.0.1:19999; server_name forgotten; location / { proxy_pass http://old; } }
        server { listen 127.0.0.1:19999; server_name missing; location / { proxy_pass http://$shop_web; } }";
    let locations = "location /q/ { limit_req zone=slow burst=5; limit_conn per 1; proxy_pass http://$shop_web; }";
    let (found, delay_ms) = real(locations, http);
    let words: Vec<(&str, bool)> = ["missing", "takes the inherited", "replaces bg's", "through the upstream `old`"]
        .into_iter()
        .map(|words| (words, found.iter().any(|f| f.message.contains(words))))
        .collect();
    assert!(words.iter().all(|(_, found)| *found) && found.len() == 4, "{words:?} {found:#?}");
    assert_eq!(delay_ms, 2_500);
}
