//! The private directory for sockets: short, 0700, and gone when its run is, however that ended.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A unix socket's path ends at 107 bytes, and ssh binds a temporary name 17 bytes longer than the final one.
const MAX_BASE: usize = 48;
/// Held locked by the living run. A lock and not a process id: it tells the truth over reused ids and containers too.
const OWNER: &str = "owner";

/// A directory of this run's own; removed on drop.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _owner: File,
    next: AtomicU64,
}

impl Directory {
    /// Makes one, after removing those that dead runs of the same user left behind.
    pub(crate) fn create() -> io::Result<Self> {
        Self::create_in(&base())
    }

    fn create_in(base: &Path) -> io::Result<Self> {
        let uid = nix::unistd::geteuid().as_raw();
        let prefix = format!("bg-{uid}-");
        remove_stale(base, &prefix, uid);
        // Under another name until the lock is held: a sibling that cleans must never see it unlocked.
        let made = tempfile::Builder::new()
            .prefix(&format!(".{prefix}"))
            .rand_bytes(8)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(base)?;
        let owner = OpenOptions::new().write(true).create_new(true).mode(0o600).open(made.path().join(OWNER))?;
        owner.try_lock().map_err(io::Error::from)?;
        let hidden = made.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let path = base.join(hidden.trim_start_matches('.'));
        fs::rename(made.path(), &path)?;
        drop(made.keep());
        Ok(Self { path, _owner: owner, next: AtomicU64::new(0) })
    }

    /// A path in it that was never used before: `m0`, `f1`, ….
    pub(crate) fn socket(&self, kind: char) -> PathBuf {
        self.path.join(format!("{kind}{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Whatever cannot be removed is, at the next start, by its free lock.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `XDG_RUNTIME_DIR` if it is this user's alone, short, and without a `%` (which ssh would expand); else /tmp.
fn base() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| is_private(dir))
        .unwrap_or_else(|| "/tmp".into())
}

fn is_private(dir: &Path) -> bool {
    let ours =
        |meta: fs::Metadata| meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o077 == 0;
    let plain = !dir.as_os_str().as_encoded_bytes().contains(&b'%');
    plain && dir.is_absolute() && dir.as_os_str().len() <= MAX_BASE && fs::symlink_metadata(dir).is_ok_and(ours)
}

/// Removes the directories of dead runs. Best effort: a directory that cannot be judged stays.
fn remove_stale(base: &Path, prefix: &str, uid: u32) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
            && fs::symlink_metadata(entry.path()).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid);
        if ours && is_dead(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_dead(dir: &Path) -> bool {
    let owner = OpenOptions::new().write(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits()).open(dir.join(OWNER));
    owner.is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_runs_directory_is_removed_and_a_living_ones_is_not() {
        let base = tempfile::tempdir().unwrap();
        let living = Directory::create_in(base.path()).unwrap();
        let dead = Directory::create_in(base.path()).unwrap();
        let left = dead.path().to_owned();
        fs::write(left.join("m0"), "").unwrap();
        // As after SIGKILL: the lock goes with the process, the directory stays.
        let Directory { path, _owner, .. } = &dead;
        assert_eq!(path, &left);
        _owner.unlock().unwrap();
        let foreign = base.path().join("bg-somebody");
        fs::create_dir(&foreign).unwrap();
        let third = Directory::create_in(base.path()).unwrap();
        assert!(living.path().exists() && third.path().exists() && foreign.exists());
        assert!(!left.exists());
        assert_eq!(fs::metadata(third.path()).unwrap().mode() & 0o777, 0o700);
        let path = third.path().to_owned();
        drop(third);
        assert!(!path.exists());
    }
}
