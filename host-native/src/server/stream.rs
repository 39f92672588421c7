//! A socket as hyper wants it: shared with whoever must see the client go, and writing
//! only when told.
//!
//! hyper flushes every answer by itself. Its own remedy, `pipeline_flush`, keeps answers
//! back for as long as anything unread is in its buffer: behind a request that waits, or
//! half of a request, a client would not learn that its message is stored. So what hyper
//! writes is gathered here, and sent when the connection's task has nothing more to do at
//! the moment: answers to pipelined requests leave together, and none is kept back.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::peer::Peer;

/// Bytes that are gathered, at the most. More are sent as they come.
const GATHERED_BYTES: usize = 64 << 10;

/// Reads from and writes to the peer's socket, and keeps its counters.
#[derive(Debug)]
pub(super) struct PeerStream {
    peer: Arc<Peer>,
    /// What was read already, for whoever reads on.
    unread: Vec<u8>,
}

/// What was written and is not sent yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    sent: usize,
}

impl PeerStream {
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        Self::with_unread(peer, Vec::new())
    }

    /// A stream that begins with these bytes.
    pub(super) fn with_unread(peer: Arc<Peer>, unread: Vec<u8>) -> Self {
        Self { peer, unread }
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Gathered {
    /// Frees the room of what is sent once it is as much as the rest: a client that is always a
    /// little behind would have it grow for ever.
    fn forget_sent(&mut self) {
        if self.sent >= self.bytes.len() - self.sent {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

impl Peer {
    /// Bytes that were gathered and are not sent yet.
    pub(super) fn unsent(&self) -> usize {
        let gathered = self.gathered();
        gathered.bytes.len() - gathered.sent
    }

    /// Has `write` append to what is to be sent, and gives how many bytes that are.
    pub(super) fn gather(&self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let mut gathered = self.gathered();
        gathered.forget_sent();
        write(&mut gathered.bytes);
        gathered.bytes.len() - gathered.sent
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what was gathered. It must be called whenever the connection's task is about
    /// to rest; the context's task is woken when more can be sent.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.gathered();
        while let Some(unsent @ [_, ..]) = gathered.bytes.get(gathered.sent..) {
            let sent = ready!(self.poll_write_with(cx, || self.stream.try_write(unsent)))?;
            gathered.sent += sent;
        }
        // An idle connection keeps no buffer.
        *gathered = Gathered::default();
        Poll::Ready(Ok(()))
    }

    /// Gathers the slices, or sends them at once if they are too much to gather.
    fn poll_take(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut gathered = self.gathered();
        if gathered.bytes.len() + length <= GATHERED_BYTES {
            slices
                .iter()
                .for_each(|slice| gathered.bytes.extend_from_slice(slice));
            return Poll::Ready(Ok(length));
        }
        drop(gathered);
        ready!(self.poll_send(cx))?;
        self.poll_write_with(cx, || self.stream.try_write_vectored(slices))
    }

    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else {
                self.activity.blocked.store(true, Relaxed);
                return Poll::Pending;
            };
            ready?;
            match write() {
                Ok(bytes) => {
                    self.activity.bytes_out.fetch_add(bytes as u64, Relaxed);
                    self.activity.blocked.store(false, Relaxed);
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { peer, unread } = self.get_mut();
        if !unread.is_empty() {
            let bytes = unread.len().min(buf.remaining());
            buf.put_slice(&unread[..bytes]);
            match bytes == unread.len() {
                true => *unread = Vec::new(),
                false => drop(unread.drain(..bytes)),
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(peer.stream.poll_read_ready(cx))?;
            let mut read = None;
            // A read that does not fill the buffer has emptied the socket. Saying so in
            // the same breath saves the call that would find that out.
            let outcome = peer.stream.try_io(Interest::READABLE, || {
                let bytes = peer.stream.try_read_buf(buf)?;
                read = Some(bytes);
                if bytes > 0 && buf.remaining() > 0 {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match (read, outcome) {
                (Some(bytes), _) => {
                    peer.activity.bytes_in.fetch_add(bytes as u64, Relaxed);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, outcome) => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.peer.poll_take(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.peer.poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: see [`Peer::poll_send`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.peer.poll_send(cx))?;
        Poll::Ready(socket2::SockRef::from(&self.peer.stream).shutdown(std::net::Shutdown::Write))
    }
}
