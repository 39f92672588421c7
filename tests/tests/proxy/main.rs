//! The proxy in front of real servers.

mod conformance;
mod failing;
mod places;
mod settings;
mod spread;
mod support;
