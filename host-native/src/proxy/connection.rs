//! The bytes of a lane: connecting, sending, receiving, and seeing that somebody is there.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use burrow_core::Reply;
use burrow_core::wire::{self, Answer, DecodeError, Decoder, Offer};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::lane::{Lane, Work};
use crate::config::ServerAddress;
use crate::server::Stream;

/// Bytes that are read at once, at the least and at the most; so many are kept for what comes
/// next.
const SMALL_READ: usize = 16 << 10;
const LARGE_READ: usize = 256 << 10;

/// Why there is no connection any more, or never was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("it closed the connection")]
    Closed,
    #[error("it said goodbye: {0}")]
    Goodbye(wire::Failure),
    #[error("it did not answer in time")]
    Silent,
    #[error("it said something else than a server does")]
    Protocol,
}

/// How a server is looked after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    /// A server that says nothing for so long is asked whether it is there.
    pub(super) interval: Duration,
    /// Time to answer that, and to take a connection.
    pub(super) timeout: Duration,
}

/// A connection over which both sides have said what they must say first.
pub(super) struct Connection {
    stream: Stream,
    decoder: Decoder,
    pub(super) offer: Offer,
}

impl Connection {
    /// Gives up after the time that `checks` allow.
    pub(super) async fn open(address: &ServerAddress, checks: Checks) -> Result<Self, Broken> {
        let opened = tokio::time::timeout(checks.timeout, Self::greet(address)).await;
        opened.unwrap_or(Err(Broken::Silent))
    }

    async fn greet(address: &ServerAddress) -> Result<Self, Broken> {
        let mut stream = Stream::connect(address).await?;
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
        Ok(Self {
            stream,
            decoder,
            offer,
        })
    }

    /// Serves the lane until one of them ends: `Ok` if that is the lane.
    pub(super) async fn serve(self, lane: &Lane, checks: Checks) -> Result<(), Broken> {
        let mut tick = interval(checks.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut serving = Serving {
            stream: self.stream,
            decoder: self.decoder,
            read_bytes: SMALL_READ,
            sending: Vec::new(),
            sent: 0,
            outcomes: Vec::new(),
            tick,
            timeout: checks.timeout,
            has_heard: true,
            asked_at: None,
            has_let_others: false,
        };
        poll_fn(|cx| serving.poll(lane, cx)).await
    }
}

async fn receive(stream: &mut Stream, decoder: &mut Decoder) -> Result<(), Broken> {
    match stream.read_buf(decoder.received()).await? {
        0 => Err(Broken::Closed),
        _ => Ok(()),
    }
}

struct Serving {
    stream: Stream,
    decoder: Decoder,
    /// How much is read at once: more after a read that was not enough.
    read_bytes: usize,
    sending: Vec<u8>,
    /// Bytes of `sending` that were sent.
    sent: usize,
    outcomes: Vec<(u64, Result<Reply, wire::Failure>)>,
    tick: Interval,
    timeout: Duration,
    /// Something came since the last tick.
    has_heard: bool,
    asked_at: Option<Instant>,
    /// Others have been let go first, since there is something to be sent.
    has_let_others: bool,
}

impl Serving {
    fn poll(&mut self, lane: &Lane, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.poll_receive(lane, cx)?.is_ready() {}
        while self.tick.poll_tick(cx).is_ready() {
            self.check()?;
        }
        // Last, as what came may have let something go out.
        loop {
            if !self.poll_send(cx)? {
                return Poll::Pending;
            }
            // Whoever submits wakes this task, which is then run before those who are about to
            // submit: they go first, and what all of them have leaves in one write. Nobody is
            // waited for where the server takes no more.
            if !self.has_let_others && lane.may_gather() {
                self.has_let_others = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.has_let_others = false;
            match lane.take_work(cx, &mut self.sending) {
                Work::Send => {}
                Work::Nothing => return Poll::Pending,
                Work::Close => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_receive(&mut self, lane: &Lane, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let received = self.decoder.received();
        received.reserve(self.read_bytes);
        let room = received.capacity() - received.len();
        let bytes = match pin!(self.stream.read_buf(received)).poll(cx)? {
            Poll::Ready(0) => return Poll::Ready(Err(Broken::Closed)),
            Poll::Ready(bytes) => bytes,
            Poll::Pending => {
                if self.decoder.unread() == 0 && self.decoder.received().capacity() > LARGE_READ {
                    self.decoder.release();
                }
                return Poll::Pending;
            }
        };
        self.read_bytes = match bytes == room {
            true => (self.read_bytes * 4).min(LARGE_READ),
            false => SMALL_READ.max(self.read_bytes / 2),
        };
        self.has_heard = true;
        self.asked_at = None;
        let taken = self.take_frames();
        // What was heard before a goodbye counts.
        lane.tell(&mut self.outcomes);
        Poll::Ready(taken)
    }

    fn take_frames(&mut self) -> Result<(), Broken> {
        while let Some(frame) = self.decoder.next_frame()? {
            match wire::decode_answer(&frame)? {
                Answer::Outcome { id, outcome } => self.outcomes.push((id, outcome)),
                Answer::Pong { .. } => {}
                Answer::Goodbye(failure) => return Err(Broken::Goodbye(failure)),
                Answer::Hello(_) => return Err(Broken::Protocol),
            }
        }
        Ok(())
    }

    /// True if all is sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        while let Some(unsent @ [_, ..]) = self.sending.get(self.sent..) {
            match Pin::new(&mut self.stream).poll_write(cx, unsent)? {
                Poll::Ready(0) => return Err(Broken::Closed),
                Poll::Ready(sent) => self.sent += sent,
                Poll::Pending => return Ok(false),
            }
        }
        self.sending.clear();
        // What one large command needed is not kept for those after it.
        self.sending.shrink_to(LARGE_READ);
        self.sent = 0;
        Ok(true)
    }

    fn check(&mut self) -> Result<(), Broken> {
        if std::mem::replace(&mut self.has_heard, false) {
            return Ok(());
        }
        match self.asked_at {
            Some(asked_at) if asked_at.elapsed() >= self.timeout => Err(Broken::Silent),
            Some(_) => Ok(()),
            None => {
                wire::encode_ping(&mut self.sending, 0);
                self.asked_at = Some(Instant::now());
                Ok(())
            }
        }
    }
}
