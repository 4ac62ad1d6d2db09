//! A directory as an artifact: packed in the order of its paths, with modes that do not depend on who checked it out.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::ArtifactError;
use super::tree::{Kind, Problem, Tree, shown};
use super::writer::{Item, WriteError, Writer};

/// Copies the directory `top` into `writer`, and returns the number of plain files.
///
/// Files become 644, or 755 if their owner may execute them; directories 755. A file with several hard links is written
/// as often as it is found.
pub fn copy(top: &Path, writer: &mut Writer) -> Result<usize, ArtifactError> {
    let mut tree = Tree::default();
    let mut files = 0;
    // A stack of what is still to be visited, the next path on top.
    let mut todo = children(top)?;
    while let Some(path) = todo.pop() {
        let relative = path.strip_prefix(top).unwrap_or(&path).as_os_str().as_bytes().to_vec();
        let refused = |problem| ArtifactError::Refused { path: top.to_owned(), entry: shown(&relative), problem };
        let unreadable = |source| ArtifactError::Unreadable { path: path.clone(), source };
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        let mut kind = kind(&path, &metadata)?.map_err(refused)?;
        if kind == Kind::File && metadata.mode() & 0o6000 != 0 {
            return Err(refused(Problem::Setuid));
        }
        let Some(name) = tree.add(&relative, &mut kind).map_err(refused)? else { continue };
        let mode = match kind {
            Kind::File if metadata.mode() & 0o100 == 0 => 0o644,
            Kind::Symlink(_) => 0o777,
            _ => 0o755,
        };
        let size = if kind == Kind::File { metadata.size() } else { 0 };
        let mtime = u64::try_from(metadata.mtime()).unwrap_or(0);
        let item = Item { path: name, kind, mode, mtime, size };
        let appended = if item.kind == Kind::File {
            files += 1;
            writer.append(&item, &mut File::open(&path).map_err(unreadable)?)
        } else {
            writer.append(&item, &mut io::empty())
        };
        appended.map_err(|error| match error {
            WriteError::Source(source) => unreadable(source),
            WriteError::Short => refused(Problem::Changed),
            WriteError::Sink(source) => ArtifactError::temporary(top, source),
        })?;
        if item.kind == Kind::Directory {
            todo.extend(children(&path)?);
        }
    }
    tree.finish().map_err(|(entry, problem)| ArtifactError::Refused {
        path: top.to_owned(),
        entry: shown(&entry),
        problem,
    })?;
    Ok(files)
}

/// The entries of one directory, the last first.
fn children(directory: &Path) -> Result<Vec<std::path::PathBuf>, ArtifactError> {
    let unreadable = |source| ArtifactError::Unreadable { path: directory.to_owned(), source };
    let mut found = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(unreadable)?;
    found.sort_by(|a, b| b.as_os_str().as_bytes().cmp(a.as_os_str().as_bytes()));
    Ok(found)
}

fn kind(path: &Path, metadata: &Metadata) -> Result<Result<Kind, Problem>, ArtifactError> {
    let file_type = metadata.file_type();
    Ok(if file_type.is_dir() {
        Ok(Kind::Directory)
    } else if file_type.is_file() {
        Ok(Kind::File)
    } else if file_type.is_symlink() {
        let target =
            fs::read_link(path).map_err(|source| ArtifactError::Unreadable { path: path.to_owned(), source })?;
        Ok(Kind::Symlink(target.as_os_str().as_bytes().to_vec()))
    } else if file_type.is_fifo() {
        Err(Problem::Special("a fifo"))
    } else if file_type.is_socket() {
        Err(Problem::Special("a socket"))
    } else {
        Err(Problem::Special("a device node"))
    })
}
