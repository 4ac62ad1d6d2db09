//! A slow body: what a slow client uploads, or a slow answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A slow body comes in this many pieces.
const PIECES: u64 = 20;

/// A body of known length that comes in pieces, evenly over some time.
pub(crate) struct Drip {
    left: u64,
    piece: u64,
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl Drip {
    /// `bytes` in all, the last of them after nearly `over_ms`.
    pub(crate) fn new(bytes: u64, over_ms: u64) -> Drip {
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
