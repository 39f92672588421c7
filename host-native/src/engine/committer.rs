//! The thread that makes decisions durable and keeps deadlines.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use burrow_core::journal::Batch;
use burrow_core::{Config, Node};

use super::group::Group;
use super::shared::{Core, Shared};
use super::{Failure, Health, StartError};
use crate::desk::Deliveries;
use crate::storage::{AppendError, Storage};

/// Between two tries whether storing works again.
const RETRY: Duration = Duration::from_millis(250);
/// A probe is as large as the write that failed, within these limits. A disk on which
/// hardly anything fits is better left alone: storing would fail again at once.
const SMALLEST_PROBE_BYTES: usize = 512 << 10;
const LARGEST_PROBE_BYTES: usize = 16 << 20;

pub(super) struct Committer {
    shared: Arc<Shared>,
    /// `None` for a node that forgets everything: then only deadlines are kept.
    store: Option<Store>,
    /// Kept between steps for its memory.
    deliveries: Deliveries,
    /// A batch that is durable, which the node does not know yet.
    durable: Option<u64>,
    /// The last batch before the end was asked for.
    flushed: bool,
    group: Group,
}

struct Store {
    storage: Box<dyn Storage>,
    config: Config,
    /// The last sequence of the journal that the node was restored from.
    restored: u64,
    outage: Option<Outage>,
}

struct Outage {
    next_try: Instant,
    probe_bytes: usize,
}

/// What the committer found to do when it looked at the node.
enum Work {
    Store(Batch),
    /// Wait for so long for others to share the next commit.
    Gather(Duration),
    /// Send the replies that were taken, then look again.
    Send,
    /// See whether the outage is over.
    Retry,
    /// The node is condemned.
    Rebuild,
    End,
}

impl Committer {
    pub(super) fn in_memory(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            store: None,
            deliveries: Deliveries::default(),
            durable: None,
            flushed: false,
            group: Group::default(),
        }
    }

    pub(super) fn durable(
        shared: Arc<Shared>,
        storage: Box<dyn Storage>,
        config: Config,
        restored: u64,
    ) -> Self {
        let store = Store {
            storage,
            config,
            restored,
            outage: None,
        };
        Self {
            store: Some(store),
            ..Self::in_memory(shared)
        }
    }

    pub(super) fn spawn(self) -> Result<(), StartError> {
        let thread = thread::Builder::new().name("burrow-committer".into());
        thread
            .spawn(move || self.run())
            .map(drop)
            .map_err(StartError::Thread)
    }

    fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.step())) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(failure)) => return self.end(failure),
                // Only a node's panic is survived: it is replaced.
                Err(_) if self.shared.lock().condemned => {}
                Err(_) => return self.end(Some("internal error in the committer".into())),
            }
        }
    }

    /// Breaks at the end, with the failure that was the cause of it, if one was.
    fn step(&mut self) -> ControlFlow<Option<String>> {
        let work = self.wait_for_work();
        self.deliveries.send();
        if let Some(store) = &mut self.store {
            store.storage.maintain();
        }
        match work {
            Work::Store(batch) => self.store_batch(&batch),
            Work::Send | Work::Gather(_) => {}
            Work::Retry => self.retry(),
            Work::Rebuild => return self.rebuild(),
            Work::End => return ControlFlow::Break(None),
        }
        ControlFlow::Continue(())
    }

    fn wait_for_work(&mut self) -> Work {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut core = shared.lock();
            match self.find_work(&mut core) {
                Some(Work::Gather(at_most)) => {
                    shared.gather(core, self.group.size(), at_most);
                    continue;
                }
                Some(work) => return work,
                None => {}
            }
            let to_retry = self
                .outage()
                .map(|outage| outage.next_try.saturating_duration_since(Instant::now()));
            shared.sleep(core, to_retry);
        }
    }

    fn find_work(&mut self, core: &mut Core) -> Option<Work> {
        if core.condemned {
            return Some(Work::Rebuild);
        }
        let stored = self.durable.take();
        let held = core.held_replies();
        if let Some(node) = &mut core.node {
            if let Some(sequence) = stored {
                node.handle_durable(sequence);
            }
            let now = self.shared.now();
            if node.deadline().is_some_and(|deadline| deadline <= now) {
                node.handle_deadline(now);
            }
        }
        core.take_replies(None, &mut self.deliveries);
        if stored.is_some() {
            self.group.answered(held);
        }
        // A checkpoint may be under way for long: when all are answered, what is decided
        // fits into one more batch.
        let answered = core.stopping && core.pending.is_empty();
        let enough = answered && std::mem::replace(&mut self.flushed, answered);
        if self.store.is_some() && core.storing && !enough {
            if let Some(at_most) = self.group.wanting(core.held_replies())
                && !core.stopping
            {
                return Some(if self.deliveries.is_empty() {
                    Work::Gather(at_most)
                } else {
                    Work::Send
                });
            }
            // One batch is one transaction: it holds everything decided so far, and a
            // further one would hold pieces of a checkpoint only, for which no reply
            // should have to wait.
            if let Some(batch) = core.node.as_mut().and_then(Node::poll_batch) {
                return Some(Work::Store(batch));
            }
        }
        if !self.deliveries.is_empty() {
            return Some(Work::Send);
        }
        if core.stopping {
            return Some(Work::End);
        }
        self.outage()
            .filter(|outage| outage.next_try <= Instant::now())
            .map(|_| Work::Retry)
    }

    fn outage(&self) -> Option<&Outage> {
        self.store.as_ref().and_then(|store| store.outage.as_ref())
    }

    fn store_batch(&mut self, batch: &Batch) {
        let Some(store) = &mut self.store else { return };
        let started = Instant::now();
        let appended = store.storage.append(batch);
        self.group.commit_took(started.elapsed());
        let Err(error) = appended else {
            return self.stored(batch);
        };
        let recovered = store.storage.recover();
        if recovered.as_ref().is_ok_and(|last| *last >= batch.sequence) {
            // The commit was reported as failed, but it is there, and now for certain.
            return self.stored(batch);
        }
        let certain = recovered.is_ok() || matches!(error, AppendError::NotStored(_));
        let failure = if certain {
            Failure::NotStored
        } else {
            Failure::OutcomeUnknown
        };
        store.outage = Some(Outage {
            next_try: Instant::now() + RETRY,
            probe_bytes: batch
                .blob
                .len()
                .clamp(SMALLEST_PROBE_BYTES, LARGEST_PROBE_BYTES),
        });
        self.begin_outage(error.to_string(), failure);
    }

    fn stored(&mut self, batch: &Batch) {
        self.durable = Some(batch.sequence);
        if let Some(store) = &mut self.store {
            store.restored = batch.sequence;
        }
        self.shared.counters.commits.fetch_add(1, Relaxed);
        self.shared
            .counters
            .committed_bytes
            .fetch_add(batch.blob.len() as u64, Relaxed);
    }

    /// A node that panicked is replaced by one that is restored from what is stored. Not
    /// in memory: there everything is lost, and to go on empty would hide that.
    fn rebuild(&mut self) -> ControlFlow<Option<String>> {
        let reason = "internal error in the queue machine";
        let Some(store) = &mut self.store else {
            return ControlFlow::Break(Some(reason.into()));
        };
        store.outage = Some(Outage {
            next_try: Instant::now(),
            probe_bytes: 0,
        });
        // Some of what was decided may be in the last batch that was stored.
        self.begin_outage(reason.into(), Failure::OutcomeUnknown);
        ControlFlow::Continue(())
    }

    /// Answers all that are pending with `failure`, and restores a node that takes no
    /// changes from what is stored. If that fails too there is none; `retry` tries again.
    fn begin_outage(&mut self, reason: String, failure: Failure) {
        tracing::error!(reason, "changes are refused until storing works again");
        self.shared.counters.outages.fetch_add(1, Relaxed);
        self.shared.set_health(Health::NotStoring { reason });
        self.durable = None;
        self.discard_node(&failure);
        if let Err(reason) = self.restore_node() {
            tracing::error!(%reason, "what is stored cannot be read");
        }
        // Whoever is told of the outage can read again.
        self.deliveries.send();
    }

    /// What the pending are told is still to be sent.
    fn discard_node(&mut self, failure: &Failure) {
        let mut core = self.shared.lock();
        let node = core.node.take();
        let pending = std::mem::take(&mut core.pending);
        core.generation += 1;
        core.condemned = false;
        core.storing = false;
        drop(core);
        for (_, sender) in pending {
            self.deliveries.push(sender, Err(failure.clone()));
        }
        // A node that panicked once may do so again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(node)));
    }

    fn restore_node(&mut self) -> Result<(), String> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let now = self.shared.now();
        let restored = Node::restore(store.config.clone(), now, &mut *store.storage.load());
        let (node, report) = restored.map_err(|error| error.to_string())?;
        store.restored = report.last_sequence;
        self.shared.lock().node = Some(node);
        Ok(())
    }

    fn retry(&mut self) {
        let started = Instant::now();
        let tried = self.try_to_resume();
        let Some(store) = &mut self.store else { return };
        match tried {
            Ok(()) => {
                store.outage = None;
                let mut core = self.shared.lock();
                core.storing = true;
                if !core.stopping {
                    self.shared.set_health(Health::Serving);
                }
                drop(core);
                tracing::info!("storing works again");
            }
            Err(reason) => {
                // A try that takes long, as a restore does, is not made all the time.
                let pause = RETRY.max(started.elapsed() * 4);
                if let Some(outage) = &mut store.outage {
                    outage.next_try = Instant::now() + pause;
                }
                if !self.shared.lock().stopping {
                    self.shared.set_health(Health::NotStoring { reason });
                }
            }
        }
    }

    /// Makes sure where the store stands, that the node stands there too, and that
    /// something can be written.
    fn try_to_resume(&mut self) -> Result<(), String> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let last = store.storage.recover().map_err(|error| error.to_string())?;
        let probe_bytes = store.outage.as_ref().map_or(0, |outage| outage.probe_bytes);
        let stale = last != store.restored;
        if stale || self.shared.lock().node.is_none() {
            self.discard_node(&Failure::NotStored);
            let restored = self.restore_node();
            self.deliveries.send();
            restored?;
        }
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        store
            .storage
            .probe(probe_bytes)
            .map_err(|error| error.to_string())
    }

    /// Answers whoever still waits, closes the store and says that it is over.
    fn end(&mut self, mut failure: Option<String>) {
        self.shared.lock().stopping = true;
        let last_word = if failure.is_some() {
            Failure::OutcomeUnknown
        } else {
            Failure::NotStored
        };
        self.discard_node(&last_word);
        self.deliveries.send();
        if let Some(store) = self.store.take() {
            let closed = catch_unwind(AssertUnwindSafe(|| store.storage.close()));
            if failure.is_none() && !matches!(closed, Ok(Ok(()))) {
                failure =
                    Some("the store could not be closed; the next start will recover it".into());
            }
        }
        match &failure {
            Some(failure) => tracing::error!(reason = failure, "stopped"),
            None => tracing::debug!("stopped"),
        }
        self.shared.set_health(Health::Stopped { failure });
    }
}
