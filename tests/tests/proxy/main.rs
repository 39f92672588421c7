//! The proxy in front of real servers.

mod cancelling;
mod conformance;
mod failing;
mod in_flight;
mod lives;
mod places;
mod settings;
mod spread;
mod support;
