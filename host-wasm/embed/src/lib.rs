//! Burrow as a plugin: a message queue that runs as WebAssembly inside of your program, with
//! storage, clock and limits that you give it.
//!
//! A [`Plugin`] is the compiled component. Each [`Queue`] that it makes is a node of its own:
//! accounts and queues in a memory that nobody else can reach, over a [`Storage`] of its own. If a queue
//! passes its [`Limits`], fails or cannot store, its instance is dropped and the next call
//! restores it from what is stored: **what was acknowledged is there**, and no other queue notices.
//!
//! ```no_run
//! use burrow_embed::{Answer, Detail, MemoryStorage, Options, Plugin, QueueConfig};
//! use burrow_embed::{NewMessage, QueueName, Selection};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = Plugin::compile(&std::fs::read("burrow.wasm")?, &Options::default())?;
//! let mut queue = plugin.instantiate(MemoryStorage::default(), QueueConfig::default())?;
//!
//! let jobs = QueueName { account: "shop".into(), queue: "jobs".into() };
//! let parcel = NewMessage { body: b"pack the parcel".into(), ..NewMessage::default() };
//! queue.put_batch(&jobs, &[parcel])?;
//! let first = Selection { limit: Some(1), ..Selection::default() };
//! if let Answer::Done(claimed) = queue.claim(&jobs, &first, 60_000, 0, Detail::All)? {
//!     for message in claimed.entries {
//!         queue.ack(&jobs, &message.id, message.claim)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod bindings;
mod clock;
mod command;
mod compiled;
mod error;
mod host;
mod life;
mod limits;
mod plugin;
mod queue;
#[cfg(feature = "sqlite")]
mod sqlite;
mod storage;
mod typed;

pub use bindings::burrow::queue::types::{
    Counts, Detail, Error as Refusal, Message, Messages, Names, NewMessage, Order, Page, QueueName,
    Quota, Request, Response, Selection, Settings, SettleAction, Settlement, Times,
};
pub use bindings::exports::burrow::queue::node::{Limits as NodeLimits, Opened};
pub use bindings::exports::burrow::queue::queues::Piece;
pub use burrow_core;
pub use clock::{Clock, SystemClock};
pub use command::Carried;
pub use error::{CallError, Cause, CompileError, OpenError};
pub use limits::Limits;
pub use plugin::{Options, Plugin};
pub use queue::{Answer, Handled, Outcome, Queue, QueueConfig, Ticket, Time};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStorage;
pub use storage::{AppendError, MemoryStorage, Storage, StorageError};
