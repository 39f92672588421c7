//! The queue machine at work: commands from many tasks, one journal, replies when they
//! are durable.
//!
//! The node stands behind a mutex and is driven by whoever has something for it: a
//! command is carried out on its caller's own thread. What needs no storage is answered
//! right there, without a context switch. What must be stored first waits for the
//! committer, one thread that takes everything decided since its last write, stores that
//! in one transaction, and lets the replies go. It also keeps the node's deadlines. No
//! I/O happens while the mutex is held.

mod clock;
mod committer;
mod group;
mod restoring;
mod shared;
mod stats;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burrow_core::journal::{RestoreError, RestoreReport};
use burrow_core::{Command, Config, Node, Reply};
use tokio::sync::watch;

pub use clock::{Advanced, Clock, ManualClock, SystemClock};
pub use stats::Stats;

pub use crate::desk::{Failure, Health, Mailbox};

use crate::desk::{Backend, Desk, Recipient, Submitted};
use crate::storage::{OpenError, SqliteStore, Storage};
use committer::Committer;
use shared::Shared;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// `node.journal.enabled` is set by the engine: it follows from `store`.
    pub node: Config,
    pub store: StoreConfig,
}

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// Nowhere: a restart forgets everything.
    Memory,
    /// In a SQLite file in this folder, see [`SqliteStore`].
    Sqlite { dir: PathBuf },
}

/// How a start went.
#[derive(Clone, Copy, Debug)]
pub struct StartReport {
    pub restored: RestoreReport,
    /// From opening the store until commands could be taken.
    pub elapsed: Duration,
}

/// Why an engine did not start. Stored data was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}; restore the data from a backup")]
    Restore(#[from] RestoreError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running queue. Clones are handles to the same one; when the last is dropped without
/// [`stop`](Self::stop), the engine stops by itself, in the background.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Engine {
    /// Opens the store, restores what it holds, and starts to take commands. Blocks until
    /// then.
    pub fn start(
        config: EngineConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, StartReport), StartError> {
        let started = Instant::now();
        match config.store {
            StoreConfig::Memory => Self::start_in_memory(config.node, clock, started),
            StoreConfig::Sqlite { dir } => {
                let mut opening = SqliteStore::begin_open(&dir)?;
                let node = with_journal(config.node);
                let restored = restoring::restore(&node, clock.now(), || opening.load());
                // What SQLite finds tells more than that a blob cannot be read.
                let storage = Box::new(opening.finish()?);
                Self::start_durable(node, storage, clock, restored?, started)
            }
        }
    }

    /// As [`start`](Self::start), with a store of the caller's.
    pub fn start_with(
        node: Config,
        mut storage: Box<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, StartReport), StartError> {
        let started = Instant::now();
        let node = with_journal(node);
        let restored = restoring::restore(&node, clock.now(), || storage.load())?;
        Self::start_durable(node, storage, clock, restored, started)
    }

    /// Carries a command out. The reply comes when everything that it depends on is
    /// durable.
    ///
    /// Dropping the future cancels the command: a wait is given up, and a claim whose
    /// reply has not left yet is undone. Other changes that are already decided stay.
    pub async fn execute(&self, command: Command<'_>) -> Result<Reply, Failure> {
        self.desk().execute(command).await
    }

    /// For a caller with many commands at a time.
    pub fn mailbox(&self) -> Mailbox {
        self.desk().mailbox()
    }

    /// Counts, in O(1).
    pub fn stats(&self) -> Stats {
        self.handle.shared.stats()
    }

    /// Whether changes are taken, and if not, why.
    pub fn health(&self) -> Health {
        self.handle.shared.health()
    }

    /// Tells of every change of [`health`](Self::health). A server ends when it sees
    /// [`Health::Stopped`].
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.handle.shared.watch_health()
    }

    /// Ends all waiting, for whoever is about to stop: every command that waits fails as
    /// [`Failure::Stopping`], and so does, from now on, every one that finds nothing.
    pub fn release_waiters(&self) {
        self.handle.shared.release_waiters();
    }

    /// Has the engine look at its clock again. For clocks that are set by hand.
    pub fn clock_changed(&self) {
        self.handle.shared.clock_changed();
    }

    /// Moves time on by `span_ms`, and has everything that is due on the way happen at its
    /// own instant, in order. `clock` is the one that the engine was started with. Takes time
    /// proportional to what the node holds.
    ///
    /// # Errors
    /// `NotStored` or `Stopping` when there is no node to move; time stands still then.
    pub fn advance(&self, clock: &ManualClock, span_ms: u64) -> Result<Advanced, Failure> {
        self.handle.shared.advance(clock, span_ms)
    }

    /// Takes no more commands, answers those that wait as if their time had run out,
    /// makes durable and answers what is decided, and closes the store. Returns when all
    /// that is done; calling it more than once does no harm.
    pub async fn stop(&self) {
        self.desk().stop().await;
    }

    /// Where front-ends hand in commands.
    pub fn desk(&self) -> Desk {
        Desk::new(Arc::clone(&self.handle) as _)
    }

    fn start_in_memory(
        mut config: Config,
        clock: Arc<dyn Clock>,
        started: Instant,
    ) -> Result<(Self, StartReport), StartError> {
        config.journal.enabled = false;
        let node = Node::new(config.clone());
        let shared = Arc::new(Shared::new(node, clock, false));
        Committer::in_memory(Arc::clone(&shared)).spawn()?;
        Ok(Self::started(shared, RestoreReport::default(), started))
    }

    fn start_durable(
        config: Config,
        storage: Box<dyn Storage>,
        clock: Arc<dyn Clock>,
        (node, restored): (Node, RestoreReport),
        started: Instant,
    ) -> Result<(Self, StartReport), StartError> {
        let shared = Arc::new(Shared::new(node, clock, true));
        Committer::durable(Arc::clone(&shared), storage, config, restored.last_sequence).spawn()?;
        Ok(Self::started(shared, restored, started))
    }

    fn started(
        shared: Arc<Shared>,
        restored: RestoreReport,
        started: Instant,
    ) -> (Self, StartReport) {
        let engine = Self {
            handle: Arc::new(Handle { shared }),
        };
        (
            engine,
            StartReport {
                restored,
                elapsed: started.elapsed(),
            },
        )
    }
}

fn with_journal(mut node: Config) -> Config {
    node.journal.enabled = true;
    node
}

impl Backend for Handle {
    fn submit(&self, command: Command<'_>, recipient: &mut dyn FnMut() -> Recipient) -> Submitted {
        self.shared.submit(command, recipient)
    }

    fn submit_all(
        &self,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        self.shared.submit_all(commands, recipient, told);
    }

    fn decides_at_once(&self) -> bool {
        true
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn watch_health(&self) -> watch::Receiver<Health> {
        self.shared.watch_health()
    }

    fn release_waiters(&self) {
        self.shared.release_waiters();
    }

    fn begin_stop(&self) {
        self.shared.begin_stop();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_stop();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
