//! Dead letters that belong to another server.
//!
//! A server moves a message that had its attempts to the dead-letter queue on its own disk.
//! Where that queue lives elsewhere, nobody would find it there. So after a claim on such a
//! queue the proxy works as anybody does: it claims what lies there, puts it where it
//! belongs, and acknowledges. A crash in between gives the message to the next that looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burrow_client::placement::score;
use burrow_core::journal::dead_letter;
use burrow_core::{
    Command, Detail, MessageRef, QueueName, Reply, Selection, SettleAction, Settlement, Update,
};

use super::link::Link;
use super::router::Router;
use crate::desk::Failure;

/// What is known of a queue's settings is asked for again after so long: another proxy may
/// have changed them.
const FRESH: Duration = Duration::from_secs(10);
/// Queues that something is known of, at the most.
const MAX_KNOWN: usize = 100_000;
/// Messages that are forwarded at a time, and how long they are claimed for that.
const BATCH: u64 = 16;
const HIDE_MS: u64 = 10_000;

/// Which queues give messages up to another server. Forgetting any of it does no harm.
#[derive(Default)]
pub(super) struct Letters(Mutex<HashMap<u64, Known>>);

struct Known {
    since: Instant,
    /// The dead-letter queue, if it lives elsewhere.
    far: Option<QueueName<'static>>,
}

impl Letters {
    /// False if a claim on the queue is known to be its own server's affair alone.
    pub(super) fn may_leave(&self, queue: &QueueName<'_>) -> bool {
        self.get(queue).is_none_or(|far| far.is_some())
    }

    pub(super) fn forget(&self, queue: &QueueName<'_>) {
        self.lock().remove(&key(queue));
    }

    fn get(&self, queue: &QueueName<'_>) -> Option<Option<QueueName<'static>>> {
        let known = self.lock();
        let known = known.get(&key(queue))?;
        (known.since.elapsed() < FRESH).then(|| known.far.clone())
    }

    fn learn(&self, queue: &QueueName<'_>, far: Option<QueueName<'static>>) {
        let mut known = self.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let since = Instant::now();
        known.insert(key(queue), Known { since, far });
    }

    /// Nothing that can panic happens while it is locked.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two queues with the same key would be asked about too often, or too late.
fn key(queue: &QueueName<'_>) -> u64 {
    score("", 1, &[&queue.account, &queue.queue])
}

impl Router {
    /// The queue's dead-letter queue, if what `link` puts there belongs elsewhere.
    pub(super) async fn dead_letter(
        &self,
        queue: &QueueName<'_>,
        link: &Arc<Link>,
    ) -> Option<QueueName<'static>> {
        if let Some(known) = self.letters.get(queue) {
            return known;
        }
        let queue_name = queue.clone();
        let settings = link.call(&Command::GetSettings { queue: queue_name }).await;
        let dead_letter = match settings {
            Ok(Reply::Settings(settings)) => settings.dead_letter,
            Err(Failure::Refused(_)) => None,
            // Whoever claims next asks again.
            _ => return None,
        };
        let far = dead_letter.map(|dead_letter| QueueName {
            account: queue.account.clone().into_owned().into(),
            queue: String::from(dead_letter).into(),
        });
        // What is claimed from all servers may lie on any.
        let far = far.filter(|far| {
            let is_near =
                !self.is_spread(queue) && self.home(far).is_ok_and(|home| Arc::ptr_eq(home, link));
            !self.is_spread(far) && !is_near
        });
        self.letters.learn(queue, far.clone());
        far
    }

    /// Moves what lies in the dead-letter queue on `link` to where that queue lives.
    pub(super) async fn forward(&self, link: &Arc<Link>, dead_letter: &QueueName<'_>) {
        let Ok(home) = self.home(dead_letter) else {
            return;
        };
        if Arc::ptr_eq(home, link) {
            return;
        }
        while self.forward_some(link, home, dead_letter).await {}
    }

    /// True if there may be more.
    async fn forward_some(
        &self,
        link: &Arc<Link>,
        home: &Arc<Link>,
        queue: &QueueName<'_>,
    ) -> bool {
        let claim = Command::UpdateMessages {
            queue: queue.clone(),
            selection: Selection {
                limit: Some(BATCH),
                ..Selection::default()
            },
            update: Update {
                hide_ms: Some(HIDE_MS),
                ..Update::default()
            },
            wait_ms: 0,
            detail: Detail::All,
        };
        let Ok(Reply::Messages(claimed)) = link.call(&claim).await else {
            return false;
        };
        let put = |message: MessageRef<'_>| {
            let piece = dead_letter(&message, &link.spec.name)?;
            let command = Command::Import {
                queue: queue.clone(),
                piece: piece.into(),
            };
            home.start(&command).ok()
        };
        let puts: Vec<_> = claimed.iter().map(put).collect();
        let mut settlements = Vec::new();
        for (message, put) in claimed.iter().zip(puts) {
            let Some(put) = put else { continue };
            if put.await.is_ok() {
                settlements.push(Settlement {
                    id: message.id.into(),
                    claim: message.claim,
                    action: SettleAction::Delete,
                });
            }
        }
        let are_all = settlements.len() as u64 == claimed.matched();
        if !are_all {
            tracing::warn!(account = %queue.account, queue = %queue.queue, "dead letters stay where they are for now");
        }
        let queue = queue.clone();
        let settled = link.call(&Command::Settle { queue, settlements }).await;
        are_all && settled.is_ok() && claimed.matched() == BATCH
    }
}
