//! What clients send.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::failure::DecodeError;
use super::fields::{
    Flags, bytes, claim, cow, detail, end, number, page, put_claim, put_detail, put_flags,
    put_optional, put_page, put_queue, put_selection, put_settings, put_text, put_update, queue,
    selection, settings, update,
};
use super::frame::{Frame, Kind, put_frame};
use super::message::{items, new, put_items, put_new, put_settlement, settlement};
use crate::codec::{Reader, put_bytes, put_varint};
use crate::command::Command;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// To have a command carried out.
    Submit(Command<'a>),
    /// Not to have the request with the frame's id any more.
    Cancel,
    /// A sign of life.
    Ping,
}

const LIST_ACCOUNTS: u8 = 1;
const DELETE_ACCOUNTS: u8 = 2;
const LIST_QUEUES: u8 = 3;
const DELETE_QUEUES: u8 = 4;
const LIST_MESSAGES: u8 = 5;
const UPDATE_MESSAGES: u8 = 6;
const DELETE_MESSAGES: u8 = 7;
const PUT: u8 = 8;
const PUT_BATCH: u8 = 9;
const GET_MESSAGE: u8 = 10;
const UPDATE_MESSAGE: u8 = 11;
const DELETE_MESSAGE: u8 = 12;
const SETTLE: u8 = 13;
const GET_SETTINGS: u8 = 14;
const PUT_SETTINGS: u8 = 15;
const CLEAR_SETTINGS: u8 = 16;
const EXPORT: u8 = 17;
const IMPORT: u8 = 18;
const GET_STATS: u8 = 19;

/// Whether a request is likely to be a [small](Command::is_small) one, by its first byte.
pub(super) fn may_be_small(frame: &Frame<'_>) -> bool {
    let operations = [PUT, UPDATE_MESSAGE, DELETE_MESSAGE];
    frame.kind == Kind::Request
        && matches!(frame.payload.first(), Some(first) if operations.contains(first))
}

/// Appends a request. Its id must be above those of all earlier requests of the connection.
///
/// # Errors
/// Nothing is appended if the frame is larger than `max_frame_bytes`, the server's offer.
pub fn encode_request(
    out: &mut Vec<u8>,
    id: u64,
    command: &Command<'_>,
    max_frame_bytes: u32,
) -> Result<(), DecodeError> {
    put_frame(out, (Kind::Request, id), max_frame_bytes, |out| {
        put_command(out, command);
    })
}

/// Appends word that the request of this id is not wanted any more. It is answered all the
/// same: with [`Failure::Cancelled`](super::Failure::Cancelled), or as it would have been if
/// that was already on its way.
pub fn encode_cancel(out: &mut Vec<u8>, id: u64) {
    // A few bytes are never too many.
    let _ = put_frame(out, (Kind::Cancel, id), u32::MAX, |_| {});
}

/// Appends a ping. Its id is the client's own affair.
pub fn encode_ping(out: &mut Vec<u8>, id: u64) {
    let _ = put_frame(out, (Kind::Ping, id), u32::MAX, |_| {});
}

/// For a server: what a frame of a client says. Names and bodies borrow from it.
pub fn decode_request<'a>(
    frame: &Frame<'a>,
    max_batch_messages: u64,
) -> Result<Request<'a>, DecodeError> {
    let mut reader = Reader::new(frame.payload);
    let request = match frame.kind {
        Kind::Request => Request::Submit(command(&mut reader, max_batch_messages)?),
        Kind::Cancel => Request::Cancel,
        Kind::Ping => Request::Ping,
        Kind::Hello | Kind::Reply | Kind::Failure | Kind::Pong | Kind::Goodbye => {
            return Err(DecodeError::UnknownKind);
        }
    };
    end(&reader)?;
    Ok(request)
}

fn put_command(out: &mut Vec<u8>, command: &Command<'_>) {
    match command {
        Command::ListAccounts { page } => {
            out.push(LIST_ACCOUNTS);
            put_page(out, page);
        }
        Command::DeleteAccounts { page } => {
            out.push(DELETE_ACCOUNTS);
            put_page(out, page);
        }
        Command::ListQueues { account, page } => {
            out.push(LIST_QUEUES);
            put_text(out, account);
            put_page(out, page);
        }
        Command::DeleteQueues { account, page } => {
            out.push(DELETE_QUEUES);
            put_text(out, account);
            put_page(out, page);
        }
        Command::GetStats { queue } => {
            out.push(GET_STATS);
            put_queue(out, queue);
        }
        Command::GetSettings { queue } => {
            out.push(GET_SETTINGS);
            put_queue(out, queue);
        }
        Command::PutSettings { queue, settings } => {
            out.push(PUT_SETTINGS);
            put_queue(out, queue);
            put_settings(out, settings);
        }
        Command::ClearSettings { queue } => {
            out.push(CLEAR_SETTINGS);
            put_queue(out, queue);
        }
        Command::Export {
            queue,
            after,
            max_bytes,
        } => {
            out.push(EXPORT);
            put_queue(out, queue);
            put_flags(out, [after.is_some()]);
            put_optional(out, *after);
            put_varint(out, *max_bytes);
        }
        Command::Import { queue, piece } => {
            out.push(IMPORT);
            put_queue(out, queue);
            put_bytes(out, piece);
        }
        messages => put_on_messages(out, messages),
    }
}

fn put_on_messages(out: &mut Vec<u8>, command: &Command<'_>) {
    match command {
        Command::ListMessages {
            queue,
            selection,
            wait_ms,
            detail,
        } => {
            out.push(LIST_MESSAGES);
            put_queue(out, queue);
            put_selection(out, selection);
            put_varint(out, *wait_ms);
            put_detail(out, *detail);
        }
        Command::UpdateMessages {
            queue,
            selection,
            update,
            wait_ms,
            detail,
        } => {
            out.push(UPDATE_MESSAGES);
            put_queue(out, queue);
            put_selection(out, selection);
            put_update(out, update);
            put_varint(out, *wait_ms);
            put_detail(out, *detail);
        }
        Command::DeleteMessages {
            queue,
            selection,
            wait_ms,
            detail,
        } => {
            out.push(DELETE_MESSAGES);
            put_queue(out, queue);
            put_selection(out, selection);
            put_varint(out, *wait_ms);
            put_detail(out, *detail);
        }
        other => put_on_message(out, other),
    }
}

fn put_on_message(out: &mut Vec<u8>, command: &Command<'_>) {
    match command {
        Command::Put { queue, message } => {
            out.push(PUT);
            put_queue(out, queue);
            put_new(out, message);
        }
        Command::PutBatch { queue, messages } => {
            out.push(PUT_BATCH);
            put_queue(out, queue);
            put_items(out, messages, put_new);
        }
        Command::GetMessage { queue, id, detail } => {
            out.push(GET_MESSAGE);
            put_queue(out, queue);
            put_text(out, id);
            put_detail(out, *detail);
        }
        Command::UpdateMessage {
            queue,
            id,
            update,
            claim,
            detail,
        } => {
            out.push(UPDATE_MESSAGE);
            put_queue(out, queue);
            put_text(out, id);
            put_update(out, update);
            put_claim(out, *claim);
            put_detail(out, *detail);
        }
        Command::DeleteMessage {
            queue,
            id,
            claim,
            detail,
        } => {
            out.push(DELETE_MESSAGE);
            put_queue(out, queue);
            put_text(out, id);
            put_claim(out, *claim);
            put_detail(out, *detail);
        }
        Command::Settle { queue, settlements } => {
            out.push(SETTLE);
            put_queue(out, queue);
            put_items(out, settlements, put_settlement);
        }
        _ => {}
    }
}

fn command<'a>(
    reader: &mut Reader<'a>,
    max_batch_messages: u64,
) -> Result<Command<'a>, DecodeError> {
    // Fields are read in the order in which they are written here.
    Ok(match reader.byte().ok_or(DecodeError::Malformed)? {
        LIST_ACCOUNTS => Command::ListAccounts {
            page: page(reader)?,
        },
        DELETE_ACCOUNTS => Command::DeleteAccounts {
            page: page(reader)?,
        },
        LIST_QUEUES => Command::ListQueues {
            account: cow(reader)?,
            page: page(reader)?,
        },
        DELETE_QUEUES => Command::DeleteQueues {
            account: cow(reader)?,
            page: page(reader)?,
        },
        GET_STATS => Command::GetStats {
            queue: queue(reader)?,
        },
        GET_SETTINGS => Command::GetSettings {
            queue: queue(reader)?,
        },
        PUT_SETTINGS => Command::PutSettings {
            queue: queue(reader)?,
            settings: settings(reader)?,
        },
        CLEAR_SETTINGS => Command::ClearSettings {
            queue: queue(reader)?,
        },
        EXPORT => Command::Export {
            queue: queue(reader)?,
            after: Flags::read(reader, 1)?.optional(0, reader, number)?,
            max_bytes: number(reader)?,
        },
        IMPORT => Command::Import {
            queue: queue(reader)?,
            piece: Cow::Borrowed(bytes(reader)?),
        },
        code => on_messages(code, reader, max_batch_messages)?,
    })
}

fn on_messages<'a>(
    code: u8,
    reader: &mut Reader<'a>,
    max_batch_messages: u64,
) -> Result<Command<'a>, DecodeError> {
    Ok(match code {
        LIST_MESSAGES => Command::ListMessages {
            queue: queue(reader)?,
            selection: selection(reader)?,
            wait_ms: number(reader)?,
            detail: detail(reader)?,
        },
        UPDATE_MESSAGES => Command::UpdateMessages {
            queue: queue(reader)?,
            selection: selection(reader)?,
            update: update(reader)?,
            wait_ms: number(reader)?,
            detail: detail(reader)?,
        },
        DELETE_MESSAGES => Command::DeleteMessages {
            queue: queue(reader)?,
            selection: selection(reader)?,
            wait_ms: number(reader)?,
            detail: detail(reader)?,
        },
        PUT => Command::Put {
            queue: queue(reader)?,
            message: new(reader)?,
        },
        PUT_BATCH => Command::PutBatch {
            queue: queue(reader)?,
            messages: items(reader, max_batch_messages, new)?,
        },
        GET_MESSAGE => Command::GetMessage {
            queue: queue(reader)?,
            id: cow(reader)?,
            detail: detail(reader)?,
        },
        UPDATE_MESSAGE => Command::UpdateMessage {
            queue: queue(reader)?,
            id: cow(reader)?,
            update: update(reader)?,
            claim: claim(reader)?,
            detail: detail(reader)?,
        },
        DELETE_MESSAGE => Command::DeleteMessage {
            queue: queue(reader)?,
            id: cow(reader)?,
            claim: claim(reader)?,
            detail: detail(reader)?,
        },
        SETTLE => Command::Settle {
            queue: queue(reader)?,
            settlements: items(reader, max_batch_messages, settlement)?,
        },
        _ => return Err(DecodeError::UnknownCode),
    })
}
