//! The files that are really sent: zstd where the host can read it, else gzip, else the plain tar.
//!
//! They have no name, so that the kernel frees them however bg ends, and nobody else can open them: an artifact may hold
//! secrets. Several hosts are sent the same file at once, so each reader has a position of its own.

use std::env;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::writer::Hashing;

/// Read from the disk at once, away from the threads that everything else runs on.
const CHUNK: usize = 1 << 18;

/// How the archive travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `zstd -d` is needed on the host.
    Zstd,
    /// `gzip -d` is needed on the host.
    Gzip,
    /// Only tar is needed.
    Plain,
}

impl Encoding {
    /// The word that the host's script knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Gzip => "gzip",
            Encoding::Plain => "plain",
        }
    }
}

/// One file to send.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// How it is compressed.
    pub encoding: Encoding,
    pub(super) file: Arc<File>,
    /// sha256 of this file in lower-case hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

impl Transfer {
    pub(super) fn new(encoding: Encoding, file: File, sha256: String, bytes: u64) -> Transfer {
        Transfer { encoding, file: Arc::new(file), sha256, bytes }
    }

    /// The whole file from its beginning, whoever else is reading it.
    pub fn reader(&self) -> Sending {
        Sending { from: self.blocking_reader(), chunk: Bytes::new(), reading: None }
    }

    fn blocking_reader(&self) -> At {
        At { file: self.file.clone(), position: 0 }
    }
}

/// An empty temporary file without a name, in the directory that TMPDIR names.
pub(super) fn unnamed() -> io::Result<File> {
    let file = tempfile::tempfile_in(env::temp_dir())?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A file with a position of its own.
#[derive(Debug, Clone)]
struct At {
    file: Arc<File>,
    position: u64,
}

impl At {
    /// What comes next, at most [`CHUNK`] bytes; nothing at the end.
    fn chunk(&self) -> io::Result<Bytes> {
        let mut chunk = vec![0; CHUNK];
        let count = self.file.read_at(&mut chunk, self.position)?;
        chunk.truncate(count);
        Ok(chunk.into())
    }
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Reads a [`Transfer`].
#[derive(Debug)]
pub struct Sending {
    from: At,
    chunk: Bytes,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl AsyncRead for Sending {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.chunk.is_empty() {
            let from = self.from.clone();
            let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(move || from.chunk()));
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            self.chunk = read.map_err(io::Error::other)??;
            self.from.position += self.chunk.len() as u64;
        }
        let count = buffer.remaining().min(self.chunk.len());
        buffer.put_slice(&self.chunk.split_to(count));
        Poll::Ready(Ok(()))
    }
}

/// The zstd file, and the others once a host needs them.
#[derive(Debug)]
pub struct Transfers {
    zstd: Transfer,
    gzip: OnceCell<Transfer>,
    plain: OnceCell<Transfer>,
}

impl Transfers {
    /// Of the zstd file.
    pub fn new(zstd: Transfer) -> Transfers {
        Transfers { zstd, gzip: OnceCell::new(), plain: OnceCell::new() }
    }

    /// The file in `encoding`.
    pub async fn get(&self, encoding: Encoding) -> io::Result<Transfer> {
        let cell = match encoding {
            Encoding::Zstd => return Ok(self.zstd.clone()),
            Encoding::Gzip => &self.gzip,
            Encoding::Plain => &self.plain,
        };
        let made = cell.get_or_try_init(|| async {
            let from = self.zstd.blocking_reader();
            tokio::task::spawn_blocking(move || convert(from, encoding)).await.map_err(io::Error::other)?
        });
        Ok(made.await?.clone())
    }
}

fn convert(from: At, encoding: Encoding) -> io::Result<Transfer> {
    let mut tar = zstd::Decoder::with_buffer(BufReader::with_capacity(CHUNK, from))?;
    let to = unnamed()?;
    let mut file = Hashing::new(BufWriter::with_capacity(CHUNK, to.try_clone()?));
    if encoding == Encoding::Gzip {
        let mut gzip = GzEncoder::new(file, Compression::fast());
        io::copy(&mut tar, &mut gzip)?;
        file = gzip.finish()?;
    } else {
        io::copy(&mut tar, &mut file)?;
    }
    file.flush()?;
    let (sha256, bytes) = file.result();
    Ok(Transfer::new(encoding, to, sha256, bytes))
}
