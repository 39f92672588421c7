//! Burrow as a JavaScript package.
