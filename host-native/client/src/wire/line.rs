//! One connection, from its first byte to its last.
//!
//! A call appends its request to what is to be sent and waits for the outcome with its
//! number. Two tasks move the bytes; when one of them ends, every call learns why.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burrow_core::wire::{self, Answer, DecodeError, Decoder, Failure, Offer};
use burrow_core::{Command, Reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::{Address, told};
use crate::error::Error;

/// Time to connect and to be greeted.
const CONNECT: Duration = Duration::from_secs(10);
/// A server that says nothing for so long is asked whether it is there, and has as long
/// again to say so.
const SILENCE: Duration = Duration::from_secs(15);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// A buffer that was larger for once is given back.
const KEPT_BYTES: usize = 1 << 20;

type Outcome = Result<Reply, Error>;

/// Room for one call.
pub(super) type Place = OwnedSemaphorePermit;

/// Why there is no connection any more, or never was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("the server closed the connection")]
    Closed,
    #[error("the client was dropped")]
    Dropped,
    #[error("{0}")]
    Goodbye(Failure),
    #[error("the server is silent")]
    Silent,
    #[error("the server says what no server does")]
    Protocol,
}

#[derive(Debug)]
pub(super) struct Line {
    offer: Offer,
    room: Arc<Semaphore>,
    /// What there is room for in all.
    places: usize,
    calls: Mutex<Calls>,
    /// Told when there is something to send, or nothing any more.
    work: Notify,
    /// Told to whoever receives when the line was closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Calls {
    last_id: u64,
    /// The last request that was handed to the socket: later ones certainly did not happen.
    last_sent: u64,
    unsent: Vec<u8>,
    waiting: HashMap<u64, Waiting>,
    is_closed: bool,
}

/// A call whose answer has not come. Its place is free only then, also if nobody waits.
#[derive(Debug)]
struct Waiting {
    sender: oneshot::Sender<Outcome>,
    _place: OwnedSemaphorePermit,
}

impl Line {
    pub(super) async fn open(address: &Address) -> Result<Arc<Self>, Broken> {
        let opening = async {
            match address {
                Address::Tcp(host) => {
                    let stream = TcpStream::connect(host).await?;
                    stream.set_nodelay(true)?;
                    Self::greet(stream).await
                }
                #[cfg(unix)]
                Address::Unix(path) => {
                    Self::greet(tokio::net::UnixStream::connect(path).await?).await
                }
            }
        };
        timeout(CONNECT, opening)
            .await
            .unwrap_or(Err(Broken::Silent))
    }

    async fn greet<S>(mut stream: S) -> Result<Arc<Self>, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        stream.write_all(&hello).await?;
        let mut decoder = Decoder::new(u32::MAX);
        while wire::take_welcome(&mut decoder)?.is_none() {
            receive(&mut stream, &mut decoder).await?;
        }
        let offer = loop {
            if let Some(frame) = decoder.next_frame()? {
                break match wire::decode_answer(&frame)? {
                    Answer::Hello(offer) => offer,
                    Answer::Goodbye(failure) => return Err(Broken::Goodbye(failure)),
                    Answer::Outcome { .. } | Answer::Pong { .. } => return Err(Broken::Protocol),
                };
            }
            receive(&mut stream, &mut decoder).await?;
        };
        let places = usize::try_from(offer.max_in_flight).unwrap_or(usize::MAX);
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        let line = Arc::new(Self {
            offer,
            room: Arc::new(Semaphore::new(places)),
            places,
            calls: Mutex::default(),
            work: Notify::new(),
            closed: Notify::new(),
        });
        let (reader, writer) = tokio::io::split(stream);
        tokio::spawn(read(Arc::clone(&line), reader, decoder));
        tokio::spawn(write(Arc::clone(&line), writer));
        Ok(line)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().is_closed
    }

    /// True if no call is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().waiting.is_empty() && self.room.available_permits() >= self.places
    }

    /// A place among the calls that the server takes at a time, waited for; `None` once the
    /// connection has ended.
    pub(super) async fn place(&self) -> Option<Place> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// As [`place`](Self::place), if there is one now.
    pub(super) fn try_place(&self) -> Option<Place> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Makes a call; `None` if the connection ended before it was made.
    pub(super) async fn call(
        self: &Arc<Self>,
        command: &Command<'_>,
        place: Place,
    ) -> Option<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut calls = self.lock();
            if calls.is_closed {
                return None;
            }
            let id = calls.last_id + 1;
            let maximum = self.offer.max_frame_bytes;
            if let Err(error) = wire::encode_request(&mut calls.unsent, id, command, maximum) {
                return Some(Err(Error::Invalid(error.to_string())));
            }
            calls.last_id = id;
            let waiting = Waiting {
                sender,
                _place: place,
            };
            calls.waiting.insert(id, waiting);
            id
        };
        self.work.notify_one();
        let _left = Left { line: self, id };
        let outcome = receiver.await;
        Some(outcome.unwrap_or_else(|_| Err(lost(&Broken::Closed))))
    }

    /// Ends the line, and tells every call why.
    pub(super) fn close(&self, reason: &Broken) {
        let mut calls = self.lock();
        calls.is_closed = true;
        let last_sent = calls.last_sent;
        for (id, waiting) in calls.waiting.drain() {
            let error = match id <= last_sent {
                true => lost(reason),
                false => Error::NotDone(reason.to_string()),
            };
            // A caller who has left does not need to know.
            let _ = waiting.sender.send(Err(error));
        }
        drop(calls);
        self.room.close();
        self.work.notify_one();
        self.closed.notify_one();
    }

    /// Nothing that can panic happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(reason: &Broken) -> Error {
    Error::OutcomeUnknown(format!("the connection was lost: {reason}"))
}

/// A caller who leaves before the answer has come takes the request back.
struct Left<'a> {
    line: &'a Line,
    id: u64,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        let mut calls = self.line.lock();
        if !calls.waiting.contains_key(&self.id) {
            return;
        }
        wire::encode_cancel(&mut calls.unsent, self.id);
        drop(calls);
        self.line.work.notify_one();
    }
}

async fn receive<S>(stream: &mut S, decoder: &mut Decoder) -> Result<(), Broken>
where
    S: AsyncRead + Unpin,
{
    let received = decoder.received();
    received.reserve(READ_BYTES);
    match stream.read_buf(received).await? {
        0 => Err(Broken::Closed),
        _ => Ok(()),
    }
}

/// Takes answers until the connection ends.
async fn read<S: AsyncRead + Unpin>(line: Arc<Line>, mut stream: S, mut decoder: Decoder) {
    let mut is_asked = false;
    let reason = loop {
        if let Err(reason) = take_answers(&line, &mut decoder) {
            break reason;
        }
        let received = tokio::select! {
            received = timeout(SILENCE, receive(&mut stream, &mut decoder)) => received,
            () = line.closed.notified() => return,
        };
        match received {
            Ok(Ok(())) => is_asked = false,
            Ok(Err(reason)) => break reason,
            Err(_) if is_asked => break Broken::Silent,
            Err(_) => {
                decoder.release();
                wire::encode_ping(&mut line.lock().unsent, 0);
                line.work.notify_one();
                is_asked = true;
            }
        }
    };
    line.close(&reason);
}

fn take_answers(line: &Line, decoder: &mut Decoder) -> Result<(), Broken> {
    while let Some(frame) = decoder.next_frame()? {
        match wire::decode_answer(&frame)? {
            Answer::Outcome { id, outcome } => {
                let waiting = line.lock().waiting.remove(&id);
                if let Some(waiting) = waiting {
                    let _ = waiting.sender.send(outcome.map_err(told));
                }
            }
            Answer::Pong { .. } => {}
            Answer::Goodbye(failure) => return Err(Broken::Goodbye(failure)),
            Answer::Hello(_) => return Err(Broken::Protocol),
        }
    }
    Ok(())
}

/// Sends requests until the connection ends.
async fn write<S: AsyncWrite + Unpin>(line: Arc<Line>, mut stream: S) {
    let mut sending = Vec::new();
    loop {
        {
            let mut calls = line.lock();
            if calls.is_closed {
                break;
            }
            std::mem::swap(&mut sending, &mut calls.unsent);
            calls.last_sent = calls.last_id;
        }
        if sending.is_empty() {
            line.work.notified().await;
            continue;
        }
        let sent = async {
            stream.write_all(&sending).await?;
            stream.flush().await
        };
        if let Err(error) = sent.await {
            line.close(&error.into());
            break;
        }
        sending.clear();
        sending.shrink_to(KEPT_BYTES);
    }
    // A server that is told at once gives up what still waits.
    let _ = stream.shutdown().await;
}
