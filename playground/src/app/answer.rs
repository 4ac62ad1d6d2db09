//! What the demo application answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Running;

/// The longest delay and the longest body that a request may ask for.
const LONGEST_MS: u64 = 600_000;
const LARGEST: u64 = 1 << 30;
/// A slow download comes in this many pieces.
const PIECES: u64 = 20;

pub(super) type Answer = Response<Either<Full<Bytes>, Drip>>;

/// Answers one request; reads its body first, however slowly it comes.
pub(super) async fn answer(running: &Running, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let asked = |name: &str| number(head.uri.query().unwrap_or_default(), name);
    let Some(received) = length(body).await else {
        return text(running, StatusCode::BAD_REQUEST, &path, 0);
    };
    let wait_ms = running.app.behaviour.answers_after_ms;
    if wait_ms > 0 {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
    if running.app.behaviour.broken.contains(&path) {
        return text(running, StatusCode::INTERNAL_SERVER_ERROR, &path, received);
    }
    let ms = asked("ms").min(LONGEST_MS);
    // A pool that stands behind a prefix is asked for /api/slow: only the last part counts.
    match path.rsplit('/').next().unwrap_or_default() {
        "healthz" => text(running, health(running), &path, received),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            text(running, StatusCode::OK, &path, received)
        }
        "download" => {
            let bytes = asked("bytes").min(LARGEST);
            respond(running, StatusCode::OK, "application/octet-stream", Either::Right(Drip::new(bytes, ms)))
        }
        _ => text(running, StatusCode::OK, &path, received),
    }
}

/// The body's length; nothing when the client gave up.
async fn length(mut body: Incoming) -> Option<u64> {
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame.ok()?.data_ref().map_or(0, |bytes| bytes.len() as u64);
    }
    Some(received)
}

fn health(running: &Running) -> StatusCode {
    let behaviour = &running.app.behaviour;
    let up_ms = u64::try_from(running.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let sick = behaviour.unhealthy
        || up_ms < behaviour.healthy_after_ms
        || behaviour.unhealthy_after_ms.is_some_and(|from_ms| up_ms >= from_ms);
    if sick { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

fn number(query: &str, name: &str) -> u64 {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(0)
}

fn text(running: &Running, status: StatusCode, path: &str, received: u64) -> Answer {
    let serving = &running.serving;
    let said = json!({
        "release": label(running), "pool": serving.pool, "half": serving.half, "host": serving.host,
        "path": path, "status": status.as_u16(), "received": received,
    });
    respond(running, status, "application/json", Either::Left(Full::from(format!("{said}\n"))))
}

fn label(running: &Running) -> &str {
    running.app.behaviour.answers.as_deref().unwrap_or(&running.app.release)
}

fn respond(running: &Running, status: StatusCode, kind: &str, body: Either<Full<Bytes>, Drip>) -> Answer {
    let serving = &running.serving;
    let built = Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("x-release", label(running))
        .header("x-pool", &serving.pool)
        .header("x-half", &serving.half)
        .header("x-host", &serving.host)
        .body(body);
    // Only a label that is no header value could fail here.
    built.unwrap_or_else(|_| {
        let mut plain = Response::new(Either::Left(Full::from("a header could not be written\n")));
        *plain.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}

/// A body of known length that comes in pieces, evenly over some time.
pub(super) struct Drip {
    left: u64,
    piece: u64,
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl Drip {
    fn new(bytes: u64, over_ms: u64) -> Drip {
        let pieces = if over_ms == 0 { 1 } else { PIECES };
        Drip {
            left: bytes,
            piece: bytes.div_ceil(pieces).max(1),
            every: Duration::from_millis(over_ms / pieces),
            next: Box::pin(sleep_until(Instant::now())),
        }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.next.as_mut().poll(cx));
        let size = self.piece.min(self.left);
        self.left -= size;
        let next = self.next.deadline() + self.every;
        self.next.as_mut().reset(next);
        let bytes = Bytes::from(vec![b'x'; usize::try_from(size).unwrap_or(0)]);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
