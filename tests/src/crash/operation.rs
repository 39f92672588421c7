//! What a client asks of a queue that is its own.

use serde_json::{Value, json};

use super::http::Request;
use super::record::{DEAD, MAIN};
use super::wire::{batch_entry, query};

/// A message to create or replace.
#[derive(Clone, Debug)]
pub struct New {
    /// None: the server gives one (in a batch only).
    pub id: Option<String>,
    pub body: Vec<u8>,
    pub ttl_s: Option<u64>,
    pub hide_s: Option<u64>,
}

/// Settings of the client's queue. The dead-letter queue goes with `max_attempts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub default_ttl_s: Option<u64>,
    pub default_hide_s: Option<u64>,
    pub max_attempts: Option<u64>,
    pub newest_first: bool,
}

impl Settings {
    pub fn to_json(&self) -> Value {
        let mut settings = json!({ "order": if self.newest_first { "lifo" } else { "fifo" } });
        if let Some(ttl_s) = self.default_ttl_s {
            settings["default_ttl"] = ttl_s.into();
        }
        if let Some(hide_s) = self.default_hide_s {
            settings["default_hide"] = hide_s.into();
        }
        if let Some(attempts) = self.max_attempts {
            settings["max_attempts"] = attempts.into();
            settings["dead_letter"] = DEAD.into();
        }
        settings
    }
}

/// One entry of a settle request.
#[derive(Clone, Debug)]
pub struct Settle {
    pub id: String,
    pub token: String,
    /// None: the work is done, the message goes.
    pub hide_s: Option<u64>,
}

/// One request. Tokens are those of current claims, except where the name says otherwise.
#[derive(Clone, Debug)]
pub enum Operation {
    Put(New),
    PutBatch(Vec<New>),
    Claim {
        limit: u64,
        hide_s: u64,
    },
    Pop {
        limit: u64,
    },
    Delete {
        id: String,
        token: Option<String>,
    },
    Update {
        id: String,
        token: Option<String>,
        ttl_s: Option<u64>,
        hide_s: Option<u64>,
    },
    UpdateWithStaleToken {
        id: String,
        token: String,
    },
    UpdateAll {
        ttl_s: u64,
    },
    Settle(Vec<Settle>),
    PutSettings(Settings),
    ClearSettings,
    DeleteMessages,
    DeleteQueues,
}

impl Operation {
    pub fn request(&self, account: &str) -> Request {
        let account = format!("/v1.0/{account}");
        let queue = format!("{account}/{MAIN}");
        match self {
            Self::Put(new) => {
                let id = new.id.as_deref().unwrap_or_default();
                let times = query(&[("ttl", new.ttl_s), ("hide", new.hide_s)]);
                Request::new("PUT", format!("{queue}/{id}{times}")).with_body(new.body.clone())
            }
            Self::PutBatch(messages) => {
                let entries: Vec<Value> = messages
                    .iter()
                    .map(|new| batch_entry(new.id.as_deref(), &new.body, new.ttl_s, new.hide_s))
                    .collect();
                Request::new("PUT", queue).with_body(Value::from(entries).to_string())
            }
            Self::Claim { limit, hide_s } => Request::new(
                "POST",
                format!("{queue}?claim=true&limit={limit}&hide={hide_s}"),
            ),
            Self::Pop { limit } => {
                Request::new("DELETE", format!("{queue}?limit={limit}&detail=all"))
            }
            Self::Delete { id, token } => {
                let token = token
                    .as_ref()
                    .map_or(String::new(), |token| format!("?claim={token}"));
                Request::new("DELETE", format!("{queue}/{id}{token}"))
            }
            Self::Update {
                id,
                token,
                ttl_s,
                hide_s,
            } => {
                let times = query(&[("ttl", *ttl_s), ("hide", *hide_s)]);
                let token = token
                    .as_ref()
                    .map_or(String::new(), |token| format!("&claim={token}"));
                Request::new("POST", format!("{queue}/{id}{times}{token}"))
            }
            Self::UpdateWithStaleToken { id, token } => {
                Request::new("POST", format!("{queue}/{id}?hide=0&claim={token}"))
            }
            Self::UpdateAll { ttl_s } => {
                Request::new("POST", format!("{queue}?match_hidden=true&ttl={ttl_s}"))
            }
            Self::Settle(entries) => {
                let entries: Vec<Value> = entries.iter().map(settle_entry).collect();
                Request::new("POST", queue).with_body(Value::from(entries).to_string())
            }
            Self::PutSettings(settings) => Request::new("PUT", format!("{queue}?settings"))
                .with_body(settings.to_json().to_string()),
            Self::ClearSettings => Request::new("DELETE", format!("{queue}?settings")),
            Self::DeleteMessages => Request::new("DELETE", format!("{queue}?match_hidden=true")),
            Self::DeleteQueues => Request::new("DELETE", account),
        }
    }
}

fn settle_entry(entry: &Settle) -> Value {
    let Settle { id, token, hide_s } = entry;
    match hide_s {
        None => json!({ "id": id, "claim": token, "delete": true }),
        Some(hide_s) => json!({ "id": id, "claim": token, "hide": hide_s }),
    }
}
