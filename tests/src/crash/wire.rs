//! Message bodies and instants as they stand on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The server's clock may be read a little before the request is seen, and seconds are
/// rounded. The spans in use differ by far more.
const CLOCK_SLACK_MS: u64 = 1_500;

/// The interval in which something happened, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct During {
    pub from_ms: u64,
    pub until_ms: u64,
}

impl During {
    /// From the given instant until now.
    pub fn since(from_ms: u64) -> Self {
        Self {
            from_ms,
            until_ms: now_ms(),
        }
    }
}

pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as u64)
}

/// When a time of a message runs out, as far as a client can know.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Never expires, or is visible.
    Unset,
    Between {
        earliest_ms: u64,
        latest_ms: u64,
    },
}

impl Until {
    /// What a span of seconds means when it was set at some point of `during`.
    pub fn after(span_s: u64, during: During) -> Self {
        match span_s {
            0 => Self::Unset,
            _ => Self::Between {
                earliest_ms: during.from_ms + span_s * 1_000,
                latest_ms: during.until_ms + span_s * 1_000,
            },
        }
    }

    pub fn is_set(self) -> bool {
        !matches!(self, Self::Unset)
    }

    /// True if a message listed with so many seconds left can be the one.
    pub fn agrees(self, seconds_left: u64, listed: During) -> bool {
        match (self, seconds_left) {
            (Self::Unset, left) => left == 0,
            (Self::Between { .. }, 0) => false,
            (
                Self::Between {
                    earliest_ms,
                    latest_ms,
                },
                left,
            ) => {
                let seen = Self::after(left, listed);
                let Self::Between {
                    earliest_ms: seen_from,
                    latest_ms: seen_until,
                } = seen
                else {
                    return false;
                };
                seen_from <= latest_ms + CLOCK_SLACK_MS
                    && earliest_ms <= seen_until + CLOCK_SLACK_MS
            }
        }
    }
}

/// A message of a JSON list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    pub body: Vec<u8>,
    pub ttl_s: u64,
    pub hide_s: u64,
    /// Only where the request made claims.
    pub attempts: Option<u64>,
    pub claim: Option<String>,
}

/// Reads the JSON list of a `detail=all` response.
pub fn read_list(list: &Value) -> Result<Vec<Listed>, String> {
    let entries = list
        .as_array()
        .ok_or_else(|| format!("not a list: {list}"))?;
    entries
        .iter()
        .map(|entry| read_message(entry).ok_or_else(|| format!("not a message: {entry}")))
        .collect()
}

fn read_message(entry: &Value) -> Option<Listed> {
    let text = entry.get("body")?.as_str()?;
    let body = match entry.get("encoding") {
        None => text.as_bytes().to_vec(),
        Some(_) => BASE64_STANDARD.decode(text).ok()?,
    };
    Some(Listed {
        id: entry.get("id")?.as_str()?.to_owned(),
        body,
        ttl_s: entry.get("ttl")?.as_u64()?,
        hide_s: entry.get("hide")?.as_u64()?,
        attempts: entry.get("attempts").and_then(Value::as_u64),
        claim: entry
            .get("claim")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// A message of a batch, as JSON.
pub fn batch_entry(
    id: Option<&str>,
    body: &[u8],
    ttl_s: Option<u64>,
    hide_s: Option<u64>,
) -> Value {
    let mut entry = match str::from_utf8(body) {
        Ok(text) => json!({ "body": text }),
        Err(_) => json!({ "body": BASE64_STANDARD.encode(body), "encoding": "base64" }),
    };
    let fields = [
        ("id", id.map(Value::from)),
        ("ttl", ttl_s.map(Value::from)),
        ("hide", hide_s.map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            entry[name] = value;
        }
    }
    entry
}

/// A query string of the parameters that are given.
pub fn query(parameters: &[(&str, Option<u64>)]) -> String {
    let given: Vec<String> = parameters
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", (*value)?)))
        .collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("?{}", given.join("&"))
    }
}
