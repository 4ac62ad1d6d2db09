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
    #[serde(deserialize_with = "crate::text::plain_string")]
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

/// FNV-1a, 64 bits (Fowler, Noll, Vo; offset basis `cbf29ce484222325`, prime `100000001b3`): small, stable for ever, published.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The first bucket (0 ..= 99) that goes to green in rollout number `rollout`: (FNV-1a 64 of the site's name
/// \+ 10 × rollout) mod 100. So ten rollouts with 10% each try ten different tenths of the clients, and two sites
/// do not begin with the same one.
pub fn bucket_offset(site: &str, rollout: u64) -> u8 {
    let offset = (fnv1a_64(site.as_bytes()) % 100 + 10 * (rollout % 10)) % 100;
    u8::try_from(offset).unwrap_or(0)
}

impl Traffic {
    /// A split with these shares (every segment in the inventory's order, `all` last) that begins at bucket `offset`
    /// (taken mod 100). The offset is dropped where no share is partial: nobody's half depends on it then, and equal
    /// contents must be equal values.
    pub fn split(shares: Vec<SegmentShare>, offset: u8) -> Traffic {
        let partial = shares.iter().any(|s| s.green != Share::NONE && s.green != Share::FULL);
        Traffic::Split { segments: shares, offset: if partial { offset % 100 } else { 0 } }
    }

    /// The share of one segment that goes to green; `None` for an unknown segment and while both halves serve.
    pub fn green_share(&self, segment: &str) -> Option<Share> {
        let Traffic::Split { segments, .. } = self else { return None };
        segments.iter().find(|s| s.segment == segment).map(|s| s.green)
    }
}

/// The halves that public requests newly reach, or reach more of, after a shift: those whose health a forward shift asks.
/// Towards `both` it is only the half that served nobody before (none, when both were reached). From `both` to one half it
/// is that half. A share that stays the same under another offset moves clients both ways, so it counts for both halves.
pub fn receiving(from: &Traffic, to: &Traffic) -> Vec<Half> {
    let more = |half: Half| match (from, to) {
        (_, Traffic::Both) => !from.reaches(half),
        (Traffic::Both, Traffic::Split { segments, .. }) => segments.iter().any(|s| share_of(half, s.green) > 5_000),
        (Traffic::Split { offset: was, .. }, Traffic::Split { segments, offset }) => segments.iter().any(|s| {
            let before = from.green_share(&s.segment).unwrap_or(Share::NONE);
            let partial = |share: Share| share != Share::NONE && share != Share::FULL;
            share_of(half, s.green) > share_of(half, before) || (was != offset && partial(before) && partial(s.green))
        }),
    };
    Half::ALL.into_iter().filter(|half| more(*half)).collect()
}

/// Hundredths of a percent that `half` gets when `green` of the clients are on green.
fn share_of(half: Half, green: Share) -> u16 {
    match half {
        Half::Blue => 10_000 - green.hundredths(),
        Half::Green => green.hundredths(),
    }
}

/// Whether a shift is forward: all or nothing over the balancers. Only one kind of shift leads backward, and then goes
/// as far as it can: from a split to all traffic on blue, the half that a rollout can always retreat to.
pub fn is_forward(from: &Traffic, to: &Traffic) -> bool {
    !(matches!(from, Traffic::Split { .. }) && to.only() == Some(Half::Blue))
}

impl std::fmt::Display for Share {
    /// Percent without needless digits: `10%`, `2.5%`, `0.01%`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", part / 10),
            _ => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl std::fmt::Display for Traffic {
    /// The split in words: `both halves`, `all traffic on blue`, `mobile 10% on green, everyone else on blue`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Traffic::Split { segments, .. } = self else { return f.write_str("both halves") };
        if let Some(half) = self.only() {
            return write!(f, "all traffic on {half}");
        }
        let rest = self.green_share(ALL_SEGMENT).unwrap_or(Share::NONE);
        // With everybody else on green it is the exceptions that are on blue.
        let (named, other) = if rest == Share::FULL { (Half::Blue, Half::Green) } else { (Half::Green, Half::Blue) };
        let mut words: Vec<String> = segments
            .iter()
            .filter(|s| s.segment != ALL_SEGMENT && share_of(named, s.green) > 0)
            .map(|s| format!("{} {}", s.segment, Share(share_of(named, s.green))))
            .collect();
        let everyone = if words.is_empty() { "everyone" } else { "everyone else" };
        // A segment without a share of its own is on blue, also where everyone else is not.
        let left: Vec<&str> = segments
            .iter()
            .filter(|s| s.segment != ALL_SEGMENT && s.green == Share::NONE)
            .map(|s| s.segment.as_str())
            .collect();
        if rest == Share::NONE || rest == Share::FULL {
            return write!(f, "{} on {named}, {everyone} on {other}", words.join(", "));
        }
        let rest_words =
            if segments.len() == 1 { format!("{rest} of everyone") } else { format!("{rest} of everyone else") };
        words.push(rest_words);
        write!(f, "{} on green", words.join(", "))?;
        let blue = if left.is_empty() { String::new() } else { format!(" ({} too)", left.join(", ")) };
        write!(f, ", the rest on blue{blue}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[(&str, u16)], offset: u8) -> Traffic {
        let shares = shares.iter().map(|(segment, green)| SegmentShare {
            segment: (*segment).to_owned(),
            green: Share::from_hundredths(*green).unwrap(),
        });
        Traffic::split(shares.collect(), offset)
    }

    fn on(half: Half) -> Traffic {
        Traffic::on(half, &["mobile".to_owned()])
    }

    #[test]
    fn the_hash_is_fnv_1a_64_as_published() {
        // From the authors' test suite (test_fnv.c).
        let vectors: [(&str, u64); 5] = [
            ("", 0xcbf29ce484222325),
            ("a", 0xaf63dc4c8601ec8c),
            ("b", 0xaf63df4c8601f1a5),
            ("foo", 0xdcb27518fed9d577),
            ("foobar", 0x85944171f73967e8),
        ];
        for (text, hash) in vectors {
            assert_eq!(fnv1a_64(text.as_bytes()), hash, "{text:?}");
        }
    }

    #[test]
    fn ten_rollouts_try_ten_different_tenths() {
        let offsets: std::collections::BTreeSet<u8> = (1..=10).map(|r| bucket_offset("shop", r)).collect();
        assert_eq!(offsets.len(), 10);
        assert!(offsets.iter().all(|o| *o < 100 && o % 10 == offsets.first().unwrap() % 10));
        assert_eq!(bucket_offset("shop", 3), bucket_offset("shop", 13));
        assert_eq!(bucket_offset("shop", u64::MAX), bucket_offset("shop", 5));
    }

    #[test]
    fn an_offset_without_meaning_is_dropped() {
        assert_eq!(split(&[("mobile", 0), ("all", 0)], 37), on(Half::Blue));
        assert_eq!(split(&[("mobile", 10_000), ("all", 10_000)], 37), on(Half::Green));
        assert_eq!(split(&[("mobile", 10_000), ("all", 0)], 37), split(&[("mobile", 10_000), ("all", 0)], 2));
        assert_ne!(split(&[("mobile", 1), ("all", 0)], 37), split(&[("mobile", 1), ("all", 0)], 38));
    }

    #[test]
    fn the_half_that_receives_is_asked_for_its_health() {
        let ten = split(&[("mobile", 1_000), ("all", 0)], 37);
        let half = split(&[("mobile", 5_000), ("all", 0)], 37);
        let mixed = split(&[("mobile", 500), ("all", 100)], 37);
        use Half::{Blue, Green};
        let table: [(&Traffic, &Traffic, &[Half]); 14] = [
            (&Traffic::Both, &on(Blue), &[Blue]),
            (&Traffic::Both, &on(Green), &[Green]),
            (&Traffic::Both, &Traffic::Both, &[]),
            (&on(Blue), &Traffic::Both, &[Green]),
            (&on(Green), &Traffic::Both, &[Blue]),
            (&ten, &Traffic::Both, &[]),
            (&on(Blue), &ten, &[Green]),
            (&ten, &half, &[Green]),
            (&half, &ten, &[Blue]),
            (&ten, &mixed, &[Blue, Green]),
            (&ten, &on(Green), &[Green]),
            (&on(Green), &on(Blue), &[Blue]),
            (&ten, &ten, &[]),
            (&ten, &split(&[("mobile", 1_000), ("all", 0)], 47), &[Blue, Green]),
        ];
        for (from, to, halves) in table {
            assert_eq!(receiving(from, to), halves, "{from} -> {to}");
        }
    }

    #[test]
    fn only_the_retreat_to_blue_is_backward() {
        let ten = split(&[("mobile", 1_000), ("all", 0)], 37);
        assert!(is_forward(&Traffic::Both, &on(Half::Blue)));
        assert!(is_forward(&on(Half::Blue), &ten) && is_forward(&ten, &on(Half::Green)));
        assert!(is_forward(&on(Half::Green), &Traffic::Both) && is_forward(&on(Half::Blue), &Traffic::Both));
        assert!(!is_forward(&ten, &on(Half::Blue)) && !is_forward(&on(Half::Green), &on(Half::Blue)));
    }

    #[test]
    fn traffic_says_itself_in_words() {
        let table = [
            (Traffic::Both, "both halves"),
            (on(Half::Blue), "all traffic on blue"),
            (on(Half::Green), "all traffic on green"),
            (split(&[("mobile", 1_000), ("all", 0)], 0), "mobile 10% on green, everyone else on blue"),
            (
                split(&[("mobile", 1), ("tablet", 2_550), ("all", 0)], 0),
                "mobile 0.01%, tablet 25.5% on green, everyone else on blue",
            ),
            (split(&[("all", 1_234)], 0), "12.34% of everyone on green, the rest on blue"),
            (split(&[("mobile", 500), ("all", 100)], 0), "mobile 5%, 1% of everyone else on green, the rest on blue"),
            (split(&[("mobile", 0), ("all", 100)], 0), "1% of everyone else on green, the rest on blue (mobile too)"),
            (split(&[("mobile", 0), ("all", 10_000)], 0), "mobile 100% on blue, everyone else on green"),
            (split(&[("mobile", 9_990), ("all", 10_000)], 0), "mobile 0.1% on blue, everyone else on green"),
        ];
        for (traffic, words) in table {
            assert_eq!(traffic.to_string(), words);
        }
    }
}
