//! What a drain waits for, and what happens when it does not end.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use super::*;

/// A drain that gives up soon.
fn impatient(options: Options) -> Options {
    options.each_pool(|pool| pool.drain("timeout", "\"1s\""))
}

/// Begins a request and leaves it unanswered for a minute; gives the connection and the half that answers, if the answer
/// has begun.
fn begin(site: &Playground, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(site.balancer("lb1").public).unwrap();
    stream.set_read_timeout(Some(SEEN)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: {DESKTOP}\r\n\r\n").unwrap();
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).unwrap();
    let head = String::from_utf8_lossy(&bytes[..count]).to_lowercase();
    let half = head.lines().find_map(|line| line.strip_prefix("x-half: ")).unwrap_or_default();
    (stream, half.to_owned())
}

/// A download from green that does not end.
fn endless_download(site: &Playground) -> TcpStream {
    until(SEEN, "a download from green", || {
        let (stream, half) = begin(site, "/download?bytes=100000000&ms=600000");
        (half == "green").then_some(stream)
    })
    .unwrap()
}

#[test]
fn a_drain_that_never_ends_is_aborted_without_touching_a_server() {
    let site = set_up(impatient(one_balancer()));
    let processes = pids(&site);
    let download = endless_download(&site);
    let ran = run(&site, "deploy --release v2");
    ran.expect(5);
    assert_says(&ran, &["requests in flight on `lb1`", "isolated", "resume", "abort"]);
    assert_stage(&site, "isolated");
    assert_eq!(half(&site, "lb1", PHONE), "blue");
    let ran = run(&site, "status");
    assert_says(&ran, &["`lb1`: requests in flight", "`web2`: v1 runs", "green was not drained within 1s"]);

    let ran = run(&site, "abort");
    ran.expect(0);
    assert!(ran.took < Duration::from_secs(40), "it waits for nothing: {ran}");
    assert_eq!(pids(&site), processes, "no server was touched");
    assert_stage(&site, "balanced");
    drop(download);
}

#[test]
fn a_drain_that_ran_out_is_resumed_when_the_request_has_ended() {
    let site = set_up(impatient(one_balancer()));
    let download = endless_download(&site);
    run(&site, "deploy --release v2").expect(5);
    run(&site, "resume").expect(5);
    drop(download);
    run(&site, "resume").expect(0);
    assert_stage(&site, "staged");
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v2");
}

#[test]
fn a_drain_that_may_cut_goes_on_and_records_it() {
    let site = set_up(impatient(one_balancer()).each_pool(|pool| pool.drain("on_timeout", "\"cut\"")));
    let download = endless_download(&site);
    let ran = run(&site, "deploy --release v2");
    ran.expect(0);
    assert_says(&ran, &["cut after 1s", "requests in flight on `lb1`"]);
    let journal = fs::read_to_string(site.dir().join(".bg/shop/journal.jsonl")).unwrap();
    assert!(journal.contains("cut after 1s"), "recorded");
    drop(download);
}

#[test]
fn a_peer_that_does_not_come_through_the_balancers_is_named_or_ignored() {
    let site = set_up(impatient(one_balancer()));
    let processes = pids(&site);
    let mut stranger = TcpStream::connect(site.place("web2").listen).unwrap();
    write!(stranger, "GET /slow?ms=60000 HTTP/1.1\r\nHost: shop.test\r\n\r\n").unwrap();
    let ran = run(&site, "deploy --release v2");
    ran.expect(5);
    assert_says(&ran, &["1 connection to `web2` from 127.0.0.1", "no balancer", "drain.ignore"]);
    assert_eq!(pids(&site), processes, "neither half was touched");
    assert_eq!(half(&site, "lb1", PHONE), "blue");

    // Drain settings are read at each command: mended, and resumed.
    site.edit_inventory(|text| text.replace("[pools.web.drain]", "[pools.web.drain]\nignore = [\"127.0.0.1/32\"]"))
        .unwrap();
    run(&site, "resume").expect(0);
    assert_stage(&site, "staged");
    assert_eq!(site.app_pid("web1"), processes[0], "blue was not touched");
}

#[test]
fn a_request_that_limit_req_delays_over_the_shift_is_waited_for() {
    let zone = "limit_req_zone $binary_remote_addr zone=slow:64k rate=1r/s;";
    let location = "location /limited/ { limit_req zone=slow burst=4; @web@ }";
    let site = set_up(one_balancer().http(zone).server(location));
    thread::scope(|scope| {
        let ask = || site.get("lb1", "/limited/slow?ms=1500", DESKTOP).unwrap();
        let delayed: Vec<_> = (0..5).map(|_| scope.spawn(ask)).collect();
        // They stand in nginx before the shift. The first is not delayed, nor is a second one that comes a second later.
        let waiting = || site.error_log("lb1").matches("delaying request").count() >= 3;
        until(SEEN, "requests that are delayed", || waiting().then_some(())).unwrap();
        let ran = run(&site, "deploy --release v2");
        ran.expect(0);
        assert_says(&ran, &["limit_req"]);
        let answers: Vec<_> = delayed.into_iter().map(|request| request.join().unwrap()).collect();
        for answer in &answers {
            assert_eq!((answer.status, answer.release()), (200, "v1"), "{answer:?}");
        }
        assert!(answers.iter().any(|answer| answer.half() == "green"), "{answers:?}");
    });
}
