//! Traffic is a value: who gets which half. A shift is "apply this value"; going back is applying the earlier one.

use serde::{Deserialize, Serialize};

use crate::half::Half;

/// The name of the segment that takes every request that matches no other.
pub const ALL_SEGMENT: &str = "all";

/// A share of the clients, in hundredths of a percent: 0 ..= 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u16);

impl Share {
    /// Nobody.
    pub const NONE: Share = Share(0);
    /// Everybody.
    pub const FULL: Share = Share(10_000);

    /// A share from hundredths of a percent; `None` above 10 000.
    pub fn from_hundredths(hundredths: u16) -> Option<Share> {
        (hundredths <= 10_000).then_some(Share(hundredths))
    }

    /// Hundredths of a percent, 0 ..= 10 000.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Percent, for people and JSON (two decimals are exact).
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// The share of one segment that goes to green.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentShare {
    /// The segment's name; [`ALL_SEGMENT`] is the last.
    pub segment: String,
    /// What part of its clients goes to green.
    pub green: Share,
}

/// Who gets which half, for the whole site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Traffic {
    /// Both halves serve everybody: normal running.
    Both,
    /// Each segment is split between the halves.
    Split {
        /// One entry for every segment of the inventory, in its order, `all` last.
        segments: Vec<SegmentShare>,
        /// The first bucket (0 ..= 99) that goes to green, so that each rollout tries another tenth.
        offset: u8,
    },
}

impl Traffic {
    /// All traffic on one half. `segments` are the inventory's names in order, without `all`.
    /// The offset is 0: with nothing or everything on green it has no meaning, and the content's hash must not depend on it.
    pub fn on(half: Half, segments: &[String]) -> Traffic {
        let green = match half {
            Half::Blue => Share::NONE,
            Half::Green => Share::FULL,
        };
        let segments = segments.iter().cloned().chain([ALL_SEGMENT.to_owned()]);
        Traffic::Split { segments: segments.map(|segment| SegmentShare { segment, green }).collect(), offset: 0 }
    }

    /// The half that carries everything, when one does.
    pub fn only(&self) -> Option<Half> {
        let Traffic::Split { segments, .. } = self else { return None };
        if segments.iter().all(|s| s.green == Share::NONE) {
            Some(Half::Blue)
        } else if segments.iter().all(|s| s.green == Share::FULL) {
            Some(Half::Green)
        } else {
            None
        }
    }

    /// Whether this value lets public requests reach `half`.
    pub fn reaches(&self, half: Half) -> bool {
        self.only() != Some(half.other())
    }
}
