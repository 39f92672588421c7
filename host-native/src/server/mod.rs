//! HTTP and the wire protocol in front of an engine, or of a proxy's servers.
//!
//! This module only moves bytes: what a request means and how it is answered is decided by
//! [`burrow_core::rest`]. Paths, methods and answers are all in that front-end, so only the
//! server's own pages are routed here.

mod body;
mod connection;
mod gateway;
mod peer;
mod plain;
mod response;
mod stream;
mod upgrade;
mod watch;
mod wire;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use burrow_core::rest::RestConfig;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::config::ConnectionSettings;
use crate::desk::{Desk, Health};
use crate::engine::{Engine, ManualClock};
use connection::{Http, refuse};
use watch::Connections;
pub(crate) use wire::Stream;
pub use wire::WireListener;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;
/// How long a server that stops lets clients take their answers.
const GRACE: Duration = Duration::from_millis(3500);
/// How long a server that stops takes at the most.
const STOP: Duration = Duration::from_millis(4800);
/// How often a server that stops ends waits that began in the meantime.
const RELEASE_INTERVAL: Duration = Duration::from_millis(50);
/// Rest after a connection could not be accepted, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refused connections that are told why, at a time. Beyond them they are just closed.
const REFUSALS: usize = 64;
/// A peer that is gone without a word is noticed after about twice this time.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    desk: Desk,
    rest: RestConfig,
    settings: ConnectionSettings,
    http: Http,
    pages: Router,
    manual_time: Option<ManualTime>,
    /// Bytes of bodies that have arrived in part.
    arriving_bytes: AtomicU64,
    /// The server stops: a request that comes now is not carried out.
    stopping: AtomicBool,
}

/// An engine and its clock, if requests may move that.
#[derive(Clone, Debug)]
pub struct ManualTime {
    pub engine: Engine,
    /// The one that the engine was started with.
    pub clock: Arc<ManualClock>,
}

/// Why a server ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot serve the socket: {0}")]
    Socket(#[from] io::Error),
    #[error("the engine stopped: {0}")]
    Engine(String),
    /// What was answered is stored. What was not answered may be stored or not.
    #[error("the storage did not finish in time; what was answered is stored")]
    Unfinished,
}

/// Where clients connect.
#[derive(Debug)]
pub struct Listeners {
    pub http: StdListener,
    /// For the wire protocol.
    pub wire: Vec<WireListener>,
}

impl From<StdListener> for Listeners {
    fn from(http: StdListener) -> Self {
        Self {
            http,
            wire: Vec::new(),
        }
    }
}

/// Opens a socket to listen on. Connections are held until [`serve`] takes them.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of an earlier server that are not quite gone do not keep the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Serves what is behind the desk on the sockets until `stop` completes, then lets clients
/// finish and stops it. With a `manual_time` requests to `/clock` move it. Must be called in
/// a tokio runtime with I/O and time.
pub async fn serve(
    listeners: impl Into<Listeners>,
    desk: Desk,
    manual_time: Option<ManualTime>,
    rest: RestConfig,
    settings: ConnectionSettings,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Listeners { http, wire } = listeners.into();
    let listener = TcpListener::from_std(http)?;
    let wire = wire::Accepting::new(wire)?;
    let shared = Arc::new(Shared {
        desk,
        rest: RestConfig {
            manual_clock: manual_time.is_some() || rest.manual_clock,
            ..rest
        },
        manual_time,
        http: Http::new(&settings),
        pages: gateway::pages(),
        settings,
        arriving_bytes: AtomicU64::new(0),
        stopping: AtomicBool::new(false),
    });
    let mut server = Server {
        connections: Connections::new(&shared.settings),
        shared,
        refusals: Arc::new(Semaphore::new(REFUSALS)),
    };
    let outcome = server.accept_until(&listener, &wire, stop).await;
    drop((listener, wire));
    let end = Instant::now() + STOP;
    server.drain().await;
    if timeout_at(end, server.shared.desk.stop()).await.is_err() {
        return Err(ServeError::Unfinished);
    }
    match (outcome, server.shared.desk.health()) {
        (
            Ok(()),
            Health::Stopped {
                failure: Some(failure),
            },
        ) => Err(ServeError::Engine(failure)),
        (outcome, _) => outcome,
    }
}

struct Server {
    shared: Arc<Shared>,
    connections: Connections,
    refusals: Arc<Semaphore>,
}

impl Server {
    async fn accept_until(
        &mut self,
        listener: &TcpListener,
        wire: &wire::Accepting,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let mut health = self.shared.desk.watch_health();
        let mut failed = pin!(async move {
            match health
                .wait_for(|health| matches!(health, Health::Stopped { .. }))
                .await
            {
                Ok(health) => format!("{:?}", *health),
                Err(_) => "its thread ended".to_owned(),
            }
        });
        let mut stop = pin!(stop);
        let mut sweep = interval(self.connections.sweep_interval());
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                reason = &mut failed => return Err(ServeError::Engine(reason)),
                _ = sweep.tick() => self.connections.sweep(Instant::now()),
                () = self.connections.reap() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => self.take(stream, address),
                    Err(error) => pause_after(&error).await,
                },
                accepted = wire.accept() => match accepted {
                    Ok(stream) => self.take_wire(stream),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
    }

    fn take(&mut self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%address, %error, "connection lost at once");
            return;
        }
        if self.connections.len() < self.shared.settings.max_connections {
            self.connections.add(stream, &self.shared);
        } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            tracing::debug!(%address, "connection refused: max_connections are open");
            tokio::spawn(async move {
                refuse(stream).await;
                drop(permit);
            });
        }
    }

    fn take_wire(&mut self, stream: wire::Stream) {
        if self.connections.len() < self.shared.settings.max_connections {
            self.connections.add_wire(stream, &self.shared);
        } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            tokio::spawn(async move {
                wire::refuse(stream).await;
                drop(permit);
            });
        }
    }

    /// Answers what waits, lets every connection finish its request, and closes those that
    /// do not within [`GRACE`].
    async fn drain(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        self.connections.finish();
        let mut deadline = pin!(sleep(GRACE));
        let mut release = interval(RELEASE_INTERVAL);
        while self.connections.len() > 0 {
            tokio::select! {
                () = &mut deadline => break,
                // A request that was on its way to the engine a moment ago may wait only now.
                _ = release.tick() => self.shared.desk.release_waiters(),
                () = self.connections.reap() => {}
            }
        }
        if self.connections.len() > 0 {
            tracing::warn!(
                connections = self.connections.len(),
                "closing connections that did not finish in time"
            );
        }
        self.connections.close().await;
    }
}

/// What every connection needs: answers leave at once, and a dead peer is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 6);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::warn!(%error, "cannot accept a connection");
        sleep(ACCEPT_PAUSE).await;
    }
}
