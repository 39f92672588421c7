//! One shard: many accounts and queues, one writer.

mod bury;
mod check;
mod execute;
mod expect;
mod names;
mod put;
mod replies;
mod search;
mod transfer;
mod undo;
mod waiting;

use alloc::collections::BTreeMap;

use crate::command::Command;
use crate::config::Config;
use crate::journal::change::Change;
use crate::journal::restore::restore;
use crate::journal::writer::Writer;
use crate::journal::{Batch, Load, RestoreError, RestoreReport};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{State, Touched};
use crate::time::Timestamp;
use bury::Burials;
use replies::Replies;
use waiting::Waiting;

/// Names one submitted command until its reply was taken or it was cancelled. Never
/// used twice in a node's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// A number of its own, for hosts that name tickets to others.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The ticket of that number, which the node may not have given.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What a node holds, at the last instant it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub accounts: u64,
    pub queues: u64,
    pub messages: u64,
    /// Messages that are hidden, claimed ones included.
    pub hidden: u64,
    /// Bytes of ids and bodies.
    pub bytes: u64,
    pub waiters: u64,
    /// Replies that are held back until a batch is durable, or not taken yet.
    pub replies: u64,
    pub markers: u64,
    /// The sequence of the last batch that was handed out, and of the last that is durable.
    pub last_sequence: u64,
    pub durable_sequence: u64,
}

/// The queue machine. It does no I/O and reads no clock: commands, instants and stored
/// bytes go in; replies, bytes to store and the next deadline come out.
///
/// A host drives it in a loop: [`submit`](Self::submit) commands; store what
/// [`poll_batch`](Self::poll_batch) gives and say so with
/// [`handle_durable`](Self::handle_durable); send what [`poll_reply`](Self::poll_reply)
/// gives; call [`handle_deadline`](Self::handle_deadline) when
/// [`deadline`](Self::deadline) has come.
///
/// ```
/// use burrow_core::{Command, Config, NewMessage, Node, QueueName, Reply, Timestamp};
///
/// let mut node = Node::new(Config::default());
/// let now = Timestamp::from_millis(1_000);
/// let ticket = node.submit(now, Command::Put {
///     queue: QueueName { account: "a".into(), queue: "q".into() },
///     message: NewMessage { id: Some("m".into()), body: b"hello".as_slice().into(), ..Default::default() },
/// });
/// assert_eq!(node.poll_reply(), None, "not before it is stored");
/// while let Some(batch) = node.poll_batch() {
///     // Here a host writes `batch.blob` under `batch.sequence`.
///     node.handle_durable(batch.sequence);
/// }
/// assert_eq!(node.poll_reply(), Some((ticket, Ok(Reply::Put { created: true }))));
/// ```
#[derive(Debug)]
pub struct Node {
    config: Config,
    state: State,
    journal: Writer,
    replies: Replies,
    waiting: Waiting,
    next_ticket: u64,
    /// Queues whose waiters may have something to get: their places, by number.
    woken: BTreeMap<u64, u32>,
    burials: Burials,
}

impl Node {
    /// An empty node.
    pub fn new(config: Config) -> Self {
        let state = State::new(&config);
        Self::with_state(config, state)
    }

    /// A node as it was when the last of the stored batches was made.
    ///
    /// `now` is the host's present time; the node's clock starts at the later of it and
    /// the latest instant in the journal. `config.seed` is ignored if the journal has one.
    ///
    /// # Errors
    /// If the stored blobs cannot be read, are damaged or incomplete, or were written by a
    /// later version. Nothing was changed; the error says where.
    pub fn restore(
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<(Self, RestoreReport), RestoreError> {
        let restored = restore(&config, load)?;
        let mut node = Self::with_state(config, restored.state);
        node.journal.resume(
            restored.report.last_sequence,
            node.state.clock,
            restored.checkpoint_start,
            restored.bytes_since,
        );
        node.advance(now);
        let report = RestoreReport {
            messages: node.state.messages,
            queues: node.state.queue_count(),
            accounts: node.state.accounts.len() as u64,
            ..restored.report
        };
        Ok((node, report))
    }

    fn with_state(config: Config, state: State) -> Self {
        Self {
            journal: Writer::new(config.journal.clone()),
            config,
            state,
            replies: Replies::default(),
            waiting: Waiting::default(),
            next_ticket: 1,
            woken: BTreeMap::new(),
            burials: Burials::default(),
        }
    }

    /// Carries a command out, or lets it wait. The reply comes from
    /// [`poll_reply`](Self::poll_reply), now or later.
    pub fn submit(&mut self, now: Timestamp, command: Command<'_>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.advance(now);
        self.execute(ticket, command);
        self.serve_woken();
        ticket
    }

    /// Lets what has become due by `now` happen. Calling it early, late or twice does no
    /// harm: what a command sees never depends on it, but for dead letters that have not
    /// moved yet. Of these one call moves the shares of [`BURIAL_INSTANTS`](crate::BURIAL_INSTANTS)
    /// milliseconds, so that it takes no long time where more were missed; until all have
    /// moved the deadline has come already.
    pub fn handle_deadline(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// Moves time on to `until`, and has everything that is due on the way happen at its own
    /// instant, in order. For clocks that stand still and are moved by hand.
    pub fn advance_to(&mut self, until: Timestamp) {
        while let Some(deadline) = self.deadline().filter(|&deadline| deadline < until) {
            self.handle_deadline(deadline);
            if self.deadline() == Some(deadline) {
                break;
            }
        }
        self.handle_deadline(until);
    }

    /// When [`handle_deadline`](Self::handle_deadline) wants to be called next; it may be
    /// earlier than needed, never later.
    pub fn deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.state.next_timer(),
            self.waiting.next_deadline(self.has_room_for_answers()),
            self.journal.deadline(),
            self.burials.next_deadline(),
        ];
        deadlines
            .into_iter()
            .flatten()
            .min()
            .map(Timestamp::from_millis)
    }

    /// The node's own present: the latest instant it was told, or that its journal tells of.
    /// A host whose clock is behind it after a restart should add the difference to what
    /// its clock tells, or waits and deadlines stand still until the clock has caught up.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.state.clock)
    }

    /// What must be stored next. Batches are made durable in the order in which they are
    /// given; a host may have several under way.
    ///
    /// If a batch cannot be stored, drop the node and restore it from what is stored: the
    /// commands whose replies were not released may be stored or not.
    /// Always `None` in a node without a journal.
    pub fn poll_batch(&mut self) -> Option<Batch> {
        self.journal.poll(&mut self.state)
    }

    /// All batches up to `sequence` are on stable storage.
    pub fn handle_durable(&mut self, sequence: u64) {
        self.journal.handle_durable(&mut self.state, sequence);
    }

    /// The next reply that may leave. A reply is never given before everything it depends
    /// on is durable.
    pub fn poll_reply(&mut self) -> Option<(Ticket, Result<Reply, Refusal>)> {
        self.replies.poll(self.journal.durable())
    }

    /// The client went away. A command that waits gives up its place; a claim whose
    /// reply was not taken yet is undone. The ticket has no reply afterwards.
    pub fn cancel(&mut self, ticket: Ticket) {
        if self.waiting.remove(ticket) {
            return;
        }
        if let Some(claimed) = self.replies.cancel(ticket) {
            self.undo_claim(&claimed);
            self.serve_woken();
        }
    }

    /// Ends all waiting: every command that waits is answered as if its time had run out.
    /// For a host that is about to stop.
    pub fn release_waiters(&mut self) {
        self.time_out(u64::MAX);
    }

    /// Counts, in O(1).
    pub fn stats(&self) -> Stats {
        Stats {
            accounts: self.state.accounts.len() as u64,
            queues: self.state.queue_count(),
            messages: self.state.messages,
            hidden: self.state.hidden,
            bytes: self.state.bytes,
            waiters: self.waiting.len(),
            replies: self.replies.len(),
            markers: self.state.markers.len(),
            last_sequence: self.journal.last_sequence(),
            durable_sequence: self.journal.durable(),
        }
    }

    /// Bytes that are kept until something is stored: the batch that is being filled, and the
    /// replies that are held back. In O(1). A host whose storage hangs refuses commands
    /// before this is more than it can keep.
    pub fn unstored_bytes(&self) -> u64 {
        self.journal.open_bytes() + self.replies.bytes()
    }

    /// A digest of accounts, queues, settings and messages with their times, attempts and
    /// claims: equal for nodes that hold the same. Takes time proportional to the contents.
    pub fn digest(&self) -> u64 {
        self.state.digest()
    }

    /// Brings the state to the instant `now`, serves whom that lets be served, and ends
    /// the waiting of those whose time is over.
    fn advance(&mut self, now: Timestamp) {
        let is_due = self.state.pass(now.as_millis());
        self.journal.advance(self.state.clock);
        if is_due {
            let mut touched = Touched::default();
            self.state.let_happen(&mut touched);
            for queue in touched.woken.into_values() {
                self.wake(queue);
            }
            for queue in touched.emptied.into_values() {
                self.close_if_idle(queue, true);
            }
        }
        self.bury_due();
        self.wake_postponed();
        self.serve_woken();
        self.time_out(self.state.clock);
    }

    /// Makes a change, in the journal and in the state.
    fn apply(&mut self, change: &Change<'_>) {
        if self.journal.is_enabled() {
            self.journal.append(&self.state, change, false);
        }
        self.state.evolve(change);
    }

    /// As [`apply`](Self::apply), for the changes that make a claim.
    fn apply_claim(&mut self, change: &Change<'_>) {
        if self.journal.is_enabled() {
            self.journal.append_claim(&self.state, change);
        }
        self.state.evolve(change);
    }

    fn wake(&mut self, queue: u32) {
        if !self.waiting.is_empty() {
            self.woken.insert(self.state.queue(queue).number, queue);
        }
    }

    /// Closes a queue that nothing keeps in being. `passive`: what is stored says so already.
    fn close_if_idle(&mut self, queue: u32, passive: bool) {
        if !self.state.queue(queue).is_idle() {
            return;
        }
        let change = Change::QueueClosed { queue };
        if self.journal.is_enabled() {
            self.journal.append(&self.state, &change, passive);
        }
        let number = self.state.queue(queue).number;
        self.woken.remove(&number);
        self.burials.forget(number);
        self.state.evolve(&change);
    }

    fn answer(&mut self, ticket: Ticket, outcome: Result<Reply, Refusal>) {
        self.replies
            .push(self.journal.barrier(), ticket, outcome, None);
    }
}
