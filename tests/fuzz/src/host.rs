//! The least that a host can be: storage in memory, confirmed at once.

use std::collections::BTreeMap;

use burrow_core::journal::{Load, LoadError};
use burrow_core::{Config, JournalConfig, Limits, Node};

/// A configuration whose limits a short input can reach.
pub(crate) fn config() -> Config {
    Config {
        limits: Limits {
            max_body_bytes: 1_000,
            max_batch_messages: 20,
            max_queue_messages: 60,
            max_queue_bytes: 8_000,
            max_account_messages: 80,
            max_account_bytes: 10_000,
            max_account_queues: 6,
            max_messages: 100,
            max_bytes: 12_000,
            max_queues: 8,
            max_waiters: 6,
            max_queue_waiters: 4,
            max_markers: 20,
            ..Limits::default()
        },
        journal: JournalConfig {
            enabled: true,
            checkpoint_bytes: 2_000,
            extent_bytes: 500,
            claim_delay_ms: 0,
        },
        ..Config::default()
    }
}

/// The blobs that a host has stored, by sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored(pub(crate) BTreeMap<u64, Vec<u8>>);

impl Stored {
    /// Stores all that the node wants stored, and says so.
    pub(crate) fn store(&mut self, node: &mut Node) {
        while let Some(batch) = node.poll_batch() {
            self.0.insert(batch.sequence, batch.blob);
            for drop in batch.drops {
                self.0.retain(|sequence, _| !drop.contains(sequence));
            }
            node.handle_durable(batch.sequence);
        }
    }
}

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.0.keys().copied().collect())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        self.0
            .get(&sequence)
            .cloned()
            .ok_or_else(|| LoadError(format!("no blob {sequence}")))
    }
}
