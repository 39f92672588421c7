//! `burrow export` and `burrow import`: a queue on its way from one place to another.
//!
//! On the way it is a stream of pieces, each behind its length in 4 bytes, the lowest
//! first; a length of 0 ends it, so that a stream which was cut off is noticed.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burrow::config::queue_name;
use burrow::inspect::{self, DumpError};
use burrow_client::{Client, Queue};
use burrow_core::{Command, Node, QueueName, Refusal, Reply, Timestamp};

use crate::fail;
use crate::inspecting::{dump_failure, start_failure};
use crate::verbs::{OpenFailure, open};

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
    text: String,
    name: QueueName<'static>,
}

impl QueuePath {
    pub(crate) fn of(&self, client: &Client) -> Queue {
        client.queue(&self.name.account, &self.name.queue)
    }
}

impl std::fmt::Display for QueuePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Read(#[from] DumpError),
    #[error(transparent)]
    Open(#[from] OpenFailure),
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    Url(burrow_client::Error),
    #[error(transparent)]
    Client(#[from] burrow_client::Error),
    #[error("what was read is no exported queue, or not all of it")]
    Stream,
    #[error(
        "the queue is imported, but more was read behind its end, which is lost: one queue at a time"
    )]
    Behind,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Site {
    pub(crate) fn is_url(text: &str) -> bool {
        text.contains("://")
    }
}

impl std::str::FromStr for Site {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match Self::is_url(text) {
            true => Self::Server(text.trim_end_matches('/').to_owned()),
            false => Self::Folder(text.into()),
        })
    }
}

impl std::str::FromStr for QueuePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_so = "not of the form ACCOUNT/QUEUE, each percent-encoded as in a URL";
        let name = queue_name(text).map_err(|_| not_so)?;
        Ok(Self {
            text: text.to_owned(),
            name,
        })
    }
}

pub(crate) fn export(from: &Site, queue: &QueuePath) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    finish(match from {
        Site::Folder(folder) => export_folder(folder, queue, &mut out),
        Site::Server(url) => wait_for(export_server(url, queue, &mut out)),
    })
}

/// `is_meant`: a folder that is not there is to be made.
pub(crate) fn import(to: &Site, queue: &QueuePath, is_meant: bool) -> ExitCode {
    let mut from = BufReader::new(io::stdin().lock());
    finish(match to {
        Site::Folder(folder) => wait_for(import_folder(folder, is_meant, queue, &mut from)),
        Site::Server(url) => {
            wait_for(async { import_pieces(&connect(url)?, queue, &mut from).await })
        }
    })
}

fn connect(url: &str) -> Result<Client, MoveError> {
    Client::connect(url).map_err(MoveError::Url)
}

fn wait_for(moving: impl Future<Output = Result<(), MoveError>>) -> Result<(), MoveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(moving)
}

fn finish(outcome: Result<(), MoveError>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    let code = match &error {
        MoveError::Read(error) => dump_failure(error),
        MoveError::Open(OpenFailure::Start(error)) => start_failure(error),
        MoveError::Url(_) | MoveError::Client(burrow_client::Error::Foreign(_)) => crate::USAGE,
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

async fn export_server(url: &str, queue: &QueuePath, out: &mut dyn Write) -> Result<(), MoveError> {
    let queue = queue.of(&connect(url)?);
    let mut after = None;
    loop {
        let (piece, next) = queue.export(after).await?;
        write_piece(out, &piece)?;
        after = next;
        if after.is_none() {
            return end(out);
        }
    }
}

async fn import_folder(
    folder: &Path,
    is_meant: bool,
    queue: &QueuePath,
    from: &mut dyn Read,
) -> Result<(), MoveError> {
    let embedded = open(folder, is_meant)?;
    let outcome = import_pieces(&embedded.client()?, queue, from).await;
    embedded.stop().await;
    outcome
}

async fn import_pieces(
    client: &Client,
    queue: &QueuePath,
    from: &mut dyn Read,
) -> Result<(), MoveError> {
    let queue = queue.of(client);
    while let Some(piece) = read_piece(from)? {
        queue.import(&piece).await?;
    }
    match from.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(MoveError::Behind),
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
