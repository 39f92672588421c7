//! Claimed messages, held as long as the work takes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;
use crate::options::{Settle, Taking};
use crate::queue::Queue;
use crate::transport::Message;

/// A claim is extended after this part of its time, so that one that fails can be repeated.
const PARTS: u32 = 3;

/// How messages are claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claiming {
    /// Messages that are claimed and settled together; of a stream, those that are claimed
    /// ahead at most.
    pub batch: u64,
    /// Time after which a message comes back when its worker dies.
    pub hide: Duration,
    /// Time that the server is asked to wait, again and again.
    pub wait: Duration,
}

impl Default for Claiming {
    /// One at a time, for 30 seconds, which is extended while it is held.
    fn default() -> Self {
        Self {
            batch: 1,
            hide: Duration::from_secs(30),
            wait: Duration::from_secs(20),
        }
    }
}

/// An endless supply of claimed messages.
#[derive(Debug)]
pub struct Claims {
    queue: Queue,
    claiming: Claiming,
}

impl Claims {
    pub(crate) fn new(queue: Queue, claiming: Claiming) -> Self {
        Self { queue, claiming }
    }

    /// The next messages, waited for as long as it takes. Dropping the future gives up the
    /// wait and claims nothing.
    pub async fn next(&mut self) -> Result<Held, Error> {
        loop {
            if let Some(held) = self.next_within(self.claiming.wait).await? {
                return Ok(held);
            }
        }
    }

    /// The next messages, if some come in time.
    pub async fn next_within(&mut self, wait: Duration) -> Result<Option<Held>, Error> {
        let taking = Taking {
            limit: self.claiming.batch.max(1),
            wait,
        };
        match self.queue.claim(taking, self.claiming.hide).await {
            Ok(messages) => {
                let hide = self.claiming.hide;
                Ok(Some(Held::new(self.queue.clone(), messages.list, hide)))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Claimed messages. Their claims are extended until they are settled or dropped; dropped
/// ones come back when their time is over.
#[derive(Debug)]
pub struct Held {
    queue: Queue,
    messages: Arc<Vec<Message>>,
    extending: JoinHandle<()>,
    /// Told when no further extension is to begin.
    settling: Arc<Notify>,
    lost: watch::Receiver<bool>,
}

impl Held {
    /// Must be called within a tokio runtime.
    fn new(queue: Queue, messages: Vec<Message>, hide: Duration) -> Self {
        let messages = Arc::new(messages);
        let (tell, lost) = watch::channel(false);
        let settling = Arc::new(Notify::new());
        let extending = Extending {
            queue: queue.clone(),
            messages: Arc::clone(&messages),
            hide,
            settling: Arc::clone(&settling),
        };
        Self {
            queue,
            messages,
            extending: tokio::spawn(extending.run(tell)),
            settling,
            lost,
        }
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Completes when none of the messages is this holder's any more: whatever the work does
    /// from here on must not count.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // Nobody can tell any more, so nobody does.
            std::future::pending::<()>().await;
        }
    }

    /// The work is done: the messages go. Tells the ids of those whose claim was lost before.
    pub async fn ack(self) -> Result<Vec<String>, Error> {
        self.settle(Settle::Ack).await
    }

    /// Gives the messages back, to be claimed again after `delay`. Tells the ids of those whose
    /// claim was lost before.
    pub async fn release(self, delay: Duration) -> Result<Vec<String>, Error> {
        self.settle(Settle::Release(delay)).await
    }

    async fn settle(mut self, settle: Settle) -> Result<Vec<String>, Error> {
        match settle {
            // One that comes after it finds nothing.
            Settle::Ack => self.extending.abort(),
            // An extension that is under way must not come after the release: what was sent
            // is not taken back for sure, so its answer is waited for.
            Settle::Release(_) | Settle::Extend(_) => {
                self.settling.notify_one();
                // It does not panic, and if it did, it would have ended as well.
                let _ = (&mut self.extending).await;
            }
        }
        let results = match self.messages.as_slice() {
            [message] => {
                let result = self.queue.settle(&message.id, message.claim, settle).await;
                vec![result]
            }
            messages => self.queue.settle_all(messages, settle).await?,
        };
        let mut lost = Vec::new();
        for (message, result) in self.messages.iter().zip(results) {
            match result {
                Ok(()) => {}
                Err(Error::NotFound(_) | Error::ClaimLost) => lost.push(message.id.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(lost)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.extending.abort();
    }
}

/// Extends the claims until they are settled or lost.
struct Extending {
    queue: Queue,
    messages: Arc<Vec<Message>>,
    hide: Duration,
    settling: Arc<Notify>,
}

impl Extending {
    async fn run(self, lost: watch::Sender<bool>) {
        let mut until = Instant::now() + self.hide;
        loop {
            tokio::select! {
                biased;
                () = self.settling.notified() => return,
                () = sleep(self.hide / PARTS) => {}
            }
            let asked = Instant::now();
            let extend = Settle::Extend(self.hide);
            let mut extended = pin!(self.queue.settle_all(self.messages.iter(), extend));
            let outcome = tokio::select! {
                biased;
                outcome = &mut extended => outcome,
                () = sleep_until(until) => {
                    // Whether the claims hold, nobody here knows any more. A release still waits.
                    lost.send_replace(true);
                    let _ = extended.await;
                    break;
                }
            };
            match outcome {
                Ok(results) if results.iter().any(Result::is_ok) => until = asked + self.hide,
                Ok(_) => break,
                Err(_) if Instant::now() < until => {}
                Err(_) => break,
            }
        }
        lost.send_replace(true);
        // The receivers see the value as long as the sender is there.
        tokio::select! {
            () = self.settling.notified() => {}
            () = lost.closed() => {}
        }
    }
}
