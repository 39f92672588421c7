//! The figures of Burrow: each module measures one of them, prints a table and fails if
//! a message was lost on the way.

pub mod bare;
pub mod component;
pub mod content;
pub mod contest;
pub mod drive;
pub mod growth;
pub mod heap;
pub mod interruptions;
pub mod latency;
pub mod layers;
pub mod lives;
pub mod load;
pub mod machine;
pub mod memory;
pub mod paths;
pub mod pause;
pub mod peers;
pub mod plot;
pub mod polls;
pub mod profile;
pub mod proxy;
pub mod report;
pub mod restart;
pub mod server;
pub mod storage;
pub mod worker;
pub mod writes;

/// How much work a run does.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Shows that the command works and its counts are right; measures nothing.
    pub short: bool,
}

impl Size {
    pub fn of(self, full: u64, short: u64) -> u64 {
        if self.short { short } else { full }
    }
}
