//! Replies of the machine, to and from bytes.

use alloc::vec::Vec;
use core::ops::Range;

use super::codes;
use super::failure::DecodeError;
use super::fields::{
    Flags, boxed, bytes, claim, number, number_u32, put_claim, put_flags, put_optional,
    put_optional_text, put_settings, put_text, settings, text,
};
use crate::codec::{Reader, put_bytes, put_varint};
use crate::ids::IdList;
use crate::refusal::Refusal;
use crate::reply::{Entry, MessageList, MessageRef, NameList, QueueStats, Reply};

const NAMES: u8 = 1;
const MESSAGES: u8 = 2;
const PUT: u8 = 3;
const PUT_BATCH: u8 = 4;
const SETTLED: u8 = 5;
const SETTINGS: u8 = 6;
const EXPORTED: u8 = 7;
const IMPORTED: u8 = 8;
const DONE: u8 = 9;
const MESSAGES_OF_MORE: u8 = 10;
const STATS: u8 = 11;
const NAMES_OF_MORE: u8 = 12;

/// Stands for a settlement that was made, where else there is the code of a refusal.
const SETTLED_WELL: u64 = 0;

pub(super) fn put(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Names(names) => {
            out.push(if names.has_more() {
                NAMES_OF_MORE
            } else {
                NAMES
            });
            put_names(out, names);
        }
        Reply::Messages(list) => {
            out.push(if list.has_more {
                MESSAGES_OF_MORE
            } else {
                MESSAGES
            });
            put_messages(out, list);
        }
        Reply::Put { created } => {
            out.push(PUT);
            put_flags(out, [*created]);
        }
        Reply::PutBatch(ids) => {
            out.push(PUT_BATCH);
            put_varint(out, ids.len() as u64);
            ids.iter().for_each(|id| put_text(out, id));
        }
        Reply::Settled(results) => {
            out.push(SETTLED);
            put_varint(out, results.len() as u64);
            results.iter().for_each(|result| put_result(out, result));
        }
        Reply::Stats(QueueStats {
            messages,
            hidden,
            bytes,
        }) => {
            out.push(STATS);
            put_varint(out, *messages);
            put_varint(out, *hidden);
            put_varint(out, *bytes);
        }
        Reply::Settings(settings) => {
            out.push(SETTINGS);
            put_settings(out, settings);
        }
        Reply::Exported { piece, next } => {
            out.push(EXPORTED);
            put_flags(out, [next.is_some()]);
            put_optional(out, *next);
            put_bytes(out, piece);
        }
        Reply::Imported { messages } => {
            out.push(IMPORTED);
            put_varint(out, *messages);
        }
        Reply::Done => out.push(DONE),
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    Ok(match reader.byte().ok_or(DecodeError::Malformed)? {
        NAMES => Reply::Names(NameList::new(list(reader, boxed)?, false)),
        NAMES_OF_MORE => Reply::Names(NameList::new(list(reader, boxed)?, true)),
        MESSAGES => Reply::Messages(messages(reader)?),
        MESSAGES_OF_MORE => Reply::Messages(MessageList {
            has_more: true,
            ..messages(reader)?
        }),
        PUT => Reply::Put {
            created: Flags::read(reader, 1)?.has(0),
        },
        PUT_BATCH => Reply::PutBatch(ids(reader)?),
        SETTLED => Reply::Settled(list(reader, result)?),
        STATS => Reply::Stats(QueueStats {
            messages: number(reader)?,
            hidden: number(reader)?,
            bytes: number(reader)?,
        }),
        SETTINGS => Reply::Settings(settings(reader)?),
        EXPORTED => {
            let next = Flags::read(reader, 1)?.optional(0, reader, number)?;
            let piece = bytes(reader)?.to_vec();
            Reply::Exported { piece, next }
        }
        IMPORTED => Reply::Imported {
            messages: number(reader)?,
        },
        DONE => Reply::Done,
        _ => return Err(DecodeError::UnknownCode),
    })
}

fn put_names(out: &mut Vec<u8>, names: &[alloc::boxed::Box<str>]) {
    put_varint(out, names.len() as u64);
    names.iter().for_each(|name| put_text(out, name));
}

fn ids(reader: &mut Reader<'_>) -> Result<IdList, DecodeError> {
    let count = count(reader)?;
    let mut ids = IdList::default();
    for _ in 0..count {
        ids.push(text(reader)?);
    }
    Ok(ids)
}

/// Reads a count, and so many items of at least a byte each.
fn list<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = count(reader)?;
    let mut items = Vec::with_capacity(count.min(reader.remaining()));
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(items)
}

fn count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    usize::try_from(number(reader)?).map_err(|_| DecodeError::Malformed)
}

fn put_result(out: &mut Vec<u8>, result: &Result<(), Refusal>) {
    match result {
        Ok(()) => put_varint(out, SETTLED_WELL),
        Err(refusal) => {
            put_varint(out, codes::refusal(refusal));
            codes::put_details(out, refusal);
        }
    }
}

fn result(reader: &mut Reader<'_>) -> Result<Result<(), Refusal>, DecodeError> {
    Ok(match number(reader)? {
        SETTLED_WELL => Ok(()),
        code => Err(codes::read_refusal(code, reader)?),
    })
}

fn put_messages(out: &mut Vec<u8>, list: &MessageList) {
    put_varint(out, list.matched());
    put_varint(out, list.iter().len() as u64);
    list.iter().for_each(|message| put_message(out, &message));
}

fn put_message(out: &mut Vec<u8>, message: &MessageRef<'_>) {
    let MessageRef {
        id,
        body,
        content_type,
        ttl_ms,
        hide_ms,
        attempts,
        claim,
    } = message;
    put_flags(out, [content_type.is_some(), claim.is_some()]);
    put_text(out, id);
    put_optional_text(out, *content_type);
    put_varint(out, *ttl_ms);
    put_varint(out, *hide_ms);
    put_varint(out, u64::from(*attempts));
    if claim.is_some() {
        put_claim(out, *claim);
    }
    put_bytes(out, body);
}

/// The bytes are taken as one; the entries say where in them everything is.
fn messages(reader: &mut Reader<'_>) -> Result<MessageList, DecodeError> {
    let matched = number(reader)?;
    let count = count(reader)?;
    let bytes = reader.rest();
    let mut entries = Vec::with_capacity(count.min(bytes.len() / LEAST_MESSAGE_BYTES));
    let base = reader.offset();
    for _ in 0..count {
        entries.push(entry(reader, base)?);
    }
    let used = reader.offset() - base;
    Ok(MessageList {
        bytes: bytes.get(..used).unwrap_or_default().to_vec(),
        entries,
        matched,
        has_more: false,
    })
}

/// Bytes of a message with nothing in it.
const LEAST_MESSAGE_BYTES: usize = 6;

fn entry(reader: &mut Reader<'_>, base: usize) -> Result<Entry, DecodeError> {
    let flags = Flags::read(reader, 2)?;
    Ok(Entry {
        id: text_range(reader, base)?,
        content_type: flags.optional(0, reader, |reader| text_range(reader, base))?,
        ttl_ms: number(reader)?,
        hide_ms: number(reader)?,
        attempts: number_u32(reader)?,
        claim: match flags.has(1) {
            true => Some(claim(reader)?.ok_or(DecodeError::Malformed)?),
            false => None,
        },
        body: range(bytes(reader)?, reader, base),
    })
}

fn text_range(reader: &mut Reader<'_>, base: usize) -> Result<Range<usize>, DecodeError> {
    let text = super::fields::text(reader)?;
    Ok(range(text.as_bytes(), reader, base))
}

/// Where the bytes that were read last are.
fn range(last: &[u8], reader: &Reader<'_>, base: usize) -> Range<usize> {
    let end = reader.offset() - base;
    end - last.len()..end
}
