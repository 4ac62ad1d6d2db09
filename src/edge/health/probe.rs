//! The probe of one place: what its pool's `health` says, asked from every balancer or from the place's own host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bluegreen_core::Half;
use bluegreen_core::inventory::{Health, HealthFrom, Place, Pool, Words, fill};
use bluegreen_core::release::Release;
use futures::future::join_all;
use regex::bytes::Regex;
use tokio::time::{Instant, sleep, timeout_at};

use super::http::{Answer, MAX_BODY, ProbeError, Request, get};
use super::verdict::{Unhealthy, Verdict};
use crate::edge::host::{Forward, Host, HostError, Hosts, Run};

/// Lines of an answer that a message quotes.
const QUOTED_LINES: usize = 5;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One request, or the command: right before a shift.
    Quick,
    /// The smoke paths too: after an installation.
    Full,
}

/// How a wait stands, after each round.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Good rounds in a row so far.
    pub successes: u32,
    /// How many are needed.
    pub needed: u32,
    /// Since the wait began.
    pub elapsed: Duration,
    /// This round's.
    pub verdict: &'a Verdict,
}

/// What one round of asking gave, from all viewpoints together.
#[derive(Debug, Default)]
struct Round {
    /// `None`: the time was over before all had their answer, and the others saw nothing wrong.
    verdict: Option<Verdict>,
    /// Whether the verdict is only that a balancer could not be reached.
    unseen: bool,
    /// A viewpoint that was still waiting for the place's answer when the time was over.
    cut: Option<String>,
}

/// Asks whether one place is healthy.
#[derive(Debug)]
pub struct Probe {
    place: Place,
    health: Health,
    body: Option<Regex>,
    /// What `release_header` may answer; empty: anything.
    names: Vec<String>,
    /// From where it is asked; of a command, where it runs.
    viewpoints: Vec<Host>,
    /// Whether the only viewpoint is the place's own host: its absence is then the place's.
    own: bool,
    /// Kept between rounds, so that each target is forwarded once.
    forwards: Mutex<Vec<Forward>>,
}

/// The pool's `health` for one place: the template words of `run` are filled in. `release` is the one that must be running,
/// `None` where that is not known. Errors: `run` uses a word that has no value then.
pub fn for_place(
    site: &str,
    pool: &Pool,
    half: Half,
    place: &Place,
    release: Option<&Release>,
) -> Result<Health, ProbeError> {
    let mut health = pool.health.clone();
    let Some(run) = &health.run else { return Ok(health) };
    let words = Words {
        release: release.map(|release| release.label.clone()).unwrap_or_default(),
        version: release.map(|release| release.version.to_string()).unwrap_or_default(),
        site: site.to_owned(),
        pool: pool.name.clone(),
        half: half.as_str().to_owned(),
        host: place.host.clone(),
        port: place.port.to_string(),
    };
    let filled = fill(run, &words).map_err(|why| ProbeError::BadRequest { detail: format!("`health.run`: {why}") })?;
    health.run = Some(filled);
    Ok(health)
}

impl Probe {
    /// For `place`, seen from all of `balancers` or from its own host, as `health` says. `names` are what the release header
    /// may answer: the label and vN of the release that must be running; empty when that does not matter.
    /// Errors: a body regex that does not compile, `https`.
    pub fn new(
        hosts: &Hosts,
        balancers: &[String],
        place: &Place,
        health: &Health,
        names: &[String],
    ) -> Result<Self, ProbeError> {
        let bad = |detail: String| ProbeError::BadRequest { detail };
        if health.scheme != "http" && health.run.is_none() {
            return Err(bad(format!(
                "health checks speak http, not `{}`; use `run` for what is no plain HTTP",
                health.scheme
            )));
        }
        let body = health.body.as_deref().map(Regex::new).transpose();
        let body = body.map_err(|e| bad(format!("the body regex does not compile: {e}")))?;
        let own = health.run.is_some() || health.from == HealthFrom::Host;
        let viewpoints =
            if own { vec![hosts.get(&place.host)] } else { balancers.iter().map(|name| hosts.get(name)).collect() };
        if viewpoints.is_empty() {
            return Err(bad("there is no balancer to ask from".into()));
        }
        let (place, health, names) = (place.clone(), health.clone(), names.to_vec());
        Ok(Self { place, health, body, names, viewpoints, own, forwards: Mutex::default() })
    }

    /// The place that is asked about.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Asks once, from every viewpoint at once; all must find it healthy. Errors: a viewpoint could not be reached, or the
    /// request could not be made; neither says anything about the place.
    pub async fn check_once(&self, depth: Depth) -> Result<Verdict, ProbeError> {
        let round = join_all(self.viewpoints.iter().map(|host| self.check_from(host, depth))).await;
        let mut unhealthy = None;
        for verdict in round {
            match verdict? {
                Verdict::Healthy => {}
                found => unhealthy = unhealthy.or(Some(found)),
            }
        }
        Ok(unhealthy.unwrap_or(Verdict::Healthy))
    }

    /// Asks until it was healthy `successes` times in a row and its smoke paths answer, at most `within`; both as the
    /// inventory says. `progress` hears of every round.
    pub async fn wait_until_healthy(&self, mut progress: impl FnMut(Progress<'_>) + Send) -> Result<(), Unhealthy> {
        let (start, needed) = (Instant::now(), self.health.successes.max(1));
        let within = Duration::from_millis(self.health.within_ms);
        let (mut successes, mut reasons) = (0, HashMap::<String, u32>::new());
        let mut last = Round::default();
        loop {
            // Smoke paths may be heavy: they are asked when all else is well, not every round.
            let depth = if successes + 1 >= needed { Depth::Full } else { Depth::Quick };
            let round = self.round(depth, start + within).await;
            let Some(verdict) = &round.verdict else {
                last.cut = round.cut;
                break;
            };
            successes = if verdict.is_healthy() { successes + 1 } else { 0 };
            progress(Progress { successes, needed, elapsed: start.elapsed(), verdict });
            if successes >= needed {
                return Ok(());
            }
            if let Verdict::Unhealthy { reason, .. } = verdict {
                *reasons.entry(reason.clone()).or_default() += 1;
                // That one balancer was lost while another still waited does not undo what was seen of the place before.
                if last.verdict.is_none() || !round.unseen || round.cut.is_none() {
                    last = round;
                }
            }
            let next = Duration::from_millis(self.health.interval_ms);
            if start.elapsed() + next >= within {
                break;
            }
            sleep(next).await;
        }
        Err(self.gave_up(within, last, &reasons))
    }

    /// Asks from every viewpoint at once, until `end`. What a viewpoint saw outweighs that another could not be reached.
    async fn round(&self, depth: Depth, end: Instant) -> Round {
        let asked = join_all(self.viewpoints.iter().map(|host| self.check_until(host, depth, end))).await;
        let (mut unhealthy, mut lost, mut cut) = (None, None, None);
        for (host, found) in self.viewpoints.iter().zip(asked) {
            match found {
                Ok(Some(Verdict::Healthy)) => {}
                Ok(Some(verdict)) => unhealthy = unhealthy.or(Some(verdict)),
                Ok(None) => cut = cut.or(Some(host.name().to_owned())),
                Err(error) => {
                    let viewpoint = !self.own && error.is_of_viewpoint();
                    let reason =
                        if viewpoint { error.to_string() } else { format!("could not be asked: {}", said(&error)) };
                    let verdict = Verdict::Unhealthy { reason, from: host.name().to_owned(), quote: String::new() };
                    let slot = if viewpoint { &mut lost } else { &mut unhealthy };
                    *slot = slot.take().or(Some(verdict));
                }
            }
        }
        let unseen = unhealthy.is_none() && lost.is_some();
        let healthy = cut.is_none().then_some(Verdict::Healthy);
        Round { verdict: unhealthy.or(lost).or(healthy), unseen, cut }
    }

    /// As [`Probe::check_from`]; `None` when `end` came before the answer. The way to the viewpoint is waited for apart: one
    /// that is not reached says nothing about the place.
    async fn check_until(&self, host: &Host, depth: Depth, end: Instant) -> Result<Option<Verdict>, ProbeError> {
        match timeout_at(end, host.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ProbeError::NotReached { host: host.name().to_owned() }),
        }
        timeout_at(end, self.check_from(host, depth)).await.ok().transpose()
    }

    fn gave_up(&self, within: Duration, last: Round, reasons: &HashMap<String, u32>) -> Unhealthy {
        let host = self.place.host.clone();
        if let Some(Verdict::Unhealthy { reason, from, quote }) = last.verdict {
            let times = reasons.get(&reason).copied().unwrap_or(1);
            let viewpoint_lost = last.unseen.then(|| from.clone());
            return Unhealthy { host, within, reason, times, from, quote, viewpoint_lost };
        }
        // Every round that ended was good, there were only too few of them.
        let (from, asked) =
            (last.cut.unwrap_or_else(|| self.viewpoints[0].name().to_owned()), self.asked(&self.health.path));
        let reason = format!("{asked} was not answered {} times in a row", self.health.successes);
        Unhealthy { host, within, reason, times: 1, from, quote: String::new(), viewpoint_lost: None }
    }

    async fn check_from(&self, host: &Host, depth: Depth) -> Result<Verdict, ProbeError> {
        if let Some(line) = &self.health.run {
            return self.run_on(host, line).await;
        }
        let forward = self.forward(host).await?;
        let verdict = self.ask(&forward, &self.health.path, |answer| self.judge(answer)).await?;
        if depth == Depth::Quick || !verdict.is_healthy() {
            return Ok(verdict);
        }
        for path in &self.health.smoke {
            let verdict = self.ask(&forward, path, |answer| (answer.status >= 400).then(|| answered(answer))).await?;
            if !verdict.is_healthy() {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Healthy)
    }

    /// What is wrong with the answer to the health path, if anything.
    fn judge(&self, answer: &Answer) -> Option<String> {
        if !self.health.status.iter().any(|(from, to)| (*from..=*to).contains(&answer.status)) {
            return Some(answered(answer));
        }
        if let Some(body) = self.body.as_ref().filter(|body| !body.is_match(&answer.body)) {
            return Some(format!("answered {} without `{body}` in its first {} KiB", answer.status, MAX_BODY / 1024));
        }
        let header = self.health.release_header.as_deref().filter(|_| !self.names.is_empty())?;
        let wanted = self.names.first().map(String::as_str).unwrap_or_default();
        match answer.header(header).map(str::trim) {
            Some(name) if self.names.iter().any(|n| n == name) => None,
            Some(name) => {
                Some(format!("answered with the release `{}` in {header}, not `{wanted}`", name.escape_debug()))
            }
            None => Some(format!("answered without {header}, which must name the release `{wanted}`")),
        }
    }

    async fn ask(
        &self,
        way: &Forward,
        path: &str,
        judge: impl Fn(&Answer) -> Option<String>,
    ) -> Result<Verdict, ProbeError> {
        let unhealthy = |what: String, quote: String| Verdict::Unhealthy {
            reason: format!("{} {what}", self.asked(path)),
            from: way.host().to_owned(),
            quote,
        };
        match get(way.socket(), &self.request(path)).await {
            Ok(answer) => {
                Ok(judge(&answer).map_or(Verdict::Healthy, |what| unhealthy(what, answer.tail(QUOTED_LINES))))
            }
            Err(error @ ProbeError::BadRequest { .. }) => Err(error),
            Err(error) => match (way.cut().await, error) {
                (Some(cut), _) => Err(cut.into()),
                (None, error) if error.is_of_viewpoint() => Err(error),
                (None, error) => Ok(unhealthy(format!("failed: {error}"), String::new())),
            },
        }
    }

    fn request(&self, path: &str) -> Request {
        let host = self.health.host.clone().unwrap_or_else(|| authority(&self.place.address, self.port()));
        let (headers, timeout) = (self.health.headers.clone(), Duration::from_millis(self.health.timeout_ms));
        Request { path: path.to_owned(), host, headers, timeout, max_body: MAX_BODY }
    }

    fn asked(&self, path: &str) -> String {
        match &self.health.run {
            Some(line) => format!("`{line}`"),
            None if self.health.port.is_some() => format!("GET :{}{path}", self.port()),
            None => format!("GET {path}"),
        }
    }

    fn port(&self) -> u16 {
        self.health.port.unwrap_or(self.place.port)
    }

    async fn forward(&self, host: &Host) -> Result<Forward, HostError> {
        // Asked for in every round: a connection that broke is made anew, one that stands gives the same socket.
        let forward = host.forward(&self.place.address, self.port()).await?;
        let mut held = self.forwards.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.iter().any(|other| other.socket() == forward.socket()) {
            held.retain(|other| other.host() != forward.host());
            held.push(forward.clone());
        }
        Ok(forward)
    }

    async fn run_on(&self, host: &Host, line: &str) -> Result<Verdict, ProbeError> {
        let run = Run::shell("health check", line).timeout(Duration::from_millis(self.health.timeout_ms));
        let (what, quote) = match host.run(run).await {
            Ok(output) if output.is_success() => return Ok(Verdict::Healthy),
            Ok(output) => (format!("ended with status {}", output.status), output.tail(QUOTED_LINES)),
            Err(HostError::TimedOut { after, tail, .. }) => (
                format!("did not end within {}", crate::edge::host::seconds(after)),
                crate::edge::host::last_lines(&tail, QUOTED_LINES),
            ),
            Err(error) => return Err(error.into()),
        };
        Ok(Verdict::Unhealthy { reason: format!("{} {what}", self.asked("")), from: host.name().to_owned(), quote })
    }
}

fn answered(answer: &Answer) -> String {
    format!("answered {}", answer.status)
}

/// `address:port`, an IPv6 address in brackets.
fn authority(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// An error in words that follow the host's name.
fn said(error: &ProbeError) -> String {
    match error {
        ProbeError::Host(error) => error.without_host(),
        ProbeError::NotReached { .. } => "it could not be reached in time".to_owned(),
        error => error.to_string(),
    }
}
