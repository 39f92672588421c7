//! Looks at the data of a stopped server without changing it.

mod check;
mod dump;

pub use check::{CheckReport, Damage, check};
pub use dump::{DumpError, DumpReport, dump, open};
