//! What the demo application answers.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::json;

use super::Running;
use crate::drip::Drip;

/// The longest delay and the longest body that a request may ask for.
const LONGEST_MS: u64 = 600_000;
const LARGEST: u64 = 1 << 30;

pub(super) type Answer = Response<Either<Full<Bytes>, Drip>>;

/// Answers one request; reads its body first, however slowly it comes.
pub(super) async fn answer(running: &Running, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let asked = |name: &str| number(head.uri.query().unwrap_or_default(), name);
    let Some(received) = length(body).await else {
        return text(running, StatusCode::BAD_REQUEST, &path, 0);
    };
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
        || behaviour.unhealthy_while.as_deref().is_some_and(Path::exists);
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
