//! One connection, from its first byte to its last.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::gateway;
use super::peer::Peer;
use super::stream::PeerStream;
use crate::config::ConnectionSettings;

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
pub(super) type Http = auto::Builder<TokioExecutor>;

pub(super) fn http(settings: &ConnectionSettings) -> Http {
    let mut http = auto::Builder::new(TokioExecutor::new());
    let mut h1 = http.http1();
    // A client that has closed its sending side still gets its answer; see `gateway` for
    // one that waits.
    h1.half_close(true).max_buf_size(settings.max_header_bytes.as_usize());
    if settings.max_headers != HEADERS_ON_STACK {
        h1.max_headers(usize::try_from(settings.max_headers).unwrap_or(usize::MAX));
    }
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(u32::try_from(settings.max_streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(settings.max_header_bytes.0).unwrap_or(u32::MAX));
    http
}

/// Serves the connection until it ends, or until its current request is answered once
/// [`Peer::finish`] is told.
pub(super) async fn run(peer: Arc<Peer>, shared: Arc<Shared>) {
    converse(&peer, &shared).await;
    // What hyper has said last must be sent, and read.
    if poll_fn(|cx| peer.poll_send(cx)).await.is_ok() {
        linger(&peer.stream).await;
    }
}

async fn converse(peer: &Arc<Peer>, shared: &Arc<Shared>) {
    let io = TokioIo::new(PeerStream(Arc::clone(peer)));
    let service = service_fn(|request| gateway::handle(Arc::clone(shared), Arc::clone(peer), request));
    let mut connection = pin!(shared.http.serve_connection(io, service));
    loop {
        let step = poll_fn(|cx| match (connection.as_mut().poll(cx), peer.poll_send(cx)) {
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (outcome, _) => outcome,
        });
        tokio::select! {
            outcome = step => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = peer.finish.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// Tells a client that there is no room for it.
pub(super) async fn refuse(mut stream: TcpStream) {
    if let Ok(Ok(())) = timeout(LINGER, stream.write_all(REFUSAL)).await {
        linger(&stream).await;
    }
}

/// Closes the sending side and reads what the client has sent, for a while: a socket that
/// is closed with bytes unread takes back what the client has not read yet.
async fn linger(stream: &TcpStream) {
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
    let _: Result<io::Result<()>, _> = timeout(LINGER, closing).await;
}
