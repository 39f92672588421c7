//! The numbers of refusals, and of the fields, problems and limits that they name.

use alloc::vec::Vec;

use super::failure::DecodeError;
use super::fields::number;
use crate::codec::{Reader, put_varint};
use crate::refusal::{Field, LimitName, Problem, Refusal};

const ACCOUNT_NOT_FOUND: u64 = 1;
const QUEUE_NOT_FOUND: u64 = 2;
const MESSAGE_NOT_FOUND: u64 = 3;
const CLAIM_LOST: u64 = 4;
const INVALID: u64 = 5;
const TOO_LARGE: u64 = 6;
const EXHAUSTED: u64 = 7;

/// Each at the place of its number.
const FIELDS: [Field; 17] = [
    Field::Account,
    Field::Queue,
    Field::Id,
    Field::ContentType,
    Field::Ttl,
    Field::Hide,
    Field::Wait,
    Field::Limit,
    Field::DefaultTtl,
    Field::DefaultHide,
    Field::MaxAttempts,
    Field::DeadLetter,
    Field::MaxMessages,
    Field::MaxBytes,
    Field::Retention,
    Field::Piece,
    Field::After,
];

/// Each at the place of its number.
const LIMITS: [LimitName; 12] = [
    LimitName::BodyBytes,
    LimitName::BatchMessages,
    LimitName::QueueMessages,
    LimitName::QueueBytes,
    LimitName::AccountMessages,
    LimitName::AccountBytes,
    LimitName::AccountQueues,
    LimitName::NodeMessages,
    LimitName::NodeBytes,
    LimitName::NodeQueues,
    LimitName::NodeWaiters,
    LimitName::QueueWaiters,
];

pub(super) fn refusal(refusal: &Refusal) -> u64 {
    match refusal {
        Refusal::AccountNotFound => ACCOUNT_NOT_FOUND,
        Refusal::QueueNotFound => QUEUE_NOT_FOUND,
        Refusal::MessageNotFound => MESSAGE_NOT_FOUND,
        Refusal::ClaimLost => CLAIM_LOST,
        Refusal::Invalid { .. } => INVALID,
        Refusal::TooLarge { .. } => TOO_LARGE,
        Refusal::Exhausted { .. } => EXHAUSTED,
    }
}

/// Appends what a refusal says besides its number.
pub(super) fn put_details(out: &mut Vec<u8>, refusal: &Refusal) {
    match refusal {
        Refusal::Invalid { field, problem } => {
            put_place(out, &FIELDS, *field);
            put_problem(out, *problem);
        }
        Refusal::TooLarge { limit, maximum } | Refusal::Exhausted { limit, maximum } => {
            put_place(out, &LIMITS, *limit);
            put_varint(out, *maximum);
        }
        Refusal::AccountNotFound
        | Refusal::QueueNotFound
        | Refusal::MessageNotFound
        | Refusal::ClaimLost => {}
    }
}

/// Reads what [`put_details`] wrote for the refusal of this number.
pub(super) fn read_refusal(code: u64, reader: &mut Reader<'_>) -> Result<Refusal, DecodeError> {
    Ok(match code {
        ACCOUNT_NOT_FOUND => Refusal::AccountNotFound,
        QUEUE_NOT_FOUND => Refusal::QueueNotFound,
        MESSAGE_NOT_FOUND => Refusal::MessageNotFound,
        CLAIM_LOST => Refusal::ClaimLost,
        INVALID => Refusal::Invalid {
            field: place(reader, &FIELDS)?,
            problem: problem(reader)?,
        },
        TOO_LARGE => Refusal::TooLarge {
            limit: place(reader, &LIMITS)?,
            maximum: number(reader)?,
        },
        EXHAUSTED => Refusal::Exhausted {
            limit: place(reader, &LIMITS)?,
            maximum: number(reader)?,
        },
        _ => return Err(DecodeError::UnknownCode),
    })
}

fn put_problem(out: &mut Vec<u8>, problem: Problem) {
    match problem {
        Problem::Missing => put_varint(out, 0),
        Problem::Empty => put_varint(out, 1),
        Problem::TooLong { maximum } => {
            put_varint(out, 2);
            put_varint(out, maximum);
        }
        Problem::OutOfRange { minimum, maximum } => {
            put_varint(out, 3);
            put_varint(out, minimum);
            put_varint(out, maximum);
        }
        Problem::Needs(other) => {
            put_varint(out, 4);
            put_place(out, &FIELDS, other);
        }
        Problem::Unreadable => put_varint(out, 5),
        Problem::SameQueue => put_varint(out, 6),
    }
}

fn problem(reader: &mut Reader<'_>) -> Result<Problem, DecodeError> {
    Ok(match number(reader)? {
        0 => Problem::Missing,
        1 => Problem::Empty,
        2 => Problem::TooLong {
            maximum: number(reader)?,
        },
        3 => Problem::OutOfRange {
            minimum: number(reader)?,
            maximum: number(reader)?,
        },
        4 => Problem::Needs(place(reader, &FIELDS)?),
        5 => Problem::Unreadable,
        6 => Problem::SameQueue,
        _ => return Err(DecodeError::UnknownCode),
    })
}

fn put_place<T: PartialEq>(out: &mut Vec<u8>, all: &[T], one: T) {
    let place = all.iter().take_while(|other| **other != one).count();
    put_varint(out, place as u64);
}

fn place<T: Copy>(reader: &mut Reader<'_>, all: &[T]) -> Result<T, DecodeError> {
    let place = usize::try_from(number(reader)?).map_err(|_| DecodeError::UnknownCode)?;
    all.get(place).copied().ok_or(DecodeError::UnknownCode)
}
