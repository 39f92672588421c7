//! `burrow serve`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use burrow::config::{ClockSource, Settings};
use burrow::engine::{Clock, Engine, ManualClock, StartError, StartReport, SystemClock};
use burrow::server::{self, ManualTime};

use crate::inspecting::start_failure;
use crate::running::{Open, RunError, runtime, stop_signal};
use crate::{FAILED, fail};

#[derive(Debug, thiserror::Error)]
enum ServingError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Start(#[from] StartError),
}

pub(crate) fn run(settings: &Settings) -> ExitCode {
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(exit_code(&error), &error),
    }
}

fn serve(settings: &Settings) -> Result<(), ServingError> {
    let open = Open::new(&settings.server, &settings.connections)?;
    let manual_clock = match settings.data.clock {
        ClockSource::System => None,
        ClockSource::Manual => Some(Arc::new(ManualClock::new())),
    };
    let clock: Arc<dyn Clock> = match &manual_clock {
        None => Arc::new(SystemClock::new()),
        Some(clock) => Arc::clone(clock) as _,
    };
    let (engine, report) = Engine::start(settings.engine_config(), clock)?;
    runtime(&settings.server)?.block_on(async {
        let stop = stop_signal()?;
        open.first_line(&restored(settings, &report))?;
        let connections = settings.connections.clone();
        let rest = settings.rest_config();
        let desk = engine.desk();
        let manual_time = manual_clock.map(|clock| ManualTime { engine, clock });
        let serving = server::serve(open.listeners, desk, manual_time, rest, connections, stop);
        serving.await.map_err(RunError::Serve)?;
        tracing::info!("stopped");
        Ok(())
    })
}

fn restored(settings: &Settings, report: &StartReport) -> String {
    let place = match settings.data.memory {
        true => "data in memory only".to_owned(),
        false => format!("data in {}", absolute(&settings.data.data)),
    };
    let restored = &report.restored;
    format!(
        "{place}, {} messages in {} queues restored in {:.2} s",
        restored.messages,
        restored.queues,
        report.elapsed.as_secs_f64()
    )
}

fn absolute(path: &Path) -> String {
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

fn exit_code(error: &ServingError) -> u8 {
    match error {
        ServingError::Start(error) => start_failure(error),
        _ => FAILED,
    }
}
