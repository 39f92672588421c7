//! Burrow for Cloudflare Workers: the queue of one Durable Object, as a module that imports
//! one function and knows nothing of JavaScript.
//!
//! Each object has an instance of its own, with a memory of its own. The objects, their
//! storage and their alarms are in `js/`; what goes between the two is described in
//! [`wire`].
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

pub mod config;
pub mod desk;
pub mod directory;
#[cfg(target_arch = "wasm32")]
pub mod exports;
pub mod wire;
