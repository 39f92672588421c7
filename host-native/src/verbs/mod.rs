//! `burrow put`, `claim` and the other verbs that use a queue.

mod args;
mod look;
mod output;
mod put;
mod take;
mod work;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use burrow::embedded::Embedded;
use burrow::engine::StartError;
use burrow::storage::OpenError;
use burrow_client::{Builder, Client, Error, Queue, Trust};

pub(crate) use args::Verb;
use args::{QueueArgs, Target};

use crate::inspecting::start_failure;
use crate::{FAILED, USAGE, fail};

/// There is nothing, also after waiting.
const NOTHING: u8 = 4;
/// Somebody else has the message, or it is gone.
const LOST: u8 = 5;

/// Commands of `burrow work` failed. xargs says it so.
const COMMANDS_FAILED: u8 = 123;

/// What goes on while its server is away tries again so long after a call that had all its time.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

#[derive(Debug, thiserror::Error)]
enum VerbError {
    #[error(transparent)]
    Client(#[from] Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Open(#[from] OpenFailure),
    #[error("{0}")]
    Usage(String),
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error("{error}; {messages} messages were put before")]
    Part { error: Error, messages: u64 },
    #[error("nothing came in time")]
    Nothing,
    #[error(
        "told to stop twice: messages that were not given back come back when their time is over"
    )]
    Abandoned,
    #[error("messages whose command failed, and that were given back: {0}")]
    CommandsFailed(usize),
    #[error("cannot run {command}: {error}")]
    Command { command: String, error: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl VerbError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Client(Error::NotFound(_)) | Self::Nothing => NOTHING,
            Self::Client(Error::ClaimLost) => LOST,
            Self::Start(error) | Self::Open(OpenFailure::Start(error)) => start_failure(error),
            Self::Usage(_) | Self::Client(Error::Foreign(_)) => USAGE,
            Self::CommandsFailed(_) => COMMANDS_FAILED,
            _ => FAILED,
        }
    }
}

/// Does what the verb says. `url` is the value of the variable.
pub(crate) fn run(verb: Verb, url: Option<OsString>) -> ExitCode {
    match run_verb(verb, url) {
        Ok(()) => ExitCode::SUCCESS,
        // As with `burrow peek … | head`: whoever reads has seen enough.
        Err(VerbError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_code(), &error),
    }
}

fn run_verb(verb: Verb, url: Option<OsString>) -> Result<(), VerbError> {
    let target = target(&verb).clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let bounds = Client::builder()
            .deadline(target.deadline)
            .max_in_flight(most_calls(&verb))
            .on_first_failure(tell_once());
        let Some(folder) = &target.data else {
            return carry_out(verb, &remote(bounds, &target, url)?).await;
        };
        let embedded = match may_create(&verb) {
            Some(is_meant) => open(folder, is_meant)?,
            None => Embedded::open_existing(folder)?,
        };
        let own = Arc::new(embedded.clone());
        let client = bounds.transport("this process", own).build()?;
        let outcome = carry_out(verb, &client).await;
        embedded.stop().await;
        outcome
    });
    // What is written to somebody who does not read is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn carry_out(verb: Verb, client: &Client) -> Result<(), VerbError> {
    match verb {
        Verb::Put(args) => put::put(args, client).await,
        Verb::Claim(args) => take::claim(&args, client).await,
        Verb::Ack(args) => take::ack(&args, client).await,
        Verb::Extend(args) => take::extend(&args, client).await,
        Verb::Release(args) => take::release(&args, client).await,
        Verb::Pop(args) => take::pop(&args, client).await,
        Verb::Peek(args) => take::peek(&args, client).await,
        Verb::Watch(args) => take::watch(&args, client).await,
        Verb::Ls(args) => look::ls(&args, client).await,
        Verb::Purge(args) => Ok(queue(&args, client).purge().await?),
        Verb::Settings(args) => look::settings(&args, client).await,
        Verb::Stats(args) => look::stats(&args, client).await,
        Verb::Work(args) => work::work(args, client).await,
    }
}

/// Tells who waits why, once: half a minute without a word looks like a program that hangs.
fn tell_once() -> impl Fn(&Error, Duration) {
    let is_told = AtomicBool::new(false);
    move |error, left| {
        if !is_told.swap(true, Relaxed) {
            eprintln!("burrow: {error}; trying again for {left:.0?}");
        }
    }
}

/// Calls at a time. Each of the workers may wait for messages, and another call of its own may
/// extend their claims; a wait is never for a place.
fn most_calls(verb: &Verb) -> usize {
    match verb {
        Verb::Work(args) => usize::try_from(args.parallel).map_or(usize::MAX, |parallel| {
            parallel.saturating_mul(2).saturating_add(16)
        }),
        _ => 16,
    }
}

/// Opens a data folder to put something into it. One is made only for who says so: a name that
/// is mistyped would be one that nobody finds again.
pub(crate) fn open(folder: &Path, is_meant: bool) -> Result<Embedded, OpenFailure> {
    if is_meant {
        return Ok(Embedded::open(folder)?);
    }
    Embedded::open_existing(folder).map_err(|error| match error {
        StartError::Open(OpenError::NoData { path }) => OpenFailure::NoData(path),
        StartError::Open(OpenError::Access { path, source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            OpenFailure::NoData(path)
        }
        error => OpenFailure::Start(error),
    })
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenFailure {
    #[error("{path} holds no data of Burrow; with --create it is made", path = .0.display())]
    NoData(PathBuf),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Of a verb that puts something: whether the data folder is to be made if need be.
fn may_create(verb: &Verb) -> Option<bool> {
    match verb {
        Verb::Put(args) => Some(args.create),
        Verb::Settings(args) if !args.changes.is_empty() => Some(args.create),
        _ => None,
    }
}

fn target(verb: &Verb) -> &Target {
    match verb {
        Verb::Put(args) => &args.queue.target,
        Verb::Claim(args) => &args.take.queue.target,
        Verb::Ack(args) => &args.queue.target,
        Verb::Extend(args) => &args.settle.queue.target,
        Verb::Release(args) => &args.settle.queue.target,
        Verb::Pop(args) => &args.queue.target,
        Verb::Peek(args) => &args.take.queue.target,
        Verb::Watch(args) => &args.queue.target,
        Verb::Ls(args) | Verb::Stats(args) => &args.target,
        Verb::Purge(args) => &args.target,
        Verb::Settings(args) => &args.queue.target,
        Verb::Work(args) => &args.queue.target,
    }
}

fn remote(
    bounds: Builder,
    target: &Target,
    variable: Option<OsString>,
) -> Result<Client, VerbError> {
    let variable = variable.map(OsString::into_string).transpose();
    let variable = variable.map_err(|_| VerbError::Usage("BURROW_URL is not UTF-8".to_owned()))?;
    let mut urls = target.url.clone();
    if urls.is_empty() {
        let given = variable.as_deref().unwrap_or_default().split_whitespace();
        urls.extend(given.map(str::to_owned));
    }
    if urls.is_empty() {
        urls.push(DEFAULT_URL.to_owned());
    }
    let mut builder = bounds.failover(target.failover);
    if let Some(file) = &target.ca {
        let pem = std::fs::read(file).map_err(|error| VerbError::File {
            path: file.display().to_string(),
            error,
        })?;
        let trust = Trust::only(&pem)
            .map_err(|error| VerbError::Usage(format!("{}: {error}", file.display())))?;
        builder = builder.trust(trust);
    }
    for url in &urls {
        let usage = |error: Error| VerbError::Usage(error.to_string());
        builder = builder.server(url).map_err(usage)?;
    }
    builder
        .build()
        .map_err(|error| VerbError::Usage(error.to_string()))
}

/// True of what passes when the server is there again.
fn is_outage(error: &Error) -> bool {
    matches!(error, Error::NotDone(_) | Error::OutcomeUnknown(_))
}

fn queue(args: &QueueArgs, client: &Client) -> Queue {
    args.queue.of(client)
}

/// Prints a value as a line of JSON.
fn print_json(out: &mut dyn Write, value: &serde_json::Value) -> io::Result<()> {
    writeln!(out, "{value}")
}
