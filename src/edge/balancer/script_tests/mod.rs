//! The scripts alone, on directories of this machine: what each refuses, and that a second run changes nothing.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod conf;
mod faults;
mod live;
mod revert;

use bg_playground::write_program;

use super::script::{self, Answer, Script};

const OURS: &str = "j-ours";

/// bg's directory on a balancer, for one test.
struct Site {
    temp: tempfile::TempDir,
    dir: PathBuf,
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
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
///
/// Returns its manifest, unsorted.
fn tree(into: &mut tar::Builder<Vec<u8>>, n: u64, journal: &str, green: Option<u32>) -> Vec<[String; 2]> {
    let mut manifest = Vec::new();
    let mut entry = |kind: tar::EntryType, mode: u32, path: &str, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if mode == 755 { 0o755 } else { 0o644 });
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
        manifest.push([format!("{letter} {mode} "), format!("{path} {link}\n")]);
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
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    into.append_data(&mut header, format!("{n}/traffic.json"), text.as_bytes()).unwrap();
    manifest
}

fn hash(manifest: &[[String; 2]]) -> String {
    let mut lines: Vec<String> = manifest.iter().map(|parts| parts.concat()).collect();
    lines.sort();
    sha256(&lines.concat())
}

/// What preparing these trees is told, from the fourth argument on, and sent.
fn sent(journal: &str, trees: &[(u64, Option<u32>)]) -> (Vec<String>, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    let (mut together, mut each) = (Vec::new(), Vec::new());
    for (n, green) in trees {
        let manifest = tree(&mut tar, *n, journal, *green);
        each.extend([n.to_string(), hash(&manifest)]);
        together.push(["d 755 ".to_owned(), format!("{n} \n")]);
        together.push(["f 644 ".to_owned(), format!("{n}/traffic.json \n")]);
        together.extend(manifest.into_iter().map(|[what, path]| [what, format!("{n}/{path}")]));
    }
    let args = [vec![hash(&together)], each].concat();
    (args, super::live::as_text(&tar.into_inner().unwrap()))
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

    /// The arguments and the input of preparing.
    fn preparing(&self, journal: &str, trees: &[(u64, Option<u32>)]) -> (Vec<String>, Vec<u8>) {
        let (args, text) = sent(journal, trees);
        ([vec![self.path().to_owned(), journal.to_owned(), "6".to_owned(), "5".to_owned()], args].concat(), text)
    }

    fn prepare_as(&self, journal: &str, trees: &[(u64, Option<u32>)]) -> Ran {
        let (args, text) = self.preparing(journal, trees);
        run(script::PREPARE, &words(&args), &text)
    }

    fn prepare(&self, trees: &[(u64, Option<u32>)]) -> Ran {
        self.prepare_as(OURS, trees)
    }

    fn commit_args(&self, journal: &str, n: u64, green: Option<u32>) -> Vec<String> {
        let hash = hash(&tree(&mut tar::Builder::new(Vec::new()), n, journal, green));
        vec![self.path().to_owned(), n.to_string(), journal.to_owned(), hash, "5".to_owned(), "no".to_owned()]
    }

    fn commit_as(&self, journal: &str, n: u64, green: Option<u32>) -> Ran {
        let args = self.commit_args(journal, n, green);
        run(script::COMMIT, &words(&args), b"")
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

    /// Prepares 1 and 2 where this program stands in for the real one.
    fn prepare_two_with(&self, name: &str, text: &str) -> Ran {
        let (args, input) = self.preparing(OURS, &[(1, Some(2)), (2, None)]);
        let mut command = command(script::PREPARE, &words(&args));
        self.stand_in(&mut command, name, text);
        finish(command, &input)
    }

    /// Has a command find this program before the real one.
    fn stand_in(&self, command: &mut Command, name: &str, text: &str) {
        write_program(&self.temp.path().join(name), text).unwrap();
        let others = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{others}", self.temp.path().display()));
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
