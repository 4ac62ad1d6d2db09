//! Making a release the running one. The order on the server stands in `activate.sh`.

use std::time::Duration;

use bluegreen_core::inventory::{Deploy, fill};

use super::error::{ServerError, What};
use super::script::{ACTIVATE, ask};
use super::{Marker, Task, entry};
use crate::edge::host::{Hosts, Stdin};

/// What reading a journal of systemd may take, the ending of an overdue command, and the small steps between.
const SLACK: Duration = Duration::from_secs(45);

/// What activating found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activated {
    /// The marker, and `current` where there is one, name the release already: nothing was run.
    Already,
    /// The user's command was run.
    Done,
}

/// Switches `current` (kind a), runs the `restart` or `run` line, watches the unit, and writes the marker, unless the
/// release runs already and `force` is false. A failure leaves a marker that names no release as running.
pub async fn activate(hosts: &Hosts, task: &Task<'_>, force: bool) -> Result<Activated, ServerError> {
    let (values, bound) = arguments(task, force).map_err(|what| task.error(what))?;
    let timeout = task.bounds.lock + bound + task.bounds.watch + SLACK;
    let lines = ask(&hosts.get(&task.place.host), &task.place.root, ACTIVATE.run(values, timeout, Stdin::Null)).await?;
    match lines.last().map(String::as_str) {
        Some("already") => Ok(Activated::Already),
        Some("activated") => Ok(Activated::Done),
        other => Err(task.error(What::Garbled { said: other.unwrap_or("nothing").to_owned() })),
    }
}

/// The script's arguments, and the bound of the user's command.
pub(super) fn arguments(task: &Task<'_>, force: bool) -> Result<(Vec<String>, Duration), What> {
    let (version, line, service, bound) = match &task.pool.deploy {
        Deploy::Unpack { restart, service, .. } => {
            (task.release.version.to_string(), restart, service, task.bounds.restart)
        }
        Deploy::Run { run, service } => ("-".to_owned(), run, service, task.bounds.run),
    };
    let filled = |text: &str| fill(text, task.words).map_err(|detail| What::Unsendable { detail });
    let unit = service.as_deref().map_or(Ok("-".to_owned()), filled)?;
    let after = task.marker()?;
    let during = Marker { release: None, activating: after.release.clone(), ..after.clone() };
    let (begins, ends) = edges(&after)?;
    let mut values = entry(task.place, &task.epoch.journal, task.epoch.n, &task.bounds)?;
    values.extend([
        version,
        after.sha256.clone().unwrap_or_else(|| "-".to_owned()),
        begins,
        ends,
        text(&during)?,
        text(&after)?,
        if force { "force" } else { "-" }.to_owned(),
        filled(line)?,
        bound.as_secs().max(1).to_string(),
        unit,
        task.bounds.watch.as_secs().to_string(),
    ]);
    Ok((values, bound))
}

fn text(marker: &Marker) -> Result<String, What> {
    serde_json::to_string(marker).map_err(|error| What::Unsendable { detail: error.to_string() })
}

/// The marker's text before and after the epoch, which may differ when the release is the same.
fn edges(marker: &Marker) -> Result<(String, String), What> {
    let text = text(marker)?;
    let epoch = format!("\"epoch\":{},", marker.epoch);
    // Names and ids hold no quotes, so this is the field itself and not the text of another.
    let at = text.find(&epoch).ok_or_else(|| What::Unsendable { detail: "its marker has no epoch".to_owned() })?;
    Ok((text[..at + "\"epoch\":".len()].to_owned(), text[at + epoch.len() - 1..].to_owned()))
}
