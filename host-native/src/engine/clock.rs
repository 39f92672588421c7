//! Time, as the engine is told it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burrow_core::Timestamp;

/// Tells the present instant.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock. When that is set back, this one goes on at its own pace instead, from
/// the latest that it has told: a wait of a second stays a wait of a second.
#[derive(Debug)]
pub struct SystemClock {
    last: Mutex<Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    since_epoch: Duration,
}

impl Told {
    fn next(self, at: Instant, since_epoch: Duration) -> Self {
        let least = self.since_epoch + at.saturating_duration_since(self.at);
        Self {
            at,
            since_epoch: since_epoch.max(least),
        }
    }
}

impl SystemClock {
    pub fn new() -> Self {
        Self {
            last: Mutex::new(Told {
                at: Instant::now(),
                since_epoch: since_epoch(),
            }),
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
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.next(Instant::now(), since_epoch());
        Timestamp::from_millis(u64::try_from(last.since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What is there when a [`ManualClock`] has been moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    pub now: Timestamp,
    /// See [`burrow_core::Node::digest`].
    pub digest: u64,
    /// Commands that wait.
    pub waiters: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_the_latest_instant_told() {
        let second = Duration::from_secs(1);
        let start = Told {
            at: Instant::now(),
            since_epoch: 100 * second,
        };
        let ahead = start.next(start.at + second, 3_700 * second);
        assert_eq!(ahead.since_epoch, 3_700 * second, "it is set on by an hour");
        let back = ahead.next(ahead.at + second, 102 * second);
        assert_eq!(back.since_epoch, 3_701 * second, "and back again");
    }
}
