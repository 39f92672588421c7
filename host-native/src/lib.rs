//! The native host of the Burrow queue.

pub mod config;
pub mod desk;
pub mod embedded;
pub mod engine;
pub mod inspect;
pub mod logging;
pub mod proxy;
pub mod server;
pub mod storage;
