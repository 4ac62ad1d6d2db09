//! The switch tree: look, prepare, commit. One round trip each.

use std::collections::HashMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bluegreen_core::nginx::tree::{Kind as EntryKind, TRAFFIC_JSON, TrafficFile, Tree, hash_of_all};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::{Error, Kind};
use super::look::Look;
use super::script;
use super::{Balancers, KEEP_GENERATIONS, LOCK_WAIT};

/// What became of each generation that was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// (number, what was done), in the order they were given.
    pub generations: Vec<(u64, How)>,
    /// The generation that is current; `None`: none is yet.
    pub current: Option<u64>,
}

/// How a generation came to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was written.
    Made,
    /// An equal one was there.
    Kept,
    /// One of ours with that number and other content, never current, was replaced.
    Replaced,
}

/// A generation to write: its tree and what its `traffic.json` says. The number and the hash stand in the latter.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The content.
    pub tree: Tree,
    /// `traffic.json`; its `generation` is the number, its `hash` the tree's.
    pub file: TrafficFile,
}

impl Balancers {
    /// What stands in bg's directory there. Changes nothing and tolerates that everything is absent.
    ///
    /// # Errors
    /// When the host cannot be asked.
    pub async fn look(&self, host: &str) -> Result<Look, Error> {
        let balancer = self.at(host)?;
        let answer = self.script(host, script::LOOK, &[&balancer.dir], None).await?;
        Ok(Look::read(host, &balancer.dir, &answer))
    }

    /// Writes generations (the way forward and the way back) beside the running one, durably; nothing becomes current.
    /// Directories of bg's own that were purged are made again.
    /// All of them belong to one journal. Older generations are removed, the newest [`KEEP_GENERATIONS`] others stay.
    ///
    /// # Errors
    /// `Foreign` and `UnknownCurrent` where the directory is not this journal's, `Fenced` where a higher number is
    /// current, `CurrentDiffers`, `Locked`, `NoRights`: nothing was changed. Others: nothing became current.
    pub async fn prepare(&self, host: &str, generations: &[Generation]) -> Result<Prepared, Error> {
        let balancer = self.at(host)?;
        let Some(first) = generations.first() else { return Ok(Prepared { generations: Vec::new(), current: None }) };
        let keep = KEEP_GENERATIONS.to_string();
        let wait = LOCK_WAIT.as_secs().to_string();
        let together = hash_of_all(generations.iter().map(|g| (g.file.generation, &g.tree)));
        let mut args: Vec<&str> = vec![&balancer.dir, &first.file.journal, &keep, &wait, &together];
        let numbers: Vec<String> = generations.iter().map(|g| g.file.generation.to_string()).collect();
        for (generation, number) in generations.iter().zip(&numbers) {
            args.extend([number.as_str(), generation.file.hash.as_str()]);
        }
        let packed = pack(generations);
        let answer = match self.script(host, script::PREPARE, &args, Some(packed.clone())).await {
            // Somebody purged them: what is about to be written there is all that they hold.
            Err(Error { kind: Kind::NoDirs { .. }, .. }) => {
                self.create_dirs(host).await?;
                self.script(host, script::PREPARE, &args, Some(packed)).await?
            }
            answer => answer?,
        };
        let done = answer.all("generation").filter_map(|line| {
            let (number, how) = line.split_once(' ')?;
            let how = match how {
                "kept" => How::Kept,
                "replaced" => How::Replaced,
                _ => How::Made,
            };
            Some((number.parse().ok()?, how))
        });
        Ok(Prepared { generations: done.collect(), current: answer.get("current").and_then(|n| n.parse().ok()) })
    }

    /// Makes generation `n` current by one rename, when it is higher than the current one, whole (its manifest hashes to
    /// `hash`) and of the same journal. Returns what was current before (`n` itself when it was already).
    ///
    /// # Errors
    /// `Fenced` (with the number found), `Foreign`, `Missing`, `Differs`, `UnknownCurrent`, `Locked`, `NoDirs`,
    /// `NoRights`: nothing was changed. When [`Error::is_unknown`], only a look can tell.
    pub async fn commit(&self, host: &str, n: u64, journal: &str, hash: &str) -> Result<Option<u64>, Error> {
        self.switch(host, n, journal, hash, false).await
    }

    /// The same, and only while `n` is armed there to go back by itself.
    ///
    /// # Errors
    /// As [`Balancers::commit`], and `Unarmed`: nothing was changed.
    pub async fn commit_armed(&self, host: &str, n: u64, journal: &str, hash: &str) -> Result<Option<u64>, Error> {
        self.switch(host, n, journal, hash, true).await
    }

    async fn switch(
        &self,
        host: &str,
        n: u64,
        journal: &str,
        hash: &str,
        is_armed: bool,
    ) -> Result<Option<u64>, Error> {
        let balancer = self.at(host)?;
        let (number, wait) = (n.to_string(), LOCK_WAIT.as_secs().to_string());
        let args = [balancer.dir.as_str(), &number, journal, hash, &wait, yes_no(is_armed)];
        let answer = self.script(host, script::COMMIT, &args, None).await?;
        Ok(answer.get("was").and_then(|n| n.parse().ok()))
    }

    /// Makes bg's directory (root's), `live/` and `live/gen/` (the login user's), and the lock of that nginx.
    /// What is there and right is left alone, so that a second run needs no right.
    ///
    /// # Errors
    /// `NoRights`, or `Broke` with what the system said, such as a parent that is no directory.
    pub async fn create_dirs(&self, host: &str) -> Result<(), Error> {
        let balancer = self.at(host)?;
        self.script(host, script::DIRS, &[&balancer.dir, yes_no(balancer.sudo)], None).await.map(drop)
    }
}

pub(super) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// How long a line of base64 is: what RFC 2045 allows.
const LINE: usize = 76;

/// The trees as one tar, as text: `N/…`, each with its `traffic.json`. Deterministic: no time, no owner.
///
/// What is equal in a tree (its empty files, its links to one target) is one inode with many names: nginx only asks whether a
/// name is there, and a file system makes a name many times faster than an inode, and durable with its directory alone.
fn pack(generations: &[Generation]) -> Vec<u8> {
    let mut tar = Tar::new();
    for Generation { tree, file } in generations {
        let root = file.generation;
        let mut equals: HashMap<&EntryKind, String> = HashMap::new();
        tar.add(tar::EntryType::Directory, 0o755, &format!("{root}/"), "", &[]);
        for entry in tree.to_files() {
            let path = format!("{root}/{}", entry.path);
            if let Some(first) = equals.get(&entry.kind) {
                tar.add(tar::EntryType::Link, 0o644, &path, first, &[]);
                continue;
            }
            if entry.kind != EntryKind::Dir {
                equals.insert(&entry.kind, path.clone());
            }
            match &entry.kind {
                EntryKind::Dir => tar.add(tar::EntryType::Directory, 0o755, &format!("{path}/"), "", &[]),
                EntryKind::EmptyFile => tar.add(tar::EntryType::Regular, 0o644, &path, "", &[]),
                EntryKind::Link(target) => tar.add(tar::EntryType::Symlink, 0o777, &path, target, &[]),
            }
        }
        tar.add(tar::EntryType::Regular, 0o644, &format!("{root}/{TRAFFIC_JSON}"), "", file.to_text().as_bytes());
    }
    as_text(&tar.finish())
}

/// Gzipped, in base64 and in lines, as the standing shell takes it.
pub(super) fn as_text(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory: neither can fail.
    let _written = gzip.write_all(tar);
    let text = STANDARD.encode(gzip.finish().unwrap_or_default());
    let lines = text.as_bytes().chunks(LINE).flat_map(|line| [line, b"\n"]);
    lines.flatten().copied().collect()
}

/// A tar in memory.
pub(super) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Tar {
        Tar(tar::Builder::new(Vec::new()))
    }

    pub fn file(&mut self, path: &str, bytes: &[u8]) {
        self.add(tar::EntryType::Regular, 0o644, path, "", bytes);
    }

    fn add(&mut self, kind: tar::EntryType, mode: u32, path: &str, link: &str, bytes: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        // Into memory, with the short relative paths of a tree: neither can fail.
        let _written = match kind {
            tar::EntryType::Symlink | tar::EntryType::Link => self.0.append_link(&mut header, path, link),
            _ => self.0.append_data(&mut header, path, bytes),
        };
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_default()
    }
}

/// A script's `refused KIND DETAIL` as an error.
pub(super) fn refusal(text: &str, lines: Vec<String>) -> Option<Kind> {
    let (kind, detail) = text.split_once(' ').unwrap_or((text, ""));
    let number = || detail.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Some(match kind {
        "locked" => Kind::Locked { file: detail.to_owned() },
        "no_dirs" => Kind::NoDirs { path: detail.to_owned() },
        "unknown_current" if detail.is_empty() => Kind::UnknownCurrent { link: "it is no link".to_owned() },
        "unknown_current" => Kind::UnknownCurrent { link: format!("it leads to `{detail}`") },
        "foreign" => {
            let (journal, at) = detail.split_once(' ').unwrap_or((detail, "current"));
            Kind::Foreign { journal: (journal != "-").then(|| journal.to_owned()), at: at.to_owned() }
        }
        "fenced" => Kind::Fenced { found: number() },
        "current_differs" => Kind::CurrentDiffers { generation: number() },
        "unarmed" => Kind::Unarmed { generation: number() },
        "no_timer" => Kind::NoTimer,
        "missing" => Kind::Missing { generation: number() },
        "differs" => {
            let found = detail.split_once(' ').map_or("", |(_, found)| found);
            Kind::Differs { generation: number(), found: found.to_owned() }
        }
        "reload" => Kind::ReloadFailed { command: detail.to_owned(), lines },
        "trial" => Kind::ConfRefused { why: super::ConfTest::Staged, lines },
        "test" => Kind::ConfRefused { why: super::ConfTest::InPlace, lines },
        "test_before" => Kind::ConfRefused { why: super::ConfTest::Before, lines },
        _ => return None,
    })
}
