//! What stands between the client and a queue: HTTP, or an engine in the same process.

use std::fmt::Debug;
use std::ops::Deref;
use std::pin::Pin;
use std::{slice, vec};

use burrow_core::{ClaimToken, Command, MessageRef, Reply, Settings};

use crate::error::Error;
use crate::options::QueueStats;

/// A call under way. Dropping it gives up a wait, and a claim whose answer has not left.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send + 'a>>;

/// Carries one command to one server, once. Trying again is the client's affair.
pub trait Transport: Debug + Send + Sync {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a>;
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Names {
        names: Vec<String>,
        /// The list ends because the answer is full.
        has_more: bool,
    },
    Messages(Messages),
    /// False if it took the place of a message with the same id.
    Put {
        created: bool,
    },
    /// The ids, in the order of the command.
    PutBatch(Vec<String>),
    Settled(Vec<Result<(), Error>>),
    Stats(QueueStats),
    Settings(Settings),
    Exported {
        piece: Vec<u8>,
        next: Option<u64>,
    },
    /// It is done, and there is nothing to tell.
    Done,
}

/// Messages of one answer, in the queue's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    pub list: Vec<Message>,
    /// The list ends because the answer is full, and more messages match behind it.
    pub has_more: bool,
}

impl Deref for Messages {
    type Target = [Message];

    fn deref(&self) -> &[Message] {
        &self.list
    }
}

impl IntoIterator for Messages {
    type Item = Message;
    type IntoIter = vec::IntoIter<Message>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Messages {
    type Item = &'a Message;
    type IntoIter = slice::Iter<'a, Message>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// A message as it was given out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub body: Vec<u8>,
    /// As it was put. Over HTTP it is not told beside ids and claims, and so is `None`.
    pub content_type: Option<String>,
    /// Milliseconds that remain, 0 = never expires. Over HTTP in whole seconds.
    pub ttl_ms: u64,
    /// Milliseconds until it is visible, 0 = visible. Over HTTP in whole seconds.
    pub hide_ms: u64,
    /// Claims so far, 0 where the call was not a claim.
    pub attempts: u32,
    /// The claim that this very call made.
    pub claim: Option<ClaimToken>,
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        Self {
            id: message.id.to_owned(),
            body: message.body.to_vec(),
            content_type: message.content_type.map(str::to_owned),
            ttl_ms: message.ttl_ms,
            hide_ms: message.hide_ms,
            attempts: message.attempts,
            claim: message.claim,
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Names(names) => Self::Names {
                has_more: names.has_more(),
                names: names.into_iter().map(String::from).collect(),
            },
            Reply::Messages(messages) => Self::Messages(Messages {
                list: messages.iter().map(Message::from).collect(),
                has_more: messages.has_more(),
            }),
            Reply::Put { created } => Self::Put { created },
            Reply::PutBatch(ids) => Self::PutBatch(ids.iter().map(String::from).collect()),
            Reply::Settled(results) => Self::Settled(
                results
                    .into_iter()
                    .map(|result| result.map_err(Error::from))
                    .collect(),
            ),
            Reply::Stats(stats) => Self::Stats(stats.into()),
            Reply::Settings(settings) => Self::Settings(settings),
            Reply::Exported { piece, next } => Self::Exported { piece, next },
            Reply::Imported { .. } | Reply::Done => Self::Done,
        }
    }
}
