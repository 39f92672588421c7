//! Burrow as a wasm component.
