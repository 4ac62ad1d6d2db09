//! Reading an archive: one pass that inspects every entry and writes it anew.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::tree::{Kind, Problem, Tree, shown};
use super::writer::{Hashing, Item, WriteError, Writer};
use super::{ArtifactError, Format};

/// zstd's own default refuses windows over 128 MiB; `zstd --long=31` makes larger ones.
const ZSTD_WINDOW_LOG_MAX: u32 = 31;

/// Copies what `path` holds into `writer`, and returns the sha256 of the file as it is and the number of plain files.
pub fn copy(path: &Path, format: Format, writer: &mut Writer) -> Result<(String, usize), ArtifactError> {
    let unreadable = |source| ArtifactError::Unreadable { path: path.to_owned(), source };
    let mut file = Hashing::new(File::open(path).map_err(unreadable)?);
    let files = {
        let raw = BufReader::with_capacity(1 << 18, &mut file);
        match format {
            Format::Tar => copy_tar(path, raw, writer)?,
            Format::TarGz => copy_tar(path, MultiGzDecoder::new(raw), writer)?,
            Format::TarZst => {
                let mut decoder = zstd::Decoder::with_buffer(raw).map_err(unreadable)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(unreadable)?;
                copy_tar(path, decoder, writer)?
            }
        }
    };
    // Whatever stands behind the archive's end belongs to the file's digest too.
    io::copy(&mut file, &mut io::sink()).map_err(unreadable)?;
    Ok((file.result().0, files))
}

fn copy_tar(path: &Path, from: impl Read, writer: &mut Writer) -> Result<usize, ArtifactError> {
    let damaged = |detail: String| ArtifactError::Damaged { path: path.to_owned(), detail };
    let mut archive = tar::Archive::new(Tail { from, last: [1; 512], filled: 0 });
    let mut tree = Tree::default();
    let mut files = 0;
    for entry in archive.entries().map_err(|error| damaged(error.to_string()))? {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        let name = entry.path_bytes().into_owned();
        let refused = |problem| ArtifactError::Refused { path: path.to_owned(), entry: shown(&name), problem };
        // The comment that `git archive` begins with.
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            continue;
        }
        let Some(item) = inspect(&mut entry, &name, &mut tree).map_err(refused)? else { continue };
        files += usize::from(matches!(item.kind, Kind::File));
        writer.append(&item, &mut entry).map_err(|error| match error {
            WriteError::Source(error) => damaged(error.to_string()),
            WriteError::Short => damaged(format!("it ends within the entry `{}`", shown(&name))),
            WriteError::Sink(source) => ArtifactError::temporary(path, source),
        })?;
    }
    let mut rest = archive.into_inner();
    // The crate takes the end of the file for the end of the archive; only the block of zeros proves it.
    if !rest.ended() {
        return Err(damaged("it ends without the mark that ends an archive: it was cut short".into()));
    }
    // To the end, so that a compressed file's own checksum is compared.
    io::copy(&mut rest, &mut io::sink()).map_err(|error| damaged(error.to_string()))?;
    tree.finish().map_err(|(entry, problem)| ArtifactError::Refused {
        path: path.to_owned(),
        entry: shown(&entry),
        problem,
    })?;
    Ok(files)
}

/// What is written for one entry; `None` for the top directory.
fn inspect<R: Read>(entry: &mut tar::Entry<'_, R>, name: &[u8], tree: &mut Tree) -> Result<Option<Item>, Problem> {
    let header = entry.header();
    let mode = header.mode().map_err(|_| Problem::Special("an entry with an unreadable mode"))?;
    let mtime = header.mtime().unwrap_or(0);
    let mut kind = kind(entry)?;
    if mode & 0o6000 != 0 && !matches!(kind, Kind::Symlink(_)) {
        return Err(Problem::Setuid);
    }
    let size = if kind == Kind::File { entry.size() } else { 0 };
    let Some(path) = tree.add(name, &mut kind)? else { return Ok(None) };
    // Whoever unpacks must be able to go on unpacking, and to remove the release later.
    let mode = match kind {
        Kind::Directory => mode & 0o777 | 0o700,
        Kind::Symlink(_) => 0o777,
        Kind::File | Kind::Hardlink(_) => mode & 0o777 | 0o600,
    };
    Ok(Some(Item { path, kind, mode, mtime, size }))
}

fn kind<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Kind, Problem> {
    let target = entry.link_name_bytes().map(|bytes| bytes.into_owned()).unwrap_or_default();
    let ends_with_slash = entry.path_bytes().ends_with(b"/");
    match entry.header().entry_type() {
        // Before POSIX a directory was a file whose name ends with a slash, and GNU tar still reads it so.
        EntryType::Regular | EntryType::Continuous if ends_with_slash => Ok(Kind::Directory),
        EntryType::Regular | EntryType::Continuous => {
            if is_pax_sparse(entry) {
                Err(Problem::Special("a sparse file"))
            } else {
                Ok(Kind::File)
            }
        }
        EntryType::Directory => Ok(Kind::Directory),
        EntryType::Symlink => Ok(Kind::Symlink(target)),
        EntryType::Link => Ok(Kind::Hardlink(target)),
        EntryType::Char | EntryType::Block => Err(Problem::Special("a device node")),
        EntryType::Fifo => Err(Problem::Special("a fifo")),
        EntryType::GNUSparse => Err(Problem::Special("a sparse file")),
        _ => Err(Problem::Special("of a type that is neither file, directory nor link")),
    }
}

/// GNU's newer sparse files are plain entries whose extended header renames them and maps their holes.
fn is_pax_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    match entry.pax_extensions() {
        Ok(Some(extensions)) => {
            extensions.into_iter().any(|one| one.is_ok_and(|one| one.key_bytes().starts_with(b"GNU.sparse")))
        }
        _ => false,
    }
}

/// Remembers the last block that was read, to tell an archive's end from its being cut short.
struct Tail<R> {
    from: R,
    last: [u8; 512],
    filled: usize,
}

impl<R> Tail<R> {
    /// Whether the last whole block was the zeros that end an archive.
    fn ended(&self) -> bool {
        self.filled.is_multiple_of(512) && self.last.iter().all(|byte| *byte == 0)
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        let new = &buffer[..count];
        if count >= 512 {
            self.last.copy_from_slice(&new[count - 512..]);
        } else {
            self.last.copy_within(count.., 0);
            self.last[512 - count..].copy_from_slice(new);
        }
        self.filled += count;
        Ok(count)
    }
}
