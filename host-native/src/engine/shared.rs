//! What the callers' tasks and the committer share.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use burrow_core::{Command, Effect, Node, Refusal, Ticket, Timestamp};
use tokio::sync::watch;

use super::{Advanced, Clock, Failure, Health, ManualClock, Stats};
use crate::desk::{Cancel, Deliveries, NumberMap, Outcome, Place, Recipient, Submitted};

/// The committer looks at the clock at least so often while there is a deadline: a clock
/// may jump, as after a suspend.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Bytes that are kept in memory until something is stored, at the most: where the storage
/// hangs, commands are refused before they fill the memory.
const MAX_UNSTORED_BYTES: u64 = 128 << 20;

pub(super) struct Shared {
    core: Mutex<Core>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    /// What the clock was behind the journal when the engine started, as after it was set
    /// back. Time goes on from where it was.
    behind_ms: u64,
    health: watch::Sender<Health>,
    pub(super) counters: Counters,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) committed_bytes: AtomicU64,
    pub(super) outages: AtomicU64,
}

impl Cancel for Shared {
    fn cancel(&self, generation: u64, number: u64) -> bool {
        self.contain_panic(|| self.cancel_uncontained(generation, number))
            .unwrap_or(false)
    }
}

/// What the mutex guards. It is held for the node's own work, and to note who is told what: no
/// I/O, no waiting, and no waking of tasks.
pub(super) struct Core {
    /// `None` while it is being restored, and after the end.
    pub(super) node: Option<Node>,
    /// Counts the nodes; see [`Place`].
    pub(super) generation: u64,
    /// Who waits for the reply to which ticket of the present node.
    pub(super) pending: NumberMap<Ticket, Recipient>,
    /// False for a node that forgets everything.
    durable: bool,
    /// False during an outage of the storage: no changes are taken, no batches made.
    pub(super) storing: bool,
    /// The node panicked halfway through a change and must not be used again.
    pub(super) condemned: bool,
    pub(super) stopping: bool,
    /// All waiting was ended: who is told that there is nothing might have waited for it.
    released: bool,
    sleep: Sleep,
}

/// What the committer does when nobody wakes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// It is at work, and will look at the node again before it sleeps.
    Awake,
    Until(Timestamp),
    Forever,
    /// Until so many replies are held back.
    Gathering(usize),
}

impl Shared {
    pub(super) fn new(node: Node, clock: Arc<dyn Clock>, durable: bool) -> Self {
        let behind_ms = node.now().since_ms(clock.now());
        let core = Core {
            node: Some(node),
            generation: 0,
            pending: NumberMap::default(),
            durable,
            storing: true,
            condemned: false,
            stopping: false,
            released: false,
            sleep: Sleep::Awake,
        };
        Self {
            core: Mutex::new(core),
            wake: Condvar::new(),
            clock,
            behind_ms,
            health: watch::Sender::new(Health::Serving),
            counters: Counters::default(),
        }
    }

    /// `recipient` is told the outcome if the command waits.
    pub(super) fn submit(
        self: &Arc<Self>,
        command: Command<'_>,
        recipient: impl FnOnce() -> Recipient,
    ) -> Submitted {
        let submitted = self.contain_panic(|| self.submit_uncontained(command, recipient));
        submitted.unwrap_or(Submitted::Answered(Err(Failure::OutcomeUnknown)))
    }

    fn submit_uncontained(
        self: &Arc<Self>,
        command: Command<'_>,
        recipient: impl FnOnce() -> Recipient,
    ) -> Submitted {
        let now = self.now();
        let mut deliveries = Deliveries::default();
        let mut core = self.lock();
        let submitted = self.begin(&mut core, now, command, recipient, &mut deliveries);
        let decided = matches!(submitted, Submitted::Waiting(_));
        self.leave(core, decided, deliveries);
        submitted
    }

    /// As [`submit`](Self::submit) for one command after the other, at one instant and without
    /// others in between.
    pub(super) fn submit_all(
        self: &Arc<Self>,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        let mut commands = commands.into_iter();
        let begun = Cell::new(None);
        let mut deliveries = Deliveries::default();
        let done = self.contain_panic(|| {
            let now = self.now();
            let mut core = self.lock();
            if let Some(node) = core.node.as_ref().filter(|_| !core.condemned) {
                node.expect(commands.as_slice().iter().map(|(_, command)| command));
            }
            let mut decided = false;
            for (tag, command) in commands.by_ref() {
                begun.set(Some(tag));
                let recipient = || recipient(tag);
                let submitted = self.begin(&mut core, now, command, recipient, &mut deliveries);
                decided |= matches!(submitted, Submitted::Waiting(_));
                begun.set(None);
                told(tag, submitted);
            }
            self.leave(core, decided, std::mem::take(&mut deliveries));
        });
        if done.is_none() {
            // The commands before have answered others, too.
            deliveries.send();
            if let Some(tag) = begun.get() {
                told(tag, Submitted::Answered(Err(Failure::OutcomeUnknown)));
            }
            for (tag, command) in commands {
                told(tag, self.submit(command, || recipient(tag)));
            }
        }
    }

    /// Submits a command to the node, and has its outcome or whom to tell it.
    fn begin(
        self: &Arc<Self>,
        core: &mut Core,
        now: Timestamp,
        command: Command<'_>,
        recipient: impl FnOnce() -> Recipient,
        deliveries: &mut Deliveries,
    ) -> Submitted {
        match core.submit(now, command, deliveries) {
            Err(failure) => Submitted::Answered(Err(failure)),
            Ok(Started::Answered(outcome)) => Submitted::Answered(outcome),
            Ok(Started::Pending(ticket)) => {
                core.pending.insert(ticket, recipient());
                Submitted::Waiting(Place {
                    owner: Arc::clone(self) as _,
                    generation: core.generation,
                    number: ticket.number(),
                })
            }
        }
    }

    fn cancel_uncontained(&self, generation: u64, number: u64) -> bool {
        let mut deliveries = Deliveries::default();
        let mut core = self.lock();
        if core.generation != generation || core.condemned {
            return false;
        }
        let ticket = Ticket::from_number(number);
        let Some(recipient) = core.pending.remove(&ticket) else {
            return false;
        };
        if let Some(node) = &mut core.node {
            node.cancel(ticket);
        }
        core.take_replies(None, &mut deliveries);
        self.leave(core, true, deliveries);
        drop(recipient);
        true
    }

    pub(super) fn release_waiters(&self) {
        self.contain_panic(|| {
            let mut deliveries = Deliveries::default();
            let mut core = self.lock();
            core.release_waiters(&mut deliveries);
            self.leave(core, true, deliveries);
        });
    }

    pub(super) fn begin_stop(&self) {
        let mut core = self.lock();
        let first = !std::mem::replace(&mut core.stopping, true);
        drop(core);
        if first {
            self.set_health(Health::Stopping);
            self.release_waiters();
        }
    }

    pub(super) fn clock_changed(&self) {
        let mut core = self.lock();
        core.sleep = Sleep::Awake;
        drop(core);
        self.wake.notify_one();
    }

    pub(super) fn advance(&self, clock: &ManualClock, span_ms: u64) -> Result<Advanced, Failure> {
        self.contain_panic(|| {
            let mut deliveries = Deliveries::default();
            let mut core = self.lock();
            let unusable = core.unusable();
            let Some(node) = core.node.as_mut() else {
                return Err(unusable);
            };
            clock.move_on(span_ms);
            let now = self.now();
            node.advance_to(now);
            let advanced = Advanced {
                now,
                digest: node.digest(),
                waiters: node.stats().waiters,
            };
            core.take_replies(None, &mut deliveries);
            self.leave(core, true, deliveries);
            Ok(advanced)
        })
        .unwrap_or(Err(Failure::OutcomeUnknown))
    }

    pub(super) fn stats(&self) -> Stats {
        let core = self.lock();
        let node = match &core.node {
            Some(node) if !core.condemned => node.stats(),
            _ => burrow_core::Stats::default(),
        };
        drop(core);
        Stats {
            node,
            commits: self.counters.commits.load(Relaxed),
            committed_bytes: self.counters.committed_bytes.load(Relaxed),
            outages: self.counters.outages.load(Relaxed),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub(super) fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// After the end nothing else is said.
    pub(super) fn set_health(&self, health: Health) {
        self.health.send_if_modified(|present| {
            let change = *present != health && !matches!(present, Health::Stopped { .. });
            if change {
                *present = health;
            }
            change
        });
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().after_ms(self.behind_ms)
    }

    /// A panic in the node is one request's misfortune, and the committer's to deal with;
    /// the other requests go on.
    fn contain_panic<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            // The committer may be asleep. To find the lock poisoned wakes it.
            drop(self.lock());
        }
        done
    }

    /// The mutex is poisoned by a panic inside the node, which leaves the node in no
    /// state that anybody thought of.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(|poisoned| {
            let mut core = poisoned.into_inner();
            core.condemned = true;
            core.sleep = Sleep::Awake;
            self.core.clear_poison();
            self.wake.notify_one();
            core
        })
    }

    /// The committer sleeps until the node's deadline, or `at_most`, or until it is woken.
    pub(super) fn sleep<'s>(&'s self, mut core: MutexGuard<'s, Core>, at_most: Option<Duration>) {
        let deadline = core.node.as_ref().and_then(Node::deadline);
        core.sleep = deadline.map_or(Sleep::Forever, Sleep::Until);
        let to_deadline = deadline.map(|deadline| {
            Duration::from_millis(deadline.since_ms(self.now()))
                .clamp(Duration::from_millis(1), LONGEST_SLEEP)
        });
        let timeout = match (to_deadline, at_most) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // Whether the lock is poisoned shows when it is taken next.
        match timeout {
            Some(timeout) => drop(
                self.wake
                    .wait_timeout_while(core, timeout, |core| core.sleep != Sleep::Awake),
            ),
            None => drop(
                self.wake
                    .wait_while(core, |core| core.sleep != Sleep::Awake),
            ),
        }
    }

    /// The committer sleeps until so many replies are held back, but not for longer.
    pub(super) fn gather<'s>(
        &'s self,
        mut core: MutexGuard<'s, Core>,
        replies: usize,
        at_most: Duration,
    ) {
        core.sleep = Sleep::Gathering(replies);
        drop(
            self.wake
                .wait_timeout_while(core, at_most, |core| core.sleep != Sleep::Awake),
        );
    }

    /// Unlocks, wakes the committer if there is something for it, and sends what is to be
    /// sent. `decided`: there may be something new to store.
    fn leave(&self, mut core: MutexGuard<'_, Core>, decided: bool, mut deliveries: Deliveries) {
        let wake = core.needs_committer(decided);
        if wake {
            core.sleep = Sleep::Awake;
        }
        drop(core);
        if wake {
            self.wake.notify_one();
        }
        deliveries.send();
    }
}

enum Started {
    Answered(Outcome),
    Pending(Ticket),
}

impl Core {
    fn submit(
        &mut self,
        now: Timestamp,
        command: Command<'_>,
        deliveries: &mut Deliveries,
    ) -> Result<Started, Failure> {
        if self.stopping {
            return Err(Failure::Stopping);
        }
        let unusable = self.unusable();
        if self.condemned || (!self.storing && command.effect() != Effect::None) {
            return Err(unusable);
        }
        let Some(node) = &mut self.node else {
            return Err(unusable);
        };
        if self.durable && node.unstored_bytes() >= MAX_UNSTORED_BYTES {
            return Err(Failure::Busy);
        }
        let waiters_before = (!self.storing).then(|| node.stats().waiters);
        let ticket = node.submit(now, command);
        let is_held = waiters_before.is_some_and(|before| node.stats().waiters <= before);
        if let Some(outcome) = self.take_replies(Some(ticket), deliveries) {
            return Ok(Started::Answered(outcome));
        }
        if is_held {
            // The reply depends on something that cannot be made durable now.
            if let Some(node) = &mut self.node {
                node.cancel(ticket);
            }
            return Err(Failure::NotStored);
        }
        Ok(Started::Pending(ticket))
    }

    /// Why there is no node, when there is none.
    fn unusable(&self) -> Failure {
        if self.durable {
            Failure::NotStored
        } else {
            Failure::Stopping
        }
    }

    fn release_waiters(&mut self, deliveries: &mut Deliveries) {
        self.released = true;
        if let (Some(node), false) = (&mut self.node, self.condemned) {
            node.release_waiters();
        }
        self.take_replies(None, deliveries);
    }

    /// Takes what the node has to say. Returns the outcome of `own`, if it is among it.
    pub(super) fn take_replies(
        &mut self,
        own: Option<Ticket>,
        deliveries: &mut Deliveries,
    ) -> Option<Outcome> {
        let mut own_outcome = None;
        let released = self.released;
        let node = self.node.as_mut().filter(|_| !self.condemned)?;
        while let Some((ticket, result)) = node.poll_reply() {
            let outcome = result.map_err(|refusal| match refusal {
                Refusal::AccountNotFound | Refusal::QueueNotFound | Refusal::MessageNotFound
                    if released =>
                {
                    Failure::Stopping
                }
                refusal => Failure::Refused(refusal),
            });
            if own == Some(ticket) {
                own_outcome = Some(outcome);
            } else if let Some(sender) = self.pending.remove(&ticket) {
                deliveries.push(sender, outcome);
            }
        }
        own_outcome
    }

    /// Replies that wait until what they depend on is durable.
    pub(super) fn held_replies(&self) -> usize {
        self.node.as_ref().map_or(0, |node| {
            usize::try_from(node.stats().replies).unwrap_or(usize::MAX)
        })
    }

    fn needs_committer(&self, decided: bool) -> bool {
        let asleep_until = match self.sleep {
            Sleep::Awake => return false,
            Sleep::Until(instant) => Some(instant),
            Sleep::Forever => None,
            Sleep::Gathering(enough) => {
                return self.stopping || self.condemned || self.held_replies() >= enough;
            }
        };
        if self.stopping || self.condemned || (decided && self.durable) {
            return true;
        }
        match (self.node.as_ref().and_then(Node::deadline), asleep_until) {
            (Some(deadline), Some(asleep_until)) => deadline < asleep_until,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}
