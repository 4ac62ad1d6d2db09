//! One GET over a unix socket, on a connection of its own.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::edge::host::{HostError, chain, last_lines, seconds};

/// An answer's body beyond this is not read.
pub const MAX_BODY: usize = 64 * 1024;

/// A GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query, beginning with `/`.
    pub path: String,
    /// The Host header.
    pub host: String,
    /// More headers (name, value); one named Host wins over `host`.
    pub headers: Vec<(String, String)>,
    /// For all of it, from the connection to the last byte that is read.
    pub timeout: Duration,
    /// Bytes of the body that are read; the rest is left unread.
    pub max_body: usize,
}

impl Request {
    /// Bounded by two seconds and [`MAX_BODY`].
    pub fn new(path: impl Into<String>, host: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(2);
        Self { path: path.into(), host: host.into(), headers: Vec::new(), timeout, max_body: MAX_BODY }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body, at most `max_body`.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value as text; `None` when it is missing or no text. The first, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text, whatever is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The last `count` lines of the body, fit for a message.
    pub fn tail(&self, count: usize) -> String {
        last_lines(&self.text(), count)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProbeError {
    /// The way there is gone: the ssh connection, not the target.
    #[error("the forwarded connection is gone: {detail}")]
    NoWay { detail: String },
    /// The connection ended without a byte: nothing listens there, or sshd may not forward.
    #[error("connection refused or closed without an answer")]
    NoAnswer,
    /// No complete answer in time.
    #[error("no answer within {}", seconds(*after))]
    TimedOut { after: Duration },
    /// Something answered that is not HTTP, or broke off.
    #[error("not a whole HTTP answer: {detail}")]
    BadAnswer { detail: String },
    /// The request cannot be made: the inventory names what is no path or header, or asks for what is not supported.
    #[error("{detail}")]
    BadRequest { detail: String },
    /// The host through which to ask was not reached before a wait was over.
    #[error("`{host}` could not be reached in time")]
    NotReached { host: String },
    /// The host through which to ask could not be reached.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl ProbeError {
    /// The host through which was asked, where it is at fault.
    pub fn viewpoint(&self) -> Option<&str> {
        match self {
            Self::NotReached { host } => Some(host),
            Self::Host(error) => Some(error.host()),
            _ => None,
        }
    }

    /// Whether it says something of the host through which was asked and nothing of the target.
    pub fn is_of_viewpoint(&self) -> bool {
        matches!(self, Self::NoWay { .. } | Self::NotReached { .. } | Self::Host(_))
    }
}

/// Sends `request` over the socket and reads the answer, on one connection that is closed afterwards.
pub async fn get(socket: &Path, request: &Request) -> Result<Answer, ProbeError> {
    match tokio::time::timeout(request.timeout, exchange(socket, request)).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::TimedOut { after: request.timeout }),
    }
}

async fn exchange(socket: &Path, request: &Request) -> Result<Answer, ProbeError> {
    let message = message(request)?;
    let stream = UnixStream::connect(socket).await.map_err(|e| ProbeError::NoWay { detail: e.to_string() })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    let exchange = async {
        let response = sender.send_request(message).await.map_err(|e| failed(&e))?;
        let (head, body) = response.into_parts();
        let body = read_body(body, request.max_body).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    let mut exchange = std::pin::pin!(exchange);
    // The connection is driven here and not in a task: it ends with the exchange, whoever drops that.
    tokio::select! {
        biased;
        result = &mut exchange => result,
        _ = connection => exchange.await,
    }
}

fn message(request: &Request) -> Result<hyper::Request<Empty<Bytes>>, ProbeError> {
    let bad = |what: &str, value: &str| ProbeError::BadRequest { detail: format!("`{value}` is no {what}") };
    let mut message =
        hyper::Request::builder().uri(&request.path).body(Empty::new()).map_err(|_| bad("path", &request.path))?;
    if !request.path.starts_with('/') {
        return Err(bad("path", &request.path));
    }
    let headers = message.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&request.host).map_err(|_| bad("Host header", &request.host))?);
    headers.insert(USER_AGENT, HeaderValue::from_static("bg-health"));
    headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name).map_err(|_| bad("header name", name))?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| bad("header value", value))?);
    }
    Ok(message)
}

async fn read_body(mut body: Incoming, max: usize) -> Result<Vec<u8>, ProbeError> {
    let mut read = Vec::new();
    while read.len() < max {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(broke_off)?.into_data() {
            let room = max - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(read)
}

fn broke_off(error: hyper::Error) -> ProbeError {
    ProbeError::BadAnswer { detail: format!("the body broke off: {}", chain(&error)) }
}

/// What hyper's error means here. A forward to where nothing listens is accepted and then closed.
fn failed(error: &hyper::Error) -> ProbeError {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let closed = io.is_some_and(|e| {
        matches!(
            e.kind(),
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::NotConnected
        )
    });
    // hyper calls a close before the first byte of the answer, and one in the middle of the head, both incomplete.
    if closed || error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        ProbeError::NoAnswer
    } else {
        ProbeError::BadAnswer { detail: chain(error) }
    }
}
