//! The scripts themselves, run by dash in directories of their own: no host, no ssh.

mod activating;
mod crashes;
mod fence;
mod placing;
mod sockets;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bg_playground::write_program;
use bluegreen_core::inventory::{Inventory, Words, parse};
use bluegreen_core::release::{Content, Release, Version};
use tempfile::TempDir;

use super::script::{ACTIVATE, LOOK, PLACE_BEGIN, PRUNE, RAISE, Script, UPLOAD, answer};
use super::*;
use crate::edge::artifact::{Encoding, Packed, Transfer, inspect_and_pack};
use crate::edge::host::Output;

/// How long anything may take that is waited for.
const BOUND: Duration = Duration::from_secs(30);

/// Waits until `done`, with a bound.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !done() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server that is a directory.
struct Bench {
    home: TempDir,
    inventory: Inventory,
    bounds: Bounds,
}

impl Bench {
    /// Kind a, restarted by `restart`.
    fn new(restart: &str) -> Bench {
        Bench::with(&format!("artifact = \"a.tar\"\nrestart = {restart:?}\nshared = [\"uploads\", \"data/db\"]"))
    }

    /// With these lines of `[pools.web.deploy]` beside the root.
    fn with(deploy: &str) -> Bench {
        let home = TempDir::new().unwrap();
        let root = home.path().join("srv");
        let text = format!(
            "[site]\nname = \"shop\"\n[balancers]\nhosts = [\"lb1\"]\n[pools.web]\nport = 3000\nblue = [\"w1\"]\ngreen = \
             [\"w2\"]\n[pools.web.deploy]\nroot = {root:?}\n{deploy}\n[pools.web.health]\npath = \"/\"\n"
        );
        let inventory = parse("test", "test.toml", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        fs::create_dir(home.path().join("bin")).unwrap();
        let short = Duration::from_secs(20);
        let bounds = Bounds { lock: short, restart: short, run: short, watch: Duration::ZERO, ..Bounds::default() };
        Bench { home, inventory, bounds }
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("srv")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default().trim().to_owned()
    }

    fn place(&self) -> &Place {
        &self.inventory.pools[0].green[0]
    }

    /// What stands under `releases`, hidden things too.
    fn releases(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at("releases")) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A program that is found before the real one.
    fn shim(&self, name: &str, script: &str) {
        write_program(&self.home.path().join("bin").join(name), &format!("#!/bin/dash\n{script}\n")).unwrap();
    }

    fn start(&self, script: Script, values: Vec<String>) -> Child {
        let path = format!("{}:{}", self.home.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("dash");
        command.args(["-c", script.text, "bg"]).args(values).env("PATH", path).env("HOME", self.home.path());
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a script to its end, until its pipes are closed as well.
    fn run(&self, script: Script, values: Vec<String>, input: &[u8]) -> Result<Vec<String>, What> {
        let mut child = self.start(script, values);
        let mut stdin = child.stdin.take().unwrap();
        // It may stop before it has read everything.
        let _broken_pipe = stdin.write_all(input);
        drop(stdin);
        answer(script.name, &end(child))
    }

    fn raise(&self, n: u64) -> Result<Seen, What> {
        let values = entry(self.place(), "J", n, &self.bounds)?;
        Seen::read(&self.run(RAISE, values, b"")?)
    }

    fn look(&self) -> Seen {
        Seen::read(&self.run(LOOK, entry(self.place(), "-", 0, &self.bounds).unwrap(), b"").unwrap()).unwrap()
    }

    /// The task of release `version` with epoch `n`.
    fn with_task<T>(&self, n: u64, version: u64, packed: Option<&Packed>, work: impl FnOnce(&Task<'_>) -> T) -> T {
        let content = packed
            .map_or(Content::Command, |packed| Content::Artifact { sha256: packed.sha256.clone(), path: "a".into() });
        let release = Release {
            version: Version(version),
            label: format!("v{version}"),
            pools: [("web".into(), content)].into(),
        };
        let words = Words { release: format!("v{version}"), half: "green".into(), ..Words::default() };
        let epoch = Epoch { journal: "J".into(), n };
        let (pool, place) = (&self.inventory.pools[0], self.place());
        work(&Task { site: "shop", pool, place, epoch: &epoch, release: &release, words: &words, bounds: self.bounds })
    }

    fn begin(&self, n: u64, version: u64, packed: &Packed) -> Result<Vec<String>, What> {
        let values = self.with_task(n, version, Some(packed), |task| place::begin(task, &packed.sha256).unwrap());
        self.run(PLACE_BEGIN, values, b"")
    }

    fn upload_values(&self, n: u64, version: u64, packed: &Packed, transfer: &Transfer) -> Vec<String> {
        let Deploy::Unpack { shared, .. } = &self.inventory.pools[0].deploy else { panic!("kind b") };
        self.with_task(n, version, Some(packed), |task| place::upload(task, &packed.sha256, transfer, shared).unwrap())
    }

    fn place_as(&self, n: u64, version: u64, packed: &Packed, encoding: Encoding) -> Result<(), What> {
        if self.begin(n, version, packed)?.contains(&"present".to_owned()) {
            return Ok(());
        }
        let transfer = transfer(packed, encoding);
        let bytes = sent(&transfer);
        self.run(UPLOAD, self.upload_values(n, version, packed, &transfer), &bytes).map(drop)
    }

    fn install(&self, n: u64, version: u64, packed: &Packed) -> Result<(), What> {
        self.place_as(n, version, packed, Encoding::Zstd)
    }

    fn activate(&self, n: u64, version: u64, packed: Option<&Packed>, force: bool) -> Result<String, What> {
        let values = self.with_task(n, version, packed, |task| activate::arguments(task, force).unwrap().0);
        Ok(self.run(ACTIVATE, values, b"")?.join("\n"))
    }

    fn runs(&self, version: u64, packed: Option<&Packed>) -> bool {
        let seen = self.look();
        self.with_task(0, version, packed, |task| seen.runs(task))
    }
}

/// How a script ended, with a bound.
fn end(child: Child) -> Output {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let output = told.recv_timeout(BOUND).expect("the script ends and nothing holds its output").unwrap();
    let status = output.status.code().unwrap_or(-1);
    Output { status, stdout: output.stdout, stderr: output.stderr, ..Output::default() }
}

fn transfer(packed: &Packed, encoding: Encoding) -> Transfer {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(packed.transfer(encoding)).unwrap()
}

/// What a host is sent.
fn sent(transfer: &Transfer) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut bytes = Vec::new();
    runtime.block_on(tokio::io::copy(&mut transfer.reader(), &mut bytes)).unwrap();
    assert_eq!(bytes.len() as u64, transfer.bytes);
    bytes
}

/// An artifact of these files.
fn packed(files: &[(&str, &str)]) -> Packed {
    let dir = TempDir::new().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    inspect_and_pack(dir.path()).unwrap()
}

/// Whether nobody holds the server's lock.
fn lock_is_free(root: &Path) -> bool {
    Command::new("flock").arg("-n").arg(root.join(".bg/lock")).arg("true").status().unwrap().success()
}
