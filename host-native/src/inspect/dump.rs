//! Prints stored queues and messages as JSON lines.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use burrow_core::journal::RestoreError;
use burrow_core::{
    Command, Config, Detail, MessageRef, NameList, Node, Order, Page, QueueName, Refusal, Reply,
    Selection, Settings, Timestamp,
};
use serde::{Serialize, Serializer};

use super::check::now;
use crate::storage::{DataFolder, OpenError, SqliteLoad, open_read_only, verify_log};

/// Names and messages that are asked for at once.
const PAGE: u64 = 100;

/// What was printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpReport {
    pub queues: u64,
    pub messages: u64,
}

/// Why stored data could not be shown, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}; `check` tells more")]
    Restore(#[from] RestoreError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    #[error("the queue machine gave no fitting answer")]
    Machine,
}

/// Prints what is stored in `dir`, in order of account and queue, each queue's messages in
/// the queue's order, hidden ones too. Changes nothing.
///
/// A queue is a line with `settings`, a message one with `id`. Times are seconds that
/// remain, 0 = never expires / visible. A body that is not UTF-8 is base64, and `encoding`
/// says so.
///
/// Refuses when a server uses the folder, and keeps one from starting meanwhile.
pub fn dump(dir: &Path, out: &mut dyn Write) -> Result<DumpReport, DumpError> {
    let (node, now) = open(dir)?;
    let mut dump = Dump {
        node,
        now,
        out,
        report: DumpReport::default(),
    };
    dump.accounts()?;
    dump.out.flush()?;
    Ok(dump.report)
}

/// A node with all that is stored in `dir`, to be looked at, and the instant it was told.
///
/// Refuses when a server uses the folder.
pub fn open(dir: &Path) -> Result<(Node, Timestamp), DumpError> {
    let folder = DataFolder::open_read_only(dir)?;
    verify_log(&folder)?;
    let connection = open_read_only(&folder)?;
    let now = now();
    let (node, _) = Node::restore(Config::default(), now, &mut SqliteLoad::new(&connection))?;
    Ok((node, now))
}

struct Dump<'w> {
    node: Node,
    now: Timestamp,
    out: &'w mut dyn Write,
    report: DumpReport,
}

impl Dump<'_> {
    fn accounts(&mut self) -> Result<(), DumpError> {
        let mut marker = None;
        while let Some(names) = self.names(marker.take(), |page| Command::ListAccounts { page })? {
            for account in names.iter() {
                self.queues(account)?;
            }
            marker = names.into_iter().next_back();
        }
        Ok(())
    }

    fn queues(&mut self, account: &str) -> Result<(), DumpError> {
        let mut marker = None;
        while let Some(names) = self.names(marker.take(), |page| Command::ListQueues {
            account: account.into(),
            page,
        })? {
            for queue in names.iter() {
                self.queue(account, queue)?;
            }
            marker = names.into_iter().next_back();
        }
        Ok(())
    }

    /// The names after `marker`; `None` if there are no more.
    fn names<'a>(
        &mut self,
        marker: Option<Box<str>>,
        list: impl FnOnce(Page<'a>) -> Command<'a>,
    ) -> Result<Option<NameList>, DumpError> {
        let page = Page {
            marker: marker.map(|name| Cow::Owned(name.into())),
            limit: Some(PAGE),
        };
        match self.ask(list(page))? {
            Some(Reply::Names(names)) => Ok(Some(names)),
            None => Ok(None),
            Some(_) => Err(DumpError::Machine),
        }
    }

    fn queue(&mut self, account: &str, queue: &str) -> Result<(), DumpError> {
        let name = || QueueName {
            account: account.into(),
            queue: queue.into(),
        };
        let Some(Reply::Settings(settings)) = self.ask(Command::GetSettings { queue: name() })?
        else {
            return Err(DumpError::Machine);
        };
        self.line(&QueueLine {
            account,
            queue,
            settings: SettingsLine::new(&settings),
        })?;
        self.report.queues += 1;
        let mut marker: Option<String> = None;
        loop {
            let selection = Selection {
                marker: marker.take().map(Cow::Owned),
                limit: Some(PAGE),
                match_hidden: true,
            };
            let list = Command::ListMessages {
                queue: name(),
                selection,
                wait_ms: 0,
                detail: Detail::All,
            };
            let messages = match self.ask(list)? {
                Some(Reply::Messages(messages)) => messages,
                None => return Ok(()),
                Some(_) => return Err(DumpError::Machine),
            };
            for message in messages.iter() {
                self.line(&MessageLine::new(account, queue, &message))?;
                self.report.messages += 1;
                marker = Some(message.id.to_owned());
            }
        }
    }

    /// The machine's reply, `None` if nothing matches. Nothing is stored: the node may
    /// believe that it is.
    fn ask(&mut self, command: Command<'_>) -> Result<Option<Reply>, DumpError> {
        let ticket = self.node.submit(self.now, command);
        loop {
            match self.node.poll_reply() {
                Some((answered, Ok(reply))) if answered == ticket => return Ok(Some(reply)),
                Some((answered, Err(refusal))) if answered == ticket => {
                    return match refusal {
                        Refusal::AccountNotFound
                        | Refusal::QueueNotFound
                        | Refusal::MessageNotFound => Ok(None),
                        _ => Err(DumpError::Machine),
                    };
                }
                Some(_) => {}
                None => match self.node.poll_batch() {
                    Some(batch) => self.node.handle_durable(batch.sequence),
                    None => return Err(DumpError::Machine),
                },
            }
        }
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), io::Error> {
        serde_json::to_writer(&mut *self.out, line)?;
        self.out.write_all(b"\n")
    }
}

#[derive(Serialize)]
struct QueueLine<'a> {
    account: &'a str,
    queue: &'a str,
    settings: SettingsLine<'a>,
}

/// A queue's settings under the names that the REST interface has for them.
#[derive(Serialize)]
struct SettingsLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_ttl: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_hide: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<Seconds>,
    order: &'static str,
}

impl<'a> SettingsLine<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            default_ttl: settings.default_ttl_ms.map(Seconds),
            default_hide: settings.default_hide_ms.map(Seconds),
            max_attempts: settings.max_attempts,
            dead_letter: settings.dead_letter.as_deref(),
            max_messages: settings.max_messages,
            max_bytes: settings.max_bytes,
            retention: settings.marker_retention_ms.map(Seconds),
            order: match settings.order {
                Order::Fifo => "fifo",
                Order::Lifo => "lifo",
            },
        }
    }
}

#[derive(Serialize)]
struct MessageLine<'a> {
    account: &'a str,
    queue: &'a str,
    id: &'a str,
    ttl: Seconds,
    hide: Seconds,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    body: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

impl<'a> MessageLine<'a> {
    fn new(account: &'a str, queue: &'a str, message: &MessageRef<'a>) -> Self {
        let (body, encoding) = match std::str::from_utf8(message.body) {
            Ok(text) => (Cow::Borrowed(text), None),
            Err(_) => (Cow::Owned(BASE64.encode(message.body)), Some("base64")),
        };
        Self {
            account,
            queue,
            id: message.id,
            ttl: Seconds(message.ttl_ms),
            hide: Seconds(message.hide_ms),
            attempts: message.attempts,
            content_type: message.content_type,
            body,
            encoding,
        }
    }
}

/// Milliseconds, written as seconds with a fraction where there is one.
struct Seconds(u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u64(self.0 / 1000)
        } else {
            // Spans are below 2^53 milliseconds, so this is exact to the millisecond.
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}
