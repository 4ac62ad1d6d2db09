//! One keepalive connection to a balancer, and what counts as a failed request on it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tally::Answered;
use crate::drip::Drip;

/// Longer than anything the load asks for: an answer that is later is a failure.
const ANSWER: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that is closed before anything was sent on it is replaced, at most so many times for a request.
const REPLACED: usize = 3;

pub(super) type Sent = Either<Full<Bytes>, Drip>;

/// A request to be made; it can be made again, as long as nothing of it was sent.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) agent: String,
    /// Bytes that are uploaded.
    pub(super) upload: u64,
    /// Time over which they are uploaded, in milliseconds.
    pub(super) over_ms: u64,
    /// Length that the answer's body must have, where that is known.
    pub(super) expects: Option<u64>,
}

impl Ask {
    fn request(&self) -> Result<Request<Sent>, String> {
        let body = if self.over_ms > 0 {
            Either::Right(Drip::new(self.upload, self.over_ms))
        } else {
            Either::Left(Full::from(vec![b'x'; usize::try_from(self.upload).unwrap_or(0)]))
        };
        Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header("host", "shop.test")
            .header("user-agent", &self.agent)
            .body(body)
            .map_err(|error| format!("not a request: {error}"))
    }
}

/// A keepalive connection, opened when it is needed.
pub(super) struct Connection {
    pub(super) to: SocketAddr,
    sender: Option<SendRequest<Sent>>,
}

impl Connection {
    pub(super) fn new(to: SocketAddr) -> Connection {
        Connection { to, sender: None }
    }

    /// Makes a request and reads its answer to the end; the error says what a user would have suffered.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Result<Answered, String> {
        let asked = timeout(ANSWER, self.ask_unbounded(ask)).await;
        let answered = asked.unwrap_or_else(|_| Err(format!("no whole answer within {} s", ANSWER.as_secs())));
        if answered.is_err() {
            self.sender = None;
        }
        answered
    }

    async fn ask_unbounded(&mut self, ask: &Ask) -> Result<Answered, String> {
        for _ in 0..REPLACED {
            let mut sender = self.open().await?;
            // A server may close an idle connection; a client that sees it before it sends opens another one.
            if sender.ready().await.is_err() {
                continue;
            }
            let response = match sender.send_request(ask.request()?).await {
                Ok(response) => response,
                // Nothing of the request had been sent.
                Err(error) if error.is_canceled() => continue,
                Err(error) => return Err(chain(&error)),
            };
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| format!("answer cut short: {}", chain(&error)))?;
            let body = body.to_bytes();
            check(ask, head.status.as_u16(), &body)?;
            let header = |name: &str| {
                let value = head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                value.ok_or_else(|| format!("the answer has no {name}"))
            };
            self.sender = Some(sender);
            return Ok(Answered { half: header("x-half")?, host: header("x-host")?, release: header("x-release")? });
        }
        Err(format!("{REPLACED} connections in a row were closed before a request could be sent"))
    }

    async fn open(&mut self) -> Result<SendRequest<Sent>, String> {
        if let Some(sender) = self.sender.take().filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        let stream = timeout(CONNECT, TcpStream::connect(self.to))
            .await
            .map_err(|_| format!("not connected within {} s", CONNECT.as_secs()))?
            .map_err(|error| format!("cannot connect: {error}"))?;
        let _delayed = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        // What goes wrong on the connection is reported by the request on it.
        drop(tokio::spawn(connection));
        Ok(sender)
    }
}

fn check(ask: &Ask, status: u16, body: &Bytes) -> Result<(), String> {
    if !(200..300).contains(&status) {
        let said = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        return Err(format!("answered {status}: {said}"));
    }
    if let Some(expected) = ask.expects.filter(|expected| *expected != body.len() as u64) {
        return Err(format!("the answer has {} bytes instead of {expected}", body.len()));
    }
    let received = format!("\"received\":{}", ask.upload);
    if ask.upload > 0 && !String::from_utf8_lossy(body).contains(&received) {
        return Err(format!("of {} bytes sent the server received others", ask.upload));
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
