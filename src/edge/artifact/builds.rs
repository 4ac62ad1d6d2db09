//! Which releases were built: the labels for which an artifact lies where the inventory says that it does.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use bluegreen_core::release::label_is_valid;

use super::format_by_name;

/// Entries of a directory that are looked at: of one that holds more, what is found is named.
const MOST: usize = 10_000;
/// Stands for the label; no label has it.
const MARK: &str = "\u{1}";

/// The labels of the releases that are there, the newest first. `path_of` gives the artifact's path for a label.
pub fn builds(path_of: impl Fn(&str) -> Option<PathBuf>) -> Vec<String> {
    let Some(marked) = path_of(MARK) else { return Vec::new() };
    let mut dir = PathBuf::new();
    let mut parts = marked.components();
    let part = loop {
        match parts.next() {
            Some(Component::Normal(part)) if part.to_string_lossy().contains(MARK) => break part,
            Some(part) => dir.push(part),
            // The path does not depend on the label.
            None => return Vec::new(),
        }
    };
    let part = part.to_string_lossy();
    let mut found: Vec<(SystemTime, String)> = Vec::new();
    for entry in fs::read_dir(&dir).into_iter().flatten().take(MOST).flatten() {
        let Some(label) = entry.file_name().to_str().and_then(|name| label_of(name, &part)) else { continue };
        let built = path_of(&label).and_then(|path| built_at(&path));
        found.extend(built.map(|at| (at, label)));
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, label)| label).collect()
}

/// The label in `name`, where `part` has a mark, or several.
fn label_of(name: &str, part: &str) -> Option<String> {
    let marks = part.matches(MARK).count();
    let length = name.len().checked_sub(part.len() - marks * MARK.len())?.checked_div(marks)?;
    let label = name.get(part.find(MARK)?..)?.get(..length)?;
    (label_is_valid(label) && part.replace(MARK, label) == name).then(|| label.to_owned())
}

/// When what can be an artifact was made.
fn built_at(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    let is_artifact = metadata.is_dir() || format_by_name(path).is_some();
    is_artifact.then(|| metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    /// Files, each made a second after the one before.
    fn made(names: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (at, name) in names.iter().enumerate() {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + at as u64);
            File::create(path).unwrap().set_modified(time).unwrap();
        }
        home
    }

    fn found(home: &Path, template: &str) -> Vec<String> {
        builds(|label| Some(home.join(template.replace("LABEL", label))))
    }

    #[test]
    fn the_releases_that_are_there_are_found_newest_first() {
        let home = made(&[
            "dist/web-2.1.tar",
            "dist/web-2.0.tar",
            "dist/web-2.1.tar.sha256",
            "dist/api-9.tar",
            "dist/web-.tar",
        ]);
        assert_eq!(found(home.path(), "dist/web-LABEL.tar"), ["2.0", "2.1"]);
        assert_eq!(found(home.path(), "dist/web-LABEL"), ["2.0.tar", "2.1.tar"], "only what can be an artifact");
        assert_eq!(found(home.path(), "nowhere/web-LABEL.tar"), [""; 0]);
        assert_eq!(found(home.path(), "dist/web-2.1.tar"), [""; 0], "every release has that one");
    }

    #[test]
    fn a_label_may_stand_in_a_directory_and_more_than_once() {
        let home = made(&["b/a/web-a.tar", "b/bb/web-bb.tar", "b/c/web-d.tar", "b/e/other"]);
        assert_eq!(found(home.path(), "b/LABEL/web-LABEL.tar"), ["bb", "a"]);
        let twice = made(&["x-v1-v1.tar", "x-v1-v2.tar", "x-v10-v10.tar"]);
        assert_eq!(found(twice.path(), "x-LABEL-LABEL.tar"), ["v10", "v1"]);
    }
}
