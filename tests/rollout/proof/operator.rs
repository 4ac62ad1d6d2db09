//! An operator at a desk of their own: a directory with an inventory, and a private runtime directory in which whatever a
//! killed command left behind can be counted.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use bg_playground::{Playground, Ran, Running};

use crate::desk::{SOON, killed_at};

/// Somebody who runs bg.
pub struct Operator {
    dir: PathBuf,
    runtime: PathBuf,
}

impl Operator {
    /// Who set the site up.
    pub fn first(site: &Playground) -> Operator {
        Operator::at(site.dir().to_owned(), site.dir().join("run1"))
    }

    /// A colleague in another directory, with a copy of the inventory as it is now that names the same journal.
    pub fn second(site: &Playground) -> Operator {
        let desk = site.dir().join("desk2");
        fs::create_dir_all(desk.join("inventory")).unwrap();
        let ours = fs::read_to_string(site.inventory_file()).unwrap();
        let journal = format!("journal = \"file:{}/.bg/shop\"", site.dir().display());
        let theirs = ours.replace("journal = \"file:.bg/shop\"", &journal);
        assert!(!theirs.contains("file:."), "{theirs}");
        fs::write(desk.join("inventory/shop.toml"), theirs).unwrap();
        fs::copy(site.ssh_config(), desk.join("ssh_config")).unwrap();
        if !desk.join("dist").exists() {
            std::os::unix::fs::symlink(site.dir().join("dist"), desk.join("dist")).unwrap();
        }
        Operator::at(desk, site.dir().join("run2"))
    }

    fn at(dir: PathBuf, runtime: PathBuf) -> Operator {
        fs::create_dir_all(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        Operator { dir, runtime }
    }

    fn command(&self, site: &Playground, words: &str) -> Command {
        let mut command = site.bg_command(words.split_whitespace()).unwrap();
        command.current_dir(&self.dir).env("XDG_RUNTIME_DIR", &self.runtime);
        command
    }

    /// Starts `bg WORDS` there.
    pub fn start(&self, site: &Playground, words: &str) -> Running {
        Running::start(self.command(site, words)).unwrap()
    }

    /// `bg WORDS` there, to its end.
    pub fn bg(&self, site: &Playground, words: &str) -> Ran {
        self.start(site, words).wait(SOON).unwrap()
    }

    /// `bg WORDS` there, which must end with this exit code.
    #[track_caller]
    pub fn expect(&self, site: &Playground, words: &str, code: i32) -> Ran {
        let ran = self.bg(site, words);
        ran.expect(code);
        ran
    }

    /// `bg WORDS`, killed with SIGKILL at its `append`th append to the journal (from 1).
    #[track_caller]
    pub fn killed_at(&self, site: &Playground, words: &str, append: usize) -> Ran {
        killed_at(&self.command(site, words), append)
    }

    /// Private directories of bg's in the runtime directory: of a living command, or left behind by a killed one.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        below(&self.runtime).filter(|path| path.is_dir()).collect()
    }
}

fn below(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}
