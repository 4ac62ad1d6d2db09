//! One server: rights, tools, space, who it belongs to, and its health.

use bluegreen_core::{
    half::Half,
    inventory::{Deploy, Place, Pool},
};

use super::{Checking, Finding, HostReport, Next};
use crate::edge::{
    health::{self, Depth, Probe, Verdict},
    server::{self, Bounds, Fence, Seen},
    world::overtaken,
};

/// Below this hardly any release can be unpacked beside the running one.
const FREE_BYTES: u64 = 256 << 20;

impl Checking<'_> {
    pub(super) async fn server(&self, viewpoints: &[String], half: Half, pool: &Pool, place: &Place) -> HostReport {
        let mut report = HostReport::new(&place.host, format!("{}/{half}", pool.name));
        match server::look(self.hosts, place, &Bounds::default()).await {
            Ok(seen) => {
                report.findings = self.lacks(pool, place, &seen);
                let known = self.state.zip(seen.fence.as_ref());
                report.newer = known.and_then(|(state, fence)| overtaken(&place.host, fence, state));
                if report.findings.is_empty() {
                    report.well.push("answers; rights, tools and disk".to_owned());
                }
            }
            Err(error) => {
                report.findings.push(Finding::unanswered(&error, error.hint()));
                return report;
            }
        }
        // Before setup nothing needs to run there.
        if !self.is_before_setup() && !viewpoints.is_empty() {
            match self.health(viewpoints, half, pool, place).await {
                Ok(()) => report.well.push("healthy".to_owned()),
                Err(why) => report.findings.push(Finding::new(why, "See the application's own log there")),
            }
        }
        report
    }

    fn lacks(&self, pool: &Pool, place: &Place, seen: &Seen) -> Vec<Finding> {
        let mut found = Vec::new();
        let (more, service): (&[&str], _) = match &pool.deploy {
            Deploy::Unpack { service, .. } => (&["sha256sum", "tar"], service),
            Deploy::Run { service, .. } => (&[], service),
        };
        let needed = ["awk", "flock", "setsid", "timeout"].iter().chain(more).copied();
        for tool in needed.chain(service.as_ref().map(|_| "systemctl")).filter(|tool| !seen.has(tool)) {
            found.push(Finding::new(format!("it has no {tool}"), format!("Install {tool} there")));
        }
        if !seen.writable {
            let message = format!("the login user may not write to `{}`", place.root);
            found.push(Finding::new(message, "Create it there and give it to the login user"));
        }
        if let Some(free) = seen.disk_free_bytes.filter(|free| *free < FREE_BYTES) {
            let message = format!("only {} MiB are free at `{}`", free >> 20, place.root);
            found.push(Finding::new(message, "Make room there"));
        }
        let is_other = |fence: &&Fence| self.state.is_some_and(|state| state.journal.as_ref() != Some(&fence.journal));
        if let Some(fence) = seen.fence.as_ref().filter(is_other) {
            let message = format!("`{}` belongs to another journal, `{}`", place.root, fence.journal);
            let fix = "Use the journal that it was installed with, or another root";
            found.push(Finding::new(message, fix).then(Next::Journal));
        }
        found
    }

    async fn health(&self, viewpoints: &[String], half: Half, pool: &Pool, place: &Place) -> Result<(), String> {
        let release = self.state.and_then(|state| state.releases.get(&state.release(half)?));
        let names = release.map(|release| vec![release.label.clone(), release.version.to_string()]);
        let probe = health::for_place(&self.inventory.site, pool, half, place, release)
            .and_then(|health| Probe::new(self.hosts, viewpoints, place, &health, &names.unwrap_or_default()));
        match probe.map_err(|error| error.to_string())?.check_once(Depth::Quick).await {
            Ok(Verdict::Healthy) => Ok(()),
            Ok(unhealthy) => Err(format!("not healthy: {unhealthy}")),
            Err(error) => Err(format!("its health could not be asked: {error}")),
        }
    }
}
