//! Instants and spans, in whole milliseconds.

use core::fmt;

/// An instant: milliseconds since the Unix epoch, as the host's clock tells it.
///
/// The machine never reads a clock. It also never lets time go back: an instant
/// earlier than one it has already seen counts as the latest it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The longest span (ttl, hide, wait, retention) that the machine accepts, in
/// milliseconds: a little over 31 years. Larger values are refused, so that no
/// sum of an instant and a span can overflow.
pub const MAX_SPAN_MS: u64 = 1_000_000_000_000;

impl Timestamp {
    /// The Unix epoch, the earliest instant.
    pub const ZERO: Self = Self(0);
    /// The latest instant that can be told: beyond it, in the year 73 million, time
    /// stands still.
    pub const MAX: Self = Self(1 << 61);
    /// Where a clock that is set by hand starts, unless what was stored is later: in
    /// September 2001. The same on every host, so that what is recorded on one can be
    /// replayed on another.
    pub const MANUAL_START: Self = Self(1_000_000_000_000);

    /// An instant from milliseconds since the Unix epoch, at most [`Timestamp::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant, `span_ms` later.
    pub const fn after_ms(self, span_ms: u64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// Milliseconds from `earlier` to this instant, 0 when `earlier` is not earlier.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
