//! Where the front-ends hand in commands: an engine is behind it, or a proxy's servers.
//!
//! The seam is as narrow as can be: a command goes in, and its outcome comes at once or is
//! told to its recipient later. So the front-ends and their bounds are the same for both.

mod mailbox;
mod numbers;
mod row;
mod waiting;

use std::fmt;
use std::sync::Arc;

use burrow_core::{Command, Refusal, Reply};
use tokio::sync::{oneshot, watch};

pub use mailbox::Mailbox;
pub(crate) use numbers::NumberMap;
pub(crate) use row::NumberRow;
pub(crate) use waiting::{Cancel, Deliveries, Outcome, Place, Recipient, Relay, Waiting};

/// Why a command was not answered with a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The machine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made durable and did not happen. The caller may try again.
    #[error("the storage cannot take the change; nothing was changed")]
    NotStored,
    /// It may have happened or not, as when a connection breaks before the answer.
    #[error("the storage failed; the change may have been made or not")]
    OutcomeUnknown,
    /// The engine takes no more commands; this one did not happen.
    #[error("the server is stopping; nothing was changed")]
    Stopping,
    /// The server that has the queue does not answer its proxy. Nothing was changed.
    #[error("the queue's server cannot be reached; nothing was changed")]
    Unreachable,
    /// More waits for the storage, or is on its way to a proxy's server, than is kept.
    /// Nothing was changed; it may be taken later.
    #[error("too much is under way; nothing was changed")]
    Busy,
    /// The queue's server takes no command that large from its proxy.
    #[error("the command has more than {maximum_bytes} bytes")]
    CommandTooLarge { maximum_bytes: u64 },
}

/// Whether commands are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything is taken.
    Serving,
    /// Reads are answered, changes are refused. The engine tries by itself whether
    /// storing works again. Of a proxy: none of its servers can be reached.
    NotStoring { reason: String },
    /// What was decided is being finished; nothing new is taken.
    Stopping,
    /// Nothing is taken any more. `failure` is `None` if the engine was told to stop and
    /// closed its store as it should.
    Stopped { failure: Option<String> },
}

/// Carries commands out.
pub(crate) trait Backend: Send + Sync {
    /// `recipient` is asked for, once, if the outcome does not come at once.
    fn submit(&self, command: Command<'_>, recipient: &mut dyn FnMut() -> Recipient) -> Submitted;
    /// Submits commands in this order; `recipient` and `told` are given their tags. What they
    /// share may be done once for all.
    fn submit_all(
        &self,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        for (tag, command) in commands {
            told(tag, self.submit(command, &mut || recipient(tag)));
        }
    }
    /// Whether a command is decided when it is submitted, so that one that is submitted later
    /// sees what it did.
    fn decides_at_once(&self) -> bool;
    fn health(&self) -> Health;
    fn watch_health(&self) -> watch::Receiver<Health>;
    /// See [`Desk::release_waiters`].
    fn release_waiters(&self);
    fn begin_stop(&self);
}

pub(crate) enum Submitted {
    Answered(Outcome),
    Waiting(Place),
}

/// A handle to whatever carries commands out.
#[derive(Clone)]
pub struct Desk(Arc<dyn Backend>);

impl Desk {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self(backend)
    }

    /// Carries a command out. The reply comes when everything that it depends on is
    /// durable.
    ///
    /// Dropping the future cancels the command: a wait is given up, and a claim whose
    /// reply has not left yet is undone. Other changes that are already decided stay.
    pub async fn execute(&self, command: Command<'_>) -> Result<Reply, Failure> {
        let mut receiver = None;
        let submitted = self.0.submit(command, &mut || {
            let (sender, own) = oneshot::channel();
            receiver = Some(own);
            Recipient::One(sender)
        });
        match (submitted, receiver) {
            (Submitted::Answered(outcome), _) => outcome,
            (Submitted::Waiting(place), Some(receiver)) => Waiting::new(place, receiver).await,
            // Whoever waits has asked for a recipient.
            (Submitted::Waiting(_), None) => Err(Failure::OutcomeUnknown),
        }
    }

    /// For a caller with many commands at a time.
    pub fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.clone())
    }

    /// Whether a command is decided when it is submitted, so that one that is submitted later
    /// sees what it did. Otherwise a caller awaits the outcome before what depends on it.
    pub(crate) fn decides_at_once(&self) -> bool {
        self.0.decides_at_once()
    }

    /// Whether commands are taken, and if not, why.
    pub fn health(&self) -> Health {
        self.0.health()
    }

    /// Tells of every change of [`health`](Self::health). A server ends when it sees
    /// [`Health::Stopped`].
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.0.watch_health()
    }

    /// Ends all waiting, for whoever is about to stop: every command that waits fails as
    /// [`Failure::Stopping`], and so does, from now on, every one that finds nothing.
    pub fn release_waiters(&self) {
        self.0.release_waiters();
    }

    /// Takes no more commands, answers those that wait as if their time had run out, and
    /// finishes what is decided. Returns when all that is done; calling it more than once
    /// does no harm.
    pub async fn stop(&self) {
        self.0.begin_stop();
        let mut health = self.watch_health();
        // An error means that nothing is left of it, which is as stopped as can be.
        let _ = health
            .wait_for(|health| matches!(health, Health::Stopped { .. }))
            .await;
    }

    fn submit(&self, command: Command<'_>, recipient: &mut dyn FnMut() -> Recipient) -> Submitted {
        self.0.submit(command, recipient)
    }

    fn submit_all(
        &self,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        self.0.submit_all(commands, recipient, told);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
