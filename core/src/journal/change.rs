//! Everything that can happen to a state, other than by time alone.

use alloc::borrow::Cow;

use crate::settings::Settings;

/// One change. Queues are given by their place in the state, which the journal's codec
/// translates to and from their numbers.
#[derive(Clone, Debug)]
pub(crate) enum Change<'a> {
    QueueOpened {
        number: u64,
        account: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    /// The queue goes, with all that is in it.
    QueueClosed {
        queue: u32,
    },
    SettingsPut {
        queue: u32,
        settings: Cow<'a, Settings>,
    },
    SettingsCleared {
        queue: u32,
    },
    /// A new message at the end, or a new one in the place of the one at `replaces`. Either
    /// way it takes the next position as its home.
    Put {
        queue: u32,
        replaces: Option<u64>,
        message: StoredMessage<'a>,
    },
    /// Each message is hidden and has one attempt more; the first has this fence, the
    /// others the following ones.
    Claimed {
        queue: u32,
        visible_at: u64,
        fence: u64,
        positions: Cow<'a, [u64]>,
    },
    /// Claims that nobody got are undone.
    Unclaimed {
        queue: u32,
        positions: Cow<'a, [u64]>,
    },
    /// New times; `visible_at` 0 is visible.
    Updated {
        queue: u32,
        expires_at: Option<u64>,
        visible_at: Option<u64>,
        positions: Cow<'a, [u64]>,
    },
    Removed {
        queue: u32,
        positions: Cow<'a, [u64]>,
    },
    /// A message that was put a moment ago had this past in another node.
    Moved {
        queue: u32,
        position: u64,
        attempts: u32,
        fence: u64,
    },
}

/// A message as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredMessage<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) content_type: Option<&'a [u8]>,
    /// Milliseconds since the epoch, or `NEVER`.
    pub(crate) expires_at: u64,
    /// Milliseconds since the epoch, 0 = visible.
    pub(crate) visible_at: u64,
}

impl StoredMessage<'_> {
    /// Bytes that count toward limits.
    pub(crate) fn size(&self) -> u64 {
        (self.id.len() + self.body.len()) as u64
    }
}
