//! A cluster of etcd as one thing that answers: each call goes to the member that answered last, and soon to the next one
//! when that one fails or hangs. What bg sends may be carried out twice without harm (see the store), so that a second
//! member may be asked before the first one has given up.

use std::{
    error::Error as _,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use futures::{StreamExt, stream, stream::FuturesUnordered};
use hyper::http::uri::PathAndQuery;
use rand::seq::SliceRandom;
use tokio::{
    sync::{Mutex, OnceCell},
    time::{Instant, sleep_until, timeout},
};
use tonic::{
    Code, ConnectError, Request, Status,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::messages::{AuthenticateRequest, Call, WATCH, WatchRequest, WatchResponse};

/// A member that is there lets bg in at once; over a slow line it takes some round trips.
const CONNECT: Duration = Duration::from_secs(1);
/// A member answers within milliseconds. One that has not by then is slow or hangs, and another one is asked too.
const HEDGE: Duration = Duration::from_millis(500);
/// After so long a member's answer is not waited for any more. What went to a leader that then died is never answered.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Both are for short requests: a long one has a second more for so many bytes.
const BYTES_PER_SECOND: usize = 64 << 10;
/// Between two rounds of all members: while they elect a leader, each refuses at once.
const ROUND: Duration = Duration::from_millis(200);
/// No member lets bg in: an election does not look so, and bg does not wait for it longer.
const DOWN: Duration = Duration::from_secs(2);
/// The largest answer is a page of the journal; see the store.
const MAX_ANSWER: usize = 256 << 20;

/// How a message begins that says that too few members answered.
pub const NOBODY: &str = "no member of etcd answered";

type Token = MetadataValue<Ascii>;

/// Why a call brought nothing.
#[derive(Debug)]
pub struct CallError {
    /// In words; holds no secret.
    pub why: String,
    /// Whether what was asked for may have been done all the same, or may be done yet.
    pub is_unknown: bool,
}

/// How bg shows who it is, and whom it believes: files.
#[derive(Debug, Default)]
pub struct Access {
    /// The authorities (PEM); `None`: those of this machine.
    pub ca: Option<PathBuf>,
    /// bg's certificate and its key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The user and the file with the password.
    pub user: Option<(String, PathBuf)>,
}

/// The members of one cluster; nothing is contacted before the first call.
pub struct Cluster {
    members: Vec<String>,
    access: Access,
    channels: OnceCell<Vec<Channel>>,
    /// The member that answered last.
    first: AtomicUsize,
    has_answered: AtomicBool,
    /// What was got for the password; the inner `None`: this cluster asks for none.
    token: Mutex<Option<Option<Token>>>,
}

/// How one member did not answer.
enum Problem {
    /// The request did not reach it.
    Unsent(String),
    /// The request may have been carried out.
    Unclear(String),
    /// The same, and the connection ended.
    HungUp(String),
    /// It said no; so would the others.
    Refused(String),
    /// The token has run out, or the member was restarted and does not know it.
    Stale(String),
}

impl Cluster {
    /// `members`: `http://HOST:PORT`, or all of them `https://`. Asked in an order of this process' own, so that not all
    /// desks lean on the first one.
    pub fn new(mut members: Vec<String>, access: Access) -> Cluster {
        members.shuffle(&mut rand::rng());
        let (first, has_answered, token) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
        Cluster { members, access, channels: OnceCell::new(), first, has_answered, token }
    }

    /// Asks until a member answers, at most for `patience`.
    pub async fn call<C: Call>(&self, request: &C, patience: Duration) -> Result<C::Answer, CallError> {
        let deadline = Instant::now() + patience;
        let mut is_unknown = false;
        // The second time with a new token.
        for is_last in [false, true] {
            let token = self.token(deadline).await?;
            match self.ask(request, token.as_ref(), deadline).await {
                Err((error, true)) if !is_last => {
                    is_unknown |= error.is_unknown;
                    *self.token.lock().await = None;
                }
                Err((error, _)) => return Err(CallError { is_unknown: is_unknown || error.is_unknown, ..error }),
                Ok(answer) => return Ok(answer),
            }
        }
        Err(CallError { why: "it accepts no token".to_owned(), is_unknown })
    }

    /// Waits until a key from `key` to `range_end` changes behind `revision`, or until it cannot be told any more: `false`.
    pub async fn watch(&self, request: WatchRequest) -> bool {
        let Ok(token) = self.token(Instant::now() + DOWN).await else { return false };
        let Ok(channels) = self.channels().await else { return false };
        let mut grpc = Grpc::new(channels[self.first.load(Relaxed)].clone());
        if grpc.ready().await.is_err() {
            return false;
        }
        // The watch ends with what bg says: it says nothing more, and does not hang up.
        let said = stream::once(async { request }).chain(stream::pending());
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let Ok(answers) = grpc.streaming(with(token.as_ref(), said), PathAndQuery::from_static(WATCH), codec).await
        else {
            return false;
        };
        let mut answers = answers.into_inner();
        loop {
            match answers.message().await {
                Ok(Some(answer)) if answer.events.is_empty() && !answer.canceled => {}
                Ok(Some(_)) => return true,
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Asks the members; the flag says that the token is stale.
    async fn ask<C: Call>(
        &self,
        request: &C,
        token: Option<&Token>,
        deadline: Instant,
    ) -> Result<C::Answer, (CallError, bool)> {
        let refused = |why, is_unknown| (CallError { why, is_unknown }, false);
        let channels = self.channels().await.map_err(|why| refused(why, false))?;
        let sending = Duration::from_secs_f64(request.encoded_len() as f64 / BYTES_PER_SECOND as f64);
        let mut round = Round::new(self.members.len(), self.first.load(Relaxed), sending, deadline);
        let mut asked = FuturesUnordered::new();
        loop {
            if let Some(at) = round.next() {
                let channel = channels[at].clone();
                asked.push(async move { (at, attempt(channel, request.clone(), token, ATTEMPT + sending).await) });
            }
            tokio::select! {
                biased;
                Some((at, answer)) = asked.next(), if !asked.is_empty() => match answer {
                    Ok(answer) => {
                        self.first.store(at, Relaxed);
                        self.has_answered.store(true, Relaxed);
                        return Ok(answer);
                    }
                    Err(Problem::Refused(why)) => return Err(refused(why, round.is_unknown)),
                    Err(Problem::Stale(why)) => {
                        return Err((CallError { why, is_unknown: round.is_unknown }, true));
                    }
                    Err(Problem::Unsent(why)) => round.failed(at, why, false),
                    Err(Problem::Unclear(why)) => round.failed(at, why, true),
                    Err(Problem::HungUp(why)) => round.failed(at, format!("{why}{}", self.why_hung_up(at)), true),
                },
                () = sleep_until(round.due), if round.has_idle() => {}
                () = sleep_until(round.deadline()) => {
                    return Err(refused(round.nobody(&self.members), round.is_unknown || !asked.is_empty()));
                }
            }
        }
    }

    /// What makes a member hang up that never answered before.
    fn why_hung_up(&self, at: usize) -> &'static str {
        let is_tls = self.members[at].starts_with("https://");
        match (self.has_answered.load(Relaxed), is_tls, &self.access.identity) {
            (false, true, None) => ", as members do that ask for a certificate: `cert` and `key` in `[etcd]`",
            (false, false, _) => ", as members do that speak TLS: `https://` in `[site] journal`",
            _ => "",
        }
    }

    /// One connection for each member, made when it is first used.
    async fn channels(&self) -> Result<&Vec<Channel>, String> {
        self.channels.get_or_try_init(async || self.members.iter().map(|member| self.channel(member)).collect()).await
    }

    fn channel(&self, member: &str) -> Result<Channel, String> {
        let wrong = |error: tonic::transport::Error| format!("`{member}` cannot be used: {}", innermost(&error));
        let endpoint = Endpoint::from_shared(member.to_owned()).map_err(wrong)?.connect_timeout(CONNECT);
        // A connection that died without a word is found out between two calls.
        let endpoint = endpoint.http2_keep_alive_interval(ATTEMPT).keep_alive_timeout(ATTEMPT);
        if !member.starts_with("https://") {
            return Ok(endpoint.connect_lazy());
        }
        let mut tls = ClientTlsConfig::new().timeout(CONNECT);
        tls = match &self.access.ca {
            Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.access.identity {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(endpoint.tls_config(tls).map_err(wrong)?.connect_lazy())
    }

    /// What goes with every call: got for the password at the first one.
    async fn token(&self, deadline: Instant) -> Result<Option<Token>, CallError> {
        let Some((user, file)) = &self.access.user else { return Ok(None) };
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref() {
            return Ok(token.clone());
        }
        let failed = |why: String| CallError { why, is_unknown: false };
        let bytes = read(file).map_err(failed)?;
        let password = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
        let request = AuthenticateRequest { name: user.clone(), password };
        let token = match self.ask(&request, None, deadline).await {
            Ok(answer) => {
                let token = answer.token.parse().map_err(|_| failed("it gave a token that is none".to_owned()))?;
                Some(token)
            }
            // As etcd's own clients do: what asks for no password is open to all.
            Err((error, _)) if error.why.contains("authentication is not enabled") => None,
            Err((error, _)) => return Err(failed(error.why)),
        };
        *held = Some(token.clone());
        Ok(token)
    }
}

/// Which member is asked next, and what the others said.
struct Round {
    first: usize,
    begun: usize,
    busy: Vec<bool>,
    said: Vec<Option<String>>,
    /// Which ones could not be reached when they were asked last.
    unreached: Vec<bool>,
    /// What the request takes on its way.
    sending: Duration,
    /// When the next member is asked.
    due: Instant,
    deadline: Instant,
    down: Instant,
    is_unknown: bool,
}

impl Round {
    fn new(members: usize, first: usize, sending: Duration, deadline: Instant) -> Round {
        let now = Instant::now();
        Round {
            first,
            begun: 0,
            busy: vec![false; members],
            said: vec![None; members],
            unreached: vec![false; members],
            sending,
            due: now,
            deadline,
            down: deadline.min(now + DOWN),
            is_unknown: false,
        }
    }

    fn has_idle(&self) -> bool {
        self.busy.contains(&false)
    }

    fn next(&mut self) -> Option<usize> {
        if Instant::now() < self.due {
            return None;
        }
        let count = self.busy.len();
        let at = (0..count).map(|n| (self.first + self.begun + n) % count).find(|at| !self.busy[*at])?;
        self.begun += 1;
        self.busy[at] = true;
        self.due = Instant::now() + HEDGE + self.sending;
        Some(at)
    }

    fn failed(&mut self, at: usize, why: String, was_sent: bool) {
        self.busy[at] = false;
        self.said[at] = Some(why);
        self.unreached[at] = !was_sent;
        self.is_unknown |= was_sent;
        let pause = if self.begun < self.busy.len() { Duration::ZERO } else { ROUND };
        self.due = Instant::now() + pause;
    }

    fn deadline(&self) -> Instant {
        if self.unreached.contains(&false) { self.deadline } else { self.down }
    }

    fn nobody(&self, members: &[String]) -> String {
        let each = members.iter().zip(&self.said);
        let each = each.map(|(member, said)| format!("`{member}`: {}", said.as_deref().unwrap_or("no answer")));
        format!("{NOBODY} ({})", each.collect::<Vec<_>>().join("; "))
    }
}

fn with<T>(token: Option<&Token>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.clone());
    }
    request
}

async fn attempt<C: Call>(
    channel: Channel,
    request: C,
    token: Option<&Token>,
    bound: Duration,
) -> Result<C::Answer, Problem> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
    let path = PathAndQuery::from_static(C::PATH);
    let asking = async {
        grpc.ready().await.map_err(|error| Problem::Unsent(innermost(&error)))?;
        let answer = grpc.unary(with(token, request), path, ProstCodec::<C, C::Answer>::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| problem(&status))
    };
    let late = |_| Problem::Unclear(format!("no answer within {} s", bound.as_secs()));
    timeout(bound, asking).await.map_err(late)?
}

fn problem(status: &Status) -> Problem {
    let why = if status.source().is_some() { innermost(status) } else { status.message().to_owned() };
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return Problem::Unsent(why);
        }
        cause = error.source();
    }
    match status.code() {
        Code::Unauthenticated => Problem::Stale(why),
        Code::InvalidArgument if why.contains("revision of auth store is old") => Problem::Stale(why),
        Code::ResourceExhausted if why.contains("too many requests") => Problem::Unsent(why),
        _ if status.source().is_some() => Problem::HungUp(why),
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::DataLoss => Problem::Unclear(why),
        _ => Problem::Refused(why),
    }
}

/// What is behind an error: the outer ones only say that there is one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{}` could not be read: {error}", path.display()))
}
