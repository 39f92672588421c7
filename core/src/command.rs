//! What a front-end may ask of the machine.
//!
//! A command borrows from the request that it was read from: names and bodies are
//! copied once, into the machine's own memory, and only if the command is carried out.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::settings::Settings;
use crate::token::ClaimToken;

/// The two names that say which queue is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName<'a> {
    pub account: Cow<'a, str>,
    pub queue: Cow<'a, str>,
}

/// Which accounts or queues a list or a delete covers. Both are in order of name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// Only names strictly after this one; it need not exist.
    pub marker: Option<Cow<'a, str>>,
    /// At most so many; `None` is all, 0 is refused.
    pub limit: Option<u64>,
}

/// Which messages of a queue a command covers, in the queue's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection<'a> {
    /// Only what comes strictly after the message with this id, alive or remembered.
    /// An id that is neither counts as no marker.
    pub marker: Option<Cow<'a, str>>,
    /// At most so many; `None` is all, 0 is refused.
    pub limit: Option<u64>,
    /// Hidden messages match as well.
    pub match_hidden: bool,
}

/// How much of each message a reply carries. What is not asked for is not copied. Where
/// messages are shown, a command covers no more of them than fit into an answer, see
/// [`Limits::max_answer_bytes`](crate::Limits::max_answer_bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Only the count.
    #[default]
    None,
    /// The ids.
    Id,
    /// Ids, times, attempts and claims.
    Attributes,
    /// Ids and bodies.
    Body,
    /// Everything.
    All,
}

impl Detail {
    /// True if a reply with this detail carries message bodies.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Body | Self::All)
    }
}

/// A message to create, or to put in the place of the one with the same id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage<'a> {
    /// 1 to 255 bytes. `None` is allowed in a batch only: the machine then gives one.
    pub id: Option<Cow<'a, str>>,
    pub body: Cow<'a, [u8]>,
    /// Kept and given back with the body; at most 255 bytes.
    pub content_type: Option<Cow<'a, str>>,
    /// Milliseconds until the message expires, 0 = never; `None` is the queue's default.
    pub ttl_ms: Option<u64>,
    /// Milliseconds until the message is visible, 0 = now; `None` is the queue's default.
    pub hide_ms: Option<u64>,
}

/// New times for messages that exist. `None` leaves the time as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Milliseconds from now until the message expires, 0 = never.
    pub ttl_ms: Option<u64>,
    /// Milliseconds from now until the message is visible, 0 = now.
    pub hide_ms: Option<u64>,
}

/// What becomes of one claimed message in a [`Command::Settle`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement<'a> {
    pub id: Cow<'a, str>,
    /// If given, the settlement is refused unless this claim is the current one.
    pub claim: Option<ClaimToken>,
    pub action: SettleAction,
}

/// The action of a [`Settlement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleAction {
    /// The work is done: remove the message.
    Delete,
    /// Extend or release: new times for the message.
    Update(Update),
}

/// One request to the machine. See [`Reply`](crate::Reply) for what each answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The names of accounts. Answers `Names`, or refuses with `AccountNotFound` if none matches.
    ListAccounts { page: Page<'a> },
    /// Removes accounts with all their queues, settings included. Answers `Names`.
    DeleteAccounts { page: Page<'a> },
    /// The names of an account's queues. Answers `Names`.
    ListQueues {
        account: Cow<'a, str>,
        page: Page<'a>,
    },
    /// Removes queues of an account with all their messages, hidden ones too, and their
    /// settings. Answers `Names`.
    DeleteQueues {
        account: Cow<'a, str>,
        page: Page<'a>,
    },
    /// Messages that match. Answers `Messages`.
    ListMessages {
        queue: QueueName<'a>,
        selection: Selection<'a>,
        wait_ms: u64,
        detail: Detail,
    },
    /// New times for the messages that match; the answer shows them afterwards.
    ///
    /// With `update.hide_ms` above 0 this is a **claim** of each visible message that
    /// matches: its attempts are counted and it gets a new [`ClaimToken`], which makes
    /// any earlier token for it stale. A message that already had the queue's
    /// `max_attempts` moves to the dead-letter queue instead. Answers `Messages`.
    UpdateMessages {
        queue: QueueName<'a>,
        selection: Selection<'a>,
        update: Update,
        wait_ms: u64,
        detail: Detail,
    },
    /// Removes the messages that match. Answers `Messages`, as they were.
    DeleteMessages {
        queue: QueueName<'a>,
        selection: Selection<'a>,
        wait_ms: u64,
        detail: Detail,
    },
    /// Creates a message (its id is required), or replaces the one with the same id in its
    /// place, with times, attempts and claim reset. Answers `Put`.
    Put {
        queue: QueueName<'a>,
        message: NewMessage<'a>,
    },
    /// As `Put` for each message in turn, in one atomic step. Answers `PutBatch`.
    PutBatch {
        queue: QueueName<'a>,
        messages: Vec<NewMessage<'a>>,
    },
    /// One message by id, hidden or not. Answers `Messages` with one entry.
    GetMessage {
        queue: QueueName<'a>,
        id: Cow<'a, str>,
        detail: Detail,
    },
    /// New times for one message by id, hidden or not; never counts an attempt. With a
    /// `claim` that is not the current one: `ClaimLost`. Answers `Messages` with one entry.
    UpdateMessage {
        queue: QueueName<'a>,
        id: Cow<'a, str>,
        update: Update,
        claim: Option<ClaimToken>,
        detail: Detail,
    },
    /// Removes one message by id, hidden or not. With a `claim` that is not the current
    /// one: `ClaimLost`. Answers `Messages` with one entry, as it was.
    DeleteMessage {
        queue: QueueName<'a>,
        id: Cow<'a, str>,
        claim: Option<ClaimToken>,
        detail: Detail,
    },
    /// Acknowledges, extends or releases many messages, each with a result of its own.
    /// Answers `Settled`, in the order of `settlements`.
    Settle {
        queue: QueueName<'a>,
        settlements: Vec<Settlement<'a>>,
    },
    /// How much is in the queue. Answers `Stats`; a queue that is there only for its settings
    /// has nothing in it. Looks at each block of messages (64 KiB), and at no message.
    GetStats { queue: QueueName<'a> },
    /// The queue's settings. Answers `Settings`; a queue without any: the default ones if
    /// the queue exists, else `QueueNotFound` or `AccountNotFound`.
    GetSettings { queue: QueueName<'a> },
    /// Gives the queue these settings, in place of any it had. A queue with settings stays
    /// when its last message goes. Answers `Done`.
    PutSettings {
        queue: QueueName<'a>,
        settings: Settings,
    },
    /// Takes the queue's settings away. Answers `Done`, also when there were none.
    ClearSettings { queue: QueueName<'a> },
    /// A piece of a queue, to be imported elsewhere: its settings if `after` is `None`, and
    /// messages as they are, claims and all, in the order in which they were put. The piece
    /// ends before it passes `max_bytes`, but holds at least one message. Begin with `None`,
    /// go on with the `next` of the reply; changes in between may be told or not. Answers
    /// `Exported`.
    Export {
        queue: QueueName<'a>,
        after: Option<u64>,
        max_bytes: u64,
    },
    /// Puts the messages of a piece behind those of the queue, as they were; one whose id is
    /// there takes the place of the other. What has expired on the way is left out. Settings
    /// are taken over by a queue that has none. To import a piece twice does no harm. Places
    /// of removed messages, which serve as markers, do not move. Answers `Imported`.
    Import {
        queue: QueueName<'a>,
        piece: Cow<'a, [u8]>,
    },
}

impl<'a> Command<'a> {
    /// How long it may wait for something to match, 0: not at all.
    pub fn wait_ms(&self) -> u64 {
        match self {
            Self::ListMessages { wait_ms, .. }
            | Self::UpdateMessages { wait_ms, .. }
            | Self::DeleteMessages { wait_ms, .. } => *wait_ms,
            _ => 0,
        }
    }

    /// Has it wait for so long, if it is one that may.
    pub fn set_wait_ms(&mut self, new: u64) {
        if let Self::ListMessages { wait_ms, .. }
        | Self::UpdateMessages { wait_ms, .. }
        | Self::DeleteMessages { wait_ms, .. } = self
        {
            *wait_ms = new;
        }
    }

    /// Whether it is about one message, does not wait, and is answered with a few bytes: what
    /// clients have many of, and hosts may submit together.
    pub fn is_small(&self) -> bool {
        matches!(
            self,
            Self::Put { .. }
                | Self::UpdateMessage {
                    detail: Detail::None,
                    ..
                }
                | Self::DeleteMessage {
                    detail: Detail::None,
                    ..
                }
        )
    }

    /// The queue that the command is about, if it is about one.
    pub fn queue(&self) -> Option<&QueueName<'a>> {
        match self {
            Self::ListAccounts { .. }
            | Self::DeleteAccounts { .. }
            | Self::ListQueues { .. }
            | Self::DeleteQueues { .. } => None,
            Self::ListMessages { queue, .. }
            | Self::UpdateMessages { queue, .. }
            | Self::DeleteMessages { queue, .. }
            | Self::Put { queue, .. }
            | Self::PutBatch { queue, .. }
            | Self::GetMessage { queue, .. }
            | Self::UpdateMessage { queue, .. }
            | Self::DeleteMessage { queue, .. }
            | Self::Settle { queue, .. }
            | Self::GetStats { queue }
            | Self::GetSettings { queue }
            | Self::PutSettings { queue, .. }
            | Self::ClearSettings { queue }
            | Self::Export { queue, .. }
            | Self::Import { queue, .. } => Some(queue),
        }
    }
}
