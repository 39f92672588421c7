//! The engine over a store that fails on demand.

mod cancelling;
mod durability;
mod faulty_store;
mod outage;
mod stopping;
mod support;
