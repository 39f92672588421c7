//! The other end of a connection, and what it has done lately.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::io::{self, Interest};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::stream::Gathered;

/// A connected client. The counters are for [`watch`](super::watch): they cost the path
/// of a request a few additions and no look at a clock.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// Tells the connection to finish its request and close.
    pub(crate) finish: Notify,
    pub(super) gathered: Mutex<Gathered>,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    /// The kernel takes no more of what is to be sent.
    pub(super) blocked: AtomicBool,
    pub(super) is_h2: AtomicBool,
    pub(super) requests: AtomicU64,
    pub(super) in_service: AtomicU32,
    pub(super) in_answer: AtomicU32,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            finish: Notify::new(),
            gathered: Mutex::new(Gathered::default()),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            is_h2: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            in_service: AtomicU32::new(0),
            in_answer: AtomicU32::new(0),
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
}

/// A request that is being carried out, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct InService<'a>(&'a Peer);

/// An answer that has not left yet, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct InAnswer(Arc<Peer>);

impl<'a> InService<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Self {
        peer.requests.fetch_add(1, Relaxed);
        peer.in_service.fetch_add(1, Relaxed);
        Self(peer)
    }
}

impl Drop for InService<'_> {
    fn drop(&mut self) {
        self.0.in_service.fetch_sub(1, Relaxed);
    }
}

impl InAnswer {
    pub(crate) fn new(peer: &Arc<Peer>) -> Self {
        peer.in_answer.fetch_add(1, Relaxed);
        Self(Arc::clone(peer))
    }
}

impl Drop for InAnswer {
    fn drop(&mut self) {
        self.0.in_answer.fetch_sub(1, Relaxed);
    }
}
