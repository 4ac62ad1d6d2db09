//! The files that are really sent: zstd where the host can read it, else gzip, else the plain tar.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::writer::Hashing;

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
    /// A private temporary file; it lives as long as the [`super::Packed`] that it came from.
    pub path: PathBuf,
    /// sha256 of this file in lower-case hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// The zstd file, and the others once a host needs them.
#[derive(Debug)]
pub struct Transfers {
    dir: TempDir,
    zstd: Transfer,
    gzip: OnceCell<Transfer>,
    plain: OnceCell<Transfer>,
}

impl Transfers {
    /// Of the zstd file in `dir`.
    pub fn new(dir: TempDir, zstd: Transfer) -> Transfers {
        Transfers { dir, zstd, gzip: OnceCell::new(), plain: OnceCell::new() }
    }

    /// The file in `encoding`.
    pub async fn get(&self, encoding: Encoding) -> io::Result<Transfer> {
        let (cell, name) = match encoding {
            Encoding::Zstd => return Ok(self.zstd.clone()),
            Encoding::Gzip => (&self.gzip, "release.tar.gz"),
            Encoding::Plain => (&self.plain, "release.tar"),
        };
        let made = cell.get_or_try_init(|| async {
            let (from, to) = (self.zstd.path.clone(), self.dir.path().join(name));
            tokio::task::spawn_blocking(move || convert(&from, &to, encoding)).await.map_err(io::Error::other)?
        });
        Ok(made.await?.clone())
    }
}

fn convert(from: &Path, to: &Path, encoding: Encoding) -> io::Result<Transfer> {
    let mut tar = zstd::Decoder::with_buffer(BufReader::with_capacity(1 << 18, File::open(from)?))?;
    // Not `create_new`: an attempt that failed half-way left the file.
    let mut file = Hashing::new(BufWriter::with_capacity(1 << 18, File::create(to)?));
    if encoding == Encoding::Gzip {
        let mut gzip = GzEncoder::new(file, Compression::fast());
        io::copy(&mut tar, &mut gzip)?;
        file = gzip.finish()?;
    } else {
        io::copy(&mut tar, &mut file)?;
    }
    file.flush()?;
    let (sha256, bytes) = file.result();
    Ok(Transfer { encoding, path: to.to_owned(), sha256, bytes })
}
