//! The open connections, and an eye on those that only hold a place.
//!
//! Instead of timers that every request would have to set and clear, each connection keeps
//! counters, and a sweep now and then compares them with what it saw before.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Shared;
use super::connection;
use super::peer::{Activity, Peer};
use super::wire;
use crate::config::ConnectionSettings;

/// All open connections.
pub(super) struct Connections {
    tasks: JoinSet<()>,
    watched: HashMap<Id, Watched>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    header: Duration,
    write: Duration,
    idle: Duration,
}

struct Watched {
    activity: Arc<Activity>,
    task: AbortHandle,
    phase: Phase,
    /// When the phase began, or last made progress.
    since: Instant,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It carries a request out, or reads its body, which keeps a time of its own.
    Serving,
    /// An answer is on its way; so many bytes have left.
    Answering { bytes_out: u64 },
    /// The head of a request is expected, and overdue if it takes long: the connection is
    /// new, or part of the head is there.
    Head { requests: u64 },
    /// Nothing has come since the last request.
    Idle { requests: u64, bytes_in: u64 },
    /// It was idle for too long and was asked to close.
    Finishing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Finish,
    Close(&'static str),
}

impl Connections {
    pub(super) fn new(settings: &ConnectionSettings) -> Self {
        let limits = Limits {
            header: settings.header_timeout.duration(),
            write: settings.write_timeout.duration(),
            idle: settings.idle_timeout.duration(),
        };
        Self {
            tasks: JoinSet::new(),
            watched: HashMap::new(),
            limits,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.watched.len() as u64
    }

    /// Serves HTTP on the stream.
    pub(super) fn add(&mut self, stream: TcpStream, shared: &Arc<Shared>) {
        let activity = Arc::default();
        let peer = Arc::new(Peer::new(stream, Arc::clone(&activity)));
        let conversation = connection::run(peer, Arc::clone(shared));
        self.watch(activity, conversation);
    }

    /// Serves the wire protocol on the stream.
    pub(super) fn add_wire(&mut self, stream: wire::Stream, shared: &Arc<Shared>) {
        let activity = Arc::default();
        let conversation = wire::run(stream, Arc::clone(&activity), Arc::clone(shared));
        self.watch(activity, conversation);
    }

    fn watch(
        &mut self,
        activity: Arc<Activity>,
        conversation: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(conversation);
        let watched = Watched {
            activity,
            task,
            phase: Phase::Head { requests: 0 },
            since: Instant::now(),
        };
        self.watched.insert(watched.task.id(), watched);
    }

    /// Waits until a connection has ended, and forgets it. Never returns while there is none.
    pub(super) async fn reap(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => note_panic(&error),
            None => std::future::pending().await,
        };
        self.watched.remove(&ended);
    }

    /// How often [`sweep`](Self::sweep) is wanted.
    pub(super) fn sweep_interval(&self) -> Duration {
        let shortest = self
            .limits
            .header
            .min(self.limits.write)
            .min(self.limits.idle);
        (shortest / 4).clamp(Duration::from_millis(25), Duration::from_secs(1))
    }

    /// Closes connections that hold their place for nothing.
    pub(super) fn sweep(&mut self, now: Instant) {
        for watched in self.watched.values_mut() {
            match watched.judge(now, self.limits) {
                Verdict::Keep => {}
                Verdict::Finish => watched.activity.finish.notify_one(),
                Verdict::Close(reason) => {
                    tracing::debug!(reason, "connection closed");
                    watched.task.abort();
                }
            }
        }
    }

    /// Asks every connection to close after the request that it carries out.
    pub(super) fn finish(&self) {
        self.watched
            .values()
            .for_each(|watched| watched.activity.finish.notify_one());
    }

    /// Closes every connection.
    pub(super) async fn close(&mut self) {
        self.tasks.shutdown().await;
        self.watched.clear();
    }
}

impl Watched {
    fn judge(&mut self, now: Instant, limits: Limits) -> Verdict {
        let phase = self.observe();
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        let lasted = now.saturating_duration_since(self.since);
        match self.phase {
            Phase::Answering { .. } if lasted >= limits.write => {
                Verdict::Close("the client takes no answer")
            }
            Phase::Head { .. } if lasted >= limits.header => Verdict::Close("no request in time"),
            Phase::Finishing => Verdict::Close("idle"),
            Phase::Idle { .. } if lasted >= limits.idle => {
                self.phase = Phase::Finishing;
                Verdict::Finish
            }
            _ => Verdict::Keep,
        }
    }

    fn observe(&self) -> Phase {
        let peer = &*self.activity;
        if peer.blocked.load(Relaxed) || peer.in_answer.load(Relaxed) > 0 {
            return Phase::Answering {
                bytes_out: peer.bytes_out.load(Relaxed),
            };
        }
        if peer.in_service.load(Relaxed) > 0 {
            return Phase::Serving;
        }
        let (now_requests, now_bytes) = (peer.requests.load(Relaxed), peer.bytes_in.load(Relaxed));
        match self.phase {
            Phase::Head { requests } if requests == now_requests => self.phase,
            Phase::Idle { requests, bytes_in } if requests == now_requests => {
                match bytes_in == now_bytes || peer.has_pings.load(Relaxed) {
                    true => self.phase,
                    false => Phase::Head { requests },
                }
            }
            Phase::Finishing => Phase::Finishing,
            _ => Phase::Idle {
                requests: now_requests,
                bytes_in: now_bytes,
            },
        }
    }
}

/// A connection's task never ends with an error unless it was aborted or has a mistake.
fn note_panic(error: &JoinError) -> Id {
    if error.is_panic() {
        tracing::error!(%error, "a connection's task failed");
    }
    error.id()
}
