//! Time, as the engine is told it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burrow_core::Timestamp;

/// Tells the present instant.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock. When that is set back, this one goes on at its own pace instead:
/// a wait of a second stays a wait of a second.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    started_at: Duration,
}

impl SystemClock {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            started_at: since_epoch(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = since_epoch().max(self.started_at + self.started.elapsed());
        Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Zero where the machine's clock stands before 1970.
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
