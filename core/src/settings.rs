//! What a queue may be told about itself.

use alloc::boxed::Box;

/// Settings of one queue. `None` leaves the server's own value in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Milliseconds until a new message expires, 0 = never.
    pub default_ttl_ms: Option<u64>,
    /// Milliseconds until a new message is visible, 0 = at once.
    pub default_hide_ms: Option<u64>,
    /// Claims that a message may have; the next one moves it to `dead_letter`. At least 1,
    /// and only together with `dead_letter`.
    pub max_attempts: Option<u32>,
    /// The queue of the same account that takes messages with too many attempts. Only
    /// together with `max_attempts`, and not the queue itself.
    pub dead_letter: Option<Box<str>>,
    /// Messages that the queue may hold, at least 1.
    pub max_messages: Option<u64>,
    /// Bytes of ids and bodies that the queue may hold, at least 1.
    pub max_bytes: Option<u64>,
    /// The order in which messages are listed and claimed.
    pub order: Order,
    /// Milliseconds for which the place of a removed message is remembered as a marker.
    pub marker_retention_ms: Option<u64>,
}

/// The order of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Fifo,
    /// Newest first.
    Lifo,
}
