//! What stands in bg's directory on a balancer, read in one round trip.

use bluegreen_core::nginx::tree::TrafficFile;
use jiff::Timestamp;

use super::armed::{self, ArmedSeen};
use super::script::Answer;

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There, and readable for the login user.
    Present,
    /// Nothing there.
    Absent,
    /// There, or below a directory that is closed to the login user.
    Unreadable,
}

/// http.conf or server.conf as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfFile {
    /// Not there.
    Absent,
    /// Cannot be read.
    Unreadable,
    /// There.
    Present {
        /// sha256 of its bytes, lower-case hex.
        sha256: String,
        /// Its first line; http.conf's names site and revision.
        first_line: String,
    },
}

/// What `live/current` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// Not there: no generation was committed yet, or it was purged.
    None,
    /// A link to `gen/N`, whether or not that is there.
    Generation(u64),
    /// Anything else, in words.
    Other(String),
}

/// What is behind `live/current`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// Nothing: no current, or a link to what is gone.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// A tree with this manifest hash (or `modeNNN` where its directory has a wrong mode).
    Hash(String),
}

/// `traffic.json` of the current tree.
#[derive(Debug, Clone, PartialEq)]
pub enum TrafficSeen {
    /// Not there.
    Missing,
    /// There, and not readable as one: why.
    Broken(String),
    /// What it says.
    Said(Box<TrafficFile>),
}

/// Everything that [`super::Balancers::look`] reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The balancer.
    pub host: String,
    /// The login user there; `None`: the one whom `live/` belongs to.
    pub user: Option<String>,
    /// bg's directory.
    pub dir: Presence,
    /// The lock of that nginx.
    pub lock: Presence,
    /// The first directory on the way to `dir` that others may not search: workers of another user see no tree.
    pub closed: Option<String>,
    /// http.conf.
    pub http: ConfFile,
    /// server.conf.
    pub server: ConfFile,
    /// `live/`, with its mode in octal and owner where it is there.
    pub live: (Presence, String),
    /// `live/gen/`, likewise.
    pub gens_dir: (Presence, String),
    /// `live/current`.
    pub current: Current,
    /// The tree behind it.
    pub disk: Disk,
    /// Its `traffic.json`.
    pub traffic: TrafficSeen,
    /// The numbers of all generations there, ascending.
    pub generations: Vec<u64>,
    /// What goes back by itself.
    pub armed: Vec<ArmedSeen>,
    /// The generations that went back by themselves, each with when, by this machine's clock.
    pub reverted: Vec<(u64, Timestamp)>,
}

/// In one word, what stands there with respect to one journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No current generation.
    Nothing,
    /// A whole tree of ours.
    Ours(Box<TrafficFile>),
    /// A tree of ours that was changed by hand.
    Drifted {
        /// What it says it is.
        said: Box<TrafficFile>,
        /// How it differs.
        why: String,
    },
    /// A tree of another journal.
    Foreign {
        /// That journal's id.
        journal: String,
        /// Its generation.
        generation: u64,
    },
    /// There is a current, and it cannot be told what it is: purged, unreadable, or hand-made.
    Damaged {
        /// The link's number, where it is one of ours.
        generation: Option<u64>,
        /// What is wrong.
        why: String,
    },
}

impl Standing {
    /// What stands there instead of the traffic that is wanted, in words.
    pub fn differs(&self) -> String {
        match self {
            Standing::Nothing => "it has no traffic tree, so all its traffic goes to blue".to_owned(),
            Standing::Ours(said) => format!("it has: {}", said.traffic),
            Standing::Drifted { why, .. } | Standing::Damaged { why, .. } => why.clone(),
            Standing::Foreign { journal, .. } => format!("its tree is of another journal, `{journal}`"),
        }
    }
}

impl Look {
    pub(super) fn read(host: &str, dir: &str, answer: &Answer) -> Look {
        let number = |text: &str| text.strip_prefix("gen/").and_then(|n| n.parse().ok());
        let current = match answer.get("current").and_then(|c| c.split_once(' ')) {
            Some(("link", target)) => {
                number(target).map_or_else(|| Current::Other(format!("a link to `{target}`")), Current::Generation)
            }
            _ if answer.get("current") == Some("absent") => Current::None,
            _ if answer.get("current") == Some("other") => Current::Other("no link".to_owned()),
            _ => Current::Other("it cannot be read".to_owned()),
        };
        let mut generations: Vec<u64> = answer.all("gens").filter_map(|n| n.parse().ok()).collect();
        generations.sort_unstable();
        let modes: Vec<Mode<'_>> = answer.all("mode").filter_map(Mode::read).collect();
        let dir = dir.trim_end_matches('/');
        let with_mode = |part: &str| {
            let path = format!("{dir}/{part}");
            let mode = modes.iter().find(|mode| mode.path == path);
            (
                presence(answer.get(part.rsplit('/').next().unwrap_or(part))),
                mode.map_or_else(String::new, Mode::of_whom),
            )
        };
        let tree_mode = modes.iter().find(|mode| mode.path == format!("{dir}/live/current/."));
        Look {
            host: host.to_owned(),
            user: answer.get("user").map(str::to_owned),
            dir: presence(answer.get("dir")),
            lock: presence(answer.get("lock")),
            closed: modes.iter().find(|mode| mode.is_closed_way_to(dir)).map(|mode| mode.path.to_owned()),
            http: conf_file(answer, "http", dir),
            server: conf_file(answer, "server", dir),
            live: with_mode("live"),
            gens_dir: with_mode("live/gen"),
            current,
            disk: disk(answer.get("tree"), tree_mode),
            traffic: traffic(answer),
            generations,
            armed: answer.all("armed").filter_map(armed::armed).collect(),
            reverted: answer.all("reverted").filter_map(|text| armed::reverted(text, Timestamp::now())).collect(),
        }
    }

    /// The highest number that is or was in use there; 0 where there is none.
    pub fn highest(&self) -> u64 {
        let current = if let Current::Generation(n) = self.current { n } else { 0 };
        self.generations.last().copied().unwrap_or(0).max(current)
    }

    /// The rollout that the current tree says it was made in, whoever's it is.
    pub fn rollout(&self) -> Option<u64> {
        match &self.traffic {
            TrafficSeen::Said(said) => said.rollout,
            _ => None,
        }
    }

    /// What stands there, as `journal` sees it.
    pub fn standing(&self, journal: &str) -> Standing {
        let number = match &self.current {
            Current::None => return Standing::Nothing,
            Current::Other(why) => {
                return Standing::Damaged {
                    generation: None,
                    why: format!("`live/current` is not a link of bg's: {why}"),
                };
            }
            Current::Generation(number) => *number,
        };
        let damaged = |why: &str| Standing::Damaged { generation: Some(number), why: why.to_owned() };
        let said = match &self.traffic {
            TrafficSeen::Said(said) => said,
            TrafficSeen::Broken(why) => return damaged(&format!("`gen/{number}/traffic.json` cannot be read: {why}")),
            TrafficSeen::Missing => {
                return match self.disk {
                    Disk::Missing => damaged(&format!("`gen/{number}` is gone")),
                    Disk::Unreadable => damaged(&format!("`gen/{number}` cannot be read")),
                    Disk::Hash(_) => damaged(&format!("`gen/{number}/traffic.json` is gone")),
                };
            }
        };
        if said.journal != journal {
            return Standing::Foreign { journal: said.journal.clone(), generation: number };
        }
        let drifted = |why: String| Standing::Drifted { said: said.clone(), why };
        match &self.disk {
            Disk::Hash(hash) if *hash != said.hash => drifted(match hash.strip_prefix("mode") {
                Some(mode) => format!("`gen/{number}` has mode {mode}, not 755"),
                None => format!("the files of `gen/{number}` were changed by hand"),
            }),
            Disk::Hash(_) if said.generation != number => {
                drifted(format!("`gen/{number}` says that it is generation {}", said.generation))
            }
            Disk::Hash(_) => match self.closed_above() {
                Some(why) => drifted(why),
                None => Standing::Ours(said.clone()),
            },
            Disk::Missing | Disk::Unreadable => damaged(&format!("`gen/{number}` cannot be read")),
        }
    }

    /// A directory of ours above the tree that the workers cannot enter.
    fn closed_above(&self) -> Option<String> {
        [("live", &self.live.1), ("live/gen", &self.gens_dir.1)].into_iter().find_map(|(name, mode)| {
            let mode = mode.split(' ').next().unwrap_or_default();
            (mode != "755").then(|| format!("`{name}` has mode {mode}, not 755"))
        })
    }
}

/// `mode SYMBOLIC OCTAL OWNER PATH`: one directory.
struct Mode<'a> {
    symbolic: &'a str,
    octal: &'a str,
    owner: &'a str,
    path: &'a str,
}

impl Mode<'_> {
    fn read(line: &str) -> Option<Mode<'_>> {
        let mut words = line.splitn(4, ' ');
        Some(Mode { symbolic: words.next()?, octal: words.next()?, owner: words.next()?, path: words.next()? })
    }

    fn of_whom(&self) -> String {
        format!("{} {}", self.octal, self.owner)
    }

    /// Whether it is `dir`, or lies above it, and others may not search it.
    fn is_closed_way_to(&self, dir: &str) -> bool {
        let is_on_the_way = dir.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_on_the_way && self.symbolic.starts_with('d') && !self.symbolic.ends_with(['x', 't'])
    }
}

fn presence(text: Option<&str>) -> Presence {
    match text.unwrap_or_default().split(' ').next() {
        Some("present") => Presence::Present,
        Some("absent") => Presence::Absent,
        _ => Presence::Unreadable,
    }
}

fn conf_file(answer: &Answer, word: &str, dir: &str) -> ConfFile {
    let said = answer.get(word);
    match presence(said) {
        Presence::Absent => ConfFile::Absent,
        Presence::Unreadable => ConfFile::Unreadable,
        Presence::Present => {
            // `SHA256 (PATH) = HEX`, as sha256sum --tag says it.
            let path = format!("({dir}/{word}.conf) = ");
            let sha256 = answer.all("SHA256").find_map(|line| line.strip_prefix(&path)).unwrap_or_default();
            let first_line = said.and_then(|text| text.split_once(' ')).map_or("", |(_, line)| line);
            ConfFile::Present { sha256: sha256.to_owned(), first_line: first_line.to_owned() }
        }
    }
}

fn disk(text: Option<&str>, mode: Option<&Mode<'_>>) -> Disk {
    match text.and_then(|text| text.split_once(' ')) {
        None if text.is_none() => Disk::Missing,
        Some(("present", "missing")) => Disk::Missing,
        Some(("present", hash)) => match mode.filter(|mode| mode.octal != "755") {
            Some(mode) => Disk::Hash(format!("mode{}", mode.octal)),
            None => Disk::Hash(hash.to_owned()),
        },
        _ => Disk::Unreadable,
    }
}

fn traffic(answer: &Answer) -> TrafficSeen {
    let Some(said) = answer.get("traffic") else { return TrafficSeen::Missing };
    match presence(Some(said)) {
        Presence::Absent => TrafficSeen::Missing,
        Presence::Unreadable => TrafficSeen::Broken("no permission".to_owned()),
        Presence::Present => match TrafficFile::parse(&answer.all("json").collect::<Vec<_>>().join("\n")) {
            Ok(said) => TrafficSeen::Said(Box::new(said)),
            Err(error) => TrafficSeen::Broken(error.to_string()),
        },
    }
}
