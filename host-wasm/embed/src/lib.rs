//! Burrow as a plugin of wasmtime hosts.
