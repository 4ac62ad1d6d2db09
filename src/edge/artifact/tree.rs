//! What an archive may hold: a tree that stays inside of itself, whichever order its entries come in.

use std::collections::BTreeMap;

/// Longest path in a release, in bytes: Linux allows 4096, the rest is for `<root>/releases/…` in front of it.
const PATH_MAX: usize = 3072;
/// Longest component, in bytes: the limit of the usual filesystems.
const NAME_MAX: usize = 255;
/// As many links as Linux follows in one path.
const HOPS_MAX: usize = 40;

/// What is wrong with one entry; completes the sentence "its entry `x` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// `/etc/passwd`.
    #[error("has an absolute path")]
    Absolute,
    /// `a/../../b`.
    #[error("has `..` in its path")]
    Parent,
    /// No name at all, or a NUL in it.
    #[error("has no usable name")]
    Nameless,
    /// Longer than a filesystem takes.
    #[error("has a name that is too long")]
    TooLong,
    /// A symbolic or hard link that points out of the release, perhaps by way of another link.
    #[error("is a link that leaves the archive: it points to `{0}`")]
    Leaves(String),
    /// A link that leads back to itself.
    #[error("is a link that leads in a circle: it points to `{0}`")]
    Circle(String),
    /// A link whose `..` follows something that is no directory of the archive: where it ends is not known.
    #[error("is a link to `{0}`, which steps up (`..`) from what is no directory of the archive")]
    Unknown(String),
    /// A hard link to what is not an earlier plain file.
    #[error("is a hard link to `{0}`, which is no earlier plain file of the archive")]
    Target(String),
    /// A path whose parent is a link.
    #[error("would be written through the link `{0}`")]
    Behind(String),
    /// A path whose parent is a plain file.
    #[error("lies under `{0}`, which is not a directory")]
    UnderFile(String),
    /// The same path twice, other than a directory.
    #[error("is in the archive twice")]
    Twice,
    /// A device node, a fifo, a socket, a sparse file or what else tar can hold.
    #[error("is {0}, which bg does not unpack")]
    Special(&'static str),
    /// A setuid or setgid bit.
    #[error("has the setuid or setgid bit set")]
    Setuid,
    /// It was there when the directory was listed, and its size changed while it was read.
    #[error("changed while it was read")]
    Changed,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A plain file.
    File,
    /// A symbolic link and what it says.
    Symlink(Vec<u8>),
    /// A hard link to an earlier file of the same archive, as written there.
    Hardlink(Vec<u8>),
}

enum Node {
    Directory,
    File,
    Symlink(Vec<u8>),
}

/// The entries accepted so far.
#[derive(Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// Takes one more entry, and returns its path without `.` and double slashes; `None` for the top directory itself.
    pub fn add(&mut self, raw: &[u8], kind: &mut Kind) -> Result<Option<Vec<u8>>, Problem> {
        let path = normal(raw)?;
        if path.is_empty() {
            return if matches!(kind, Kind::Directory) { Ok(None) } else { Err(Problem::Nameless) };
        }
        self.add_parents(&path)?;
        let node = match kind {
            Kind::Directory => Node::Directory,
            Kind::File => Node::File,
            Kind::Symlink(target) => {
                link_target(target)?;
                Node::Symlink(target.clone())
            }
            Kind::Hardlink(target) => {
                let to = normal(target).map_err(|_| Problem::Leaves(shown(target)))?;
                if !matches!(self.nodes.get(&to), Some(Node::File)) {
                    return Err(Problem::Target(shown(target)));
                }
                *target = to;
                Node::File
            }
        };
        match (self.nodes.get(&path), &node) {
            (None, _) | (Some(Node::Directory), Node::Directory) => {}
            _ => return Err(Problem::Twice),
        }
        self.nodes.insert(path.clone(), node);
        Ok(Some(path))
    }

    /// Follows every symbolic link, now that all entries are known; the first that leaves is named.
    pub fn finish(&self) -> Result<(), (Vec<u8>, Problem)> {
        for (path, node) in &self.nodes {
            if let Node::Symlink(target) = node {
                self.follow(path, target).map_err(|problem| (path.clone(), problem))?;
            }
        }
        Ok(())
    }

    /// Parents that no entry names are directories; one that is a link would let later entries out.
    fn add_parents(&mut self, path: &[u8]) -> Result<(), Problem> {
        let slashes: Vec<usize> = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).collect();
        for at in slashes {
            let parent = &path[..at];
            match self.nodes.get(parent) {
                Some(Node::Directory) => {}
                Some(Node::Symlink(_)) => return Err(Problem::Behind(shown(parent))),
                Some(Node::File) => return Err(Problem::UnderFile(shown(parent))),
                None => {
                    self.nodes.insert(parent.to_vec(), Node::Directory);
                }
            }
        }
        Ok(())
    }

    /// As the kernel would, but with the release as the whole world. Comparing the text alone is not enough: in
    /// `up -> d/..` the `..` goes to wherever `d` leads.
    fn follow(&self, link: &[u8], target: &[u8]) -> Result<(), Problem> {
        let mut at: Vec<&[u8]> = link.split(|b| *b == b'/').collect();
        at.pop();
        let mut todo: Vec<&[u8]> = target.split(|b| *b == b'/').rev().collect();
        let mut hops = 0;
        while let Some(step) = todo.pop() {
            match step {
                b"" | b"." => {}
                b".." => {
                    if at.pop().is_none() {
                        return Err(Problem::Leaves(shown(target)));
                    }
                }
                name => {
                    at.push(name);
                    match self.nodes.get(&at.join(&b'/')) {
                        Some(Node::Symlink(next)) => {
                            hops += 1;
                            if hops > HOPS_MAX {
                                return Err(Problem::Circle(shown(target)));
                            }
                            at.pop();
                            todo.extend(next.split(|b| *b == b'/').rev());
                        }
                        Some(Node::Directory) => {}
                        Some(Node::File) | None => {
                            if todo.contains(&&b".."[..]) {
                                return Err(Problem::Unknown(shown(target)));
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The path's components joined by single slashes; empty for `.`.
fn normal(raw: &[u8]) -> Result<Vec<u8>, Problem> {
    if raw.is_empty() || raw.contains(&0) {
        return Err(Problem::Nameless);
    }
    if raw[0] == b'/' {
        return Err(Problem::Absolute);
    }
    let parts: Vec<&[u8]> = raw.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err(Problem::Parent);
    }
    let path = parts.join(&b'/');
    if path.len() > PATH_MAX || parts.iter().any(|part| part.len() > NAME_MAX) {
        return Err(Problem::TooLong);
    }
    Ok(path)
}

/// What can be said of a symbolic link by itself.
fn link_target(target: &[u8]) -> Result<(), Problem> {
    if target.is_empty() || target.contains(&0) {
        return Err(Problem::Nameless);
    }
    if target[0] == b'/' {
        return Err(Problem::Leaves(shown(target)));
    }
    if target.len() > PATH_MAX {
        return Err(Problem::TooLong);
    }
    Ok(())
}

/// A name as a message shows it: control characters escaped, cut where it gets long.
pub fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(200).collect();
    text.escape_debug().to_string()
}
