//! Answers as JavaScript objects.

use burrow_core::rest::Response;
use burrow_core::{MessageRef, Order, Refusal, Reply, Settings, Stats};
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::JsValue;

pub(crate) fn object<const N: usize>(fields: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        // Fails for frozen objects only.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object
}

pub(crate) fn response(response: &Response) -> Object {
    let headers: Array = response
        .headers
        .iter()
        .map(|(name, value)| Array::of2(&(*name).into(), &value.as_ref().into()))
        .collect();
    object([
        ("status", response.status.into()),
        ("headers", headers.into()),
        ("body", bytes(&response.body)),
        ("head", response.head.into()),
    ])
}

pub(crate) fn reply(reply: &Reply) -> JsValue {
    match reply {
        Reply::Names(names) => list(names.iter().map(|name| text(name)), names.has_more()),
        Reply::PutBatch(ids) => ids.iter().map(text).collect::<Array>().into(),
        Reply::Messages(found) if found.iter().len() == 0 => number(found.matched()),
        Reply::Messages(found) => {
            let messages = found.iter().map(|one| message(one).into());
            list(messages, found.has_more())
        }
        Reply::Put { created } => object([("created", (*created).into())]).into(),
        Reply::Settled(results) => results
            .iter()
            .map(|result| match result {
                Ok(()) => JsValue::NULL,
                Err(refused) => refusal(refused).into(),
            })
            .collect::<Array>()
            .into(),
        Reply::Stats(stats) => object([
            ("messages", number(stats.messages)),
            ("hidden", number(stats.hidden)),
            ("bytes", number(stats.bytes)),
        ])
        .into(),
        Reply::Settings(settings) => self::settings(settings).into(),
        Reply::Exported { piece, next } => object([
            ("piece", bytes(piece)),
            ("next", next.map_or(JsValue::UNDEFINED, number)),
        ])
        .into(),
        Reply::Imported { messages } => number(*messages),
        Reply::Done => JsValue::UNDEFINED,
    }
}

/// A part of an answer that may be full: `[items, hasMore]`.
fn list(items: impl Iterator<Item = JsValue>, has_more: bool) -> JsValue {
    Array::of2(&items.collect::<Array>(), &has_more.into()).into()
}

pub(crate) fn refusal(refusal: &Refusal) -> Object {
    let code = match refusal {
        Refusal::AccountNotFound => "account-not-found",
        Refusal::QueueNotFound => "queue-not-found",
        Refusal::MessageNotFound => "message-not-found",
        Refusal::ClaimLost => "claim-lost",
        Refusal::Invalid { .. } => "invalid",
        Refusal::TooLarge { .. } => "too-large",
        Refusal::Exhausted { .. } => "exhausted",
    };
    object([
        ("code", code.into()),
        ("message", refusal.to_string().into()),
    ])
}

pub(crate) fn stats(stats: &Stats) -> Object {
    object([
        ("accounts", number(stats.accounts)),
        ("queues", number(stats.queues)),
        ("messages", number(stats.messages)),
        ("hidden", number(stats.hidden)),
        ("bytes", number(stats.bytes)),
        ("waiters", number(stats.waiters)),
        ("markers", number(stats.markers)),
    ])
}

fn message(message: MessageRef<'_>) -> Object {
    let claim = message.claim.map(|claim| claim.to_string());
    object([
        ("id", message.id.into()),
        ("body", bytes(message.body)),
        ("contentType", optional(message.content_type)),
        ("ttlMs", number(message.ttl_ms)),
        ("hideMs", number(message.hide_ms)),
        ("attempts", message.attempts.into()),
        ("claim", optional(claim.as_deref())),
    ])
}

fn settings(settings: &Settings) -> Object {
    let span = |span: Option<u64>| span.map_or(JsValue::UNDEFINED, number);
    object([
        ("defaultTtlMs", span(settings.default_ttl_ms)),
        ("defaultHideMs", span(settings.default_hide_ms)),
        ("maxAttempts", span(settings.max_attempts.map(u64::from))),
        ("deadLetter", optional(settings.dead_letter.as_deref())),
        ("maxMessages", span(settings.max_messages)),
        ("maxBytes", span(settings.max_bytes)),
        (
            "order",
            match settings.order {
                Order::Fifo => "fifo",
                Order::Lifo => "lifo",
            }
            .into(),
        ),
        ("markerRetentionMs", span(settings.marker_retention_ms)),
    ])
}

fn optional(value: Option<&str>) -> JsValue {
    value.map_or(JsValue::UNDEFINED, JsValue::from_str)
}

fn text(value: &str) -> JsValue {
    JsValue::from_str(value)
}

fn bytes(value: &[u8]) -> JsValue {
    Uint8Array::from(value).into()
}

/// Counts and spans stay below 2^53.
fn number(value: u64) -> JsValue {
    (value as f64).into()
}
