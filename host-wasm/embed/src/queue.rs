//! A queue that outlives its instances.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use burrow_core::{Reply, Timestamp};

use crate::bindings;
use crate::bindings::exports::burrow::queue::{node, queues, requests};
use crate::clock::Clock;
use crate::command;
use crate::error::{CallError, Cause, OpenError};
use crate::host::Host;
use crate::life::Life;
use crate::limits::{Limits, cost};
use crate::plugin::Plugin;
use crate::storage::Storage;
use crate::{Counts, Messages, NodeLimits, Opened, Quota, Refusal, Request, Response};

/// How time passes in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// As the clock tells.
    #[default]
    Clock,
    /// By [`Queue::advance`] and by requests to `/clock`, and not else.
    Manual,
}

/// How a queue behaves. The defaults are those of a server, within the limits.
#[derive(Clone, Debug, Default)]
pub struct QueueConfig {
    pub time: Time,
    pub limits: Limits,
    /// What the queue refuses; by default what does not fit into its memory.
    pub node: NodeLimits,
    /// Keys the hash tables of a new queue against ids that were chosen to collide; by default random. What is
    /// stored keeps its own.
    pub seed: Option<u64>,
    /// Milliseconds until a message expires where nobody says, 0 = never; by default 600,000.
    pub default_ttl_ms: Option<u64>,
    /// The origin whose pages a browser may let use the queue, `*` for all; by default none.
    pub cors_origin: Option<String>,
    /// Milliseconds for which a claim may be answered before it is stored; by default 0.
    pub claim_delay_ms: Option<u64>,
}

/// Names a call that waits, until its outcome was taken or it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    life: u64,
    number: u64,
}

/// The answer to a call that may wait.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done(Messages),
    /// It waits: see [`Queue::completed`].
    Pending(Ticket),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Handled {
    Response(Response),
    /// It waits: see [`Queue::completed`].
    Pending(Ticket),
}

/// The outcome of a call that waited.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Messages(Result<Messages, Refusal>),
    Response(Response),
    /// Of a [`command`](Queue::command).
    Reply(Result<Reply, burrow_core::Refusal>),
}

/// A node of its own, in an instance of its own. If the instance ends, the next call
/// begins another one from what is stored.
pub struct Queue {
    plugin: Plugin,
    config: node::Config,
    limits: Limits,
    opened: Opened,
    /// The present instance.
    life: Option<Box<Life>>,
    /// What the next instance begins with, while there is none.
    idle: Option<Box<Host>>,
    /// Instances so far.
    lives: u64,
    waiting: BTreeSet<Ticket>,
    /// Those whose instance ended while they waited.
    lost: BTreeMap<Ticket, Cause>,
    /// What a command is written to before it is passed on.
    pub(crate) frame: Vec<u8>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("limits", &self.limits)
            .field("lives", &self.lives)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn open(
        plugin: Plugin,
        storage: Box<dyn Storage>,
        clock: Box<dyn Clock>,
        config: QueueConfig,
    ) -> Result<Self, OpenError> {
        let host = Host::new(storage, clock, config.limits.memory_bytes);
        let mut queue = Self {
            plugin,
            opened: Opened {
                messages: 0,
                queues: 0,
                blobs: 0,
                bytes: 0,
            },
            life: None,
            idle: Some(Box::new(host)),
            lives: 0,
            waiting: BTreeSet::new(),
            lost: BTreeMap::new(),
            frame: Vec::new(),
            config: node::Config {
                clock: match config.time {
                    Time::Clock => node::ClockKind::Host,
                    Time::Manual => node::ClockKind::Manual,
                },
                seed: config
                    .seed
                    .unwrap_or_else(|| RandomState::new().hash_one("seed of a queue")),
                default_ttl_ms: config.default_ttl_ms,
                limits: config.limits.fitted(&config.node),
                cors_origin: config.cors_origin,
                claim_delay_ms: config.claim_delay_ms,
            },
            limits: config.limits,
        };
        queue.life()?;
        Ok(queue)
    }

    /// What the present instance found in the storage when it began.
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Instances so far; more than one if some have ended.
    pub fn lives(&self) -> u64 {
        self.lives
    }

    /// Takes a request of REST v1.0.
    ///
    /// # Errors
    /// If the request is too large, or the instance ended; [`CallError::response`] is the
    /// answer to it. Never `Refused` for what the queue itself says, which is a response.
    pub fn handle(&mut self, request: &Request) -> Result<Handled, CallError> {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len());
        self.fits(
            [request.target.len(), request.body.len()]
                .into_iter()
                .chain(headers),
        )?;
        let answer = self.call(|plugin, store| {
            Ok(Ok(plugin
                .burrow_queue_requests()
                .call_handle(store, request)?))
        })?;
        Ok(match answer {
            requests::Answer::Response(response) => Handled::Response(response),
            requests::Answer::Pending(number) => Handled::Pending(self.wait(number)),
        })
    }

    /// The calls that have waited and whose outcome can be taken. To be asked after any
    /// other call: what one call puts another may wait for.
    ///
    /// # Errors
    /// If the instance ended.
    pub fn completed(&mut self) -> Result<Vec<Ticket>, CallError> {
        if self.waiting.is_empty() {
            return Ok(self.lost.keys().copied().collect());
        }
        let numbers =
            self.call(|plugin, store| Ok(Ok(plugin.burrow_queue_node().call_completed(store)?)))?;
        let life = self.lives;
        let completed = numbers.into_iter().map(|number| Ticket { life, number });
        Ok(self.lost.keys().copied().chain(completed).collect())
    }

    /// The outcome of a call that waited, once; `None` while it waits.
    ///
    /// # Errors
    /// `Unknown` if its instance ended while it waited: whether a claim was made for it is open.
    pub fn take(&mut self, ticket: Ticket) -> Result<Option<Outcome>, CallError> {
        if let Some(cause) = self.lost.remove(&ticket) {
            return Err(CallError::Unknown(cause));
        }
        if !self.waiting.contains(&ticket) {
            return Ok(None);
        }
        let taken = self.call(|plugin, store| {
            Ok(Ok(plugin
                .burrow_queue_node()
                .call_take(store, ticket.number)?))
        })?;
        if taken.is_some() {
            self.waiting.remove(&ticket);
        }
        let outcome = taken.map(|outcome| match outcome {
            node::Outcome::Messages(messages) => Ok(Outcome::Messages(messages)),
            node::Outcome::Response(response) => Ok(Outcome::Response(response)),
            node::Outcome::Frame(frame) => command::read(&frame)
                .map(Outcome::Reply)
                .map_err(CallError::Refused),
        });
        outcome.transpose()
    }

    /// The client went away: the call waits no more.
    ///
    /// # Errors
    /// If the instance ended; the call does not wait then either.
    pub fn cancel(&mut self, ticket: Ticket) -> Result<(), CallError> {
        self.lost.remove(&ticket);
        if !self.waiting.remove(&ticket) {
            return Ok(());
        }
        self.call(|plugin, store| plugin.burrow_queue_node().call_cancel(store, ticket.number))
    }

    /// When [`tick`](Self::tick) is to be called next. Ask again after every other call.
    ///
    /// # Errors
    /// If the instance ended.
    pub fn deadline(&mut self) -> Result<Option<Timestamp>, CallError> {
        let deadline =
            self.call(|plugin, store| Ok(Ok(plugin.burrow_queue_node().call_deadline(store)?)))?;
        Ok(deadline.map(Timestamp::from_millis))
    }

    /// Lets happen what is due. Early, late and needless calls do no harm.
    ///
    /// # Errors
    /// If the instance ended.
    pub fn tick(&mut self) -> Result<(), CallError> {
        self.call(|plugin, store| plugin.burrow_queue_node().call_tick(store))
    }

    /// Moves a manual clock on; what is due on the way happens, each at its own instant and
    /// in order. Gives the new instant.
    ///
    /// # Errors
    /// If the clock is not manual, or the instance ended.
    pub fn advance(&mut self, span: Duration) -> Result<Timestamp, CallError> {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.call(|plugin, store| plugin.burrow_queue_node().call_advance(store, span_ms))
            .map(Timestamp::from_millis)
    }

    /// Counts, at once.
    ///
    /// # Errors
    /// If the instance ended.
    pub fn stats(&mut self) -> Result<Counts, CallError> {
        self.call(|plugin, store| plugin.burrow_queue_node().call_stats(store))
    }

    /// A digest of what the queue holds, equal on every host that holds the same.
    ///
    /// # Errors
    /// If the instance ended.
    pub fn digest(&mut self) -> Result<u64, CallError> {
        self.call(|plugin, store| plugin.burrow_queue_node().call_digest(store))
    }

    /// Calls the instance, after beginning one if there is none.
    pub(crate) fn call<T>(
        &mut self,
        work: impl FnOnce(
            &bindings::Plugin,
            &mut wasmtime::Store<Host>,
        ) -> wasmtime::Result<Result<T, Refusal>>,
    ) -> Result<T, CallError> {
        let time = self.limits.call_time;
        let called = self.life()?.call(time, work);
        if let Some(cause) = &called.ended {
            self.end(cause);
        }
        match (called.result, called.ended) {
            (Ok(Ok(done)), _) => Ok(done),
            (Ok(Err(refusal)), None) => Err(CallError::Refused(refusal)),
            (Ok(Err(_)), Some(cause)) | (Err(cause), _) => Err(if called.may_be_stored {
                CallError::Unknown(cause)
            } else {
                CallError::NotDone(cause)
            }),
        }
    }

    pub(crate) fn answer(&mut self, answer: queues::Answer) -> Answer {
        match answer {
            queues::Answer::Done(messages) => Answer::Done(messages),
            queues::Answer::Pending(number) => Answer::Pending(self.wait(number)),
        }
    }

    /// Bytes that a call may carry.
    pub(crate) fn call_bytes(&self) -> usize {
        self.limits.call_bytes()
    }

    /// Refuses what would take too much of the memory only to be looked at.
    pub(crate) fn fits(&self, sizes: impl IntoIterator<Item = usize>) -> Result<(), CallError> {
        let maximum = self.call_bytes();
        if cost(sizes) <= maximum {
            return Ok(());
        }
        Err(CallError::Refused(Refusal::TooLarge(Quota {
            name: "call_bytes".into(),
            maximum: u64::try_from(maximum).unwrap_or(u64::MAX),
        })))
    }

    pub(crate) fn wait(&mut self, number: u64) -> Ticket {
        let ticket = Ticket {
            life: self.lives,
            number,
        };
        self.waiting.insert(ticket);
        ticket
    }

    /// The present instance, or a new one.
    fn life(&mut self) -> Result<&mut Life, OpenError> {
        if let Some(host) = self.idle.take() {
            match Life::begin(&self.plugin, *host, &self.config, self.limits.open_time) {
                Ok((life, opened)) => {
                    self.life = Some(Box::new(life));
                    self.lives += 1;
                    self.opened = opened;
                }
                Err(failed) => {
                    let (host, error) = *failed;
                    self.idle = Some(Box::new(host));
                    return Err(error);
                }
            }
        }
        let gone = || OpenError::Failed(Cause::Trap("its storage panicked before".into()));
        self.life.as_deref_mut().ok_or_else(gone)
    }

    /// The instance has ended, and with it the waiting of all who waited.
    fn end(&mut self, cause: &Cause) {
        if let Some(life) = self.life.take() {
            self.idle = Some(Box::new(life.end()));
        }
        let waited = std::mem::take(&mut self.waiting);
        self.lost
            .extend(waited.into_iter().map(|ticket| (ticket, cause.clone())));
    }
}
