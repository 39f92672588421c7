//! What an engine counts.

/// Counts of a running engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Zeros while there is no node: the storage failed, and what is stored could not be
    /// read back yet.
    pub node: burrow_core::Stats,
    /// Transactions that were made durable.
    pub commits: u64,
    /// Bytes of the blobs in them.
    pub committed_bytes: u64,
    /// Times that storing began to fail.
    pub outages: u64,
}
