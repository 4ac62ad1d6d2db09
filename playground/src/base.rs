//! Where playgrounds are made: in /tmp, or where `BG_PLAYGROUND_DIR` says.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{Error, Naming, Result};
use crate::reaper;

/// Names the directory in which playgrounds are made. Tests set it to one in memory, where the many small files that are
/// synced cost nothing; what is measured or shown stays on the disk.
const VARIABLE: &str = "BG_PLAYGROUND_DIR";
const DEFAULT: &str = "/tmp";
/// The longest such path, in bytes. A unix socket's path ends at 107; bg takes a directory for its sockets that has at most
/// 48, and tests give it one that is two names below this one.
const MAX: usize = 30;

/// The directory itself.
pub(crate) fn base() -> Result<PathBuf> {
    let base = env::var_os(VARIABLE).filter(|dir| !dir.is_empty()).map_or_else(|| DEFAULT.into(), PathBuf::from);
    check(&base)?;
    Ok(base)
}

fn check(base: &Path) -> Result<()> {
    if !base.is_absolute() || base.as_os_str().len() > MAX {
        let base = base.display();
        return Err(Error::Unknown(format!(
            "{VARIABLE} is `{base}`. Nothing was started. It must be an absolute path of at most {MAX} bytes: paths of \
             sockets below it have little room"
        )));
    }
    Ok(())
}

/// Makes a directory of its own for something that has a reaper.
pub(crate) fn create() -> Result<PathBuf> {
    let base = base()?;
    let dir = tempfile::Builder::new().prefix(reaper::PREFIX).rand_bytes(6).tempdir_in(&base);
    Ok(dir.naming("cannot create a directory in", &base)?.keep())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_must_have_room_in_it() {
        assert!(check(Path::new("/dev/shm/bg-test.Xyz123")).is_ok());
        assert!(check(Path::new("/a/directory/whose/path/is/long")).is_err());
        assert!(check(Path::new("target")).is_err());
    }
}
