//! The other end of a connection, and what it has done lately.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use hyper::upgrade::OnUpgrade;
use tokio::io::{self, Interest};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::stream::Gathered;

/// A client that is connected by HTTP.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(super) gathered: Mutex<Gathered>,
    pub(super) activity: Arc<Activity>,
    /// What the client goes on with in another protocol.
    pub(super) upgrade: Mutex<Option<OnUpgrade>>,
}

/// What a client has done lately, for [`watch`](super::watch). To count costs the path of a
/// request a few additions and no look at a clock.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Tells the connection to finish its requests and close.
    pub(super) finish: Notify,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    /// The kernel takes no more of what is to be sent.
    pub(super) blocked: AtomicBool,
    /// What comes between requests need not be a request.
    pub(super) has_pings: AtomicBool,
    pub(super) requests: AtomicU64,
    pub(super) in_service: AtomicU32,
    pub(super) in_answer: AtomicU32,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            gathered: Mutex::new(Gathered::default()),
            activity,
            upgrade: Mutex::new(None),
        }
    }

    /// Completes when the client has closed its side, though it may have sent more before.
    pub(crate) async fn closed(&self) -> io::Result<()> {
        // No urgent data is asked for, so the only event that this is woken for is the end
        // of the stream; bytes that lie unread do not hide it.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const END: Interest = Interest::PRIORITY;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const END: Interest = Interest::READABLE;
        if self.stream.ready(END).await?.is_read_closed() {
            return Ok(());
        }
        std::future::pending().await
    }

    /// True if the client has closed its side by now.
    pub(super) fn has_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        pin!(self.closed()).poll(&mut cx).is_ready()
    }
}

/// A request that is being carried out, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct InService<'a>(&'a Activity);

/// An answer that has not left yet, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct InAnswer(Arc<Activity>);

impl<'a> InService<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Self {
        let activity = &*peer.activity;
        activity.requests.fetch_add(1, Relaxed);
        activity.in_service.fetch_add(1, Relaxed);
        Self(activity)
    }
}

impl Drop for InService<'_> {
    fn drop(&mut self) {
        self.0.in_service.fetch_sub(1, Relaxed);
    }
}

impl InAnswer {
    pub(crate) fn new(peer: &Arc<Peer>) -> Self {
        peer.activity.in_answer.fetch_add(1, Relaxed);
        Self(Arc::clone(&peer.activity))
    }
}

impl Drop for InAnswer {
    fn drop(&mut self) {
        self.0.in_answer.fetch_sub(1, Relaxed);
    }
}
