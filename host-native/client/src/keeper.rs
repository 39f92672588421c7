//! Keeps the claims of messages that are held, all of them in one call.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;
use crate::options::Settle;
use crate::queue::Queue;
use crate::transport::Message;

/// Claims are extended after this part of their time, so that one that fails can be repeated.
const PARTS: u32 = 3;
/// Claims that are extended in one call.
const MOST_AT_ONCE: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Keeper {
    queue: Queue,
    hide: Duration,
    kept: Mutex<Table>,
    /// Written while claims are extended. An extension must not come after a release, which
    /// leaves the claim as it was.
    round: RwLock<()>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    messages: HashMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    /// Whether the claim holds after this, nobody here knows.
    until: Instant,
    lost: watch::Sender<bool>,
}

/// A message whose claim is kept.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) key: u64,
    pub(crate) message: Arc<Message>,
    /// True once the claim is lost.
    pub(crate) lost: watch::Receiver<bool>,
}

impl Keeper {
    /// Must be called within a tokio runtime.
    pub(crate) fn start(queue: Queue, hide: Duration) -> Arc<Self> {
        let keeper = Arc::new(Self {
            queue,
            hide,
            kept: Mutex::default(),
            round: RwLock::new(()),
        });
        tokio::spawn(extend(Arc::downgrade(&keeper), hide));
        keeper
    }

    /// Keeps a claim that was just made.
    pub(crate) fn keep(&self, message: Message) -> Ticket {
        let (tell, lost) = watch::channel(false);
        let message = Arc::new(message);
        let mut table = self.table();
        table.last += 1;
        let key = table.last;
        let kept = Kept {
            message: Arc::clone(&message),
            until: Instant::now() + self.hide,
            lost: tell,
        };
        table.messages.insert(key, kept);
        Ticket { key, message, lost }
    }

    /// Keeps the claim no longer. False if it was lost.
    pub(crate) fn forget(&self, key: u64) -> bool {
        self.table().messages.remove(&key).is_some()
    }

    /// Settles a message that is not kept any more.
    pub(crate) async fn settle(&self, message: &Message, settle: Settle) -> Result<(), Error> {
        let _no_extension = self.round.read().await;
        self.queue.settle(&message.id, message.claim, settle).await
    }

    async fn extend_all(&self) {
        let _settling_waits = self.round.write().await;
        let held: Vec<(u64, Arc<Message>)> = {
            let table = self.table();
            let each = table.messages.iter();
            each.map(|(key, kept)| (*key, Arc::clone(&kept.message)))
                .collect()
        };
        for part in held.chunks(MOST_AT_ONCE) {
            let asked = Instant::now();
            let messages = part.iter().map(|(_, message)| &**message);
            let extended = self.queue.settle_all(messages, Settle::Extend(self.hide));
            let outcome = self.telling_lost(extended).await;
            let mut table = self.table();
            match outcome {
                Ok(results) => {
                    for ((key, _), result) in part.iter().zip(results) {
                        table.note(*key, &result, asked + self.hide);
                    }
                }
                Err(error) => {
                    let result = Err(error);
                    for (key, _) in part {
                        table.note(*key, &result, asked + self.hide);
                    }
                }
            }
        }
    }

    /// Waits for something, and tells meanwhile of claims whose time is over.
    async fn telling_lost<T>(&self, outcome: impl Future<Output = T>) -> T {
        let mut outcome = pin!(outcome);
        loop {
            let next = self.table().messages.values().map(|kept| kept.until).min();
            // Those that come meanwhile have all of their time.
            let next = next.unwrap_or_else(|| Instant::now() + self.hide);
            tokio::select! {
                biased;
                outcome = &mut outcome => return outcome,
                () = sleep_until(next) => self.table().end_all(Instant::now()),
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Gives up the claims whose time is over.
    fn end_all(&mut self, now: Instant) {
        for (_, kept) in self.messages.extract_if(|_, kept| kept.until <= now) {
            kept.lost.send_replace(true);
        }
    }

    /// Takes down what became of an extension.
    fn note(&mut self, key: u64, result: &Result<(), Error>, until: Instant) {
        let Some(kept) = self.messages.get_mut(&key) else {
            return;
        };
        let is_lost = match result {
            Ok(()) => {
                kept.until = until;
                false
            }
            Err(Error::NotFound(_) | Error::ClaimLost) => true,
            Err(_) => Instant::now() >= kept.until,
        };
        if is_lost && let Some(kept) = self.messages.remove(&key) {
            kept.lost.send_replace(true);
        }
    }
}

async fn extend(keeper: Weak<Keeper>, hide: Duration) {
    loop {
        sleep(hide / PARTS).await;
        let Some(keeper) = keeper.upgrade() else {
            return;
        };
        keeper.extend_all().await;
    }
}
