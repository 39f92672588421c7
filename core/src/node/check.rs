//! Whether what a command says can be at all.

use crate::command::{NewMessage, QueueName, Update};
use crate::config::{Limits, MAX_CONTENT_TYPE_BYTES, MAX_ID_BYTES};
use crate::refusal::{Field, LimitName, Problem, Refusal};
use crate::settings::Settings;
use crate::time::MAX_SPAN_MS;

pub(super) fn name(field: Field, name: &str) -> Result<(), Refusal> {
    match name.len() {
        0 => Err(Refusal::Invalid {
            field,
            problem: Problem::Empty,
        }),
        1..=MAX_ID_BYTES => Ok(()),
        _ => Err(Refusal::Invalid {
            field,
            problem: Problem::TooLong {
                maximum: MAX_ID_BYTES as u64,
            },
        }),
    }
}

pub(super) fn queue_name(queue: &QueueName<'_>) -> Result<(), Refusal> {
    name(Field::Account, &queue.account)?;
    name(Field::Queue, &queue.queue)
}

fn range(field: Field, value: u64, minimum: u64, maximum: u64) -> Result<(), Refusal> {
    if (minimum..=maximum).contains(&value) {
        return Ok(());
    }
    Err(Refusal::Invalid {
        field,
        problem: Problem::OutOfRange { minimum, maximum },
    })
}

fn span(field: Field, span_ms: Option<u64>) -> Result<(), Refusal> {
    range(field, span_ms.unwrap_or(0), 0, MAX_SPAN_MS)
}

pub(super) fn limit(limit: Option<u64>) -> Result<(), Refusal> {
    range(Field::Limit, limit.unwrap_or(1), 1, u64::MAX)
}

pub(super) fn wait(wait_ms: u64, limits: &Limits) -> Result<(), Refusal> {
    range(Field::Wait, wait_ms, 0, limits.max_wait_ms.min(MAX_SPAN_MS))
}

pub(super) fn update(update: &Update) -> Result<(), Refusal> {
    span(Field::Ttl, update.ttl_ms)?;
    span(Field::Hide, update.hide_ms)
}

pub(super) fn message(message: &NewMessage<'_>, limits: &Limits) -> Result<(), Refusal> {
    if let Some(id) = &message.id {
        name(Field::Id, id)?;
    }
    if message.body.len() as u64 > limits.max_body_bytes {
        return Err(Refusal::TooLarge {
            limit: LimitName::BodyBytes,
            maximum: limits.max_body_bytes,
        });
    }
    if message
        .content_type
        .as_ref()
        .is_some_and(|text| text.len() > MAX_CONTENT_TYPE_BYTES)
    {
        let problem = Problem::TooLong {
            maximum: MAX_CONTENT_TYPE_BYTES as u64,
        };
        return Err(Refusal::Invalid {
            field: Field::ContentType,
            problem,
        });
    }
    span(Field::Ttl, message.ttl_ms)?;
    span(Field::Hide, message.hide_ms)
}

pub(super) fn settings(queue: &QueueName<'_>, settings: &Settings) -> Result<(), Refusal> {
    span(Field::DefaultTtl, settings.default_ttl_ms)?;
    span(Field::DefaultHide, settings.default_hide_ms)?;
    span(Field::Retention, settings.marker_retention_ms)?;
    range(
        Field::MaxAttempts,
        settings.max_attempts.unwrap_or(1).into(),
        1,
        u32::MAX.into(),
    )?;
    range(
        Field::MaxMessages,
        settings.max_messages.unwrap_or(1),
        1,
        u64::MAX,
    )?;
    range(
        Field::MaxBytes,
        settings.max_bytes.unwrap_or(1),
        1,
        u64::MAX,
    )?;
    let invalid = |field, problem| Err(Refusal::Invalid { field, problem });
    match (&settings.dead_letter, settings.max_attempts) {
        (Some(_), None) => invalid(Field::DeadLetter, Problem::Needs(Field::MaxAttempts)),
        (None, Some(_)) => invalid(Field::MaxAttempts, Problem::Needs(Field::DeadLetter)),
        (Some(other), _) if **other == *queue.queue => {
            invalid(Field::DeadLetter, Problem::SameQueue)
        }
        (Some(other), _) => name(Field::DeadLetter, other),
        (None, None) => Ok(()),
    }
}
