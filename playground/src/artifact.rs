//! Artifacts: what `bg deploy` installs. A release of the demo application is a directory with `app.json` in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::behaviour::{APP_FILE, App, Behaviour};
use crate::error::{Error, Naming, Result};

/// Writes `dist/POOL-LABEL/` below `dir`, replacing what is there.
pub(crate) fn directory(dir: &Path, pool: &str, label: &str, behaviour: &Behaviour) -> Result<PathBuf> {
    let path = dir.join("dist").join(format!("{pool}-{label}"));
    if path.exists() {
        fs::remove_dir_all(&path).naming("cannot replace", &path)?;
    }
    let public = path.join("public");
    fs::create_dir_all(&public).naming("cannot create", &public)?;
    let app = App { release: label.to_owned(), behaviour: behaviour.clone() };
    let text = serde_json::to_string_pretty(&app)
        .map_err(|error| Error::Unknown(format!("the behaviour cannot be written as JSON: {error}")))?;
    let file = path.join(APP_FILE);
    fs::write(&file, text).naming("cannot write", &file)?;
    let page = public.join("index.html");
    fs::write(&page, format!("<h1>{pool} {label}</h1>\n")).naming("cannot write", &page)?;
    Ok(path)
}

/// Packs a directory into `DIRECTORY.tar.zst` beside it.
pub(crate) fn pack(directory: &Path) -> Result<PathBuf> {
    let mut name = directory.as_os_str().to_owned();
    name.push(".tar.zst");
    let path = PathBuf::from(name);
    let file = File::create(&path).naming("cannot write", &path)?;
    let encoder = zstd::Encoder::new(file, 0).naming("cannot write", &path)?;
    let mut archive = tar::Builder::new(encoder);
    archive.append_dir_all(".", directory).naming("cannot pack", directory)?;
    let encoder = archive.into_inner().naming("cannot write", &path)?;
    encoder.finish().naming("cannot write", &path)?;
    Ok(path)
}
