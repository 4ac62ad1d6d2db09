//! The fleet that the tests use, and what they ask of it.

use std::{
    fs,
    path::PathBuf,
    thread::{self, JoinHandle},
};

use bg_playground::{Answer, Fleet, Options, request, skipped_unless_root};

use crate::desk::{bg, status, two_balancers};

/// A desk, clients, two balancers, one blue and one green server, set up on v1 and with v2 ready to be deployed. Silence
/// of some two seconds counts as a dead host. None, said on the terminal, without root.
pub fn fleet(test: &str) -> Option<Fleet> {
    fleet_of(test, two_balancers())
}

/// The same of other options.
pub fn fleet_of(test: &str, options: Options) -> Option<Fleet> {
    if skipped_unless_root(test) {
        return None;
    }
    let mut site = options.fleet().unwrap();
    // A restart waits as long as the file `hold` is there.
    let wait = format!("restart = \"while [ -e {} ]; do sleep 0.02; done; ", hold(&site).display());
    site.edit_inventory(|text| {
        text.replace("[ssh]\n", "[ssh]\nconnect_timeout = \"2s\"\n").replace("restart = \"", &wait)
    })
    .unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    Some(site)
}

/// The file that holds every restart while it exists.
pub fn hold(site: &Fleet) -> PathBuf {
    site.dir().join("hold")
}

/// The half that answers a client of each balancer.
pub fn halves(site: &Fleet) -> [String; 2] {
    ["lb1", "lb2"].map(|lb| site.get_as_client(lb).unwrap().half().to_owned())
}

/// Requests of clients through lb1 that take so long, on either half.
pub fn slow_requests(site: &Fleet, ms: u64) -> Vec<JoinHandle<Answer>> {
    let to = site.balancer("lb1").public;
    let ask = move || request(to, "GET", &format!("/slow?ms={ms}"), &[], b"").unwrap();
    site.as_client(|| (0..4).map(|_| thread::spawn(ask)).collect()).unwrap()
}

/// Writes v2 with so many bytes that no packing makes fewer.
pub fn big_release(site: &Fleet, mib: usize) {
    site.release("v2").unwrap();
    let mut bytes = vec![0_u8; mib << 20];
    let mut number = 1_u64;
    for piece in bytes.chunks_mut(8) {
        // xorshift: noise enough.
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        piece.copy_from_slice(&number.to_le_bytes());
    }
    fs::write(site.dir().join("dist/web-v2/noise"), bytes).unwrap();
}

/// The stage, and whether a command is open.
pub fn stage(site: &Fleet) -> (String, bool) {
    let seen = status(site);
    (seen["stage"].as_str().unwrap_or_default().to_owned(), !seen["interrupted"].is_null())
}

/// Every balancer has what the journal says.
#[track_caller]
pub fn in_sync(site: &Fleet) {
    let seen = status(site);
    let all = seen["balancers"].as_array().unwrap();
    assert!(all.iter().all(|balancer| balancer["in_sync"] == true), "{seen:#}");
}

/// Leads the site to `balanced` or `staged`, from wherever it is.
#[track_caller]
pub fn lead_to(site: &Fleet, wanted: &str) {
    let (now, is_open) = stage(site);
    assert!(!is_open, "a command is open");
    match (wanted, now.as_str()) {
        ("balanced", "balanced") | ("staged", "staged") => {}
        ("balanced", _) => drop(bg(site, "abort", 0)),
        ("staged", "flipped") => drop(bg(site, "flip --back", 0)),
        _ => drop(bg(site, "deploy --release v2", 0)),
    }
}
