//! Artifacts on the operator's machine: inspected whole before anything is sent, and packed for sending.
//!
//! What is sent is never the user's archive itself but one that bg wrote from its accepted entries: a host's tar then
//! cannot read an odd header in another way than the inspection did. A release's identity stays the digest of the
//! user's own file; of a directory it is the digest of its deterministic tar (paths sorted, owner 0:0, modes 755 and
//! 644, every time 0), so the same content has the same digest whoever packs it.

mod archive;
mod builds;
mod directory;
mod error;
mod transfer;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use builds::builds;
pub use error::ArtifactError;
pub use transfer::{Encoding, Sending, Transfer};
pub use tree::Problem;

use writer::Writer;

/// What the user's artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`
    TarGz,
    /// `.tar.zst`
    TarZst,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Tar => ".tar",
            Format::TarGz => ".tar.gz",
            Format::TarZst => ".tar.zst",
        })
    }
}

/// An accepted artifact, ready to be sent; the temporary files behind it have no name and go when it is dropped.
#[derive(Debug)]
pub struct Packed {
    /// Where the user's artifact is, as it was asked for.
    pub path: PathBuf,
    /// sha256 in lower-case hex of the user's file, or of the directory's deterministic tar: the release's identity.
    pub sha256: String,
    /// The user's format; `None` for a directory.
    pub format: Option<Format>,
    /// Entries, directories and links included.
    pub entries: usize,
    /// Bytes that it takes unpacked, blocks rounded up.
    pub unpacked_bytes: u64,
    transfers: transfer::Transfers,
}

/// Inspects the artifact at `path` and packs it. Reads it once, writes a compressed copy to a temporary file, and blocks
/// meanwhile: use [`pack`] where others wait.
pub fn inspect_and_pack(path: &Path) -> Result<Packed, ArtifactError> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ArtifactError::Missing { path: path.to_owned() },
        _ => ArtifactError::Unreadable { path: path.to_owned(), source },
    })?;
    let temporary = |source| ArtifactError::temporary(path, source);
    let file = transfer::unnamed().map_err(temporary)?;
    let mut writer = file.try_clone().and_then(Writer::new).map_err(temporary)?;
    let (format, digest, files) = if metadata.is_dir() {
        (None, None, directory::copy(path, &mut writer)?)
    } else {
        let format = format_of(path)?;
        let (sha256, files) = archive::copy(path, format, &mut writer)?;
        (Some(format), Some(sha256), files)
    };
    if files == 0 {
        return Err(ArtifactError::Empty { path: path.to_owned() });
    }
    let written = writer.finish().map_err(temporary)?;
    let zst = Transfer::new(Encoding::Zstd, file, written.sha256, written.bytes);
    Ok(Packed {
        path: path.to_owned(),
        sha256: digest.unwrap_or(written.timeless_sha256),
        format,
        entries: written.entries,
        unpacked_bytes: written.unpacked,
        transfers: transfer::Transfers::new(zst),
    })
}

/// As [`inspect_and_pack`], on a thread of its own.
pub async fn pack(path: PathBuf) -> Result<Packed, ArtifactError> {
    let asked = path.clone();
    tokio::task::spawn_blocking(move || inspect_and_pack(&asked))
        .await
        .unwrap_or_else(|error| Err(ArtifactError::temporary(&path, io::Error::other(error))))
}

impl Packed {
    /// The file to send to a host that can read `encoding`; made on first use, once for all hosts.
    pub async fn transfer(&self, encoding: Encoding) -> Result<Transfer, ArtifactError> {
        let temporary = |source| ArtifactError::temporary(&self.path, source);
        self.transfers.get(encoding).await.map_err(temporary)
    }
}

/// The format by the name, when the first bytes agree.
fn format_of(path: &Path) -> Result<Format, ArtifactError> {
    let format = format_by_name(path).ok_or_else(|| ArtifactError::UnknownKind { path: path.to_owned() })?;
    let unreadable = |source| ArtifactError::Unreadable { path: path.to_owned(), source };
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(unreadable)?;
    let holds = sniff(&head);
    if holds != Some(format) {
        let holds = match holds {
            Some(Format::Tar) => "a plain tar",
            Some(Format::TarGz) => "gzip",
            Some(Format::TarZst) => "zstd",
            None if head.is_empty() => "nothing",
            None => "something else",
        };
        return Err(ArtifactError::Mismatch { path: path.to_owned(), named: format, holds });
    }
    Ok(format)
}

/// The format that the name promises.
fn format_by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let ends =
        [(".tar.zst", Format::TarZst), (".tar.gz", Format::TarGz), (".tgz", Format::TarGz), (".tar", Format::Tar)];
    ends.into_iter().find_map(|(end, format)| name.ends_with(end).then_some(format))
}

/// The format by the first bytes. A tar of before 1988 has no magic; its header's checksum is as good a sign.
fn sniff(head: &[u8]) -> Option<Format> {
    match head {
        [0x1f, 0x8b, ..] => Some(Format::TarGz),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Format::TarZst),
        _ if head.len() == 512 => {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(head);
            // An archive of nothing begins with the zeros that end it.
            if head.iter().all(|byte| *byte == 0) {
                return Some(Format::Tar);
            }
            let claimed = header.cksum().ok()?;
            header.set_cksum();
            header.cksum().is_ok_and(|sum| sum == claimed).then_some(Format::Tar)
        }
        _ => None,
    }
}
