//! Burrow for Cloudflare Workers: a Durable Object for each queue, one for each account, one for
//! the list of accounts.
//!
//! [`desk`], [`directory`], [`config`] and [`rows`] decide, and know nothing of the runtime; the rest speaks to it.

#![allow(
    missing_debug_implementations,
    reason = "what holds the runtime's own objects cannot show them"
)]

pub mod config;
pub mod desk;
pub mod directory;
pub mod rows;

mod account;
#[cfg(feature = "wire")]
mod connection;
mod entry;
mod error;
#[cfg(feature = "wire")]
mod gateway;
mod http;
mod journal;
mod letters;
mod memory;
mod names;
mod object;
mod places;
mod promise;
mod queue;
mod root;
mod runtime;
mod spent;
mod sql;
mod time;
mod turns;
mod variables;
mod waiting;
#[cfg(feature = "wire")]
mod wire;
mod work;
