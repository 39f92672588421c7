//! What the machine answers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, Range};

use crate::config::ENTRY_BYTES;
use crate::ids::IdList;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::token::ClaimToken;

/// The answer to a [`Command`](crate::Command) that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Accounts or queues, in order of name; never empty.
    Names(NameList),
    /// Messages that matched, in the queue's order; never empty.
    Messages(MessageList),
    /// The message is stored.
    Put {
        /// False if it took the place of a message with the same id.
        created: bool,
    },
    /// The messages are stored: the id of each, in the order of the command.
    PutBatch(IdList),
    /// The result of each settlement, in the order of the command.
    Settled(Vec<Result<(), Refusal>>),
    /// How much is in the queue.
    Stats(QueueStats),
    /// The queue's settings.
    Settings(Settings),
    /// A piece of a queue; opaque, checksummed.
    Exported {
        piece: Vec<u8>,
        /// Where the next piece begins, `None` if this is the last.
        next: Option<u64>,
    },
    /// So many messages are stored.
    Imported { messages: u64 },
    /// Done; there is nothing to tell.
    Done,
}

impl Reply {
    /// Bytes of messages and pieces in it, about as many as it takes to keep them.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Messages(list) => usize::try_from(list.size()).unwrap_or(usize::MAX),
            Self::Exported { piece, .. } => piece.len(),
            _ => 0,
        }
    }
}

/// How much is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    pub messages: u64,
    /// Messages that are hidden, claimed ones included; the others are visible.
    pub hidden: u64,
    /// Bytes of ids and bodies.
    pub bytes: u64,
}

/// Names of a reply, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameList {
    names: Vec<Box<str>>,
    has_more: bool,
}

impl NameList {
    /// A list of these names; `has_more`: it ends because the answer is full.
    pub fn new(names: Vec<Box<str>>, has_more: bool) -> Self {
        Self { names, has_more }
    }

    /// True if the answer ended before the command's own limit because it was full, and there
    /// are more names behind it.
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}

impl From<Vec<Box<str>>> for NameList {
    fn from(names: Vec<Box<str>>) -> Self {
        Self::new(names, false)
    }
}

impl Deref for NameList {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        &self.names
    }
}

impl IntoIterator for NameList {
    type Item = Box<str>;
    type IntoIter = alloc::vec::IntoIter<Box<str>>;

    fn into_iter(self) -> Self::IntoIter {
        self.names.into_iter()
    }
}

/// Messages of a reply, in one buffer. What each holds depends on the command's
/// [`Detail`](crate::Detail).
#[derive(Clone, Debug, Default)]
pub struct MessageList {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
    /// Messages that matched; the entries are empty where the command asked for no detail.
    pub(crate) matched: u64,
    /// The answer is full, and there is more behind it.
    pub(crate) has_more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Range<usize>,
    pub(crate) content_type: Option<Range<usize>>,
    pub(crate) body: Range<usize>,
    pub(crate) ttl_ms: u64,
    pub(crate) hide_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) claim: Option<ClaimToken>,
}

/// One message of a [`MessageList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef<'a> {
    pub id: &'a str,
    /// Empty unless the command's detail has bodies.
    pub body: &'a [u8],
    /// As it was put; `None` unless the command's detail has bodies.
    pub content_type: Option<&'a str>,
    /// Milliseconds that remain, 0 = never expires.
    pub ttl_ms: u64,
    /// Milliseconds until it is visible, 0 = visible.
    pub hide_ms: u64,
    /// Claims so far.
    pub attempts: u32,
    /// The claim that this very command made, if it made one.
    pub claim: Option<ClaimToken>,
}

impl PartialEq for MessageList {
    /// The same messages, however they lie in memory.
    fn eq(&self, other: &Self) -> bool {
        self.matched == other.matched
            && self.has_more == other.has_more
            && self.iter().eq(other.iter())
    }
}

impl Eq for MessageList {}

impl MessageList {
    /// How many messages matched.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// True if the answer ended before the command's own limit because it was full, and more
    /// messages match behind it.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// What counts for `max_answer_bytes`.
    pub(crate) fn size(&self) -> u64 {
        let entries = (self.entries.len() as u64).saturating_mul(ENTRY_BYTES);
        entries.saturating_add(self.bytes.len() as u64)
    }

    /// The messages, in the queue's order; none if the command asked for no detail.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MessageRef<'_>> {
        self.entries.iter().map(|entry| MessageRef {
            id: self.text(&entry.id),
            body: self.bytes.get(entry.body.clone()).unwrap_or_default(),
            content_type: entry.content_type.as_ref().map(|range| self.text(range)),
            ttl_ms: entry.ttl_ms,
            hide_ms: entry.hide_ms,
            attempts: entry.attempts,
            claim: entry.claim,
        })
    }

    /// Puts the messages of another list behind these.
    pub fn append(&mut self, other: Self) {
        let base = self.bytes.len();
        let moved = |range: Range<usize>| range.start + base..range.end + base;
        self.bytes.extend_from_slice(&other.bytes);
        self.entries
            .extend(other.entries.into_iter().map(|entry| Entry {
                id: moved(entry.id),
                content_type: entry.content_type.map(moved),
                body: moved(entry.body),
                ..entry
            }));
        self.matched = self.matched.saturating_add(other.matched);
        self.has_more |= other.has_more;
    }

    fn text(&self, range: &Range<usize>) -> &str {
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appended_list_is_behind_the_other() {
        let list = |id: &str, body: &str, content_type: Option<&str>| {
            let text = [id, body, content_type.unwrap_or_default()].concat();
            let body = id.len()..id.len() + body.len();
            MessageList {
                entries: [Entry {
                    id: 0..id.len(),
                    content_type: content_type.map(|_| body.end..text.len()),
                    body,
                    ttl_ms: 1,
                    hide_ms: 2,
                    attempts: 3,
                    claim: None,
                }]
                .into(),
                bytes: text.into_bytes(),
                matched: 1,
                has_more: false,
            }
        };
        let mut all = list("a", "first", None);
        all.append(list("bb", "second", Some("text/plain")));
        let seen: Vec<_> = all
            .iter()
            .map(|message| (message.id, message.body, message.content_type))
            .collect();
        let wanted: [(_, &[u8], _); 2] =
            [("a", b"first", None), ("bb", b"second", Some("text/plain"))];
        assert_eq!((seen.as_slice(), all.matched()), (wanted.as_slice(), 2));
    }
}
