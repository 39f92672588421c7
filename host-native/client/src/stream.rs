//! Claimed messages as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::claims::Claiming;
use crate::error::Error;
use crate::keeper::{Keeper, Ticket};
use crate::options::{Settle, Taking};
use crate::queue::Queue;
use crate::transport::Message;

/// A queue is asked again no sooner when there is nothing.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// What a server takes in one call, unless it was told otherwise.
const MOST_AHEAD: usize = 10_000;

type Item = Result<Claimed, Error>;

/// Claimed messages as they come, one by one. Its claims are kept from the moment in which
/// they were made; those that nobody has taken are released when it is dropped.
///
/// After an error the next messages may come all the same. Only one that would come again and
/// again ([`Error::Invalid`]) ends the stream.
#[derive(Debug)]
pub struct ClaimStream {
    ready: mpsc::Receiver<Item>,
}

impl ClaimStream {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(queue: Queue, claiming: Claiming) -> Self {
        let ahead = usize::try_from(claiming.batch).unwrap_or(usize::MAX);
        let (sender, ready) = mpsc::channel(ahead.clamp(1, MOST_AHEAD));
        tokio::spawn(feed(queue, claiming, sender));
        Self { ready }
    }

    /// The next message, waited for as long as it takes.
    pub async fn next(&mut self) -> Option<Result<Claimed, Error>> {
        poll_fn(|cx| self.ready.poll_recv(cx)).await
    }
}

impl Stream for ClaimStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.ready.poll_recv(cx)
    }
}

/// A claimed message. Its claim is extended until it is settled or dropped, and one that is
/// dropped is released at once.
#[derive(Debug)]
pub struct Claimed {
    keeper: Arc<Keeper>,
    ticket: Ticket,
    is_settled: bool,
}

impl Claimed {
    pub fn message(&self) -> &Message {
        &self.ticket.message
    }

    /// Completes when the message is not this holder's any more: whatever the work does from
    /// here on must not count.
    pub async fn lost(&self) {
        let mut lost = self.ticket.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // Nobody can tell any more, so nobody does.
            std::future::pending::<()>().await;
        }
    }

    /// The work is done: the message goes.
    ///
    /// # Errors
    /// `ClaimLost` or `NotFound` if it was somebody else's by then. After any other error it
    /// comes back when its time is over, unless it has gone.
    pub async fn ack(self) -> Result<(), Error> {
        self.settle(Settle::Ack).await
    }

    /// Gives the message back, to be claimed again after `delay`.
    ///
    /// # Errors
    /// As with [`ack`](Self::ack).
    pub async fn release(self, delay: Duration) -> Result<(), Error> {
        self.settle(Settle::Release(delay)).await
    }

    async fn settle(mut self, settle: Settle) -> Result<(), Error> {
        self.is_settled = true;
        self.keeper.forget(self.ticket.key);
        self.keeper.settle(&self.ticket.message, settle).await
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.is_settled || !self.keeper.forget(self.ticket.key) {
            return;
        }
        // Without a runtime it comes back when its time is over.
        if let Ok(runtime) = Handle::try_current() {
            let keeper = Arc::clone(&self.keeper);
            let message = Arc::clone(&self.ticket.message);
            runtime.spawn(async move {
                // As above.
                let _ = keeper
                    .settle(&message, Settle::Release(Duration::ZERO))
                    .await;
            });
        }
    }
}

/// Claims as many messages as there is room for, until nobody wants them.
async fn feed(queue: Queue, claiming: Claiming, ready: mpsc::Sender<Item>) {
    let keeper = Keeper::start(queue.clone(), claiming.hide);
    while let Ok(place) = ready.reserve().await {
        drop(place);
        // Nobody else sends, so there will not be less.
        let taking = Taking {
            limit: ready.capacity() as u64,
            wait: claiming.wait.max(LEAST_WAIT),
        };
        let claimed = tokio::select! {
            claimed = queue.claim(taking, claiming.hide) => claimed,
            () = ready.closed() => return,
        };
        match claimed {
            Ok(messages) => {
                for message in messages {
                    let claimed = Claimed {
                        ticket: keeper.keep(message),
                        keeper: Arc::clone(&keeper),
                        is_settled: false,
                    };
                    // If nobody wants it any more, it is released.
                    let _ = ready.try_send(Ok(claimed));
                }
            }
            Err(Error::NotFound(_)) => {}
            Err(error) => {
                let is_last = matches!(error, Error::Invalid(_) | Error::Foreign(_));
                if ready.send(Err(error)).await.is_err() || is_last {
                    return;
                }
            }
        }
    }
}
