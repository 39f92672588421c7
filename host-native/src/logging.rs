//! Log lines, to standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogLevel};

/// Sets up logging for the whole process. It fails if that was done before.
///
/// The level is that of the server's own lines; of the libraries below it only warnings
/// and errors are logged, unless the level is `trace`.
pub fn init(format: LogFormat, level: LogLevel) -> Result<(), TryInitError> {
    let own = LevelFilter::from(level);
    let others = if level == LogLevel::Trace {
        own
    } else {
        own.min(LevelFilter::WARN)
    };
    let filter = Targets::new()
        .with_target("burrow", own)
        .with_default(others);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
