//! The wire protocol, over TCP, Unix sockets and WebSockets.
//!
//! What frames mean is decided by [`burrow_core::wire`]; this module moves their bytes.

mod conversation;
mod listener;
mod stream;
mod web_socket;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use burrow_core::wire::{self, Failure, Offer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub(super) use listener::Accepting;
pub use listener::WireListener;
pub(crate) use stream::Stream;
pub(super) use web_socket::WebSocket;

use super::Shared;
use super::peer::Activity;
use conversation::Conversation;
use stream::Carrier;

/// How long a client may take to read the last that it is told.
const LINGER: Duration = Duration::from_secs(1);

/// Serves the connection until it ends, or until its requests are answered once
/// [`Activity::finish`] is told.
pub(super) async fn run(stream: impl Carrier, activity: Arc<Activity>, shared: Arc<Shared>) {
    let is_stopping = shared.stopping.load(Relaxed);
    let mut conversation = Conversation::new(stream, offer(&shared), Arc::clone(&activity), shared);
    if is_stopping {
        conversation.finish();
    }
    let ended = loop {
        // Both are left off only where nothing is lost.
        tokio::select! {
            ended = conversation.go_on() => break ended,
            () = activity.finish.notified() => conversation.finish(),
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    linger(conversation.into_stream()).await;
}

/// Tells a client that there is no room for it.
pub(super) async fn refuse(mut stream: Stream) {
    let mut session = wire::Session::new(Offer::default());
    let mut out = Vec::new();
    let told = pin!(async {
        while session.next(&mut out).is_none() {
            if stream.read_buf(session.received()).await? == 0 {
                return Ok(());
            }
        }
        session.end(&Failure::Busy, &mut out);
        stream.write_all(&out).await
    });
    if let Ok(Ok(())) = timeout(LINGER, told).await {
        linger(stream).await;
    }
}

pub(super) fn offer(shared: &Shared) -> Offer {
    let settings = &shared.settings;
    let in_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Offer {
        max_frame_bytes: in_u32(settings.max_request_bytes.0).max(wire::LEAST_FRAME_BYTES),
        max_in_flight: in_u32(settings.max_in_flight),
        max_batch_messages: shared.rest.max_batch_messages,
    }
}

/// Closes the sending side and reads what the client has sent, for a while: a socket that
/// is closed with bytes unread takes back what the client has not read yet.
async fn linger(mut stream: impl Carrier) {
    let closing = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // A client that does not listen is none of our concern.
    let _ = timeout(LINGER, closing).await;
}
