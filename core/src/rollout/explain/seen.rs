//! What was seen of the hosts while a command stood open.

use crate::{half::Half, traffic::Traffic};

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// In the inventory's order.
    pub balancers: Vec<BalancerSeen>,
    /// In the inventory's order.
    pub places: Vec<PlaceSeen>,
}

/// One balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerSeen {
    /// How ssh reaches it.
    pub host: String,
    /// bg's directory there.
    pub dir: String,
    /// What it answered, or why it did not.
    pub answer: Result<OnBalancer, String>,
}

/// What stands on a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBalancer {
    /// Whether bg's directories are there.
    pub has_dirs: bool,
    /// What `live/current` leads to.
    pub tree: TreeSeen,
    /// The numbers of all generations there.
    pub generations: Vec<u64>,
    /// The revision that the first line of http.conf names; `None` where there is no such file.
    pub revision: Option<u64>,
    /// The revision that nginx answers, or why it did not; `None`: it was not asked.
    pub running: Option<Result<u64, String>>,
    /// What is in flight, or why that is not known; `None`: it was not asked.
    pub in_flight: Option<Result<InFlight, String>>,
}

/// The traffic tree in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeSeen {
    /// None.
    Nothing,
    /// A whole one of this journal.
    Ours {
        /// Its number.
        generation: u64,
        /// What it says.
        traffic: Traffic,
    },
    /// Anything else: changed by hand, unreadable, or of another journal. In words.
    Else(String),
}

/// Requests in flight; 0, or at least so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// To the half that is drained.
    pub half: u32,
    /// From when both halves served.
    pub both: u32,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceSeen {
    /// How ssh reaches it.
    pub host: String,
    /// Its pool.
    pub pool: String,
    /// Its half.
    pub half: Half,
    /// Whether bg unpacks releases there; else a command of the user's does everything.
    pub unpacks: bool,
    /// What it answered, or why it did not.
    pub answer: Result<OnPlace, String>,
    /// Whether it is healthy, or why not; `None`: that is not known.
    pub health: Option<Result<(), String>>,
    /// The release that its answer was to name, and whether it did; `None` where no release can be told from an answer.
    pub named: Option<(String, bool)>,
}

/// What stands on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnPlace {
    /// The release that its marker says runs.
    pub release: Option<String>,
    /// The release that an unfinished activation was to bring.
    pub activating: Option<String>,
    /// What `current` leads to.
    pub current: Option<String>,
    /// The complete releases there.
    pub placed: Vec<String>,
    /// Who is connected and is no balancer, with how many connections; `None`: that was not asked, or is not known.
    pub peers: Option<Vec<(String, usize)>>,
}
