//! Request bodies, read whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;

/// A body makes progress if so much of it arrives in time.
const PROGRESS_BYTES: usize = 64 << 10;
/// How much of a body that is too large is read and thrown away, so that the client gets
/// to see the answer.
const DISCARDED_BYTES: usize = 64 << 20;

/// Why a body was not read. What is left of it comes along.
#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge(Incoming),
    TooSlow,
    NoRoom,
    /// The client broke off, or what it sent is not HTTP.
    Broken(hyper::Error),
}

/// Reads a body to its end.
pub(super) async fn collect(mut body: Incoming, shared: &Shared) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let maximum = shared.settings.max_request_bytes;
    if body.size_hint().lower() > maximum.0 {
        return Err(BodyError::TooLarge(body));
    }
    let mut pace = Pace::new(shared.settings.body_timeout.duration());
    // Nearly every body comes in one piece, which is then used as it is.
    let Some(first) = pace.next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() as u64 <= maximum.0 {
        return Ok(first);
    }
    let mut arriving = Arriving { shared, bytes: 0 };
    let mut whole = Vec::new();
    let mut next = Some(first);
    while let Some(piece) = next {
        if (whole.len() + piece.len()) as u64 > maximum.0 {
            return Err(BodyError::TooLarge(body));
        }
        arriving.add(piece.len())?;
        whole.extend_from_slice(&piece);
        next = pace.next(&mut body).await?;
    }
    Ok(whole.into())
}

/// Reads on in the background, for a while.
pub(super) fn discard(mut body: Incoming, time: Duration) {
    tokio::spawn(timeout(time, async move {
        let mut bytes = 0;
        while bytes < DISCARDED_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    }));
}

/// How fast a body comes.
struct Pace {
    allowed: Duration,
    deadline: Option<Instant>,
    bytes: usize,
}

impl Pace {
    fn new(allowed: Duration) -> Self {
        Self {
            allowed,
            deadline: None,
            bytes: 0,
        }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
        loop {
            let Some(frame) = self.frame(body).await? else {
                return Ok(None);
            };
            // What is not data is a trailer, which nobody here has a use for.
            let Ok(piece) = frame.map_err(BodyError::Broken)?.into_data() else {
                continue;
            };
            self.bytes += piece.len();
            if self.bytes >= PROGRESS_BYTES {
                self.bytes = 0;
                self.deadline = None;
            }
            return Ok(Some(piece));
        }
    }

    async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, BodyError> {
        let ready = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
        if let Poll::Ready(frame) = ready {
            return Ok(frame);
        }
        let deadline = *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.allowed);
        timeout_at(deadline, body.frame())
            .await
            .map_err(|_| BodyError::TooSlow)
    }
}

/// A share of the bytes that all arriving bodies may have.
struct Arriving<'a> {
    shared: &'a Shared,
    bytes: u64,
}

impl Arriving<'_> {
    fn add(&mut self, bytes: usize) -> Result<(), BodyError> {
        let bytes = bytes as u64;
        self.bytes += bytes;
        let before = self.shared.arriving_bytes.fetch_add(bytes, Relaxed);
        if before + bytes > self.shared.settings.max_arriving_bytes.0 {
            return Err(BodyError::NoRoom);
        }
        Ok(())
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.shared.arriving_bytes.fetch_sub(self.bytes, Relaxed);
    }
}
