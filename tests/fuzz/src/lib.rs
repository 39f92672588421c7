//! Fuzz targets: each takes any bytes and panics only if Burrow breaks a promise.
//!
//! The test `short` runs them on mutated seeds with every test run; `cargo xtask fuzz`
//! runs them under the guidance of their coverage for as long as one likes.

mod envelope;
mod host;
mod journal;
mod rest;
mod wire;

pub use journal::journal;
pub use rest::rest;
pub use wire::wire;
