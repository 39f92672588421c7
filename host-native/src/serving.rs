//! `burrow serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use burrow::config::{ClockSource, Settings};
use burrow::engine::{Clock, Engine, ManualClock, StartError, StartReport, SystemClock};
use burrow::logging;
use burrow::server::{self, Listeners, ManualTime, ServeError, WireListener};
use tokio::signal::unix::{SignalKind, signal};

use crate::inspecting::{open_failure, restore_failure};
use crate::{FAILED, fail};

/// Descriptors that are open besides those of connections.
const OTHER_FILES: u64 = 64;

#[derive(Debug, thiserror::Error)]
enum ServingError {
    #[error("cannot set up logging: {0}")]
    Logging(#[from] tracing_subscriber::util::TryInitError),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("cannot listen on {address}: {error}")]
    ListenWire { address: String, error: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot start the server's threads: {0}")]
    Runtime(io::Error),
    #[error("cannot write the first line to standard output: {0}")]
    FirstLine(io::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

pub(crate) fn run(settings: &Settings) -> ExitCode {
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(exit_code(&error), &error),
    }
}

fn serve(settings: &Settings) -> Result<(), ServingError> {
    logging::init(settings.server.log_format, settings.server.log_level)?;
    raise_open_files(settings.connections.max_connections);
    let address = settings.server.listen;
    let not_listening = |error| ServingError::Listen { address, error };
    let listener = server::bind(address).map_err(not_listening)?;
    let address = listener.local_addr().map_err(not_listening)?;
    let wire = bind_wire(settings)?;
    let manual_clock = match settings.server.clock {
        ClockSource::System => None,
        ClockSource::Manual => Some(Arc::new(ManualClock::new())),
    };
    let clock: Arc<dyn Clock> = match &manual_clock {
        None => Arc::new(SystemClock::new()),
        Some(clock) => Arc::clone(clock) as _,
    };
    let (engine, report) = Engine::start(settings.engine_config(), clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(settings.server.threads).unwrap_or(usize::MAX))
        .enable_all()
        .build()
        .map_err(ServingError::Runtime)?;
    runtime.block_on(async {
        let stop = stop_signal().map_err(ServingError::Runtime)?;
        first_line(address, &wire, settings, &report).map_err(ServingError::FirstLine)?;
        let connections = settings.connections.clone();
        let rest = settings.rest_config();
        let listeners = Listeners {
            http: listener,
            wire,
        };
        let desk = engine.desk();
        let manual_time = manual_clock.map(|clock| ManualTime { engine, clock });
        server::serve(listeners, desk, manual_time, rest, connections, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

fn bind_wire(settings: &Settings) -> Result<Vec<WireListener>, ServingError> {
    let addresses = settings.server.listen_wire.as_ref();
    let addresses = addresses.map_or(&[][..], |addresses| &addresses.0);
    let bind = |address| {
        WireListener::bind(address).map_err(|error| ServingError::ListenWire {
            address: address.to_string(),
            error,
        })
    };
    addresses.iter().map(bind).collect()
}

fn first_line(
    address: SocketAddr,
    wire: &[WireListener],
    settings: &Settings,
    report: &StartReport,
) -> io::Result<()> {
    let place = match settings.server.memory {
        true => "data in memory only".to_owned(),
        false => format!("data in {}", absolute(&settings.server.data)),
    };
    let restored = &report.restored;
    let mut wires = String::new();
    for listener in wire {
        wires += &format!(", wire on {}", listener.address()?);
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "burrow listening on http://{address}{wires}, {place}, {} messages in {} queues restored in {:.2} s",
        restored.messages,
        restored.queues,
        report.elapsed.as_secs_f64()
    )?;
    out.flush()
}

fn absolute(path: &Path) -> String {
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// Completes when the process is told to stop. When it is told once more, the process ends.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
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

fn exit_code(error: &ServingError) -> u8 {
    match error {
        ServingError::Start(StartError::Open(error)) => open_failure(error),
        ServingError::Start(StartError::Restore(error)) => restore_failure(error),
        _ => FAILED,
    }
}
