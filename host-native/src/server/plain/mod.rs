//! Plain HTTP/1.1, which is what nearly all requests are: read, carried out and answered
//! without hyper.
//!
//! hyper takes one request of a connection at a time, so pipelined requests would each wait
//! for a commit of their own; it turns each head into types that nobody here needs, and keeps
//! a buffer for a client that waits. Here the commands of all requests that have come are
//! submitted one after the other, share a commit, and are answered in order. With the first
//! request that is not plain the connection goes to hyper, for good.

mod answer;
mod request;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll, ready};

use burrow_core::Command;
use burrow_core::rest::{self, Plan, Routed};
use tokio::io::AsyncReadExt;
use tokio::time::{Sleep, sleep};

use self::request::{Found, Head, MAX_HEAD_BYTES};
use super::Shared;
use super::gateway::{SERVER_PAGES, move_clock, render};
use super::peer::Peer;
use super::stream::PeerStream;
use crate::desk::{Mailbox, Outcome};

/// Bytes that are read at once, at the least and at the most.
const SMALL_READ: usize = 1 << 10;
const LARGE_READ: usize = 64 << 10;
/// A request that is larger and has not come whole is left to hyper, which keeps an account
/// of such bodies. No more than this is read ahead of what is carried out.
const MAX_REQUEST_BYTES: usize = 64 << 10;
/// While more bytes of answers than this are to be sent, none are added.
const MAX_UNSENT: usize = 256 << 10;
/// Requests of one connection that are carried out at a time.
const MAX_UNDER_WAY: usize = 256;
/// Small commands that are submitted together.
const MOST_AT_ONCE: usize = 64;

/// How a conversation ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client has left, or was told the last.
    Closed,
    /// hyper goes on with the connection, and with these bytes first.
    Unusual(Vec<u8>),
}

/// A connection for as long as its requests are plain.
pub(super) struct Conversation {
    /// Dropped first: when the client sees the connection go, its waits have ended.
    mailbox: Mailbox,
    stream: PeerStream,
    shared: Arc<Shared>,
    received: Vec<u8>,
    /// How much is read at once: more after a read that was not enough.
    read_bytes: usize,
    /// The requests that are not answered yet, in order. Each has its number as its tag.
    answers: VecDeque<Answer>,
    /// The number of the first of them.
    first: u64,
    fetched: Vec<(u64, Outcome)>,
    /// Bytes of answers that are written, but not sent yet.
    unsent: usize,
    /// Bytes of the bodies of answers that are not written yet.
    held: usize,
    /// A command that may wait. Nothing is begun behind it.
    waiting: Option<Waiting>,
    /// Runs while the body of a request is missing.
    body_time: Option<Pin<Box<Sleep>>>,
    is_body_missing: bool,
    is_unusual: bool,
    is_finishing: bool,
    /// The client sends nothing more.
    is_read: bool,
}

enum Answer {
    UnderWay(Plan),
    Ready(rest::Response),
}

struct Waiting {
    number: u64,
    /// Completes when the client has left. HTTP/1 gives no other sign of that than a closed
    /// sending side, and what is waited for must go to somebody who is there.
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Conversation {
    pub(super) fn new(peer: &Arc<Peer>, shared: &Arc<Shared>) -> Self {
        Self {
            mailbox: shared.desk.mailbox(),
            stream: PeerStream::new(Arc::clone(peer)),
            shared: Arc::clone(shared),
            received: Vec::new(),
            read_bytes: SMALL_READ,
            answers: VecDeque::new(),
            first: 0,
            fetched: Vec::new(),
            unsent: 0,
            held: 0,
            waiting: None,
            body_time: None,
            is_body_missing: false,
            is_unusual: false,
            is_finishing: false,
            is_read: false,
        }
    }

    /// Goes on until the conversation has ended. The future may be dropped and another one be
    /// made.
    pub(super) async fn go_on(&mut self) -> io::Result<Ended> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Takes no more requests, and ends when those under way are answered.
    pub(super) fn finish(&mut self) {
        self.is_finishing = true;
    }

    fn peer(&self) -> &Arc<Peer> {
        self.stream.peer()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ended>> {
        loop {
            loop {
                self.take_outcomes(cx);
                self.write_answers();
                if !self.take_requests() {
                    break;
                }
            }
            let was_full = self.is_full();
            let is_sent = self.peer().poll_send(cx)?.is_ready();
            self.unsent = match is_sent {
                true => 0,
                false => self.peer().unsent(),
            };
            // What has come, or is answered, may have waited for room.
            if is_sent && (self.may_write() || was_full && !self.is_full()) {
                continue;
            }
            if is_sent && let Some(ended) = self.ended() {
                return Poll::Ready(Ok(ended));
            }
            if self.waiting.is_some() {
                self.rest();
            }
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.gone.as_mut().poll(cx));
                self.give_up_waiting();
                continue;
            }
            if !self.may_receive() {
                return Poll::Pending;
            }
            let Poll::Ready(bytes) = self.poll_receive(cx)? else {
                if self.is_body_late(cx) {
                    continue;
                }
                self.rest();
                return Poll::Pending;
            };
            self.is_read = bytes == 0;
        }
    }

    /// How the conversation has ended, if it has. All answers must have been sent.
    fn ended(&mut self) -> Option<Ended> {
        if !self.answers.is_empty() {
            return None;
        }
        let ended = if self.is_finishing && !self.is_body_missing {
            Ended::Closed
        } else if self.is_unusual {
            Ended::Unusual(std::mem::take(&mut self.received))
        } else if self.is_read {
            Ended::Closed
        } else {
            return None;
        };
        self.peer().activity.in_service.store(0, Relaxed);
        Some(ended)
    }

    /// A request that has come in part is carried out even by a server that stops.
    fn takes_no_more(&self) -> bool {
        self.is_unusual || (self.is_finishing && !self.is_body_missing)
    }

    fn may_receive(&self) -> bool {
        !self.takes_no_more()
            && !self.is_read
            && self.received.len() < MAX_REQUEST_BYTES + MAX_HEAD_BYTES
            && !self.is_full()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Only then is a buffer needed.
        ready!(self.peer().stream.poll_read_ready(cx))?;
        self.received.reserve(self.read_bytes);
        let room = self.received.capacity() - self.received.len();
        let bytes = ready!(pin!(self.stream.read_buf(&mut self.received)).poll(cx))?;
        self.read_bytes = match bytes == room {
            true => (self.read_bytes * 4).min(LARGE_READ),
            false => SMALL_READ.max(self.read_bytes / 2),
        };
        Poll::Ready(Ok(bytes))
    }

    /// Begins what has come whole. True if there was something.
    fn take_requests(&mut self) -> bool {
        let received = std::mem::take(&mut self.received);
        let (mut taken, mut requests, mut is_body_missing) = (0, 0, false);
        let mut small = Vec::new();
        while self.may_begin() {
            let Some(unread @ [_, ..]) = received.get(taken..) else {
                break;
            };
            let Head {
                mut request,
                head_bytes,
                body_bytes,
            } = match request::read(unread, self.shared.settings.max_headers) {
                Found::Head(head) if !is_for_hyper(&head, &self.shared) => head,
                Found::Nothing => break,
                Found::Head(_) | Found::Unusual => {
                    self.is_unusual = true;
                    break;
                }
            };
            let Some(body) = unread.get(head_bytes..head_bytes + body_bytes) else {
                self.is_unusual = head_bytes + body_bytes > MAX_REQUEST_BYTES;
                is_body_missing = !self.is_unusual;
                break;
            };
            request.body = body;
            self.is_body_missing = false;
            requests += 1;
            taken += head_bytes + body_bytes;
            let is_last = taken == received.len();
            if !self.carry_out(&request, &mut small, is_last) {
                taken = received.len();
                self.is_read = true;
                break;
            }
        }
        self.submit_small(small);
        self.is_body_missing = is_body_missing;
        self.received = received;
        self.received.drain(..taken);
        let activity = &self.peer().activity;
        activity.requests.fetch_add(requests, Relaxed);
        self.count_in_service();
        if !self.is_body_missing {
            self.body_time = None;
        }
        requests > 0
    }

    fn may_begin(&self) -> bool {
        // Where commands are not decided in the order in which they are submitted, one is
        // answered before the next is begun.
        let most = match self.shared.desk.decides_at_once() {
            true => MAX_UNDER_WAY,
            false => 1,
        };
        self.waiting.is_none()
            && !self.takes_no_more()
            && self.answers.len() < most
            && !self.is_full()
    }

    /// True while the client has so much to take that nothing is added.
    fn is_full(&self) -> bool {
        self.unsent + self.held + self.mailbox.bytes() > MAX_UNSENT
    }

    /// Whoever waits has left, and is done nothing for. What was asked before is still answered:
    /// only one side of the connection may be closed.
    fn give_up_waiting(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.mailbox.cancel(waiting.number);
            // Nothing was begun behind it.
            self.answers.pop_back();
        }
        self.received.clear();
        self.is_read = true;
    }

    /// False if the client has left: then what it would wait for is not done. What is small is
    /// put off to be submitted with what comes behind it.
    fn carry_out<'r>(
        &mut self,
        request: &rest::Request<'r>,
        small: &mut Vec<(u64, Command<'r>)>,
        is_last: bool,
    ) -> bool {
        tracing::trace!(method = request.method, target = request.target, "begun");
        let routed = rest::route(request, &self.shared.rest);
        let number = self.first + self.answers.len() as u64;
        let routed = match routed {
            Routed::Submit(command, plan)
                if command.is_small()
                    && !(is_last && small.is_empty())
                    && !self.shared.stopping.load(SeqCst) =>
            {
                small.push((number, command));
                self.answers.push_back(Answer::UnderWay(plan));
                if small.len() >= MOST_AT_ONCE {
                    self.submit_small(std::mem::take(small));
                }
                return true;
            }
            other => other,
        };
        self.submit_small(std::mem::take(small));
        let answer = match routed {
            Routed::Respond(answer) => answer,
            Routed::Clock(request) => move_clock(&self.shared, request),
            Routed::Submit(..) if self.shared.stopping.load(SeqCst) => rest::Response::stopping(),
            Routed::Submit(command, plan) => {
                let waits = command.wait_ms() > 0;
                if waits && self.peer().has_closed() {
                    return false;
                }
                match self.mailbox.submit(number, command) {
                    Some(outcome) => render(&plan, outcome),
                    None => {
                        self.answers.push_back(Answer::UnderWay(plan));
                        if waits {
                            self.waiting = Some(Waiting::new(number, self.peer()));
                        }
                        return true;
                    }
                }
            }
        };
        self.held += answer.body.len();
        self.answers.push_back(Answer::Ready(answer));
        self.write_answers();
        true
    }

    /// Submits commands that were put off.
    fn submit_small(&mut self, commands: Vec<(u64, Command<'_>)>) {
        if commands.is_empty() {
            return;
        }
        let mut outcomes = Vec::new();
        self.mailbox.submit_all(commands, &mut outcomes);
        for (number, outcome) in outcomes {
            self.has_come(number, outcome);
        }
        self.write_answers();
    }

    fn take_outcomes(&mut self, cx: &mut Context<'_>) {
        while !self.mailbox.is_empty() && self.mailbox.poll(cx, &mut self.fetched).is_ready() {
            let mut fetched = std::mem::take(&mut self.fetched);
            for (number, outcome) in fetched.drain(..) {
                self.waiting.take_if(|waiting| waiting.number == number);
                self.has_come(number, outcome);
            }
            self.fetched = fetched;
        }
    }

    /// The request of this number has its outcome.
    fn has_come(&mut self, number: u64, outcome: Outcome) {
        let place = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        if let Some(answer) = self.answers.get_mut(place)
            && let Answer::UnderWay(plan) = answer
        {
            let ready = render(plan, outcome);
            self.held += ready.body.len();
            *answer = Answer::Ready(ready);
        }
    }

    /// Writes the answers whose turn it is, as far as there is room.
    fn write_answers(&mut self) {
        while self.may_write() {
            let Some(Answer::Ready(answer)) = self.answers.pop_front() else {
                break;
            };
            self.first += 1;
            self.held -= answer.body.len();
            let is_last = self.is_finishing && self.answers.is_empty();
            let write = |out: &mut Vec<u8>| answer::write(out, answer, is_last);
            self.unsent = self.peer().gather(write);
        }
    }

    fn may_write(&self) -> bool {
        match self.answers.front() {
            Some(Answer::Ready(answer)) => {
                self.unsent == 0 || self.unsent + answer.body.len() <= MAX_UNSENT
            }
            _ => false,
        }
    }

    /// True once the rest of a body has not come in time. hyper then waits once more, and tells
    /// the client.
    fn is_body_late(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_body_missing {
            return false;
        }
        let time = self.shared.settings.body_timeout.duration();
        let body_time = self.body_time.get_or_insert_with(|| Box::pin(sleep(time)));
        self.is_unusual = body_time.as_mut().poll(cx).is_ready();
        self.is_unusual
    }

    /// A connection with nothing to do keeps no buffer.
    fn rest(&mut self) {
        if self.received.is_empty() {
            self.received = Vec::new();
        }
        if self.answers.is_empty() {
            self.answers = VecDeque::new();
            self.fetched = Vec::new();
        }
    }

    /// A request whose body is missing is in service: its body has a time of its own.
    fn count_in_service(&self) {
        let count = self.answers.len() + usize::from(self.is_body_missing);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.peer().activity.in_service.store(count, Relaxed);
    }
}

impl Waiting {
    fn new(number: u64, peer: &Arc<Peer>) -> Self {
        let peer = Arc::clone(peer);
        let gone = Box::pin(async move {
            // A connection that fails has been left, too.
            let _ = peer.closed().await;
        });
        Self { number, gone }
    }
}

fn is_for_hyper(head: &Head<'_>, shared: &Shared) -> bool {
    let is_page = |page: &&str| {
        let behind = head.request.target.strip_prefix(*page);
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('?'))
    };
    head.body_bytes as u64 > shared.settings.max_request_bytes.0 || SERVER_PAGES.iter().any(is_page)
}
