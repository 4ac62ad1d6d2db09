//! Two balancers, and two pools of four servers.

use bg_playground::{Behaviour, Playground, Result};

use super::{Desk, NARROW, WIDE, page::Page, served};

/// Requests a second: enough that a drain has something to wait for.
const RATE: u32 = 50;
/// Slow uploads and downloads that are always under way, and how long one takes: what a drain is seen to wait for.
const SLOW: (usize, u64) = (3, 5000);
/// Until green is healthy.
const HEALTHY_MS: u64 = 4000;

/// Captures what is to be seen on it.
pub fn capture(page: &mut Page) -> Result<()> {
    let mut site = served(Playground::options())?;
    site.release("2.0")?;
    site.artifact("web", "2.0", &Behaviour { healthy_after_ms: HEALTHY_MS, ..Behaviour::default() })?;
    site.release("2.1")?;
    site.artifact("api", "2.1", &Behaviour { unhealthy: true, ..Behaviour::default() })?;
    site.edit_inventory(|text| text.replace("within = \"15s\"", "within = \"8s\""))?;
    let load = site.load().rate(RATE).slow(SLOW.0, SLOW.1).start()?;
    let mut desk = Desk::new(&site, page)?;
    wrong_inventory(&site, &mut desk)?;
    deploy(&mut desk)?;
    canary(&mut desk)?;
    site.stop_sshd("api3")?;
    unreachable(&mut desk)?;
    site.start_sshd("api3")?;
    failed(&mut desk)?;
    let seen = load.stop();
    println!("{} requests, {} failed", seen.sent, seen.failed);
    Ok(())
}

/// Three mistakes, all said at once.
fn wrong_inventory(site: &Playground, desk: &mut Desk) -> Result<()> {
    let before = std::fs::read_to_string(site.inventory_file()).unwrap_or_default();
    site.edit_inventory(|text| {
        let text = text.replacen("release_header", "realease_header", 1);
        text.replacen("timeout = \"15s\"", "timeout = \"15 sec\"", 1)
    })?;
    desk.play("check", NARROW, &["bg check"])?;
    site.write_inventory(&before)
}

fn deploy(desk: &mut Desk) -> Result<()> {
    let line = "bg deploy --release 2.0 --canary mobile=10%";
    desk.begin(line)?;
    desk.keep("drain", NARROW, |pane| pane.contains("in flight"))?;
    let is_api_done = |pane: &str| pane.contains("✓ api2") && pane.contains("✓ api4");
    desk.keep("health", NARROW, |pane| pane.contains("healthy 0/") && is_api_done(pane))?;
    let pane = desk.terminal.end(line)?;
    desk.page.put("record", NARROW, &desk.dir, &pane)
}

fn canary(desk: &mut Desk) -> Result<()> {
    desk.play("status", NARROW, &["bg status"])?;
    desk.play("status", WIDE, &["bg status"])?;
    desk.play("plain", NARROW, &["NO_COLOR=1 bg flip", "TERM=dumb bg flip --back", "bg flip |& cat"])
}

/// A host whose sshd is gone.
fn unreachable(desk: &mut Desk) -> Result<()> {
    desk.begin("bg status --watch")?;
    desk.keep("watch", NARROW, |pane| pane.contains("until Ctrl-C"))?;
    desk.stop()
}

fn failed(desk: &mut Desk) -> Result<()> {
    desk.run("bg restore")?;
    desk.play("failed", NARROW, &["bg deploy --release 2.1"])
}
