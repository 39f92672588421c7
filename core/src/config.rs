//! What a host tells a node when it makes it.

/// How a node behaves. The values of `Default` are those of a server for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Milliseconds until a message expires where neither it nor its queue says; 0 = never.
    pub default_ttl_ms: u64,
    /// Milliseconds until a message is visible where neither it nor its queue says.
    pub default_hide_ms: u64,
    /// Milliseconds for which the place of a removed message is remembered, unless its
    /// queue says otherwise.
    pub marker_retention_ms: u64,
    /// Messages of a queue that go to its dead-letter queue in one millisecond; also no more
    /// once they have [`BURIAL_BYTES`]. At least 1.
    pub burials_at_once: u64,
    pub limits: Limits,
    pub journal: JournalConfig,
    /// Keys the hash tables of a new node against hostile ids. A restored node keeps the
    /// seed that it was made with. The seed never shows in a reply.
    pub seed: u64,
}

/// What a node refuses. Every limit has a refusal of its own, see [`LimitName`](crate::LimitName).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message body.
    pub max_body_bytes: u64,
    /// Messages of one batch, and settlements of one settle.
    pub max_batch_messages: u64,
    /// Bytes of messages in one answer: ids, and bodies and content types if they are asked
    /// for, and [`ENTRY_BYTES`] for each message. An answer ends with the message that
    /// reaches this, as if `limit` had said so; what is behind it stays as it is.
    pub max_answer_bytes: u64,
    /// Messages in one queue, unless its settings say less.
    pub max_queue_messages: u64,
    /// Bytes of ids and bodies in one queue, unless its settings say less.
    pub max_queue_bytes: u64,
    /// Messages in all queues of one account.
    pub max_account_messages: u64,
    /// Bytes of ids and bodies in all queues of one account.
    pub max_account_bytes: u64,
    /// Queues of one account.
    pub max_account_queues: u64,
    /// Messages in the node.
    pub max_messages: u64,
    /// Bytes of ids and bodies in the node.
    pub max_bytes: u64,
    /// Queues in the node.
    pub max_queues: u64,
    /// Commands waiting in the node.
    pub max_waiters: u64,
    /// Commands waiting on one queue.
    pub max_queue_waiters: u64,
    /// Milliseconds that a command may ask to wait.
    pub max_wait_ms: u64,
    /// Removed messages whose places the node remembers as markers. Where it is reached the
    /// oldest go, even before their retention is over. A larger number than [`MOST_MARKERS`] is that.
    pub max_markers: u64,
}

/// How a node writes its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// False for a node that is to forget everything: it makes no batches and answers at once.
    pub enabled: bool,
    /// Bytes of journal after which a checkpoint begins, at the least. A checkpoint also
    /// waits until the journal has grown by several times the size of the last one.
    pub checkpoint_bytes: u64,
    /// Bytes of journal that are dropped, or copied forward, as one.
    pub extent_bytes: u64,
    /// Milliseconds for which the record of a claim may wait for the next change to be
    /// stored with; the claim is answered at once. A crash in between undoes the claim: the
    /// message is there for the next worker, and the lost claim's token is refused. 0: a
    /// claim is stored before it is answered.
    pub claim_delay_ms: u64,
}

/// Bytes of an account's, queue's or message's id, at the most. Part of every protocol, so
/// not configurable.
pub const MAX_ID_BYTES: usize = 255;

/// Bytes of a content type, at the most.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// What each message counts in an answer beside its own bytes.
pub const ENTRY_BYTES: u64 = 64;

/// Bytes of ids and bodies after which no more messages of a queue go to its dead-letter queue
/// in one millisecond.
pub const BURIAL_BYTES: u64 = 128 << 10;
/// Of how many missed instants one call moves the exhausted messages, at the most.
pub const BURIAL_INSTANTS: usize = 8;

/// Markers that a node can tell apart.
pub const MOST_MARKERS: u64 = 1 << 25;
/// Markers that are kept for each queue whatever their age, while `max_markers` allows.
pub const MIN_MARKERS_PER_QUEUE: u64 = 10_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            default_ttl_ms: 600_000,
            default_hide_ms: 0,
            marker_retention_ms: 3_600_000,
            burials_at_once: 32,
            limits: Limits::default(),
            journal: JournalConfig::default(),
            seed: 0,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_batch_messages: 10_000,
            max_answer_bytes: 64 << 20,
            max_queue_messages: 100_000_000,
            max_queue_bytes: 64 << 30,
            max_account_messages: 100_000_000,
            max_account_bytes: 64 << 30,
            max_account_queues: 2_000_000,
            max_messages: 100_000_000,
            max_bytes: 64 << 30,
            max_queues: 2_000_000,
            max_waiters: 200_000,
            max_queue_waiters: 200_000,
            max_wait_ms: 3_600_000,
            max_markers: 1_000_000,
        }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            checkpoint_bytes: 2 << 20,
            extent_bytes: 256 << 10,
            claim_delay_ms: 0,
        }
    }
}
