//! Traffic as the small tree of files that nginx looks at for each request: `live/gen/N/`.
//!
//! ```text
//! both                        stands there only while both halves serve
//! green/SEGMENT/BUCKET        absent: blue · a link to ../../full: all of the bucket · a directory: its first k slots
//! green/SEGMENT               may be a link to an earlier segment with the same share
//! full/00 … full/99           every slot of a bucket
//! ```
//! The content is a pure function of the traffic, so what a balancer holds is compared by hash.

use serde::{Deserialize, Serialize};

use crate::traffic::{SegmentShare, Share, Traffic};

/// The file that names the tree's owner; not part of the hashed content.
pub const TRAFFIC_JSON: &str = "traffic.json";

/// What a path of the tree is. Modes are fixed: directories 0755, files 0644, links 0777.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file of no bytes: only its being there is looked at.
    EmptyFile,
    /// A relative symbolic link to this target.
    Link(String),
}

/// One path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to `gen/N/`, without a leading `./`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// The content of one generation without its `traffic.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

/// The tree that says `traffic`.
pub fn tree(traffic: &Traffic) -> Tree {
    let mut tree = Tree::default();
    match traffic {
        Traffic::Both => tree.add("both".to_owned(), Kind::EmptyFile),
        Traffic::Split { segments, offset } => tree.add_split(segments, *offset),
    }
    tree
}

impl Tree {
    fn add(&mut self, path: String, kind: Kind) {
        self.entries.push(Entry { path, kind });
    }

    fn add_split(&mut self, segments: &[SegmentShare], offset: u8) {
        let on_green: Vec<&SegmentShare> = segments.iter().filter(|s| s.green != Share::NONE).collect();
        if on_green.is_empty() {
            return;
        }
        if on_green.iter().any(|s| s.green.hundredths() >= 100) {
            self.add("full".to_owned(), Kind::Dir);
            (0..100).for_each(|slot| self.add(format!("full/{slot:02}"), Kind::EmptyFile));
        }
        self.add("green".to_owned(), Kind::Dir);
        for (index, segment) in on_green.iter().enumerate() {
            let path = format!("green/{}", segment.segment);
            // Equal shares stand once: a flip of many segments stays about 200 inodes.
            match on_green[..index].iter().find(|earlier| earlier.green == segment.green) {
                Some(earlier) => self.add(path, Kind::Link(earlier.segment.clone())),
                None => self.add_segment(path, segment.green, offset),
            }
        }
    }

    fn add_segment(&mut self, path: String, green: Share, offset: u8) {
        let (whole, slots) = (green.hundredths() / 100, green.hundredths() % 100);
        let bucket = |index: u16| format!("{path}/{:02}", (u16::from(offset) + index) % 100);
        self.add(path.clone(), Kind::Dir);
        (0..whole).for_each(|index| self.add(bucket(index), Kind::Link("../../full".to_owned())));
        if slots > 0 {
            let partial = bucket(whole);
            self.add(partial.clone(), Kind::Dir);
            (0..slots).for_each(|slot| self.add(format!("{partial}/{slot:02}"), Kind::EmptyFile));
        }
    }

    /// Every entry, each directory before what is in it: the order in which to create them or to write them into a tar.
    pub fn to_files(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The canonical text: exactly what this prints in `gen/N` on a balancer, so that a changed mode shows as well.
    ///
    /// ```text
    /// find . -mindepth 1 ! -name traffic.json ! -name traffic.txt -printf '%y %m %P %l\n' | LC_ALL=C sort
    /// ```
    pub fn manifest(&self) -> String {
        let mut lines: Vec<String> = self.entries.iter().map(|entry| entry.manifest_line("")).collect();
        lines.sort_unstable();
        lines.concat()
    }

    /// sha256 of the manifest, lower-case hex.
    pub fn hash(&self) -> String {
        crate::hex::sha256(self.manifest())
    }
}

impl Entry {
    fn manifest_line(&self, below: &str) -> String {
        let path = &self.path;
        match &self.kind {
            Kind::Dir => format!("d 755 {below}{path} \n"),
            Kind::EmptyFile => format!("f 644 {below}{path} \n"),
            Kind::Link(target) => format!("l 777 {below}{path} {target}\n"),
        }
    }
}

/// sha256 of the manifest of several trees side by side, each in a directory of its number and with its [`TRAFFIC_JSON`].
pub fn hash_of_all<'a>(trees: impl IntoIterator<Item = (u64, &'a Tree)>) -> String {
    let mut lines = Vec::new();
    for (number, tree) in trees {
        lines.extend([format!("d 755 {number} \n"), format!("f 644 {number}/{TRAFFIC_JSON} \n")]);
        lines.extend(tree.entries.iter().map(|entry| entry.manifest_line(&format!("{number}/"))));
    }
    lines.sort_unstable();
    crate::hex::sha256(lines.concat())
}

/// `traffic.json` of one generation: whose tree this is and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficFile {
    /// The site.
    #[serde(deserialize_with = "crate::text::plain_string")]
    pub site: String,
    /// The id of the journal that the tree belongs to.
    #[serde(deserialize_with = "crate::text::plain_string")]
    pub journal: String,
    /// The rollout's number; none before the first.
    pub rollout: Option<u64>,
    /// The generation, N of `gen/N`.
    pub generation: u64,
    /// [`Tree::hash`] of the content; it depends on the traffic alone.
    pub hash: String,
    /// What the tree says.
    pub traffic: Traffic,
    /// What each half ran when the tree was prepared.
    pub releases: HalfReleases,
}

/// The releases of both halves, as `v41`; none where a half's hosts disagree or nothing is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfReleases {
    /// Blue's.
    pub blue: Option<String>,
    /// Green's.
    pub green: Option<String>,
}

impl TrafficFile {
    /// The file's text: indented JSON and a newline, for whoever reads it on the balancer.
    pub fn to_text(&self) -> String {
        // Only strings, numbers and lists: nothing here can fail to become JSON.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        json + "\n"
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When `text` is no JSON of this shape.
    pub fn parse(text: &str) -> Result<TrafficFile, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
