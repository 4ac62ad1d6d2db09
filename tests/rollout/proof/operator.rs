//! An operator at a desk of their own: a directory with an inventory, and a private runtime directory in which whatever a
//! killed command left behind can be counted.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use bg_playground::{Playground, Ran, Running};

use crate::desk::SOON;

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

    /// `bg WORDS`, killed with SIGKILL at its `append`th append to the journal (from 1): the record is written whole, and
    /// the program does nothing any more. strace does it on entry to the fdatasync that every append ends with; nothing
    /// else of bg's makes that call, and the thread that appends is the first one. (With `--seccomp-bpf` no signal
    /// would be sent.)
    pub fn killed_at(&self, site: &Playground, words: &str, append: usize) -> Ran {
        let command = self.command(site, words);
        let mut traced = Command::new("strace");
        traced.args(["-qq", "-e", "trace=fdatasync", "-e", "signal=none", "-e"]);
        traced.arg(format!("inject=fdatasync:signal=KILL:when={append}"));
        traced.arg("-o").arg(self.runtime.join("strace")).arg(command.get_program()).args(command.get_args());
        traced.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        traced.current_dir(&self.dir);
        let ran = Running::start(traced)
            .unwrap_or_else(|error| panic!("the kill matrix needs `strace` (Debian package strace): {error}"))
            .wait(SOON)
            .unwrap();
        let denied = ran.stderr.contains("Operation not permitted") || ran.stderr.contains("ptrace");
        assert!(!denied, "tracing is forbidden here, so nothing can be killed at an exact point\n{ran}");
        assert_eq!(ran.code, None, "it ended before append {append}: {ran}");
        ran
    }

    /// Private directories of bg's in the runtime directory: of a living command, or left behind by a killed one.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        below(&self.runtime).filter(|path| path.is_dir()).collect()
    }
}

fn below(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}
