//! One server: the connections to it, and whether it can be reached.
//!
//! All that is answered soon shares one connection, so commands are carried out in the order
//! in which they came. What waits has connections of its own, as many as it takes: a server
//! bears so many requests on each, and nothing is to stand behind a long wait.

use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burrow_core::wire::Offer;
use burrow_core::{Command, LimitName, Refusal};
use tokio::sync::{oneshot, watch};

use super::connection::{Broken, Checks, Connection};
use super::lane::Lane;
use crate::config::ServerSpec;
use crate::desk::{Failure, Outcome, Place, Recipient, Waiting};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a proxy keeps for one server at the most, and how it looks after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) checks: Checks,
    pub(super) max_unsent_bytes: usize,
    pub(super) max_waiters: u64,
}

pub(super) struct Link {
    pub(super) spec: ServerSpec,
    bounds: Bounds,
    lanes: Mutex<Lanes>,
    is_up: watch::Sender<Option<bool>>,
}

/// The connections. None but `main` is there without it.
#[derive(Default)]
struct Lanes {
    main: Option<(Arc<Lane>, Offer)>,
    waiting: Vec<Arc<Lane>>,
    is_stopped: bool,
}

impl Link {
    pub(super) fn new(spec: ServerSpec, bounds: Bounds) -> Self {
        Self {
            spec,
            bounds,
            lanes: Mutex::default(),
            is_up: watch::Sender::new(None),
        }
    }

    /// Whether the server can be reached; `None` until that was tried once.
    pub(super) fn watch(&self) -> watch::Receiver<Option<bool>> {
        self.is_up.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        *self.is_up.borrow() == Some(true)
    }

    /// Where all goes that is answered soon; `None` if the server cannot be reached.
    pub(super) fn main_lane(&self) -> Option<Arc<Lane>> {
        let lanes = self.lock();
        lanes.main.as_ref().map(|(lane, _)| Arc::clone(lane))
    }

    /// Sends a command; `recipient` is asked for unless it fails at once.
    pub(super) fn submit(
        self: &Arc<Self>,
        command: &Command<'_>,
        recipient: impl FnOnce() -> Recipient,
    ) -> Result<Place, Failure> {
        let mut lanes = self.lock();
        let Some((main, offer)) = &lanes.main else {
            return Err(Failure::Unreachable);
        };
        if command.wait_ms() == 0 {
            let main = Arc::clone(main);
            drop(lanes);
            return main.submit(command, recipient);
        }
        let offer = *offer;
        if let Some(lane) = lanes.waiting.iter().find(|lane| lane.has_room()) {
            return lane.submit(command, recipient);
        }
        let waiters: usize = lanes.waiting.iter().map(|lane| lane.len()).sum();
        if waiters as u64 >= self.bounds.max_waiters {
            return Err(Failure::Refused(Refusal::Exhausted {
                limit: LimitName::NodeWaiters,
                maximum: self.bounds.max_waiters,
            }));
        }
        let lane = Arc::new(Lane::new(offer, self.bounds.max_unsent_bytes));
        let place = lane.submit(command, recipient)?;
        lanes.waiting.push(Arc::clone(&lane));
        drop(lanes);
        tokio::spawn(Arc::clone(self).keep_waiting_lane(lane));
        Ok(place)
    }

    /// Sends a command, and returns what waits for its outcome. Dropping that takes it back.
    pub(super) fn start(self: &Arc<Self>, command: &Command<'_>) -> Result<Waiting, Failure> {
        let (sender, receiver) = oneshot::channel();
        let place = self.submit(command, || Recipient::One(sender))?;
        Ok(Waiting::new(place, receiver))
    }

    /// Sends a command and waits for its outcome. Dropping the future takes it back.
    pub(super) async fn call(self: &Arc<Self>, command: &Command<'_>) -> Outcome {
        self.start(command)?.await
    }

    /// Keeps the server connected, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut attempt = 0;
        loop {
            match Connection::open(&self.spec.address, self.bounds.checks).await {
                Ok(connection) => {
                    attempt = 0;
                    let reason = self.serve(connection).await;
                    let Err(reason) = reason else { return };
                    tracing::warn!(server = %self.spec.name, %reason, "server lost");
                }
                Err(reason) => {
                    if self.is_up.send_replace(Some(false)).is_none() {
                        tracing::warn!(server = %self.spec.name, %reason, "server not reached");
                    }
                }
            }
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn serve(&self, connection: Connection) -> Result<(), Broken> {
        let offer = connection.offer;
        let lane = Arc::new(Lane::new(offer, self.bounds.max_unsent_bytes));
        let is_stopped = {
            let mut lanes = self.lock();
            lanes.main = Some((Arc::clone(&lane), offer));
            lanes.is_stopped
        };
        if is_stopped {
            return Ok(());
        }
        self.is_up.send_replace(Some(true));
        tracing::info!(server = %self.spec.name, "server reached");
        let served = connection.serve(&lane, self.bounds.checks).await;
        self.lock().main = None;
        self.is_up.send_replace(Some(false));
        lane.close();
        self.close_waiting();
        served
    }

    /// Connects a lane for what waits, and serves it until it is idle or breaks.
    async fn keep_waiting_lane(self: Arc<Self>, lane: Arc<Lane>) {
        let checks = self.bounds.checks;
        let serve = async {
            let connection = Connection::open(&self.spec.address, checks).await?;
            let mut idle = tokio::time::interval(checks.timeout);
            let mut serving = pin!(connection.serve(&lane, checks));
            loop {
                tokio::select! {
                    served = &mut serving => return served,
                    _ = idle.tick() => self.close_if_idle(&lane),
                }
            }
        };
        if let Err(reason) = serve.await {
            tracing::debug!(server = %self.spec.name, %reason, "connection for waits lost");
        }
        lane.close();
        let mut lanes = self.lock();
        lanes.waiting.retain(|own| !Arc::ptr_eq(own, &lane));
    }

    /// Closes a lane that nobody uses. Nobody is about to, either: who looks for a lane holds
    /// the same lock until it has submitted.
    fn close_if_idle(&self, lane: &Arc<Lane>) {
        let mut lanes = self.lock();
        if lane.close_if_idle() {
            lanes.waiting.retain(|own| !Arc::ptr_eq(own, lane));
        }
    }

    /// Completes when the server can be reached again, to somebody whom it has just failed.
    pub(super) async fn back(&self) {
        if self.is_up() {
            // It is there, and still something failed, which would fail again at once.
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        let mut is_up = self.watch();
        if is_up.wait_for(|is_up| *is_up == Some(true)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends all waiting on the server.
    pub(super) fn release_waiters(&self) {
        for lane in &self.lock().waiting {
            lane.release();
        }
    }

    pub(super) fn stop(&self) {
        let mut lanes = self.lock();
        lanes.is_stopped = true;
        let main = lanes.main.take();
        drop(lanes);
        if let Some((main, _)) = main {
            main.close();
        }
        self.close_waiting();
    }

    fn close_waiting(&self) {
        let waiting = mem::take(&mut self.lock().waiting);
        waiting.iter().for_each(|lane| lane.close());
    }

    /// Nothing that can panic happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before the next try: longer each time, and never all proxies at once.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << attempt.min(8))
        .min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burrow_core::{Detail, QueueName, Selection};

    #[tokio::test]
    async fn who_waits_meets_no_lane_that_was_closed() {
        let bounds = Bounds {
            checks: Checks {
                interval: Duration::from_secs(60),
                timeout: Duration::from_secs(60),
            },
            max_unsent_bytes: 1 << 20,
            max_waiters: 10,
        };
        let spec = ServerSpec {
            name: "s".to_owned(),
            address: crate::config::ServerAddress::Tcp("127.0.0.1:1".to_owned()),
            weight: 1,
        };
        let link = Arc::new(Link::new(spec, bounds));
        let lane = || Arc::new(Lane::new(Offer::default(), bounds.max_unsent_bytes));
        let idle = lane();
        {
            let mut lanes = link.lock();
            lanes.main = Some((lane(), Offer::default()));
            lanes.waiting.push(Arc::clone(&idle));
        }
        link.close_if_idle(&idle);
        let list = Command::ListMessages {
            queue: QueueName {
                account: "a".into(),
                queue: "q".into(),
            },
            selection: Selection::default(),
            wait_ms: 1000,
            detail: Detail::None,
        };
        assert!(link.start(&list).is_ok(), "it has a lane of its own");
        assert_eq!(link.lock().waiting.len(), 1);
    }
}
