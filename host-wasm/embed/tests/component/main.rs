//! The component in wasmtime: conversations, limits, and what becomes of a queue whose
//! instance ends. `cargo xtask component` builds the component and runs these.

mod commands;
mod conformance;
mod frames;
mod hostile;
mod limits;
mod parity;
mod recovery;
mod sqlite;
mod support;
mod waiting;
