//! The probe port's answers, and what to ask there: what a balancer's workers see, not what the operator believes.

use crate::half::Half;
use crate::traffic::{SegmentShare, Share, Traffic};

/// How many requests in flight the probe port can tell apart: none or some at 1, and the size by the others.
pub const INFLIGHT_STEPS: [u32; 4] = [1, 10, 100, 1000];

/// The half that the probe port names: requests of normal running count as `both`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// Goes to blue.
    Blue,
    /// Goes to green.
    Green,
    /// Either: normal running.
    Both,
}

impl Seen {
    /// The word in nginx's variables.
    pub fn as_str(self) -> &'static str {
        match self {
            Seen::Blue => "blue",
            Seen::Green => "green",
            Seen::Both => "both",
        }
    }

    /// At least so many requests of it in flight, in words: `10 or more requests in flight on `lb1` to green`.
    pub fn requests(self, at_least: u32, host: Option<&str>) -> String {
        let count = if at_least > 1 { format!("{at_least} or more ") } else { String::new() };
        let host = host.map(|host| format!(" on `{host}`")).unwrap_or_default();
        let of = match self {
            // They may be on either half.
            Seen::Both => "that began while both halves served".to_owned(),
            half => format!("to {half}"),
        };
        format!("{count}requests in flight{host} {of}")
    }
}

impl From<Half> for Seen {
    fn from(half: Half) -> Seen {
        match half {
            Half::Blue => Seen::Blue,
            Half::Green => Seen::Green,
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Seen {
    type Err = ();

    fn from_str(word: &str) -> Result<Seen, ()> {
        [Seen::Blue, Seen::Green, Seen::Both].into_iter().find(|seen| seen.as_str() == word).ok_or(())
    }
}

/// What `/state` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAnswer {
    /// The site whose nginx files answer: another site's default server may, when the port is shared.
    pub site: String,
    /// The configuration revision that this worker runs.
    pub revision: u64,
    /// The worker.
    pub pid: u32,
    /// The real path of `live/current`; none when it is missing or unreadable.
    pub path: Option<String>,
    /// N of the path's `gen/N`.
    pub generation: Option<u64>,
    /// The half of the segment, bucket and slot that was asked for.
    pub half: Seen,
}

/// A body that is no `/state` answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not from bg's probe port: `{0}`")]
pub struct NotAState(String);

impl StateAnswer {
    /// Reads the body `SITE REVISION PID PATH HALF\n`; the path is empty when the tree is not there.
    ///
    /// # Errors
    /// When the body has another shape, with its beginning.
    pub fn parse(body: &str) -> Result<StateAnswer, NotAState> {
        let read = || {
            let mut fields = body.strip_suffix('\n').unwrap_or(body).split(' ');
            let mut next = || fields.next();
            let (site, revision, pid, path, half) = (next()?, next()?, next()?, next()?, next()?);
            let answer = StateAnswer {
                site: site.to_owned(),
                revision: revision.parse().ok()?,
                pid: pid.parse().ok()?,
                generation: path.rsplit_once("/gen/").and_then(|(_, n)| n.parse().ok()),
                path: (!path.is_empty()).then(|| path.to_owned()),
                half: half.parse().ok()?,
            };
            (next().is_none() && !site.is_empty()).then_some(answer)
        };
        read().ok_or_else(|| NotAState(body.chars().take(120).collect()))
    }
}

/// One question to the probe port: `/state?at=AT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// `SEGMENT/BUCKET/SLOT`, such as `mobile/09/00`.
    pub at: String,
    /// What a balancer answers that runs the traffic.
    pub expect: Seen,
}

impl Question {
    /// The request's target on the probe port.
    pub fn target(&self) -> String {
        format!("/state?at={}", self.at)
    }
}

/// `index` counts a segment's 10 000 slots from the offset on: the first `share` of them are green.
fn question(segment: &SegmentShare, offset: u8, index: u16) -> Question {
    let bucket = (u16::from(offset) + index / 100) % 100;
    let expect = if index < segment.green.hundredths() { Seen::Green } else { Seen::Blue };
    Question { at: format!("{}/{bucket:02}/{:02}", segment.segment, index % 100), expect }
}

/// What confirms a shift: each segment at the first and the last slot of its share, and just outside at both ends.
/// While both halves serve there are no segments in the tree and one question is enough.
pub fn questions(traffic: &Traffic) -> Vec<Question> {
    let Traffic::Split { segments, offset } = traffic else { return vec![both()] };
    let edges = |segment: &SegmentShare| {
        let share = segment.green.hundredths();
        let mut edges: Vec<u16> = if segment.green == Share::NONE { vec![0] } else { vec![0, share - 1] };
        edges.extend([share, 9_999].into_iter().filter(|index| *index < 10_000));
        edges.dedup();
        edges
    };
    segments.iter().flat_map(|s| edges(s).into_iter().map(|index| question(s, *offset, index))).collect()
}

/// What proves the whole tree before blue is touched in `restoring`, where failing towards blue would not be safe: every
/// bucket of every segment, and every slot wherever a directory holds its own (the shared full bucket, a partial one).
pub fn every_bucket(traffic: &Traffic) -> Vec<Question> {
    let Traffic::Split { segments, offset } = traffic else { return vec![both()] };
    let mut asked: Vec<u16> = Vec::new();
    let mut full_is_asked = false;
    let mut all = Vec::new();
    for segment in segments {
        let share = segment.green.hundredths();
        asked.clear();
        asked.extend((0..100).map(|bucket| bucket * 100));
        if share >= 100 && !full_is_asked {
            full_is_asked = true;
            asked.extend(1..100);
        }
        if share % 100 != 0 {
            let partial = share / 100 * 100;
            asked.extend(partial + 1..partial + 100);
        }
        asked.sort_unstable();
        asked.dedup();
        all.extend(asked.iter().map(|index| question(segment, *offset, *index)));
    }
    all
}

fn both() -> Question {
    Question { at: "all/00/00".to_owned(), expect: Seen::Both }
}

/// The request's target that asks whether at least `at_least` requests (one of [`INFLIGHT_STEPS`]) of `half` are in flight.
pub fn inflight_target(half: Seen, at_least: u32) -> String {
    let size = if at_least <= 1 { String::new() } else { at_least.to_string() };
    format!("/inflight{size}?half={half}")
}

/// Reads the header `X-Inflight`: whether that many requests are in flight. `None`: not an answer of the probe port.
pub fn inflight(header: &str) -> Option<bool> {
    match header {
        "PASSED" => Some(false),
        "REJECTED_DRY_RUN" | "REJECTED" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[(&str, u16)], offset: u8) -> Traffic {
        let share = |(segment, green): &(&str, u16)| SegmentShare {
            segment: (*segment).to_owned(),
            green: Share::from_hundredths(*green).unwrap(),
        };
        Traffic::split(shares.iter().map(share).collect(), offset)
    }

    fn asked(traffic: &Traffic) -> Vec<(String, Seen)> {
        questions(traffic).into_iter().map(|q| (q.at, q.expect)).collect()
    }

    #[test]
    fn a_state_answer_is_read() {
        let answer = StateAnswer::parse("shop 7 4242 /etc/nginx/bg/shop/live/gen/17 green\n").unwrap();
        assert_eq!((answer.site.as_str(), answer.revision, answer.pid), ("shop", 7, 4242));
        assert_eq!((answer.generation, answer.half), (Some(17), Seen::Green));
        assert_eq!(answer.path.as_deref(), Some("/etc/nginx/bg/shop/live/gen/17"));
    }

    #[test]
    fn a_missing_tree_is_an_answer_without_a_path() {
        let answer = StateAnswer::parse("shop 7 4242  blue\n").unwrap();
        assert_eq!((answer.path, answer.generation, answer.half), (None, None, Seen::Blue));
    }

    #[test]
    fn what_is_no_state_answer_is_refused() {
        for body in
            ["", "shop", "shop x 1 /a blue\n", "shop 1 1 /a purple", "shop 1 1 /a blue more", "<html>", " 1 1 /a blue"]
        {
            assert!(StateAnswer::parse(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn each_segment_is_asked_at_the_edges_of_its_share() {
        let traffic = split(&[("mobile", 1_050), ("all", 0)], 95);
        let expected = [
            ("mobile/95/00", Seen::Green),
            ("mobile/05/49", Seen::Green),
            ("mobile/05/50", Seen::Blue),
            ("mobile/94/99", Seen::Blue),
            ("all/95/00", Seen::Blue),
            ("all/94/99", Seen::Blue),
        ];
        assert_eq!(asked(&traffic), expected.map(|(at, half)| (at.to_owned(), half)));
    }

    #[test]
    fn the_smallest_and_the_full_share_have_edges_too() {
        let first = |share| asked(&split(&[("all", share)], 0)).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(first(1), ["all/00/00", "all/00/01", "all/99/99"]);
        assert_eq!(first(9_999), ["all/00/00", "all/99/98", "all/99/99"]);
        assert_eq!(first(10_000), ["all/00/00", "all/99/99"]);
        assert_eq!(asked(&Traffic::Both), [("all/00/00".to_owned(), Seen::Both)]);
    }

    #[test]
    fn restoring_asks_every_bucket_of_every_segment() {
        let green = Traffic::on(Half::Green, &["mobile".to_owned()]);
        let asked = every_bucket(&green);
        assert_eq!(asked.len(), 100 + 99 + 100);
        assert!(asked.iter().all(|q| q.expect == Seen::Green));
        assert!(
            (0..100).all(|b| ["mobile", "all"].iter().all(|s| asked.iter().any(|q| q.at == format!("{s}/{b:02}/00"))))
        );
        assert!((0..100).all(|slot| asked.iter().any(|q| q.at == format!("mobile/00/{slot:02}"))));
    }

    #[test]
    fn a_partial_bucket_is_asked_slot_by_slot() {
        let asked = every_bucket(&split(&[("all", 30)], 4));
        let green = asked.iter().filter(|q| q.expect == Seen::Green).count();
        assert_eq!((asked.len(), green), (199, 30));
    }

    #[test]
    fn in_flight_is_asked_and_read() {
        assert_eq!(inflight_target(Seen::Green, 1), "/inflight?half=green");
        assert_eq!(inflight_target(Seen::Both, 100), "/inflight100?half=both");
        assert_eq!((inflight("PASSED"), inflight("REJECTED_DRY_RUN"), inflight("")), (Some(false), Some(true), None));
    }
}
