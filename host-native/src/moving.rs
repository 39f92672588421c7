//! `burrow export` and `burrow import`: a queue on its way from one place to another.
//!
//! On the way it is a stream of pieces, each behind its length in 4 bytes, the lowest
//! first; a length of 0 ends it, so that a stream which was cut off is noticed.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use burrow::engine::{Engine, EngineConfig, Failure, StartError, StoreConfig, SystemClock};
use burrow::inspect::{self, DumpError};
use burrow_core::rest::{Place, place};
use burrow_core::{Command, Config, Node, QueueName, Refusal, Reply, Timestamp};

use crate::fail;
use crate::inspecting::{dump_failure, open_failure, restore_failure};

/// Tells with a piece where the next begins.
const NEXT_PIECE: &str = "Burrow-Next";
/// Bytes of a piece, unless a message is larger.
const PIECE_BYTES: u64 = 1 << 20;
/// No piece is larger; what claims to be is not one.
const MOST_PIECE_BYTES: usize = 2 << 30;

/// Where a queue is.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    /// The data folder of a server that does not run.
    Folder(PathBuf),
    /// A server, by what its URLs begin with.
    Server(String),
}

/// A queue, as a path names it.
#[derive(Clone, Debug)]
pub(crate) struct QueuePath {
    path: String,
    name: QueueName<'static>,
}

#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Read(#[from] DumpError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("{url}: {error}")]
    Request {
        url: String,
        error: Box<ureq::Error>,
    },
    #[error("{url} answered {status}: {text}")]
    Answer {
        url: String,
        status: u16,
        text: String,
    },
    #[error("what was read is no exported queue, or not all of it")]
    Stream,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl std::str::FromStr for Site {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        Ok(match is_url {
            true => Self::Server(text.trim_end_matches('/').to_owned()),
            false => Self::Folder(text.into()),
        })
    }
}

impl std::str::FromStr for QueuePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = format!("/v1.0/{text}");
        match place(&path) {
            Place::Queue(name) if text.matches('/').count() == 1 => Ok(Self {
                name: QueueName {
                    account: name.account.into_owned().into(),
                    queue: name.queue.into_owned().into(),
                },
                path,
            }),
            _ => Err("not of the form ACCOUNT/QUEUE, each percent-encoded as in a URL"),
        }
    }
}

pub(crate) fn export(from: &Site, queue: &QueuePath) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    finish(match from {
        Site::Folder(folder) => export_folder(folder, queue, &mut out),
        Site::Server(url) => export_server(url, queue, &mut out),
    })
}

pub(crate) fn import(to: &Site, queue: &QueuePath) -> ExitCode {
    let mut from = BufReader::new(io::stdin().lock());
    finish(match to {
        Site::Folder(folder) => import_folder(folder, queue, &mut from),
        Site::Server(url) => import_server(url, queue, &mut from),
    })
}

fn finish(outcome: Result<(), MoveError>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    let code = match &error {
        MoveError::Read(error) => dump_failure(error),
        MoveError::Start(StartError::Open(error)) => open_failure(error),
        MoveError::Start(StartError::Restore(error)) => restore_failure(error),
        _ => crate::FAILED,
    };
    fail(code, &error)
}

fn export_folder(folder: &Path, queue: &QueuePath, out: &mut dyn Write) -> Result<(), MoveError> {
    let (mut node, now) = inspect::open(folder)?;
    let mut after = None;
    loop {
        let (piece, next) = next_piece(&mut node, now, queue, after)?;
        write_piece(out, &piece)?;
        after = next;
        if after.is_none() {
            return end(out);
        }
    }
}

fn next_piece(
    node: &mut Node,
    now: Timestamp,
    queue: &QueuePath,
    after: Option<u64>,
) -> Result<(Vec<u8>, Option<u64>), MoveError> {
    let command = Command::Export {
        queue: queue.name.clone(),
        after,
        max_bytes: PIECE_BYTES,
    };
    node.submit(now, command);
    match node.poll_reply() {
        Some((_, Ok(Reply::Exported { piece, next }))) => Ok((piece, next)),
        Some((_, Err(refusal))) => Err(MoveError::Refused(refusal)),
        _ => Err(DumpError::Machine.into()),
    }
}

fn export_server(url: &str, queue: &QueuePath, out: &mut dyn Write) -> Result<(), MoveError> {
    let agent = agent();
    let mut after = String::new();
    loop {
        let url = format!("{url}{}?export{after}", queue.path);
        let mut answer = sent(&url, agent.get(&url).call())?;
        let next = answer.headers().get(NEXT_PIECE).cloned();
        let piece = answer
            .body_mut()
            .with_config()
            .limit(MOST_PIECE_BYTES as u64)
            .read_to_vec();
        write_piece(out, &piece.map_err(|error| failed(&url, error))?)?;
        let Some(next) = next else { return end(out) };
        after = format!("&after={}", next.to_str().map_err(|_| MoveError::Stream)?);
    }
}

fn import_folder(folder: &Path, queue: &QueuePath, from: &mut dyn Read) -> Result<(), MoveError> {
    let config = EngineConfig {
        node: Config::default(),
        store: StoreConfig::Sqlite {
            dir: folder.to_owned(),
        },
    };
    let (engine, _) = Engine::start(config, Arc::new(SystemClock::new()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let outcome = runtime.block_on(async {
        while let Some(piece) = read_piece(from)? {
            let (queue, piece) = (queue.name.clone(), piece.into());
            engine.execute(Command::Import { queue, piece }).await?;
        }
        Ok(())
    });
    runtime.block_on(engine.stop());
    outcome
}

fn import_server(url: &str, queue: &QueuePath, from: &mut dyn Read) -> Result<(), MoveError> {
    let agent = agent();
    let url = format!("{url}{}?import", queue.path);
    while let Some(piece) = read_piece(from)? {
        sent(&url, agent.put(&url).send(&piece))?;
    }
    Ok(())
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

fn sent(
    url: &str,
    outcome: Result<http::Response<ureq::Body>, ureq::Error>,
) -> Result<http::Response<ureq::Body>, MoveError> {
    let mut answer = outcome.map_err(|error| failed(url, error))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(MoveError::Answer {
        url: url.to_owned(),
        status: answer.status().as_u16(),
        text: answer.body_mut().read_to_string().unwrap_or_default(),
    })
}

fn failed(url: &str, error: ureq::Error) -> MoveError {
    MoveError::Request {
        url: url.to_owned(),
        error: Box::new(error),
    }
}

fn write_piece(out: &mut dyn Write, piece: &[u8]) -> Result<(), MoveError> {
    let length = u32::try_from(piece.len()).map_err(|_| MoveError::Stream)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(piece)?;
    Ok(())
}

fn end(out: &mut dyn Write) -> Result<(), MoveError> {
    out.write_all(&0u32.to_le_bytes())?;
    Ok(out.flush()?)
}

/// The next piece of a stream, `None` at its end.
fn read_piece(from: &mut dyn Read) -> Result<Option<Vec<u8>>, MoveError> {
    let cut_off = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => MoveError::Stream,
        _ => MoveError::Io(error),
    };
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(cut_off)?;
    let length = u32::from_le_bytes(length);
    if length == 0 {
        return Ok(None);
    }
    if length as usize > MOST_PIECE_BYTES {
        return Err(MoveError::Stream);
    }
    // Read as it comes: a length that is not true takes no memory.
    let mut piece = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut piece)?;
    if piece.len() != length as usize {
        return Err(MoveError::Stream);
    }
    Ok(Some(piece))
}
