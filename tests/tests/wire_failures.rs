//! Every failure of the wire protocol is on record, and everything that has a number is.

use std::collections::BTreeSet;

use burrow_core::wire::{self, Answer, DecodeError, Decoder, Failure, Kind};
use burrow_core::{Field, LimitName, Problem, Refusal};
use burrow_tests::wire_record::{Recorded, hex, recorded, recorded_failures};

/// Kinds of frames.
const REQUEST: u8 = 1;
const REPLY: u8 = 17;
const FAILURE: u8 = 18;

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

/// In the order of the record.
fn failures() -> Vec<Failure> {
    let problems = [
        Problem::Missing,
        Problem::Empty,
        Problem::TooLong { maximum: 255 },
        Problem::OutOfRange {
            minimum: 1,
            maximum: u64::MAX,
        },
        Problem::Needs(Field::DeadLetter),
        Problem::Unreadable,
        Problem::SameQueue,
    ];
    let mut refusals = vec![
        Refusal::AccountNotFound,
        Refusal::QueueNotFound,
        Refusal::MessageNotFound,
        Refusal::ClaimLost,
    ];
    let invalid = FIELDS.into_iter().zip(problems.into_iter().cycle());
    refusals.extend(invalid.map(|(field, problem)| Refusal::Invalid { field, problem }));
    let maximum = 1_000_000;
    refusals.extend(LIMITS.map(|limit| Refusal::TooLarge { limit, maximum }));
    refusals.extend(LIMITS.map(|limit| Refusal::Exhausted { limit, maximum }));
    let mut all: Vec<Failure> = refusals.into_iter().map(Failure::Refused).collect();
    all.extend([
        Failure::NotStored,
        Failure::OutcomeUnknown,
        Failure::Stopping,
        Failure::Cancelled,
        Failure::Busy,
        Failure::TooManyInFlight { maximum: 1024 },
        Failure::Unreachable,
        Failure::Malformed,
        Failure::UnknownCommand,
        Failure::UnknownField,
        Failure::FrameTooLarge { maximum: 16 << 20 },
        Failure::Protocol,
        Failure::TooSlow,
    ]);
    all
}

/// Kind and payload of the frames in the bytes.
fn frames(bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut decoder = Decoder::new(u32::MAX);
    decoder.received().extend_from_slice(bytes);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = decoder.next_frame() {
        frames.push((frame.kind, frame.payload.to_vec()));
    }
    frames
}

#[test]
fn every_failure_is_written_and_read_as_it_is_on_record() {
    let record = recorded_failures();
    let failures = failures();
    assert_eq!(record.len(), failures.len());
    for (
        Recorded {
            title, received, ..
        },
        failure,
    ) in record.iter().zip(failures)
    {
        assert_eq!(*title, format!("{}: {failure}", failure.code()));
        let outcome = Err(failure);
        let mut written = Vec::new();
        wire::encode_outcome(&mut written, 1, &outcome);
        assert!(written == *received, "{title}\n{}", hex(&written));
        let mut decoder = Decoder::new(u32::MAX);
        decoder.received().extend_from_slice(received);
        let frame = decoder.next_frame().unwrap().unwrap();
        let answer = wire::decode_answer(&frame).unwrap();
        assert_eq!(answer, Answer::Outcome { id: 1, outcome });
    }
}

/// What is made of a frame of this kind, of request 1, with this payload.
fn read<T>(
    kind: u8,
    payload: &[u8],
    read: impl FnOnce(&wire::Frame<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let length = u32::try_from(payload.len() + 2).unwrap();
    let mut decoder = Decoder::new(u32::MAX);
    let received = decoder.received();
    received.extend_from_slice(&length.to_le_bytes());
    received.extend_from_slice(&[kind, 1]);
    received.extend_from_slice(payload);
    read(&decoder.next_frame().unwrap().unwrap())
}

/// The numbers that mean something at the end of a failure that begins so: what comes behind
/// them, if anything does, is zeros.
fn known(start: &[u8]) -> BTreeSet<u8> {
    let is_known = |number: &u8| {
        (0..4).any(|zeros| {
            let payload = [start, &[*number], &[0; 4][..zeros]].concat();
            read(FAILURE, &payload, wire::decode_answer).is_ok()
        })
    };
    (0..128).filter(is_known).collect()
}

#[test]
fn nothing_that_has_a_number_is_missing_on_record() {
    // Of a failure what stands in the place of its code, and behind the text.
    let mut codes = BTreeSet::new();
    let (mut fields, mut problems, mut limits) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for Recorded { received, .. } in recorded_failures() {
        let [(Kind::Failure, payload)] = &*frames(&received) else {
            panic!("{received:?}");
        };
        let details = &payload[2 + usize::from(payload[1])..];
        codes.insert(payload[0]);
        match payload[0] {
            5 => {
                fields.insert(details[0]);
                problems.insert(details[1]);
            }
            6 | 7 => {
                limits.insert(details[0]);
            }
            _ => {}
        }
    }
    // A code, and an empty text.
    let is_code = |code: &u8| {
        (0..4).any(|zeros| {
            let payload = [&[*code, 0], &[0; 4][..zeros]].concat();
            read(FAILURE, &payload, wire::decode_answer).is_ok()
        })
    };
    assert_eq!(codes, (0..128).filter(is_code).collect());
    assert_eq!(fields, known(&[5, 0]));
    assert_eq!(problems, known(&[5, 0, 0]));
    assert_eq!(limits, known(&[6, 0]));
}

#[test]
fn every_command_reply_and_kind_is_in_a_conversation_on_record() {
    let (mut commands, mut replies) = (BTreeSet::new(), BTreeSet::new());
    let mut kinds = Vec::new();
    let is_command = |code: u8| {
        let payload = [code];
        !matches!(
            read(REQUEST, &payload, |frame| {
                wire::decode_request(frame, 1).map(drop)
            }),
            Err(DecodeError::UnknownCode)
        )
    };
    let is_reply = |code: u8| {
        let told = read(REPLY, &[code], wire::decode_answer);
        !matches!(told, Err(DecodeError::UnknownCode))
    };
    for Recorded { sent, received, .. } in recorded() {
        for (bytes, start) in [(sent, wire::HELLO_BYTES), (received, wire::WELCOME_BYTES)] {
            for (kind, payload) in frames(bytes.get(start..).unwrap_or_default()) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
                match (kind, payload.first()) {
                    (Kind::Request, Some(&code)) if is_command(code) => commands.insert(code),
                    (Kind::Reply, Some(&code)) => replies.insert(code),
                    _ => false,
                };
            }
        }
    }
    assert_eq!(
        commands,
        (0..=255).filter(|&code| is_command(code)).collect()
    );
    // Full answers, which are what these are about, are too long for a record.
    replies.extend([10, 12]);
    assert_eq!(replies, (0..=255).filter(|&code| is_reply(code)).collect());
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}
