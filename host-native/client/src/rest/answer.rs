//! HTTP responses as answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burrow_core::Command;
use burrow_core::rest::read_settings;
use http::StatusCode;
use http::response::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::NEXT_PIECE;
use crate::error::Error;
use crate::transport::{Answer, Message, Messages};

/// The texts of a 404 that is about what the command names, and not about the URL.
const NOT_FOUND: [&str; 3] = ["Account not found", "Queue not found", "Message not found"];
/// How the text of a 503 ends when nothing has happened.
const NOTHING_DONE: [&str; 2] = ["nothing was done", "did not happen"];

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    body: String,
    encoding: Option<String>,
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    hide: u64,
    #[serde(default)]
    attempts: u32,
    claim: Option<String>,
}

#[derive(Deserialize)]
struct Settled {
    status: u16,
    #[serde(default)]
    error: String,
}

/// Tells that a list ends because the answer is full.
const MORE: &str = "burrow-more";

/// Reads what the server says to the command.
pub(super) fn read(command: &Command<'_>, head: &Parts, body: &[u8]) -> Result<Answer, Error> {
    if !head.status.is_success() {
        let text = String::from_utf8_lossy(body);
        return Err(failure(head.status, text.trim()));
    }
    if head.status == StatusCode::NO_CONTENT {
        return Ok(match command {
            Command::Put { .. } => Answer::Put { created: false },
            _ => Answer::Done,
        });
    }
    match command {
        Command::ListAccounts { .. }
        | Command::DeleteAccounts { .. }
        | Command::ListQueues { .. }
        | Command::DeleteQueues { .. } => Ok(Answer::Names {
            names: json(body)?,
            has_more: has_more(head),
        }),
        Command::ListMessages { .. }
        | Command::UpdateMessages { .. }
        | Command::DeleteMessages { .. } => messages(json(body)?, has_more(head)),
        Command::GetMessage { .. }
        | Command::UpdateMessage { .. }
        | Command::DeleteMessage { .. } => messages(vec![json(body)?], false),
        Command::Put { .. } => Ok(Answer::Put { created: true }),
        Command::PutBatch { .. } => Ok(Answer::PutBatch(json(body)?)),
        Command::Settle { .. } => {
            let results: Vec<Settled> = json(body)?;
            Ok(Answer::Settled(results.into_iter().map(settled).collect()))
        }
        Command::GetStats { .. } => Ok(Answer::Stats(json(body)?)),
        Command::GetSettings { .. } => read_settings(body)
            .map(Answer::Settings)
            .map_err(|response| unreadable(String::from_utf8_lossy(&response.body))),
        Command::Export { .. } => Ok(Answer::Exported {
            piece: body.to_vec(),
            next: next_piece(head)?,
        }),
        Command::PutSettings { .. } | Command::ClearSettings { .. } | Command::Import { .. } => {
            Ok(Answer::Done)
        }
    }
}

fn failure(status: StatusCode, text: &str) -> Error {
    let told = || match text {
        "" => format!("the server answered {status}"),
        text => text.to_owned(),
    };
    match status {
        StatusCode::NOT_FOUND if NOT_FOUND.contains(&text) => Error::NotFound(told()),
        StatusCode::CONFLICT => Error::ClaimLost,
        StatusCode::TOO_MANY_REQUESTS => Error::Exhausted(told()),
        StatusCode::SERVICE_UNAVAILABLE if NOTHING_DONE.iter().any(|end| text.ends_with(end)) => {
            Error::NotDone(told())
        }
        status if status.is_client_error() => Error::Invalid(told()),
        status => {
            // What it means for a change is told where there is one.
            let (text, _) = text.split_once(": the change may").unwrap_or((text, ""));
            Error::OutcomeUnknown(format!("the server answered {status}: {text}"))
        }
    }
}

fn has_more(head: &Parts) -> bool {
    head.headers.get(MORE).is_some_and(|more| more == "true")
}

fn messages(items: Vec<Item>, has_more: bool) -> Result<Answer, Error> {
    let list = items.into_iter().map(message).collect::<Result<_, _>>()?;
    Ok(Answer::Messages(Messages { list, has_more }))
}

fn message(item: Item) -> Result<Message, Error> {
    let body = match item.encoding.as_deref() {
        None => item.body.into_bytes(),
        Some("base64") => STANDARD.decode(item.body).map_err(unreadable)?,
        Some(other) => return Err(unreadable(format!("unknown encoding {other}"))),
    };
    let claim = item.claim.map(|token| token.parse()).transpose();
    Ok(Message {
        id: item.id,
        body,
        content_type: None,
        ttl_ms: item.ttl.saturating_mul(1000),
        hide_ms: item.hide.saturating_mul(1000),
        attempts: item.attempts,
        claim: claim.map_err(unreadable)?,
    })
}

fn settled(item: Settled) -> Result<(), Error> {
    match StatusCode::from_u16(item.status) {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => Err(failure(status, &item.error)),
        Err(error) => Err(unreadable(error)),
    }
}

fn next_piece(head: &Parts) -> Result<Option<u64>, Error> {
    let Some(next) = head.headers.get(NEXT_PIECE) else {
        return Ok(None);
    };
    let next = next.to_str().ok().and_then(|text| text.parse().ok());
    next.map(Some)
        .ok_or_else(|| unreadable("Burrow-Next is not a number"))
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(unreadable)
}

fn unreadable(reason: impl std::fmt::Display) -> Error {
    Error::OutcomeUnknown(format!("the server's answer cannot be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burrow_core::rest::Response;

    #[test]
    fn an_unknown_outcome_is_told_without_a_change_that_there_may_not_be() {
        let body = Response::outcome_unknown().body;
        let text = std::str::from_utf8(&body).unwrap();
        let Error::OutcomeUnknown(text) = failure(StatusCode::SERVICE_UNAVAILABLE, text) else {
            panic!("it is known");
        };
        assert!(text.ends_with(": Outcome unknown"), "{text}");
    }
}
