//! What stands in bg's directory on a balancer, read in one round trip.

use bluegreen_core::nginx::tree::TrafficFile;
use jiff::Timestamp;

use super::armed::{self, ArmedSeen};
use super::script::{Answer, from_base64};

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
    /// The login user there.
    pub user: String,
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
    pub(super) fn read(host: &str, answer: &Answer) -> Look {
        let number = |text: &str| text.strip_prefix("gen/").and_then(|n| n.parse().ok());
        let current = match answer.get("current").and_then(|c| c.split_once(' ')) {
            Some(("link", target)) => {
                let target = from_base64(target).unwrap_or_default();
                number(&target).map_or_else(|| Current::Other(format!("a link to `{target}`")), Current::Generation)
            }
            _ if answer.get("current") == Some("absent") => Current::None,
            _ if answer.get("current") == Some("other") => Current::Other("no link".to_owned()),
            _ => Current::Other("it cannot be read".to_owned()),
        };
        let mut generations: Vec<u64> =
            answer.all("gens").flat_map(str::split_whitespace).filter_map(|n| n.parse().ok()).collect();
        generations.sort_unstable();
        Look {
            host: host.to_owned(),
            user: answer.get("user").unwrap_or_default().to_owned(),
            dir: presence(answer.get("dir")).0,
            lock: presence(answer.get("lock")).0,
            closed: answer.get("closed").and_then(from_base64),
            http: conf_file(answer.get("http")),
            server: conf_file(answer.get("server")),
            live: presence(answer.get("live")),
            gens_dir: presence(answer.get("gen")),
            current,
            disk: disk(answer.get("tree")),
            traffic: traffic(answer.get("traffic")),
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

fn presence(text: Option<&str>) -> (Presence, String) {
    let text = text.unwrap_or_default();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let presence = match word {
        "present" => Presence::Present,
        "absent" => Presence::Absent,
        _ => Presence::Unreadable,
    };
    (presence, rest.to_owned())
}

fn conf_file(text: Option<&str>) -> ConfFile {
    match presence(text) {
        (Presence::Absent, _) => ConfFile::Absent,
        (Presence::Unreadable, _) => ConfFile::Unreadable,
        (Presence::Present, rest) => {
            let (sha256, line) = rest.split_once(' ').unwrap_or((&rest, ""));
            ConfFile::Present {
                sha256: sha256.to_owned(),
                first_line: from_base64(line).unwrap_or_default().trim_end().to_owned(),
            }
        }
    }
}

fn disk(text: Option<&str>) -> Disk {
    match text.map(|t| presence(Some(t))) {
        None => Disk::Missing,
        Some((Presence::Present, hash)) if hash == "missing" => Disk::Missing,
        Some((Presence::Present, hash)) => Disk::Hash(hash),
        Some(_) => Disk::Unreadable,
    }
}

fn traffic(text: Option<&str>) -> TrafficSeen {
    let Some(text) = text else { return TrafficSeen::Missing };
    match presence(Some(text)) {
        (Presence::Absent, _) => TrafficSeen::Missing,
        (Presence::Unreadable, _) => TrafficSeen::Broken("no permission".to_owned()),
        (Presence::Present, code) => match TrafficFile::parse(&from_base64(&code).unwrap_or_default()) {
            Ok(said) => TrafficSeen::Said(Box::new(said)),
            Err(error) => TrafficSeen::Broken(error.to_string()),
        },
    }
}
