//! Time, as the engine is told it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
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

/// A clock that stands still until it is set, see [`Engine::advance`](super::Engine::advance).
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicU64,
}

impl ManualClock {
    /// A clock that shows [`Timestamp::MANUAL_START`].
    pub fn new() -> Self {
        Self {
            millis: AtomicU64::new(Timestamp::MANUAL_START.as_millis()),
        }
    }

    pub(super) fn move_on(&self, span_ms: u64) {
        self.millis.fetch_add(span_ms, SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(SeqCst))
    }
}

/// Zero where the machine's clock stands before 1970.
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
