//! What the load generator saw, counted per window of time. Pure: times come in.

use std::collections::BTreeMap;

/// Failures that are kept word for word; later ones are only counted.
const KEPT: usize = 20;
const BLUE: u8 = 1;
const GREEN: u8 = 2;

/// One request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Milliseconds since the load began, when the request began.
    pub began_ms: u64,
    /// Method, address and path.
    pub request: String,
    /// What happened.
    pub what: String,
}

/// Who answered a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) half: String,
    pub(crate) host: String,
    pub(crate) release: String,
}

/// When requests that one half answered began: the first and the last, in milliseconds since the load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first_ms: u64,
    /// The last.
    pub last_ms: u64,
}

/// Of the clients of one kind that were answered: how many, and how many of them by green.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Clients that were answered at all.
    pub clients: u32,
    /// Clients that green answered at least once.
    pub green: u32,
}

impl Share {
    /// Green's share in percent; 0 when nobody was answered.
    pub fn percent(self) -> f64 {
        if self.clients == 0 { 0.0 } else { 100.0 * f64::from(self.green) / f64::from(self.clients) }
    }

    /// How far the share of so many clients may be from `percent` by chance: four standard deviations, in points.
    /// (Which client is in the slice is decided by a hash.)
    pub fn tolerance(self, percent: f64) -> f64 {
        let part = percent / 100.0;
        400.0 * (part * (1.0 - part) / f64::from(self.clients.max(1))).sqrt()
    }

    /// Whether the share is `percent`, as well as so many clients can tell.
    pub fn is_about(self, percent: f64) -> bool {
        self.clients > 0 && (self.percent() - percent).abs() <= self.tolerance(percent)
    }
}

/// What was seen over some time: only requests that began in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Requests that were begun and have ended, well or not.
    pub sent: u64,
    /// Requests that failed: reset, cut short, not connected, not answered in time, or not 2xx.
    pub failed: u64,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// Requests by the half that answered.
    pub halves: BTreeMap<String, u64>,
    /// Requests by the host that answered.
    pub hosts: BTreeMap<String, u64>,
    /// Requests by the release that answered.
    pub releases: BTreeMap<String, u64>,
    /// When requests that a half answered began.
    pub spans: BTreeMap<String, Span>,
    /// Clients with a mobile user agent.
    pub mobile: Share,
    /// All other clients.
    pub desktop: Share,
    /// Clients that both halves answered.
    pub on_both: u32,
    /// The longest that an ordinary (not slow) request took, in milliseconds.
    pub longest_ms: u64,
}

impl Seen {
    /// Requests that this half answered.
    pub fn by_half(&self, half: &str) -> u64 {
        self.halves.get(half).copied().unwrap_or(0)
    }

    /// Clients that were answered.
    pub fn clients(&self) -> u32 {
        self.mobile.clients + self.desktop.clients
    }

    /// Fails the test, with the first failures word for word, unless none failed.
    #[track_caller]
    pub fn expect_none_failed(&self) -> &Seen {
        let shown: Vec<String> = self.failures.iter().map(|it| format!("{it:?}")).collect();
        assert!(self.failed == 0, "{} of {} requests failed:\n{}", self.failed, self.sent, shown.join("\n"));
        self
    }
}

#[derive(Debug, Default)]
struct Window {
    sums: Seen,
    clients: Vec<u8>,
}

/// The books of a load: windows, one after the other.
#[derive(Debug)]
pub(crate) struct Tally {
    windows: Vec<Window>,
    clients: usize,
}

/// Whether a client is a mobile one: every other is.
pub(crate) fn is_mobile(client: usize) -> bool {
    client.is_multiple_of(2)
}

impl Tally {
    pub(crate) fn new(clients: usize) -> Tally {
        let mut tally = Tally { windows: Vec::new(), clients };
        tally.open();
        tally
    }

    /// Opens a new window and gives its number.
    pub(crate) fn open(&mut self) -> usize {
        self.windows.push(Window { sums: Seen::default(), clients: vec![0; self.clients] });
        self.windows.len() - 1
    }

    /// The number of the window that is open now.
    pub(crate) fn current(&self) -> usize {
        self.windows.len() - 1
    }

    /// A request that was answered well; `client` is none for the slow ones, which stand for no client.
    pub(crate) fn ok(&mut self, window: usize, client: Option<usize>, by: &Answered, began_ms: u64, took_ms: u64) {
        let Some(window) = self.windows.get_mut(window) else { return };
        let sums = &mut window.sums;
        sums.sent += 1;
        *sums.halves.entry(by.half.clone()).or_default() += 1;
        *sums.hosts.entry(by.host.clone()).or_default() += 1;
        *sums.releases.entry(by.release.clone()).or_default() += 1;
        let span = sums.spans.entry(by.half.clone()).or_insert(Span { first_ms: began_ms, last_ms: began_ms });
        *span = Span { first_ms: span.first_ms.min(began_ms), last_ms: span.last_ms.max(began_ms) };
        if let Some(slot) = client.and_then(|client| window.clients.get_mut(client)) {
            sums.longest_ms = sums.longest_ms.max(took_ms);
            *slot |= if by.half == "green" { GREEN } else { BLUE };
        }
    }

    /// A request that failed.
    pub(crate) fn failed(&mut self, window: usize, failure: Failure) {
        let Some(window) = self.windows.get_mut(window) else { return };
        window.sums.sent += 1;
        window.sums.failed += 1;
        if window.sums.failures.len() < KEPT {
            window.sums.failures.push(failure);
        }
    }

    /// Everything from window number `from` on.
    pub(crate) fn since(&self, from: usize) -> Seen {
        let mut all = Seen::default();
        let mut clients = vec![0_u8; self.clients];
        for window in self.windows.iter().skip(from) {
            add(&mut all, &window.sums);
            clients.iter_mut().zip(&window.clients).for_each(|(sum, seen)| *sum |= seen);
        }
        for (client, seen) in clients.iter().enumerate().filter(|(_, seen)| **seen != 0) {
            let share = if is_mobile(client) { &mut all.mobile } else { &mut all.desktop };
            share.clients += 1;
            share.green += u32::from(seen & GREEN != 0);
            all.on_both += u32::from(*seen == BLUE | GREEN);
        }
        all
    }
}

fn add(all: &mut Seen, more: &Seen) {
    all.sent += more.sent;
    all.failed += more.failed;
    let room = KEPT.saturating_sub(all.failures.len());
    all.failures.extend(more.failures.iter().take(room).cloned());
    for (sum, part) in
        [(&mut all.halves, &more.halves), (&mut all.hosts, &more.hosts), (&mut all.releases, &more.releases)]
    {
        part.iter().for_each(|(name, count)| *sum.entry(name.clone()).or_default() += count);
    }
    for (half, part) in &more.spans {
        let span = all.spans.entry(half.clone()).or_insert(*part);
        *span = Span { first_ms: span.first_ms.min(part.first_ms), last_ms: span.last_ms.max(part.last_ms) };
    }
    all.longest_ms = all.longest_ms.max(more.longest_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(half: &str) -> Answered {
        Answered { half: half.into(), host: "web1".into(), release: "v1".into() }
    }

    #[test]
    fn shares_are_of_clients_and_not_of_requests() {
        let mut tally = Tally::new(4);
        for _ in 0..10 {
            tally.ok(0, Some(0), &by("green"), 5, 1);
        }
        tally.ok(0, Some(2), &by("blue"), 6, 1);
        tally.ok(0, Some(1), &by("blue"), 7, 9);
        let seen = tally.since(0);
        assert_eq!(seen.mobile, Share { clients: 2, green: 1 });
        assert_eq!(seen.desktop, Share { clients: 1, green: 0 });
        assert_eq!((seen.sent, seen.by_half("green"), seen.longest_ms), (12, 10, 9));
    }

    #[test]
    fn a_mark_forgets_what_began_before_it() {
        let mut tally = Tally::new(2);
        tally.ok(0, Some(0), &by("blue"), 1, 1);
        let mark = tally.open();
        tally.ok(0, Some(1), &by("blue"), 2, 1);
        tally.ok(mark, Some(0), &by("green"), 3, 1);
        assert_eq!(tally.since(mark).halves, BTreeMap::from([("green".to_owned(), 1)]));
        assert_eq!(tally.since(0).on_both, 1);
        assert_eq!(tally.since(0).spans["blue"], Span { first_ms: 1, last_ms: 2 });
    }

    #[test]
    fn only_the_first_failures_are_kept_and_all_are_counted() {
        let mut tally = Tally::new(1);
        for began_ms in 0..30 {
            tally.failed(0, Failure { began_ms, request: "GET /".into(), what: "reset".into() });
        }
        let seen = tally.since(0);
        assert_eq!((seen.sent, seen.failed, seen.failures.len()), (30, 30, KEPT));
    }

    #[test]
    fn a_tenth_of_a_thousand_may_be_off_by_less_than_four_points() {
        let share = Share { clients: 1000, green: 130 };
        assert!(share.is_about(10.0) && !share.is_about(20.0));
        assert!(!Share::default().is_about(0.0));
        assert!(!Share { clients: 1000, green: 1 }.is_about(0.0));
    }
}
