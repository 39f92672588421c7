//! What an engine says about itself.

/// Whether the engine takes changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything is taken.
    Serving,
    /// Reads are answered, changes are refused. The engine tries by itself whether
    /// storing works again.
    NotStoring { reason: String },
    /// What was decided is being finished; nothing new is taken.
    Stopping,
    /// Nothing is taken any more. `failure` is `None` if the engine was told to stop and
    /// closed its store as it should.
    Stopped { failure: Option<String> },
}

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
