//! Whom a commit waits for.

use std::time::{Duration, Instant};

/// A commit waits for no longer than this for others to share it.
const LONGEST_GATHERING: Duration = Duration::from_millis(5);

/// How many are to share a commit: those who came while the last one was made, and those
/// whom it answered. These are likely to be back soon, with their next requests, and a
/// commit that waits for them serves all with one sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    size: usize,
    /// When a commit is made even if not all of them are back. Who is missed then is not
    /// counted the next time, so this is waited for only when fewer come than before.
    until: Option<Instant>,
    commit_time: Duration,
}

impl Group {
    /// How many are likely to come.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn commit_took(&mut self, time: Duration) {
        self.commit_time = time;
    }

    /// A commit is made; before it let replies go, so many were held back.
    pub(super) fn answered(&mut self, held: usize) {
        self.size = held;
        self.until = Some(Instant::now() + (self.commit_time * 2).min(LONGEST_GATHERING));
    }

    /// For how long the next commit is to wait, with so many replies held back by now.
    pub(super) fn wanting(&self, held: usize) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (held < self.size && !left.is_zero()).then_some(left)
    }
}
