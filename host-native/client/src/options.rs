//! What the calls on a queue can be told.

use std::time::Duration;

use burrow_core::{NewMessage, SettleAction, Update};
use serde::Deserialize;

/// A message to put.
#[derive(Clone, Debug, Default)]
pub struct Put {
    pub(crate) message: NewMessage<'static>,
}

impl Put {
    /// A message with this body. The client gives it an id.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            message: NewMessage {
                body: body.into().into(),
                ..NewMessage::default()
            },
        }
    }

    /// Takes the place of the message with the same id, if there is one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.message.id = Some(id.into().into());
        self
    }

    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.message.content_type = Some(content_type.into().into());
        self
    }

    /// Expires after so long, zero: never. Otherwise as the queue says.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.message.ttl_ms = Some(ms(ttl));
        self
    }

    /// Visible after so long.
    pub fn hide(mut self, hide: Duration) -> Self {
        self.message.hide_ms = Some(ms(hide));
        self
    }
}

/// Which messages to look at.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only what comes after the message with this id.
    pub marker: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Hidden ones as well.
    pub hidden: bool,
    /// Leave the bodies out.
    pub without_bodies: bool,
    /// If there is none, wait so long for one.
    pub wait: Duration,
}

/// Which messages to take.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// At most so many.
    pub limit: u64,
    /// If there is none, wait so long for one.
    pub wait: Duration,
}

impl Default for Taking {
    fn default() -> Self {
        Self {
            limit: 1,
            wait: Duration::ZERO,
        }
    }
}

/// What becomes of a claimed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// The work is done: the message goes.
    Ack,
    /// The claim holds for so long from now.
    Extend(Duration),
    /// The message is there for others, after so long.
    Release(Duration),
}

impl Settle {
    pub(crate) fn action(self) -> SettleAction {
        match self {
            Self::Ack => SettleAction::Delete,
            Self::Extend(hide) | Self::Release(hide) => SettleAction::Update(Update {
                ttl_ms: None,
                hide_ms: Some(ms(hide)),
            }),
        }
    }
}

/// How much is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct QueueStats {
    pub messages: u64,
    pub visible: u64,
    /// Claimed ones included.
    pub hidden: u64,
    /// Bytes of ids and bodies.
    pub bytes: u64,
}

impl QueueStats {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.visible = self.visible.saturating_add(other.visible);
        self.hidden = self.hidden.saturating_add(other.hidden);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl From<burrow_core::QueueStats> for QueueStats {
    fn from(stats: burrow_core::QueueStats) -> Self {
        Self {
            messages: stats.messages,
            visible: stats.messages.saturating_sub(stats.hidden),
            hidden: stats.hidden,
            bytes: stats.bytes,
        }
    }
}

pub(crate) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
