//! What a queue may take of its host.

use std::time::Duration;

use crate::NodeLimits;

/// Limits of one queue. Beyond them its instance is dropped, and restored by the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory; 256 MiB.
    ///
    /// Where the queue's own limits are not given they follow from this one, so that it
    /// refuses messages long before: bytes a quarter of it, messages one for each 1024
    /// bytes, a call a sixteenth.
    pub memory_bytes: usize,
    /// Time that a call may compute, 5 seconds; what the storage takes is not counted.
    pub call_time: Duration,
    /// The same for opening, which reads everything that is stored; 60 seconds.
    pub open_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            call_time: Duration::from_secs(5),
            open_time: Duration::from_secs(60),
        }
    }
}

/// Bytes that a name, an id or an item costs in a call beside its own.
const ITEM_BYTES: usize = 128;

impl Limits {
    /// Bytes that a call may carry.
    pub(crate) fn call_bytes(&self) -> usize {
        self.memory_bytes / 16
    }

    /// The machine's limits: what was asked for, and what fits into the memory.
    pub(crate) fn fitted(&self, asked: &NodeLimits) -> NodeLimits {
        let part = |divisor| u64::try_from(self.memory_bytes).unwrap_or(u64::MAX) / divisor;
        NodeLimits {
            max_answer_bytes: asked.max_answer_bytes.or(Some(part(16))),
            max_bytes: asked.max_bytes.or(Some(part(4))),
            max_messages: asked.max_messages.or(Some(part(1024))),
            max_queues: asked.max_queues.or(Some(part(8192))),
            max_waiters: asked.max_waiters.or(Some(part(8192))),
            max_markers: asked.max_markers.or(Some(part(1024))),
            ..*asked
        }
    }
}

/// What items of these sizes cost in a call.
pub(crate) fn cost(sizes: impl IntoIterator<Item = usize>) -> usize {
    sizes.into_iter().fold(0, |sum: usize, size| {
        sum.saturating_add(size).saturating_add(ITEM_BYTES)
    })
}
