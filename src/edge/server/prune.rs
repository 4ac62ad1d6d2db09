//! Removing releases that are no longer kept.

use bluegreen_core::release::Version;

use super::error::ServerError;
use super::script::{PRUNE, ask};
use super::{Seen, Task, entry, look};
use crate::edge::host::{Hosts, Stdin};

/// Removes all but the newest `keep` releases, and never the one that is current, nor any of `protect` (the present and
/// the previous release belong there), nor a directory that bg did not make. Returns the names of those removed.
pub async fn prune(
    hosts: &Hosts,
    task: &Task<'_>,
    keep: usize,
    protect: &[Version],
) -> Result<Vec<String>, ServerError> {
    if !task.unpacks() {
        return Ok(Vec::new());
    }
    let seen = look(hosts, task.place, &task.bounds).await?;
    let surplus = surplus(&seen, keep, protect);
    if surplus.is_empty() {
        return Ok(Vec::new());
    }
    let mut values =
        entry(task.place, &task.epoch.journal, task.epoch.n, &task.bounds).map_err(|what| task.error(what))?;
    values.extend(surplus);
    // Removing many small files takes long on a slow disk.
    let run = PRUNE.run(values, task.bounds.lock + task.bounds.script * 5, Stdin::Null);
    let lines = ask(&hosts.get(&task.place.host), &task.place.root, run).await?;
    Ok(lines.iter().filter_map(|line| line.strip_prefix("removed ")).map(str::to_owned).collect())
}

/// The names of what nothing needs, the oldest last.
pub(super) fn surplus(seen: &Seen, keep: usize, protect: &[Version]) -> Vec<String> {
    let mut ours: Vec<u64> = seen
        .releases
        .iter()
        .filter(|kept| kept.sha256.is_some())
        .filter_map(|kept| kept.name.strip_prefix('v')?.parse().ok())
        .collect();
    ours.sort_unstable_by(|a, b| b.cmp(a));
    let needed = |version: &u64| {
        protect.contains(&Version(*version)) || seen.current.as_deref() == Some(format!("v{version}").as_str())
    };
    ours.into_iter().skip(keep).filter(|version| !needed(version)).map(|version| format!("v{version}")).collect()
}
