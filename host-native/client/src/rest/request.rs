//! Commands as HTTP requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burrow_core::rest::write_settings;
use burrow_core::{
    ClaimToken, Command, Detail, NewMessage, Page, QueueName, Selection, SettleAction, Settlement,
    Update,
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::JSON;
use crate::error::Error;

/// What needs no escape in a path or a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes the request of a command to the server whose URLs begin with `base`.
pub(super) fn write(base: &str, command: &Command<'_>) -> Result<Request<Full<Bytes>>, Error> {
    let draft = draft(command)?;
    let mut url = format!("{base}{}", draft.path);
    for (index, (name, value)) in draft.query.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, ESCAPED));
    }
    let mut request = Request::builder().method(draft.method).uri(url);
    if let Some(content_type) = draft.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    request
        .body(Full::new(draft.body.into()))
        .map_err(|error| Error::Invalid(error.to_string()))
}

#[derive(Default)]
struct Draft {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    content_type: Option<HeaderValue>,
    body: Vec<u8>,
}

impl Draft {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            ..Self::default()
        }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn maybe(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn page(self, page: &Page<'_>) -> Self {
        self.maybe("marker", page.marker.as_deref())
            .maybe("limit", page.limit)
    }

    fn selection(self, selection: &Selection<'_>) -> Self {
        let hidden = selection.match_hidden.then_some("true");
        self.maybe("marker", selection.marker.as_deref())
            .maybe("limit", selection.limit)
            .maybe("match_hidden", hidden)
    }

    fn times(self, ttl_ms: Option<u64>, hide_ms: Option<u64>) -> Self {
        self.maybe("ttl", ttl_ms.map(seconds))
            .maybe("hide", hide_ms.map(seconds))
    }

    fn wait(self, wait_ms: u64) -> Self {
        self.maybe("wait", (wait_ms > 0).then(|| seconds(wait_ms)))
    }

    fn detail(self, detail: Detail) -> Self {
        self.with(
            "detail",
            match detail {
                Detail::None => "none",
                Detail::Id => "id",
                Detail::Attributes => "attributes",
                // A list of bodies alone has no ids.
                Detail::Body | Detail::All => "all",
            },
        )
    }

    fn json(mut self, value: &impl Serialize) -> Result<Self, Error> {
        self.body = serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))?;
        self.content_type = Some(JSON);
        Ok(self)
    }
}

fn draft(command: &Command<'_>) -> Result<Draft, Error> {
    let draft = match command {
        Command::ListAccounts { page } => Draft::new(Method::GET, "/v1.0".to_owned()).page(page),
        Command::DeleteAccounts { page } => Draft::new(Method::DELETE, "/v1.0".to_owned())
            .page(page)
            .detail(Detail::Id),
        Command::ListQueues { account, page } => {
            Draft::new(Method::GET, format!("/v1.0/{}", escaped(account))).page(page)
        }
        Command::DeleteQueues { account, page } => {
            let path = format!("/v1.0/{}", escaped(account));
            Draft::new(Method::DELETE, path)
                .page(page)
                .detail(Detail::Id)
        }
        Command::ListMessages { .. }
        | Command::UpdateMessages { .. }
        | Command::DeleteMessages { .. } => many(command),
        Command::Put { queue, message } => return put(queue, message),
        Command::PutBatch { queue, messages } => {
            let items: Vec<Item<'_>> = messages.iter().map(Item::of).collect();
            return Draft::new(Method::PUT, path(queue)).json(&items);
        }
        Command::GetMessage { queue, id, detail } => {
            Draft::new(Method::GET, message_path(queue, id)).detail(*detail)
        }
        Command::UpdateMessage {
            queue,
            id,
            update,
            claim,
            detail,
        } => Draft::new(Method::POST, message_path(queue, id))
            .times(update.ttl_ms, update.hide_ms)
            .maybe("claim", *claim)
            .detail(*detail),
        Command::DeleteMessage {
            queue,
            id,
            claim,
            detail,
        } => Draft::new(Method::DELETE, message_path(queue, id))
            .maybe("claim", *claim)
            .detail(*detail),
        Command::Settle { queue, settlements } => {
            let items: Vec<Settled<'_>> = settlements.iter().map(Settled::of).collect();
            return Draft::new(Method::POST, path(queue)).json(&items);
        }
        Command::GetStats { queue } => Draft::new(Method::GET, path(queue)).with("stats", ""),
        Command::GetSettings { queue } => settings(Method::GET, queue),
        Command::PutSettings {
            queue,
            settings: own,
        } => {
            let mut draft = settings(Method::PUT, queue);
            write_settings(&mut draft.body, own);
            draft.content_type = Some(JSON);
            draft
        }
        Command::ClearSettings { queue } => settings(Method::DELETE, queue),
        Command::Export { queue, after, .. } => Draft::new(Method::GET, path(queue))
            .with("export", "")
            .maybe("after", *after),
        Command::Import { queue, piece } => Draft {
            body: piece.to_vec(),
            ..Draft::new(Method::PUT, path(queue)).with("import", "")
        },
    };
    Ok(draft)
}

/// Commands on the messages of a queue that match.
fn many(command: &Command<'_>) -> Draft {
    match command {
        Command::UpdateMessages {
            queue,
            selection,
            update,
            wait_ms,
            detail,
        } => Draft::new(Method::POST, path(queue))
            .selection(selection)
            .times(update.ttl_ms, update.hide_ms)
            .wait(*wait_ms)
            .detail(*detail)
            .with("claim", "true"),
        Command::DeleteMessages {
            queue,
            selection,
            wait_ms,
            detail,
        } => Draft::new(Method::DELETE, path(queue))
            .selection(selection)
            .wait(*wait_ms)
            .detail(*detail),
        Command::ListMessages {
            queue,
            selection,
            wait_ms,
            detail,
        } => Draft::new(Method::GET, path(queue))
            .selection(selection)
            .wait(*wait_ms)
            .detail(*detail),
        _ => Draft::default(),
    }
}

fn put(queue: &QueueName<'_>, message: &NewMessage<'_>) -> Result<Draft, Error> {
    let id = message.id.as_deref();
    let id = id.ok_or_else(|| Error::Invalid("id is missing".to_owned()))?;
    let content_type = message.content_type.as_deref().map(HeaderValue::from_str);
    let content_type = content_type
        .transpose()
        .map_err(|_| Error::Invalid("the content type cannot stand in a header".to_owned()))?;
    Ok(Draft {
        content_type,
        body: message.body.to_vec(),
        ..Draft::new(Method::PUT, message_path(queue, id)).times(message.ttl_ms, message.hide_ms)
    })
}

fn settings(method: Method, queue: &QueueName<'_>) -> Draft {
    Draft::new(method, path(queue)).with("settings", "")
}

/// A message of a batch.
#[derive(Serialize)]
struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    body: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hide: Option<serde_json::Number>,
}

impl<'a> Item<'a> {
    fn of(message: &'a NewMessage<'_>) -> Self {
        let (body, encoding) = match std::str::from_utf8(&message.body) {
            Ok(text) => (text.into(), None),
            Err(_) => (STANDARD.encode(&message.body).into(), Some("base64")),
        };
        Self {
            id: message.id.as_deref(),
            body,
            encoding,
            content_type: message.content_type.as_deref(),
            ttl: message.ttl_ms.and_then(number),
            hide: message.hide_ms.and_then(number),
        }
    }
}

/// What becomes of a message of a settle.
#[derive(Serialize)]
struct Settled<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hide: Option<serde_json::Number>,
}

impl<'a> Settled<'a> {
    fn of(settlement: &'a Settlement<'_>) -> Self {
        let (delete, update) = match settlement.action {
            SettleAction::Delete => (Some(true), Update::default()),
            SettleAction::Update(update) => (None, update),
        };
        Self {
            id: &settlement.id,
            claim: settlement.claim.as_ref().map(ClaimToken::to_string),
            delete,
            ttl: update.ttl_ms.and_then(number),
            hide: update.hide_ms.and_then(number),
        }
    }
}

fn path(queue: &QueueName<'_>) -> String {
    format!(
        "/v1.0/{}/{}",
        escaped(&queue.account),
        escaped(&queue.queue)
    )
}

fn message_path(queue: &QueueName<'_>, id: &str) -> String {
    format!("{}/{}", path(queue), escaped(id))
}

/// A name as a segment of a path. Those of dots alone would be taken for steps.
fn escaped(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        name => utf8_percent_encode(name, ESCAPED).to_string(),
    }
}

/// Milliseconds as seconds, to the last digit.
fn seconds(span_ms: u64) -> String {
    match (span_ms / 1000, span_ms % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:03}"),
    }
}

/// Seconds as a JSON number. Whole ones keep all their digits.
fn number(span_ms: u64) -> Option<serde_json::Number> {
    if span_ms.is_multiple_of(1000) {
        return Some((span_ms / 1000).into());
    }
    seconds(span_ms)
        .parse()
        .ok()
        .and_then(serde_json::Number::from_f64)
}
