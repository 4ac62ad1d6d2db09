//! Each way of saying what is healthy, tried with a release that is and one that is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use bg_playground::{Behaviour, Playground};

use super::{SHORT, bg, deploy, release, says, serves, small, stage, started, status};

/// Replaces the pool's health table; times stay short.
fn health(site: &Playground, toml: &str) {
    site.edit_inventory(|text| {
        let from = text.find("[pools.web.health]").unwrap();
        let to = text[from..].find("\n\n").unwrap() + from;
        let times = format!("interval = \"50ms\"\n{SHORT}\nsuccesses = 2");
        format!("{}[pools.web.health]\n{times}\n{toml}{}", &text[..from], &text[to..])
    })
    .unwrap();
}

#[test]
fn every_way_of_asking_lets_the_healthy_through_and_quotes_the_others() {
    let site = started(small());
    let refused = |wanted: &[&str]| {
        says(&bg(&site, "deploy --release v2", 4), wanted);
        assert_eq!(stage(&site), "isolated");
        serves(&site, "blue", "v1");
    };
    release(&site, "v2", &Behaviour::default());

    health(&site, "path = \"/healthz\"\nfrom = \"host\"\nport = 1");
    says(
        &bg(&site, "deploy --release v2", 4),
        &["`web1` (web) is not healthy: GET :1/healthz failed", "seen from `web1`"],
    );
    health(&site, "path = \"/healthz\"\nfrom = \"host\"");
    bg(&site, "deploy --release v2", 0);

    // Blue answers too, right before the shift.
    health(&site, "path = \"/\"\nbody = '\"release\":\"v1\"'");
    refused(&["GET / answered 200 without `\"release\":\"v1\"`", "seen from `lb1`:\n  {"]);
    refused(&["GET / answered 200 without"]);
    let text = bg(&site, "status", 0);
    let recent = text.split("last hour").nth(1).unwrap();
    assert!(
        recent.contains("deploy ended, as before: `web2` did not become healthy")
            && recent.contains("`web2` did not become healthy"),
        "{text}"
    );
    assert!(!recent.contains("\"half\""), "{text}");
    health(&site, "path = \"/\"\nbody = '\"release\":\"v[12]\"'");
    bg(&site, "deploy --release v2", 0);

    health(&site, "path = \"/\"\nstatus = \"204, 500-599\"");
    says(&bg(&site, "flip", 4), &["`web2` (web) is not healthy: GET / answered 200"]);
    health(&site, "path = \"/\"\nstatus = \"200-204,500-599\"");
    bg(&site, "flip", 0);
    bg(&site, "flip --back", 0);

    let current = "$BG_HOST_DIR/srv/{{ pool }}/current/app.json";
    let line = |end: &str| {
        format!(
            "run = 'grep -q \"\\\"{{{{ release }}}}\\\"\" {current} && test {{{{ port }}}} -gt 1 && echo seen as {{{{ half }}}} {{{{ version }}}}; {end}'"
        )
    };
    health(&site, &line("test {{ host }} = web1"));
    refused(&["ended with status 1", "seen from `web2`:\n  seen as green v"]);
    health(&site, &line(""));
    bg(&site, "deploy --release v2", 0);
    let seen = status(&site);
    assert_eq!(
        [&seen["pools"]["web"]["blue"][0]["healthy"], &seen["pools"]["web"]["green"][0]["healthy"]],
        [true, true]
    );
    bg(&site, "abort", 0);
    serves(&site, "both", "v1");
}

/// Answers 200 to every request, and keeps what came.
fn side_door(at: SocketAddr, heard: Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            heard.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
}

#[test]
fn health_may_be_asked_on_another_port_under_another_name() {
    let site = started(small());
    let port = site.place("web1").listen.port() + 5_000;
    let heard = Arc::new(Mutex::new(Vec::new()));
    health(
        &site,
        &format!(
            "path = \"/up\"\nport = {port}\nhost = \"www.example.net\"\nheaders = {{ X-Probe = \"it's; \\\"me\\\"\" }}"
        ),
    );
    for host in ["web1", "web2"] {
        side_door(SocketAddr::new(site.host(host).address.into(), port), heard.clone());
    }
    deploy(&site, "v2", &Behaviour { unhealthy: true, ..Behaviour::default() }, 0);
    let heard = heard.lock().unwrap();
    assert!(heard.len() >= 3, "{heard:?}");
    for head in heard.iter().map(|head| head.to_lowercase()) {
        says(&head, &["get /up http/1.1\r\n", "host: www.example.net\r\n", "x-probe: it's; \"me\"\r\n"]);
    }
}
