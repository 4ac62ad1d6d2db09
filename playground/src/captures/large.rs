//! Two balancers, and 60 servers in two pools.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
};

use bg_playground::{Behaviour, Error, Playground, Pool, Result};

use super::{Desk, NARROW, WIDE, page::Page, served};

/// Requests a second: 60 servers and their load are on one machine.
const RATE: u32 = 20;
/// What is sent to every server of the web tier: so much that it is seen on its way.
const BYTES: u64 = 8 << 20;
/// Until green is healthy.
const HEALTHY_MS: u64 = 12_000;

/// Captures what is to be seen on it.
pub fn capture(page: &mut Page) -> Result<()> {
    let pools = [Pool::new("web").halves(20, 20), Pool::new("api").halves(10, 10)];
    let slow_machine = |pool: Pool| pool.health("within", "\"60s\"").health("timeout", "\"10s\"");
    let site = served(Playground::options().pools(pools).each_pool(slow_machine))?;
    site.release("2.0")?;
    let web = site.artifact("web", "2.0", &Behaviour { healthy_after_ms: HEALTHY_MS, ..Behaviour::default() })?;
    heavy(&web.join("public/images"))?;
    let load = site.load().rate(RATE).start()?;
    let mut desk = Desk::new(&site, page)?;
    let line = "bg deploy --release 2.0 --canary mobile=10%";
    desk.begin(line)?;
    desk.keep("sending to many", NARROW, |pane| pane.matches('%').count() >= 10 && !pane.contains("to be packed"))?;
    desk.keep("health of many", NARROW, |pane| pane.contains("healthy 0/") && pane.contains("more hosts, done"))?;
    desk.terminal.resize(WIDE)?;
    desk.keep("health of many", WIDE, |pane| pane.contains("healthy 0/") && pane.contains("✓ api20"))?;
    desk.terminal.end(line)?;
    site.kill_app("web8")?;
    for size in [NARROW, WIDE] {
        desk.terminal.resize(size)?;
        desk.begin("bg status --watch")?;
        desk.keep("watch of many", size, |pane| pane.contains("until Ctrl-C"))?;
        desk.stop()?;
    }
    drop(desk);
    let seen = load.stop();
    println!("{} requests, {} failed", seen.sent, seen.failed);
    Ok(())
}

/// Writes a file that does not get smaller when it is packed.
fn heavy(path: &Path) -> Result<()> {
    let io = |source| Error::Io { what: "cannot write", object: path.display().to_string(), source };
    let mut bytes = Vec::new();
    File::open("/dev/urandom").and_then(|random| random.take(BYTES).read_to_end(&mut bytes)).map_err(io)?;
    File::create(path).and_then(|mut file| file.write_all(&bytes)).map_err(io)
}
