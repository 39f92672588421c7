//! What the component's world is in Rust.
#![allow(
    unreachable_pub,
    missing_debug_implementations,
    unsafe_code,
    clippy::all
)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "plugin",
    additional_derives: [PartialEq],
});

use self::burrow::queue::types::{NewMessage, Page, Selection, Settings, Times};

impl Default for NewMessage {
    fn default() -> Self {
        Self {
            id: None,
            body: Vec::new(),
            content_type: None,
            ttl_ms: None,
            hide_ms: None,
        }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            marker: None,
            limit: None,
            match_hidden: false,
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            marker: None,
            limit: None,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            ttl_ms: None,
            hide_ms: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_ttl_ms: None,
            default_hide_ms: None,
            max_attempts: None,
            dead_letter: None,
            max_messages: None,
            max_bytes: None,
            order: self::burrow::queue::types::Order::Fifo,
            marker_retention_ms: None,
        }
    }
}

impl Default for exports::burrow::queue::node::Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: None,
            max_batch_messages: None,
            max_answer_bytes: None,
            max_messages: None,
            max_bytes: None,
            max_queues: None,
            max_waiters: None,
            max_wait_ms: None,
            max_markers: None,
        }
    }
}
