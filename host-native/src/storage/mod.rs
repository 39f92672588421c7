//! Where the journal's blobs lie: an ordered store that appends, drops and reads back.

mod error;
mod folder;
mod sqlite;

use burrow_core::journal::{Batch, Load};

pub use error::{AppendError, OpenError, StoreError};
pub(crate) use folder::DataFolder;
pub use sqlite::{Opening, SqliteStore};
pub(crate) use sqlite::{SqliteLoad, open_read_only, structure_problems, verify_log};

/// A durable store of journal blobs. It has one user, and no call is made while another
/// is under way.
pub trait Storage: Send {
    /// Stores the batch's blob and drops what the batch says, all of it or nothing. What
    /// was stored is on stable storage when this returns.
    ///
    /// After an error nothing may be appended until [`recover`](Self::recover) has said
    /// where the store stands.
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError>;

    /// Makes certain what is stored: on success every blob up to the returned sequence is
    /// on stable storage, and none beyond it will ever appear.
    fn recover(&mut self) -> Result<u64, StoreError>;

    /// Writes and removes so many bytes, to learn whether an append of that size could succeed.
    fn probe(&mut self, bytes: usize) -> Result<(), StoreError>;

    /// Reads what is stored.
    fn load(&mut self) -> Box<dyn Load + '_>;

    /// Housekeeping that is better done while no reply waits. Short, and never needed for
    /// correctness.
    fn maintain(&mut self) {}

    /// Brings the store into its resting form and lets go of it.
    fn close(self: Box<Self>) -> Result<(), StoreError>;
}
