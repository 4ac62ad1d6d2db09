//! Why an artifact cannot be used. Every refusal names the entry, and says that nothing was sent.

use std::path::{Path, PathBuf};
use std::{env, io};

use super::Format;
use super::tree::Problem;

/// Why an artifact cannot be used; nothing was sent to any host when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing is at the path.
    #[error("there is no artifact at `{}`; nothing was sent to any host", .path.display())]
    Missing {
        /// The path tried.
        path: PathBuf,
    },
    /// It, or something in it, cannot be read.
    #[error("cannot read the artifact `{}`: {source}; nothing was sent to any host", .path.display())]
    Unreadable {
        /// What could not be read: the artifact, or a file in the directory.
        path: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
    /// Neither a directory nor a name that ends like an archive.
    #[error("the artifact `{}` is none of: a directory, .tar, .tar.gz, .tgz, .tar.zst; nothing was sent to any host", .path.display())]
    UnknownKind {
        /// The path tried.
        path: PathBuf,
    },
    /// The name promises one format and the content is another.
    #[error("the artifact `{}` is named like {named}, but holds {holds}; nothing was sent to any host", .path.display())]
    Mismatch {
        /// The artifact.
        path: PathBuf,
        /// By its name.
        named: Format,
        /// By its first bytes.
        holds: &'static str,
    },
    /// An entry that could write outside of the release, or that bg does not unpack.
    #[error("the artifact `{}` is refused: its entry `{entry}` {problem}. Nothing was unpacked, and nothing was sent to any host", .path.display())]
    Refused {
        /// The artifact.
        path: PathBuf,
        /// The entry's name as in the archive, control characters escaped.
        entry: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The archive is cut short or damaged.
    #[error("the artifact `{}` is damaged: {detail}; nothing was sent to any host", .path.display())]
    Damaged {
        /// The artifact.
        path: PathBuf,
        /// What the reader said.
        detail: String,
    },
    /// Nothing in it.
    #[error("the artifact `{}` holds no file; nothing was sent to any host", .path.display())]
    Empty {
        /// The artifact.
        path: PathBuf,
    },
    /// The private temporary copy could not be written on this machine.
    #[error("cannot write a temporary copy of the artifact `{}` on this machine, in `{}`: {source}; nothing was sent to any host", .path.display(), .dir.display())]
    Temporary {
        /// The artifact.
        path: PathBuf,
        /// The directory for temporary files.
        dir: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
}

impl ArtifactError {
    /// Of the artifact at `path`: its copy could not be written.
    pub(super) fn temporary(path: &Path, source: io::Error) -> ArtifactError {
        ArtifactError::Temporary { path: path.to_owned(), dir: env::temp_dir(), source }
    }

    /// Whether it is this machine's fault and not the artifact's.
    pub fn is_of_this_machine(&self) -> bool {
        matches!(self, ArtifactError::Temporary { .. })
    }
}
