//! One connection, from its first byte to its last.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::gateway;
use super::peer::Peer;
use super::plain;
use super::stream::PeerStream;
use super::{Shared, upgrade};
use crate::config::ConnectionSettings;

/// How HTTP/2 by prior knowledge begins. No method of HTTP/1 does, and no client sends
/// less of it at first.
const H2_START: &[u8; 3] = b"PRI";
/// A connection that has carried out so many requests in one turn has probably only paused.
const MANY_REQUESTS: u64 = 8;
/// Turns that a connection has one after the other before others have theirs.
const MAX_TURNS: usize = 16;
/// Headers that hyper takes without an allocation for each request.
const HEADERS_ON_STACK: u64 = 100;
/// How often an HTTP/2 client is asked whether it is still there, and how long it may
/// take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take to read the last that it is told.
const LINGER: Duration = Duration::from_secs(1);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=UTF-8\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 42\r\n\r\nToo many connections: nothing was done yet";

/// HTTP as this server speaks it, for all its connections.
#[derive(Debug)]
pub(super) struct Http {
    h1: http1::Builder,
    h2: http2::Builder<TokioExecutor>,
}

impl Http {
    pub(super) fn new(settings: &ConnectionSettings) -> Self {
        let mut h1 = http1::Builder::new();
        // A client that has closed its sending side still gets its answer; see `gateway`
        // for one that waits.
        h1.half_close(true)
            .max_buf_size(settings.max_header_bytes.as_usize());
        if settings.max_headers != HEADERS_ON_STACK {
            h1.max_headers(usize::try_from(settings.max_headers).unwrap_or(usize::MAX));
        }
        let mut h2 = http2::Builder::new(TokioExecutor::new());
        h2.timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(u32::try_from(settings.max_streams).unwrap_or(u32::MAX))
            .max_header_list_size(u32::try_from(settings.max_header_bytes.0).unwrap_or(u32::MAX));
        Self { h1, h2 }
    }
}

/// Serves the connection until it ends, or until its current request is answered once
/// [`Peer::finish`] is told.
pub(super) async fn run(peer: Arc<Peer>, shared: Arc<Shared>) {
    converse(&peer, &shared).await;
    // What hyper has said last must be sent, and read.
    if poll_fn(|cx| peer.poll_send(cx)).await.is_ok() {
        // A server that stops does not wait for what may come, only for what has come.
        let is_stopping = shared.stopping.load(Relaxed);
        linger(
            &peer.stream,
            if is_stopping { Duration::ZERO } else { LINGER },
        )
        .await;
    }
}

async fn converse(peer: &Arc<Peer>, shared: &Arc<Shared>) {
    // The first bytes are only looked at: hyper's own detection takes them out and puts
    // them back, for which every connection pays with twice the buffer.
    let mut start = [0; H2_START.len()];
    let bytes = tokio::select! {
        peeked = peer.stream.peek(&mut start) => match peeked {
            Ok(bytes) => bytes,
            Err(_) => return,
        },
        () = peer.activity.finish.notified() => return,
    };
    let service =
        service_fn(|request| gateway::handle(Arc::clone(shared), Arc::clone(peer), request));
    if start[..bytes] == *H2_START {
        let io = TokioIo::new(PeerStream::new(Arc::clone(peer)));
        let connection = Box::pin(shared.http.h2.serve_connection(io, service));
        drive(connection, http2::Connection::graceful_shutdown, peer).await;
    } else if let Some(unread) = converse_plainly(peer, shared).await {
        let io = TokioIo::new(PeerStream::with_unread(Arc::clone(peer), unread));
        let connection = shared.http.h1.serve_connection(io, service);
        // In a box, so that a connection that does not come here has no room for it.
        let connection = Box::pin(connection.with_upgrades());
        drive(
            connection,
            http1::UpgradeableConnection::graceful_shutdown,
            peer,
        )
        .await;
        Box::pin(upgrade::go_on(peer, shared)).await;
    }
}

/// Carries out requests for as long as they are plain. Then it gives what was not read yet,
/// unless the connection has ended.
async fn converse_plainly(peer: &Arc<Peer>, shared: &Arc<Shared>) -> Option<Vec<u8>> {
    let mut conversation = plain::Conversation::new(peer, shared);
    let ended = loop {
        // Both are left off only where nothing is lost.
        tokio::select! {
            ended = conversation.go_on() => break ended,
            () = peer.activity.finish.notified() => conversation.finish(),
        }
    };
    match ended {
        Ok(plain::Ended::Unusual(unread)) => Some(unread),
        Ok(plain::Ended::Closed) => None,
        Err(error) => {
            tracing::debug!(%error, "connection ended");
            None
        }
    }
}

async fn drive<C>(
    mut connection: Pin<impl DerefMut<Target = C>>,
    finish: fn(Pin<&mut C>),
    peer: &Peer,
) where
    C: Future<Output = hyper::Result<()>>,
{
    loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(outcome) = poll_on(connection.as_mut(), peer, cx) {
                return Poll::Ready(outcome.map_err(io::Error::other));
            }
            match peer.poll_send(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        });
        tokio::select! {
            outcome = step => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = peer.activity.finish.notified() => finish(connection.as_mut()),
        }
    }
}

/// Polls until there is nothing to do at the moment: hyper rests after 16 requests, so that
/// other tasks have their turn, and what is sent at each rest would leave in many pieces.
fn poll_on<C>(
    mut connection: Pin<&mut C>,
    peer: &Peer,
    cx: &mut Context<'_>,
) -> Poll<Result<(), hyper::Error>>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut requests = peer.activity.requests.load(Relaxed);
    for _ in 0..MAX_TURNS {
        if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        let before = std::mem::replace(&mut requests, peer.activity.requests.load(Relaxed));
        if requests.wrapping_sub(before) < MANY_REQUESTS {
            break;
        }
    }
    Poll::Pending
}

/// Tells a client that there is no room for it.
pub(super) async fn refuse(mut stream: TcpStream) {
    if let Ok(Ok(())) = timeout(LINGER, stream.write_all(REFUSAL)).await {
        linger(&stream, LINGER).await;
    }
}

/// Closes the sending side and reads what the client has sent, for a while: a socket that
/// is closed with bytes unread takes back what the client has not read yet.
async fn linger(stream: &TcpStream, time: Duration) {
    let closing = async {
        socket2::SockRef::from(stream).shutdown(Shutdown::Write)?;
        let mut unread = Vec::with_capacity(1024);
        loop {
            stream.readable().await?;
            unread.clear();
            match stream.try_read_buf(&mut unread) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    };
    // A client that does not listen is none of our concern.
    let _: Result<io::Result<()>, _> = timeout(time, closing).await;
}
