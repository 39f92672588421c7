//! Harnesses shared by the tests that cross crates.

pub mod conformance;
pub mod crash;
pub mod parity;
pub mod process;
pub mod simulation;
pub mod web_socket;
pub mod wire;
pub mod wire_client;
pub mod wire_record;
pub mod worker;
