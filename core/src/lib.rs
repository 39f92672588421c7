//! The Burrow message queue as a state machine without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod codec;
mod command;
mod config;
mod crc;
mod effect;
mod ids;
pub mod journal;
mod node;
mod refusal;
mod reply;
pub mod rest;
pub mod service;
mod settings;
mod sort;
mod state;
mod time;
mod token;
pub mod wire;

pub use command::{
    Command, Detail, NewMessage, Page, QueueName, Selection, SettleAction, Settlement, Update,
};
pub use config::{
    BURIAL_BYTES, BURIAL_INSTANTS, Config, ENTRY_BYTES, JournalConfig, Limits,
    MAX_CONTENT_TYPE_BYTES, MAX_ID_BYTES, MIN_MARKERS_PER_QUEUE, MOST_MARKERS,
};
pub use effect::Effect;
pub use ids::IdList;
pub use node::{Node, Stats, Ticket};
pub use refusal::{Field, LimitName, Problem, Refusal};
pub use reply::{MessageList, MessageRef, NameList, QueueStats, Reply};
pub use settings::{Order, Settings};
pub use time::{MAX_SPAN_MS, Timestamp};
pub use token::{ClaimToken, InvalidToken};
