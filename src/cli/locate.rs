//! Finds the inventory that a command is about, and what relative paths in it are relative to.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bluegreen_core::{
    inventory::{self, Inventory},
    nginx::conf::Templates,
};

use super::{error::CliError, templates};
use crate::{
    edge::{
        host::SshSettings,
        journal::{self, Reading, Store},
    },
    engine::{Exit, Outcome},
    site::ssh_settings,
};

/// The folder that inventories are looked for in.
pub const FOLDER: &str = "inventory";

/// A checked inventory and where it came from.
#[derive(Debug, Clone)]
pub struct Located {
    /// Its short name: the file's, without `.toml`.
    pub name: String,
    /// As it is named to the user.
    pub file: String,
    /// What relative paths in it resolve from: the parent of `inventory/`, else its own folder.
    pub base: PathBuf,
    /// What it says.
    pub inventory: Inventory,
    /// What its balancers' files are rendered from.
    pub templates: Templates,
}

/// Finds, reads and checks the inventory. `given` is `-i` or `BG_INVENTORY`; `cwd` is where to look.
pub fn load(given: Option<&str>, cwd: &Path) -> Result<Located, CliError> {
    let path = find(given, cwd)?;
    let file = shown(&path, cwd);
    let text = fs::read(&path).map_err(CliError::file("read", &path))?;
    let text = String::from_utf8(text).map_err(|_| CliError::NoInventory {
        message: format!("`{file}` is not UTF-8 text"),
        hint: "an inventory is a TOML file: `bg init` writes one".to_owned(),
    })?;
    let name = stem(&path);
    let inventory = inventory::parse(&name, &file, &text)
        .map_err(|findings| CliError::Inventory { file: file.clone(), findings: Box::new(findings) })?;
    let base = base_of(&path);
    let templates = templates::load(inventory.templates.as_ref().map(|dir| base.join(dir)), &inventory)?;
    Ok(Located { base, name, file, inventory, templates })
}

impl Located {
    /// The site's journal, without its lock.
    pub async fn journal(&self) -> Result<Reading, CliError> {
        let store = self.store(ssh_settings(&self.inventory, &self.base));
        journal::read(store.as_ref()).await.map_err(|error| Outcome::new(Exit::Failed, error.to_string()).into())
    }

    /// Where the site's journal is; a host that it is on is reached as `ssh` says.
    pub fn store(&self, ssh: SshSettings) -> Arc<dyn Store> {
        journal::store(&self.inventory.journal, &self.base, ssh)
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Relative to `cwd` where that is shorter to read.
fn shown(path: &Path, cwd: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}

/// The parent of `inventory/`, else the file's own folder. `path` is absolute.
fn base_of(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match folder.parent() {
        Some(parent) if folder.file_name().is_some_and(|name| name == FOLDER) => parent.to_owned(),
        _ => folder.to_owned(),
    }
}

/// The absolute path of the inventory's file.
pub fn find(given: Option<&str>, cwd: &Path) -> Result<PathBuf, CliError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return only(cwd) };
    let is_path = given.contains('/') || given.ends_with(".toml");
    let path = if is_path { cwd.join(given) } else { cwd.join(FOLDER).join(format!("{given}.toml")) };
    if path.is_file() {
        return Ok(path);
    }
    let known = names(cwd);
    let hint = match nearest(given, &known) {
        Some(near) if !is_path => format!("did you mean `bg -i {near} …`?"),
        _ if known.is_empty() => "`bg init` writes one".to_owned(),
        _ => format!("there are: {}", known.join(", ")),
    };
    Err(CliError::NoInventory { message: format!("there is no inventory `{}`", shown(&path, cwd)), hint })
}

/// The one of `known` that `word` was meant to be, when one is near: the one with the fewest slips; of several, the likest.
pub fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let scored = known.iter().map(|known| {
        let slips = strsim::damerau_levenshtein(known, word);
        (slips, strsim::jaro_winkler(known, word), known)
    });
    // One slip in a short word leaves it little likeness.
    let is_near = |slips: usize, likeness: f64| likeness > 0.75 || (slips == 1 && word.chars().count() > 2);
    let near = scored.filter(|(slips, likeness, _)| is_near(*slips, *likeness));
    let best = near.min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))?;
    Some(best.2.as_str())
}

/// The inventory when there is only one.
fn only(cwd: &Path) -> Result<PathBuf, CliError> {
    let known = names(cwd);
    match known.as_slice() {
        [name] => Ok(cwd.join(FOLDER).join(format!("{name}.toml"))),
        [] => Err(CliError::NoInventory {
            message: format!("there is no inventory: no .toml file in `{FOLDER}/` here"),
            hint: "`bg init` writes one · `bg -i PATH …` names one elsewhere".to_owned(),
        }),
        several => Err(CliError::NoInventory {
            message: format!("`{FOLDER}/` holds several inventories: {}", several.join(", ")),
            hint: format!("name one: `bg -i {} …`, or set BG_INVENTORY", several[0]),
        }),
    }
}

/// The names of the inventories in `inventory/`, sorted.
pub fn names(cwd: &Path) -> Vec<String> {
    let entries = fs::read_dir(cwd.join(FOLDER)).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|e| e == "toml") && path.is_file())
        .map(|p| stem(&p))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    #[test]
    fn the_only_inventory_is_found_by_itself() {
        let dir = folder(&["inventory/production.toml", "inventory/notes.txt"]);
        assert_eq!(find(None, dir.path()).unwrap(), dir.path().join("inventory/production.toml"));
        assert_eq!(find(Some(""), dir.path()).unwrap(), dir.path().join("inventory/production.toml"));
    }

    #[test]
    fn several_inventories_are_listed() {
        let dir = folder(&["inventory/staging.toml", "inventory/production.toml"]);
        let error = find(None, dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "`inventory/` holds several inventories: production, staging");
    }

    #[test]
    fn a_near_miss_is_named() {
        let dir = folder(&["inventory/staging.toml", "inventory/production.toml"]);
        let error = find(Some("prodution"), dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "there is no inventory `inventory/prodution.toml`");
        assert_eq!(error.hint().unwrap(), "did you mean `bg -i production …`?");
    }

    #[test]
    fn relative_paths_resolve_from_the_parent_of_inventory_or_from_its_own_folder() {
        assert_eq!(base_of(Path::new("/srv/shop/inventory/production.toml")), Path::new("/srv/shop"));
        assert_eq!(base_of(Path::new("/srv/shop/site.toml")), Path::new("/srv/shop"));
        assert_eq!(base_of(Path::new("/inventory/a.toml")), Path::new("/"));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let dir = folder(&["elsewhere/site.toml"]);
        assert_eq!(find(Some("elsewhere/site.toml"), dir.path()).unwrap(), dir.path().join("elsewhere/site.toml"));
    }
}
