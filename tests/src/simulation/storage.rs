//! A disk in memory: it stores batches whole or not at all, and may keep what it was
//! allowed to drop.

use std::collections::{BTreeMap, BTreeSet};

use burrow_core::journal::{Batch, Load, LoadError};

#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    blobs: BTreeMap<u64, Vec<u8>>,
    /// Blobs that the node said are needless, and that are still there.
    needless: BTreeSet<u64>,
}

impl Storage {
    /// Stores a batch; `keep` says of each blob that may go whether it stays nevertheless.
    pub(crate) fn store(&mut self, batch: Batch, mut keep: impl FnMut() -> bool) {
        self.blobs.insert(batch.sequence, batch.blob);
        for range in batch.drops {
            let listed: Vec<u64> = self
                .blobs
                .range(range)
                .map(|(sequence, _)| *sequence)
                .collect();
            self.needless.extend(listed);
        }
        self.needless.retain(|sequence| {
            let stays = keep();
            if !stays {
                self.blobs.remove(sequence);
            }
            stays
        });
    }

    pub(crate) fn last(&self) -> u64 {
        self.blobs.keys().next_back().copied().unwrap_or(0)
    }

    pub(crate) fn sequences(&self) -> impl Iterator<Item = u64> {
        self.blobs.keys().copied()
    }

    pub(crate) fn blob_mut(&mut self, sequence: u64) -> Option<&mut Vec<u8>> {
        self.blobs.get_mut(&sequence)
    }

    pub(crate) fn remove(&mut self, sequence: u64) {
        self.blobs.remove(&sequence);
    }
}

impl Load for Storage {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.blobs.keys().copied().collect())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        self.blobs
            .get(&sequence)
            .cloned()
            .ok_or_else(|| LoadError(format!("no blob {sequence}")))
    }
}
