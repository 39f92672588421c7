//! The present, as a queue is told it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the present instant in milliseconds since the Unix epoch.
pub trait Clock: Send {
    fn now_ms(&self) -> u64;
}

/// The machine's clock. When that is set back, this one goes on at its own pace.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    started_at: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            started_at: since_epoch(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let now = since_epoch().max(self.started_at + self.started.elapsed());
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
