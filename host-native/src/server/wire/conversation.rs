//! One connection: its bytes to a session, commands to the desk, and answers back.
//!
//! One task does all of it. It reads what is there, has that carried out, and writes the
//! answers to all of it, with those that have come meanwhile, in one go.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use burrow_core::Reply;
use burrow_core::wire::{Event, Failure, Offer, Session};
use tokio::io::AsyncReadExt;

use super::stream::Carrier;
use crate::desk::{self, Mailbox};
use crate::server::Shared;
use crate::server::peer::Activity;

/// Bytes that are read at once, at the least and at the most.
const SMALL_READ: usize = 1 << 10;
const LARGE_READ: usize = 256 << 10;
/// While more answers than this are to be sent, no request is taken.
const MAX_UNSENT: usize = 256 << 10;
/// Small commands that are submitted together.
const MOST_AT_ONCE: usize = 64;
/// What so many frames are answered at once is sent before further ones are taken: whoever has
/// as many in flight as it may goes on meanwhile.
const MOST_UNTOLD: u64 = 256;
/// A frame makes progress if so much of it arrives in time.
const PROGRESS_BYTES: usize = 64 << 10;

type Outcome = Result<Reply, desk::Failure>;

pub(super) struct Conversation<S> {
    /// Dropped first: when the client sees the connection go, its waits have ended.
    mailbox: Mailbox,
    stream: S,
    session: Session,
    /// Outcomes that were fetched, and how many of them were answered.
    fetched: Vec<(u64, Outcome)>,
    answered: usize,
    /// Outcomes may be left: there was no room for them.
    has_outcomes: bool,
    out: Vec<u8>,
    /// Bytes of `out` that were sent.
    sent: usize,
    /// How much is read at once: more after a read that was not enough.
    read_bytes: usize,
    /// Bytes of the present frame since it last made progress.
    progress: usize,
    /// Frames may be left of what was read: there was no room for their answers.
    has_frames: bool,
    /// How many small commands came together last, and how many outcomes were there at once: as
    /// much room is made for the next.
    small: (usize, usize),
    is_finishing: bool,
    is_ended: bool,
    arriving: Arriving,
    activity: Arc<Activity>,
}

impl<S: Carrier> Conversation<S> {
    pub(super) fn new(
        stream: S,
        offer: Offer,
        activity: Arc<Activity>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            stream,
            session: Session::new(offer),
            mailbox: shared.desk.mailbox(),
            fetched: Vec::new(),
            answered: 0,
            has_outcomes: false,
            out: Vec::new(),
            sent: 0,
            read_bytes: SMALL_READ,
            progress: 0,
            has_frames: false,
            small: (0, 0),
            is_finishing: false,
            is_ended: false,
            arriving: Arriving { shared, bytes: 0 },
            activity,
        }
    }

    /// Goes on until the client has left or was told the last. The future may be dropped and
    /// another one be made.
    pub(super) async fn go_on(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Takes no more requests, and ends when those under way are answered.
    pub(super) fn finish(&mut self) {
        self.is_finishing = true;
        self.session.stop();
    }

    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.take_outcomes(cx);
            let is_idle = self.session.in_flight() == 0 && !self.has_frames;
            if self.is_finishing && !self.is_ended && is_idle {
                let is_stopping = self.arriving.shared.stopping.load(Relaxed);
                self.end(&match is_stopping {
                    true => Failure::Stopping,
                    false => Failure::TooSlow,
                });
            }
            let is_sent = self.poll_send(cx)?.is_ready();
            if self.is_ended {
                return match is_sent {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                };
            }
            if self.has_outcomes && !self.is_full() {
                continue;
            }
            if self.is_behind() {
                return Poll::Pending;
            }
            if self.has_frames {
                self.take_frames();
                continue;
            }
            let Poll::Ready(bytes) = self.poll_receive(cx)? else {
                if self.end_if_unbearable() {
                    continue;
                }
                self.rest();
                return Poll::Pending;
            };
            if bytes == 0 {
                return Poll::Ready(Ok(()));
            }
            self.take_frames();
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let received = self.session.received();
        received.reserve(self.read_bytes);
        let room = received.capacity() - received.len();
        let bytes = ready!(pin!(self.stream.read_buf(received)).poll(cx))?;
        self.activity.bytes_in.fetch_add(bytes as u64, Relaxed);
        self.progress += bytes;
        // Who sends as much each time has all of it read at once: only what was far too large is
        // made smaller.
        if bytes == room {
            self.read_bytes = (self.read_bytes * 4).min(LARGE_READ);
        } else if bytes < self.read_bytes / 4 {
            self.read_bytes = SMALL_READ.max(self.read_bytes / 2);
        }
        Poll::Ready(Ok(bytes))
    }

    /// True if enough is to be sent.
    fn is_full(&self) -> bool {
        self.out.len() - self.sent > MAX_UNSENT
    }

    /// True if there is no room for the answers to further requests.
    fn is_behind(&self) -> bool {
        self.is_full() || self.mailbox.bytes() > MAX_UNSENT
    }

    /// Takes the frames that are there, as long as there is room for what they are answered:
    /// a few bytes may ask for megabytes.
    fn take_frames(&mut self) {
        let mut frames = 0;
        self.has_frames = true;
        while !self.is_behind() && frames < MOST_UNTOLD {
            frames += self.take_small_frames();
            let Some(event) = self.session.next(&mut self.out) else {
                self.has_frames = false;
                break;
            };
            frames += 1;
            match event {
                Event::Answered => {}
                Event::Submit { id, command } => {
                    if let Some(outcome) = self.mailbox.submit(id, command) {
                        self.session.answer(id, &told(outcome), &mut self.out);
                    }
                }
                Event::Cancel { id } => {
                    if self.mailbox.cancel(id) {
                        let outcome = Err(Failure::Cancelled);
                        self.session.answer(id, &outcome, &mut self.out);
                    }
                }
                Event::End => {
                    self.is_ended = true;
                    break;
                }
            }
        }
        if frames > 0 || self.progress >= PROGRESS_BYTES {
            self.progress = 0;
            self.activity.requests.fetch_add(frames.max(1), Relaxed);
        }
        self.count_in_flight();
        if !self.has_frames
            && self.stream.must_be_whole()
            && !self.session.end_message(&mut self.out)
        {
            self.is_ended = true;
        }
        self.end_if_unbearable();
    }

    /// Takes the small commands that come next, if they are several; tells how many.
    fn take_small_frames(&mut self) -> u64 {
        let mut commands = Vec::with_capacity(self.small.0);
        self.session.next_small(MOST_AT_ONCE, &mut commands);
        let count = commands.len();
        self.small.0 = count;
        if count > 0 {
            let mut outcomes = Vec::with_capacity(self.small.1);
            self.mailbox.submit_all(commands, &mut outcomes);
            self.small.1 = outcomes.len();
            for (id, outcome) in outcomes {
                self.session.answer(id, &told(outcome), &mut self.out);
            }
        }
        count as u64
    }

    /// Ends the conversation if there is no room for what arrives.
    fn end_if_unbearable(&mut self) -> bool {
        let unread = self.session.unread() + self.stream.arriving();
        let is_unbearable = !self.arriving.is_bearable(unread);
        if is_unbearable {
            self.end(&Failure::Busy);
        }
        is_unbearable
    }

    /// Answers what has an outcome, as long as there is room.
    fn take_outcomes(&mut self, cx: &mut Context<'_>) {
        self.has_outcomes = true;
        while !self.is_full() {
            if let Some((id, outcome)) = self.fetched.get_mut(self.answered) {
                let outcome = mem::replace(outcome, Ok(Reply::Done));
                self.session.answer(*id, &told(outcome), &mut self.out);
                self.answered += 1;
                continue;
            }
            self.fetched.clear();
            self.answered = 0;
            let is_fetched =
                !self.mailbox.is_empty() && self.mailbox.poll(cx, &mut self.fetched).is_ready();
            if !is_fetched {
                self.has_outcomes = false;
                break;
            }
        }
        self.count_in_flight();
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(unsent @ [_, ..]) = self.out.get(self.sent..) {
            let Poll::Ready(sent) = Pin::new(&mut self.stream).poll_write(cx, unsent)? else {
                self.activity.blocked.store(true, Relaxed);
                // Otherwise a client that is always a little behind has it grow for ever.
                if self.sent >= self.out.len() - self.sent {
                    self.out.drain(..self.sent);
                    self.sent = 0;
                }
                return Poll::Pending;
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
            self.activity.bytes_out.fetch_add(sent as u64, Relaxed);
            self.activity.blocked.store(false, Relaxed);
        }
        self.out.clear();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn end(&mut self, failure: &Failure) {
        self.session.end(failure, &mut self.out);
        self.is_ended = true;
    }

    /// A connection with nothing to do keeps no buffers.
    fn rest(&mut self) {
        if self.session.unread() == 0 {
            self.session.release();
        }
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    fn count_in_flight(&self) {
        let in_flight = self.session.in_flight();
        self.activity.in_service.store(in_flight, Relaxed);
    }
}

/// Bytes of a frame that has arrived in part, in the account of all connections.
struct Arriving {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Arriving {
    /// Takes so many bytes into account instead of those before. False if all connections
    /// together have too many.
    fn is_bearable(&mut self, unread: usize) -> bool {
        // What one read leaves over is not worth the counting.
        let bytes = if unread > LARGE_READ {
            unread as u64
        } else {
            0
        };
        if bytes == self.bytes {
            return true;
        }
        let account = &self.shared.arriving_bytes;
        account.fetch_sub(self.bytes, Relaxed);
        let before = account.fetch_add(bytes, Relaxed);
        self.bytes = bytes;
        before + bytes <= self.shared.settings.max_arriving_bytes.0
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.shared.arriving_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

fn told(outcome: Outcome) -> Result<Reply, Failure> {
    outcome.map_err(|failure| match failure {
        desk::Failure::Refused(refusal) => Failure::Refused(refusal),
        desk::Failure::NotStored => Failure::NotStored,
        desk::Failure::OutcomeUnknown => Failure::OutcomeUnknown,
        desk::Failure::Stopping => Failure::Stopping,
        desk::Failure::Unreachable => Failure::Unreachable,
        desk::Failure::Busy => Failure::Busy,
        desk::Failure::CommandTooLarge { maximum_bytes } => Failure::FrameTooLarge {
            maximum: u32::try_from(maximum_bytes).unwrap_or(u32::MAX),
        },
    })
}
