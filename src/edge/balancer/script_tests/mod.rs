//! The scripts alone, on directories of this machine: what each refuses, and that a second run changes nothing.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod conf;
mod faults;
mod live;
mod revert;

use super::script::{self, Answer, Script};

const OURS: &str = "j-ours";

/// bg's directory on a balancer, for one test.
struct Site {
    temp: tempfile::TempDir,
    dir: PathBuf,
}

/// What a script answered.
struct Ran {
    answer: Answer,
    code: Option<i32>,
    stderr: String,
}

impl Ran {
    fn refused(&self) -> Option<&str> {
        self.answer.get("refused")
    }

    fn done(self) -> Answer {
        assert!(self.answer.is_whole() && self.refused().is_none(), "{:?} {}", self.answer, self.stderr);
        self.answer
    }
}

fn command(script: Script, args: &[&str]) -> Command {
    let mut command = Command::new("dash");
    command.args(["-c", script.text, script.name]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(script: Script, args: &[&str], stdin: &[u8]) -> Ran {
    finish(command(script, args), stdin)
}

fn finish(mut command: Command, stdin: &[u8]) -> Ran {
    let mut child = command.spawn().unwrap();
    // A script that refuses at once closes the pipe: not an error of the test's.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        answer: Answer::read(&output.stdout),
        code: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A small tree `n`: `both`, or green/all with the buckets below `green`.
fn tree(into: &mut tar::Builder<Vec<u8>>, n: u64, journal: &str, green: Option<u32>) -> String {
    let mut manifest = Vec::new();
    let mut entry = |kind: tar::EntryType, mode: u32, path: &str, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(0);
        if kind == tar::EntryType::Symlink {
            into.append_link(&mut header, format!("{n}/{path}"), link).unwrap();
        } else {
            into.append_data(&mut header, format!("{n}/{path}"), std::io::empty()).unwrap();
        }
        let letter = match kind {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            _ => 'f',
        };
        manifest.push(format!("{letter} {mode} {path} {link}\n"));
    };
    entry(tar::EntryType::Directory, 755, "full", "");
    entry(tar::EntryType::Regular, 644, "full/00", "");
    match green {
        None => entry(tar::EntryType::Regular, 644, "both", ""),
        Some(buckets) => {
            entry(tar::EntryType::Directory, 755, "green", "");
            entry(tar::EntryType::Directory, 755, "green/all", "");
            for bucket in 0..buckets {
                entry(tar::EntryType::Symlink, 777, &format!("green/all/{bucket:02}"), "../../full");
            }
        }
    }
    let text = format!("{{\"site\":\"shop\",\"journal\":\"{journal}\",\"generation\":{n}}}\n");
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(text.len() as u64);
    into.append_data(&mut header, format!("{n}/traffic.json"), text.as_bytes()).unwrap();
    manifest.sort();
    sha256(&manifest.concat())
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Site {
    fn new() -> Site {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("bg/shop");
        let site = Site { temp, dir };
        run(script::DIRS, &[site.path(), "no"], b"").done();
        site
    }

    fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn live(&self, rest: &str) -> PathBuf {
        self.dir.join("live").join(rest)
    }

    fn prepare_as(&self, journal: &str, trees: &[(u64, Option<u32>)]) -> Ran {
        let mut tar = tar::Builder::new(Vec::new());
        let mut args = vec![self.path().to_owned(), journal.to_owned(), "6".to_owned(), "5".to_owned()];
        for (n, green) in trees {
            let hash = tree(&mut tar, *n, journal, *green);
            args.extend([n.to_string(), hash]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(script::PREPARE, &args, &tar.into_inner().unwrap())
    }

    fn prepare(&self, trees: &[(u64, Option<u32>)]) -> Ran {
        self.prepare_as(OURS, trees)
    }

    fn commit_args(&self, journal: &str, n: u64, green: Option<u32>) -> Vec<String> {
        let hash = tree(&mut tar::Builder::new(Vec::new()), n, journal, green);
        vec![self.path().to_owned(), n.to_string(), journal.to_owned(), hash, "5".to_owned(), "no".to_owned()]
    }

    fn commit_as(&self, journal: &str, n: u64, green: Option<u32>) -> Ran {
        let args = self.commit_args(journal, n, green);
        run(script::COMMIT, &args.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    }

    fn commit(&self, n: u64, green: Option<u32>) -> Ran {
        self.commit_as(OURS, n, green)
    }

    fn current(&self) -> String {
        std::fs::read_link(self.live("current")).map(|l| l.display().to_string()).unwrap_or_else(|_| "none".into())
    }

    /// What stands beside the generations.
    fn half_made(&self) -> Vec<String> {
        names(&self.live("gen")).into_iter().filter(|name| name.starts_with('.')).collect()
    }

    fn look(&self) -> Answer {
        run(script::LOOK, &[self.path()], b"").done()
    }

    fn gens(&self) -> Vec<u64> {
        let mut gens: Vec<u64> = names(&self.live("gen")).iter().filter_map(|n| n.parse().ok()).collect();
        gens.sort();
        gens
    }
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
