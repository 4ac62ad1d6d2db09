//! Putting a release's files on a server; nothing that runs is touched.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bluegreen_core::inventory::Deploy;
use tokio::io::{AsyncRead, ReadBuf};

use super::error::{ServerError, What};
use super::script::{PLACE_BEGIN, UPLOAD, ask};
use super::{Seen, Task, entry};
use crate::edge::artifact::{Packed, Sending, Transfer};
use crate::edge::host::{Hosts, Stdin};

/// Told how many bytes of how many were handed to the connection. Called often.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What placing found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The release was there already, or this kind of deploy unpacks nothing.
    Already,
    /// So many bytes were sent.
    Sent(u64),
}

/// Unpacks the task's release into `<root>/releases/vN`, unless it is there. For kind b there is nothing to do.
///
/// The first round trip raises the fence, clears what dead attempts left, and looks. The second uploads without holding
/// the lock; it takes the lock and asks the fence once more right before the release gets its name. A failure leaves
/// nothing behind.
pub async fn place_release(
    hosts: &Hosts,
    task: &Task<'_>,
    packed: Option<&Packed>,
    progress: Progress,
) -> Result<Placed, ServerError> {
    let Deploy::Unpack { shared, .. } = &task.pool.deploy else { return Ok(Placed::Already) };
    let (Some(digest), host) = (task.digest().map_err(|what| task.error(what))?, hosts.get(&task.place.host)) else {
        return Err(task.error(unsendable(task, "no artifact")));
    };
    let values = begin(task, digest).map_err(|what| task.error(what))?;
    let run = PLACE_BEGIN.run(values, task.bounds.lock + task.bounds.script, Stdin::Null);
    let lines = ask(&host, &task.place.root, run).await?;
    if lines.iter().any(|line| line == "present") {
        return Ok(Placed::Already);
    }
    let packed = match packed {
        Some(packed) if packed.sha256 == digest => packed,
        Some(_) => return Err(task.error(unsendable(task, "another artifact than the one given"))),
        None => return Err(task.error(unsendable(task, "an artifact that is not on this server and was not given"))),
    };
    let seen = Seen::read(&lines).map_err(|what| task.error(what))?;
    let transfer = prepared(task, packed, &seen).await?;
    let values = upload(task, digest, &transfer, shared).map_err(|what| task.error(what))?;
    let bytes = transfer.bytes;
    let input = Counted { file: transfer.reader(), sent: 0, total: bytes, progress };
    let run = UPLOAD.run(values, task.bounds.upload + task.bounds.lock, Stdin::Reader(Box::new(input)));
    ask(&host, &task.place.root, run).await?;
    Ok(Placed::Sent(bytes))
}

/// The file to send, compressed in a way that the host can undo, if there is room for it.
async fn prepared(task: &Task<'_>, packed: &Packed, seen: &Seen) -> Result<Transfer, ServerError> {
    let transfer = packed.transfer(seen.encoding()).await.map_err(|error| task.error(What::Artifact(error)))?;
    room(seen, packed.unpacked_bytes).map_err(|what| task.error(what))?;
    Ok(transfer)
}

/// Whether the disk has so many bytes left. A host that does not say is believed to.
pub(super) fn room(seen: &Seen, needed: u64) -> Result<(), What> {
    match seen.disk_free_bytes {
        Some(free) if free < needed => Err(What::NoRoom { needed, free }),
        _ => Ok(()),
    }
}

/// The first script's arguments.
pub(super) fn begin(task: &Task<'_>, digest: &str) -> Result<Vec<String>, What> {
    let mut values = entry(task.place, &task.epoch.journal, task.epoch.n, &task.bounds)?;
    values.extend([task.release.version.to_string(), digest.to_owned()]);
    Ok(values)
}

/// The second script's arguments.
pub(super) fn upload(
    task: &Task<'_>,
    digest: &str,
    transfer: &Transfer,
    shared: &[String],
) -> Result<Vec<String>, What> {
    let mut values = begin(task, digest)?;
    values.extend([transfer.sha256.clone(), transfer.encoding.as_str().to_owned()]);
    for path in shared {
        let clean = path.trim_end_matches('/');
        if clean.is_empty() || clean.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let detail = format!("the shared path `{path}` is not a plain path inside a release");
            return Err(What::Unsendable { detail });
        }
        values.push(clean.to_owned());
    }
    Ok(values)
}

fn unsendable(task: &Task<'_>, what: &str) -> What {
    What::Unsendable {
        detail: format!("release {} has {what} for the pool `{}`", task.release.version, task.pool.name),
    }
}

/// A file that tells how far it was read.
struct Counted {
    file: Sending,
    sent: u64,
    total: u64,
    progress: Progress,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.file).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            self.sent += (buffer.filled().len() - before) as u64;
            (self.progress)(self.sent, self.total);
        }
        polled
    }
}
