//! Harnesses shared by the tests that cross crates.

pub mod conformance;
pub mod crash;
pub mod parity;
pub mod process;
pub mod simulation;
pub mod wire;
pub mod worker;
