//! What `burrow serve` and `burrow proxy` have in common: sockets, threads, signals.

use std::io::{self, Write};
use std::net::SocketAddr;

use burrow::config::{ConnectionSettings, ServerSettings};
use burrow::logging;
use burrow::server::{self, Listeners, ServeError, WireListener};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::FAILED;

/// Descriptors that are open besides those of connections.
const OTHER_FILES: u64 = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot set up logging: {0}")]
    Logging(#[from] tracing_subscriber::util::TryInitError),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("cannot listen on {address}: {error}")]
    ListenWire { address: String, error: io::Error },
    #[error("cannot start the server's threads: {0}")]
    Runtime(io::Error),
    #[error("cannot write the first line to standard output: {0}")]
    FirstLine(io::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Sockets that hold connections until they are served.
pub(crate) struct Open {
    pub(crate) listeners: Listeners,
    address: SocketAddr,
}

impl Open {
    /// Sets up logging and opens the sockets.
    pub(crate) fn new(
        server: &ServerSettings,
        connections: &ConnectionSettings,
    ) -> Result<Self, RunError> {
        logging::init(server.log_format, server.log_level)?;
        raise_open_files(connections.max_connections);
        let address = server.listen;
        let not_listening = |error| RunError::Listen { address, error };
        let http = server::bind(address).map_err(not_listening)?;
        let address = http.local_addr().map_err(not_listening)?;
        let wire = bind_wire(server)?;
        Ok(Self {
            listeners: Listeners { http, wire },
            address,
        })
    }

    /// Tells where it listens, and what else there is to tell.
    pub(crate) fn first_line(&self, rest: &str) -> Result<(), RunError> {
        let write = || {
            let mut wires = String::new();
            for listener in &self.listeners.wire {
                wires += &format!(", wire on {}", listener.address()?);
            }
            let mut out = io::stdout().lock();
            let address = self.address;
            writeln!(out, "burrow listening on http://{address}{wires}, {rest}")?;
            out.flush()
        };
        write().map_err(RunError::FirstLine)
    }
}

fn bind_wire(server: &ServerSettings) -> Result<Vec<WireListener>, RunError> {
    let addresses = server.listen_wire.as_ref();
    let addresses = addresses.map_or(&[][..], |addresses| &addresses.0);
    let bind = |address| {
        WireListener::bind(address).map_err(|error| RunError::ListenWire {
            address: address.to_string(),
            error,
        })
    };
    addresses.iter().map(bind).collect()
}

pub(crate) fn runtime(server: &ServerSettings) -> Result<Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(server.threads).unwrap_or(usize::MAX))
        .enable_all()
        .build()
        .map_err(RunError::Runtime)
}

/// Completes when the process is told to stop. When it is told once more, the process ends.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Runtime)?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    Ok(async move {
        tracing::info!(signal = next().await, "stopping");
        tokio::spawn(async move {
            next().await;
            eprintln!("burrow: stopped at once");
            std::process::exit(i32::from(FAILED));
        });
    })
}

/// Allows as many open files as the system lets this process have.
fn raise_open_files(max_connections: u64) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) if files < max_connections.saturating_add(OTHER_FILES) => {
            tracing::warn!(
                files,
                max_connections,
                "the system allows fewer open files than max_connections needs"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
}
