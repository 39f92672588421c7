//! The world's types and the machine's.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use burrow_core::rest::Response;
use burrow_core::wire::{self, Failure};
use burrow_core::{
    ClaimToken, LimitName, MessageList, NameList, NewMessage, Page, QueueName, Refusal, Reply,
    Selection, SettleAction, Settlement, Update, service,
};

use crate::bindings::burrow::queue::types as wit;
use crate::bindings::exports::burrow::queue::node::Outcome;
use crate::host::Form;

pub(crate) fn queue(queue: wit::QueueName) -> QueueName<'static> {
    QueueName {
        account: queue.account.into(),
        queue: queue.queue.into(),
    }
}

pub(crate) fn new_message(message: wit::NewMessage) -> NewMessage<'static> {
    NewMessage {
        id: message.id.map(Into::into),
        body: message.body.into(),
        content_type: message.content_type.map(Into::into),
        ttl_ms: message.ttl_ms,
        hide_ms: message.hide_ms,
    }
}

pub(crate) fn selection(selection: wit::Selection) -> Selection<'static> {
    Selection {
        marker: selection.marker.map(Into::into),
        limit: selection.limit,
        match_hidden: selection.match_hidden,
    }
}

pub(crate) fn page(page: wit::Page) -> Page<'static> {
    Page {
        marker: page.marker.map(Into::into),
        limit: page.limit,
    }
}

pub(crate) fn detail(detail: wit::Detail) -> burrow_core::Detail {
    match detail {
        wit::Detail::None => burrow_core::Detail::None,
        wit::Detail::Id => burrow_core::Detail::Id,
        wit::Detail::Attributes => burrow_core::Detail::Attributes,
        wit::Detail::Body => burrow_core::Detail::Body,
        wit::Detail::All => burrow_core::Detail::All,
    }
}

pub(crate) fn update(update: wit::Times) -> Update {
    Update {
        ttl_ms: update.ttl_ms,
        hide_ms: update.hide_ms,
    }
}

/// A number that is no claim is one that nobody holds.
pub(crate) fn claim(number: u64) -> Result<ClaimToken, wit::Error> {
    ClaimToken::from_number(number).map_err(|_| wit::Error::ClaimLost)
}

pub(crate) fn settlement(settlement: wit::Settlement) -> Result<Settlement<'static>, wit::Error> {
    Ok(Settlement {
        id: settlement.id.into(),
        claim: settlement.claim.map(claim).transpose()?,
        action: match settlement.action {
            wit::SettleAction::Ack => SettleAction::Delete,
            wit::SettleAction::Update(new) => SettleAction::Update(update(new)),
        },
    })
}

pub(crate) fn settings(settings: wit::Settings) -> burrow_core::Settings {
    burrow_core::Settings {
        default_ttl_ms: settings.default_ttl_ms,
        default_hide_ms: settings.default_hide_ms,
        max_attempts: settings.max_attempts,
        dead_letter: settings.dead_letter.map(Into::into),
        max_messages: settings.max_messages,
        max_bytes: settings.max_bytes,
        order: match settings.order {
            wit::Order::Fifo => burrow_core::Order::Fifo,
            wit::Order::Lifo => burrow_core::Order::Lifo,
        },
        marker_retention_ms: settings.marker_retention_ms,
    }
}

pub(crate) fn settings_told(settings: burrow_core::Settings) -> wit::Settings {
    wit::Settings {
        default_ttl_ms: settings.default_ttl_ms,
        default_hide_ms: settings.default_hide_ms,
        max_attempts: settings.max_attempts,
        dead_letter: settings.dead_letter.map(Into::into),
        max_messages: settings.max_messages,
        max_bytes: settings.max_bytes,
        order: match settings.order {
            burrow_core::Order::Fifo => wit::Order::Fifo,
            burrow_core::Order::Lifo => wit::Order::Lifo,
        },
        marker_retention_ms: settings.marker_retention_ms,
    }
}

pub(crate) fn messages(list: &MessageList) -> wit::Messages {
    let entries = list.iter().map(|message| wit::Message {
        id: message.id.into(),
        body: message.body.into(),
        content_type: message.content_type.map(Into::into),
        ttl_ms: message.ttl_ms,
        hide_ms: message.hide_ms,
        attempts: message.attempts,
        claim: message.claim.map(ClaimToken::number),
    });
    wit::Messages {
        matched: list.matched(),
        entries: entries.collect(),
        has_more: list.has_more(),
    }
}

pub(crate) fn refusal(refusal: Refusal) -> wit::Error {
    let quota = |limit: LimitName, maximum| wit::Quota {
        name: limit.to_string(),
        maximum,
    };
    match refusal {
        Refusal::AccountNotFound => wit::Error::AccountNotFound,
        Refusal::QueueNotFound => wit::Error::QueueNotFound,
        Refusal::MessageNotFound => wit::Error::MessageNotFound,
        Refusal::ClaimLost => wit::Error::ClaimLost,
        Refusal::Invalid { .. } => wit::Error::Invalid(refusal.to_string()),
        Refusal::TooLarge { limit, maximum } => wit::Error::TooLarge(quota(limit, maximum)),
        Refusal::Exhausted { limit, maximum } => wit::Error::Exhausted(quota(limit, maximum)),
    }
}

pub(crate) fn names(names: NameList) -> wit::Names {
    wit::Names {
        has_more: names.has_more(),
        names: names.into_iter().map(Into::into).collect(),
    }
}

/// The machine answered a command with what answers another.
pub(crate) fn unexpected(reply: &Reply) -> wit::Error {
    wit::Error::OutcomeUnknown(format!("an unexpected answer: {reply:?}"))
}

/// What becomes of a call that has waited.
pub(crate) fn outcome(outcome: service::Outcome, form: Form) -> Outcome {
    match (outcome, form) {
        (service::Outcome::Response(told), _) => Outcome::Response(response(told)),
        (service::Outcome::Reply(reply), Form::Frame(id)) => {
            Outcome::Frame(frame(id, &reply.map_err(Failure::from)))
        }
        (service::Outcome::Reply(Ok(Reply::Messages(list))), _) => {
            Outcome::Messages(Ok(messages(&list)))
        }
        (service::Outcome::Reply(Ok(other)), _) => Outcome::Messages(Err(unexpected(&other))),
        (service::Outcome::Reply(Err(refused)), _) => Outcome::Messages(Err(refusal(refused))),
    }
}

/// What becomes of a call that waits when the instance meets an error of its own.
pub(crate) fn failed(error: &wit::Error, form: Form) -> Outcome {
    match form {
        Form::Typed => Outcome::Messages(Err(error.clone())),
        Form::Request => Outcome::Response(response(failed_response(error))),
        Form::Frame(id) => Outcome::Frame(frame(id, &Err(failure(error)))),
    }
}

/// The frame that answers the one with this id.
pub(crate) fn frame(id: u64, outcome: &Result<Reply, Failure>) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::encode_outcome(&mut frame, id, outcome);
    frame
}

/// The answer to a frame that met an error of the instance itself.
pub(crate) fn failure(error: &wit::Error) -> Failure {
    match error {
        wit::Error::OutcomeUnknown(_) => Failure::OutcomeUnknown,
        wit::Error::NotStored(_) => Failure::NotStored,
        _ => Failure::Stopping,
    }
}

/// What a transport is to send.
pub(crate) fn response(response: Response) -> wit::Response {
    let headers = response
        .headers
        .into_iter()
        .map(|(name, value)| (name.into(), value.into_owned()));
    wit::Response {
        status: response.status,
        headers: headers.collect(),
        content_length: (response.status != 204).then_some(response.body.len() as u64),
        body: if response.head {
            Vec::new()
        } else {
            response.body
        },
    }
}

/// The answer to a request that met an error of the instance itself.
pub(crate) fn failed_response(error: &wit::Error) -> Response {
    match error {
        wit::Error::OutcomeUnknown(_) => Response::outcome_unknown(),
        wit::Error::NotStored(_) => Response::not_stored(),
        _ => Response::stopping(),
    }
}
