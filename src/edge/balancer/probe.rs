//! What nginx's workers see, asked at the probe port through a forwarded connection: never what the operator believes.

use std::time::Duration;

use bluegreen_core::nginx::state::{self, INFLIGHT_STEPS, Question, Seen, StateAnswer};
use bluegreen_core::traffic::Traffic;
use futures::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep};

use super::error::{Error, Kind};
use super::{Balancers, CONFIRM_BOUND};
use crate::edge::health::{self, Answer, ProbeError, Request};
use crate::edge::host::{Forward, HostError};

/// One question's bound: nginx answers from memory, the rest is the network.
const ASK_BOUND: Duration = Duration::from_secs(3);
/// Questions under way at once on one balancer: each is a connection of its own (the probe port keeps none alive).
const ASK_AT_ONCE: usize = 16;
/// Pause between two rounds of questions.
const ASK_PAUSE: Duration = Duration::from_millis(50);
/// No answer of the probe port is longer.
const BODY_LIMIT: usize = 8 * 1024;

/// Requests in flight on one balancer, as far as the probe port tells sizes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InFlight {
    /// None.
    None,
    /// At least so many: 1, 10, 100 or 1000.
    AtLeast(u32),
}

/// A way to one balancer's probe port.
struct Probe {
    forward: Forward,
    port: u16,
    site: String,
}

impl Balancers {
    async fn probe(&self, host: &str) -> Result<Probe, Error> {
        let port = self.at(host)?.probe;
        let forward = self.hosts.get(host).forward("127.0.0.1", port).await.map_err(|e| Error::new(host, e))?;
        Ok(Probe { forward, port, site: self.inventory.site.clone() })
    }

    /// What a worker sees: `at` is `SEGMENT/BUCKET/SLOT`, such as `all/00/00`.
    ///
    /// # Errors
    /// `Probe` when nothing of this site answers on the probe port (nginx does not run, or does not include http.conf).
    pub async fn state(&self, host: &str, at: &str) -> Result<StateAnswer, Error> {
        let probe = self.probe(host).await?;
        probe.state(&format!("/state?at={at}")).await.map_err(|kind| Error::new(host, kind))
    }

    /// Whether nginx includes this site's http.conf: the probe port answers as this site. Before the user has wired it,
    /// reloads and confirmations mean nothing.
    ///
    /// # Errors
    /// When the host cannot be reached. No answer, or another's, is `false`.
    pub async fn wired(&self, host: &str) -> Result<bool, Error> {
        match self.state(host, "all/00/00").await {
            Ok(_) => Ok(true),
            Err(Error { kind: Kind::Probe { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the workers answer every edge of `traffic` from generation `n` (and run configuration `revision`,
    /// where given); at most [`CONFIRM_BOUND`].
    ///
    /// # Errors
    /// `Unconfirmed` with the first wrong answer, `Probe` when there is none.
    pub async fn confirm(&self, host: &str, n: u64, traffic: &Traffic, revision: Option<u64>) -> Result<(), Error> {
        let probe = self.probe(host).await?;
        let questions = state::questions(traffic);
        let until = Instant::now() + CONFIRM_BOUND;
        loop {
            match probe.ask_all(&questions, n, revision).await {
                Ok(()) => return Ok(()),
                Err(kind) if Instant::now() >= until => return Err(Error::new(host, kind)),
                Err(_) => sleep(ASK_PAUSE).await,
            }
        }
    }

    /// Asks every bucket of every segment once: the whole tree is there and readable for the workers. For `restoring`,
    /// where failing towards blue would not be safe.
    ///
    /// # Errors
    /// As [`Balancers::confirm`], at the first mismatch.
    pub async fn every_bucket(&self, host: &str, n: u64, traffic: &Traffic) -> Result<(), Error> {
        let probe = self.probe(host).await?;
        probe.ask_all(&state::every_bucket(traffic), n, None).await.map_err(|kind| Error::new(host, kind))
    }

    /// How many requests of `half` are in flight on this balancer.
    ///
    /// # Errors
    /// `Probe` when nothing of this site answers.
    pub async fn inflight(&self, host: &str, half: Seen) -> Result<InFlight, Error> {
        let probe = self.probe(host).await?;
        let mut found = InFlight::None;
        for step in INFLIGHT_STEPS {
            match probe.inflight(half, step).await {
                Ok(true) => found = InFlight::AtLeast(step),
                Ok(false) => break,
                Err(kind) => return Err(Error::new(host, kind)),
            }
        }
        Ok(found)
    }
}

impl Probe {
    fn failed(&self, why: impl Into<String>) -> Kind {
        Kind::Probe { port: self.port, site: self.site.clone(), why: why.into() }
    }

    async fn state(&self, target: &str) -> Result<StateAnswer, Kind> {
        let body = self.get(target).await?.text();
        let answer = StateAnswer::parse(&body).map_err(|error| self.failed(error.to_string()))?;
        if answer.site == self.site { Ok(answer) } else { Err(self.failed(format!("`{}` answers there", answer.site))) }
    }

    async fn inflight(&self, half: Seen, at_least: u32) -> Result<bool, Kind> {
        let answer = self.get(&state::inflight_target(half, at_least)).await?;
        let header = answer.header("X-Inflight").unwrap_or_default();
        state::inflight(header).ok_or_else(|| self.failed(format!("no X-Inflight header that bg knows: `{header}`")))
    }

    /// All of these, a bounded number at once; the first mismatch ends it.
    async fn ask_all(&self, questions: &[Question], n: u64, revision: Option<u64>) -> Result<(), Kind> {
        let asked = stream::iter(questions).map(|question| async move {
            let answer = self.state(&question.target()).await?;
            let expected = match revision {
                Some(revision) => format!("{} from gen/{n}, revision {revision}", question.expect),
                None => format!("{} from gen/{n}", question.expect),
            };
            let right = answer.generation == Some(n)
                && answer.half == question.expect
                && revision.is_none_or(|revision| answer.revision == revision);
            if right {
                return Ok(());
            }
            let path = answer.path.as_deref().unwrap_or("no tree that they can read");
            let answered = match revision {
                Some(_) => format!("{} from {path}, revision {}", answer.half, answer.revision),
                None => format!("{} from {path}", answer.half),
            };
            Err(Kind::Unconfirmed { generation: n, at: question.at.clone(), expected, answered })
        });
        let mut asked = asked.buffer_unordered(ASK_AT_ONCE);
        while let Some(answer) = asked.next().await {
            answer?;
        }
        Ok(())
    }

    /// What it means that a request failed: the way there, or nginx.
    async fn unanswered(&self, error: ProbeError) -> Kind {
        if let Some(cut) = self.forward.cut().await {
            return Kind::Host(cut);
        }
        match error {
            ProbeError::NoWay { detail } => {
                let (host, target) = (self.forward.host().to_owned(), format!("127.0.0.1:{}", self.port));
                Kind::Host(HostError::Forward { host, target, detail })
            }
            ProbeError::Host(error) => Kind::Host(error),
            error => self.failed(error.to_string()),
        }
    }

    /// One request on a connection of its own: the probe port keeps none alive.
    async fn get(&self, target: &str) -> Result<Answer, Kind> {
        let mut request = Request::new(target, format!("bg-{}", self.site));
        request.timeout = ASK_BOUND;
        request.max_body = BODY_LIMIT;
        let answer = match health::get(self.forward.socket(), &request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.unanswered(error).await),
        };
        match answer.status {
            200..=299 => Ok(answer),
            status => Err(self.failed(format!("it answered {status}"))),
        }
    }
}
