//! The two halves of every pool.

use serde::{Deserialize, Serialize};

/// One half of every pool. In a rollout green is taken out, upgraded and tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// Carries the site while green is being upgraded; the side that everything fails towards.
    Blue,
    /// Upgraded and tried first.
    Green,
}

impl Half {
    /// Both halves, blue first.
    pub const ALL: [Half; 2] = [Half::Blue, Half::Green];

    /// The word used in the inventory, in nginx names and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Half::Blue => "blue",
            Half::Green => "green",
        }
    }

    /// The other half.
    pub fn other(self) -> Half {
        match self {
            Half::Blue => Half::Green,
            Half::Green => Half::Blue,
        }
    }
}

impl std::fmt::Display for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
