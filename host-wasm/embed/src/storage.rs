//! Where a queue's blobs lie.

use std::collections::BTreeMap;

use burrow_core::journal::Batch;

/// Stores the blobs of one queue. No call is made while another is under way.
pub trait Storage: Send {
    /// Stores the batch's blob under its sequence and drops what the batch says, all of it
    /// or nothing. It is durable when this returns.
    ///
    /// # Errors
    /// The queue's instance is dropped then, and restored by the next call.
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError>;

    /// The sequences of all stored blobs, ascending.
    ///
    /// # Errors
    /// The queue is not opened then.
    fn sequences(&mut self) -> Result<Vec<u64>, StorageError>;

    /// The blob of this sequence.
    ///
    /// # Errors
    /// The queue is not opened then; also if there is no such blob.
    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, StorageError>;

    /// Makes certain what is stored: called before the blobs are read. After success no
    /// append that failed before can come to light any more.
    ///
    /// # Errors
    /// The queue is not opened then.
    fn recover(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Why a storage cannot be read, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// Why a batch was not appended, in the storage's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing of it is stored or ever will be.
    #[error("{0}")]
    NotStored(String),
    /// Only [`Storage::recover`] can tell.
    #[error("{0}")]
    Unknown(String),
}

/// Blobs in this process' memory. They outlive a queue's instance, not the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    blobs: BTreeMap<u64, Vec<u8>>,
}

impl Storage for MemoryStorage {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.blobs.insert(batch.sequence, batch.blob.clone());
        for drop in &batch.drops {
            let dropped: Vec<u64> = self
                .blobs
                .range(drop.clone())
                .map(|(key, _)| *key)
                .collect();
            for sequence in dropped {
                self.blobs.remove(&sequence);
            }
        }
        Ok(())
    }

    fn sequences(&mut self) -> Result<Vec<u64>, StorageError> {
        Ok(self.blobs.keys().copied().collect())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, StorageError> {
        self.blobs
            .get(&sequence)
            .cloned()
            .ok_or_else(|| StorageError(format!("there is no blob {sequence}")))
    }
}
