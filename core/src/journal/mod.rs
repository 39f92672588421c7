//! The durable form of a node: an ordered log of opaque blobs.
//!
//! A host stores one blob a [`Batch`], under its sequence number, and drops the blobs that
//! a batch says are needless, in the same atomic write. At the start it hands back what it
//! has. That is all a host needs to know.

mod blob;
pub(crate) mod change;
mod checkpoint;
mod message;
pub(crate) mod piece;
mod pieces;
mod records;
pub(crate) mod restore;
mod walk;
pub(crate) mod writer;
pub use piece::dead_letter;
pub(crate) use records::put_settings;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

/// What a host must store next, as one atomic write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The place of the blob in the log: 1, 2, 3 and so on, without a gap.
    pub sequence: u64,
    /// Opaque, checksummed.
    pub blob: Vec<u8>,
    /// Blobs that nothing needs any more once this batch is durable. Dropping them is for
    /// space only: a restore ignores those that are still there.
    pub drops: Vec<RangeInclusive<u64>>,
}

/// Where a node is restored from.
pub trait Load {
    /// The sequence numbers of all stored blobs, ascending.
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError>;
    /// The blob with this sequence number. It is asked for in ascending order, but a blob
    /// may be asked for more than once.
    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError>;
}

/// The host could not read what is stored; its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub String);

/// What a restore found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    pub messages: u64,
    pub queues: u64,
    pub accounts: u64,
    /// Blobs and bytes that were read.
    pub blobs: u64,
    pub bytes: u64,
    /// The sequence of the last blob, 0 if there is none.
    pub last_sequence: u64,
}

/// Why a node could not be restored. The stored data is damaged, or not of this version;
/// nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The host could not read.
    Load(LoadError),
    /// The blob's bytes are not what was written.
    Damaged {
        sequence: u64,
        offset: usize,
        problem: &'static str,
    },
    /// A blob that is needed is not there.
    Missing { sequence: u64 },
    /// Written by a later version of Burrow.
    Newer {
        sequence: u64,
        version: u32,
        supported: u32,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for LoadError {}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => write!(f, "stored data cannot be read: {error}"),
            Self::Damaged {
                sequence,
                offset,
                problem,
            } => {
                write!(
                    f,
                    "journal blob {sequence} is damaged at byte {offset}: {problem}"
                )
            }
            Self::Missing { sequence } => write!(f, "journal blob {sequence} is missing"),
            Self::Newer {
                sequence,
                version,
                supported,
            } => write!(
                f,
                "journal blob {sequence} has format version {version}, this program reads up to {supported}"
            ),
        }
    }
}

impl core::error::Error for RestoreError {}

impl From<LoadError> for RestoreError {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}
