//! What goes wrong: with a command, with a connection, with bytes.

use alloc::vec::Vec;
use core::fmt;

use super::codes;
use super::fields::{number, text};
use crate::codec::{Reader, put_varint};
use crate::refusal::Refusal;

/// Why a command, or a connection, came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The machine refused the command.
    Refused(Refusal),
    /// It could not be made durable and did not happen.
    NotStored,
    /// It may have happened or not.
    OutcomeUnknown,
    /// The server is stopping; the command did not happen.
    Stopping,
    /// The client took it back. A claim was undone; any other change may have been made.
    Cancelled,
    /// There are too many: connections, or bytes on their way. Nothing was done.
    Busy,
    /// More requests than the server offered to take at a time; this one was not carried out.
    TooManyInFlight { maximum: u32 },
    /// A proxy cannot reach the server that has the queue; the command did not happen.
    Unreachable,
    /// The server cannot read the command.
    Malformed,
    /// The server does not know the command.
    UnknownCommand,
    /// The server knows the command, but not all that was said with it.
    UnknownField,
    /// A frame is larger than the server offered to take.
    FrameTooLarge { maximum: u32 },
    /// A frame that a client does not send, or not so: an unknown kind, an id that is not
    /// above the one before.
    Protocol,
    /// Nothing came for too long, or what came was not all there in time.
    TooSlow,
}

/// Bytes that are no message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The other end does not speak this protocol.
    NotBurrow,
    /// The other end speaks other versions of it.
    NoCommonVersion,
    /// A field is not what it should be, or the frame ends before it does.
    Malformed,
    /// There is more in the frame than this version knows.
    UnknownField,
    /// This version has no such command, or reply.
    UnknownCode,
    /// This version has no such kind of frame.
    UnknownKind,
    /// The frame is longer than agreed.
    FrameTooLarge { maximum: u32 },
    /// It can be read, and need not be: the machine would refuse it.
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DecodeError> for Failure {
    /// What a server tells a client that has sent such bytes.
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed => Self::Malformed,
            DecodeError::UnknownField => Self::UnknownField,
            DecodeError::UnknownCode => Self::UnknownCommand,
            DecodeError::FrameTooLarge { maximum } => Self::FrameTooLarge { maximum },
            DecodeError::Refused(refusal) => Self::Refused(refusal),
            DecodeError::NotBurrow | DecodeError::NoCommonVersion | DecodeError::UnknownKind => {
                Self::Protocol
            }
        }
    }
}

const NOT_STORED: u64 = 16;
const OUTCOME_UNKNOWN: u64 = 17;
const STOPPING: u64 = 18;
const CANCELLED: u64 = 19;
const BUSY: u64 = 20;
const TOO_MANY_IN_FLIGHT: u64 = 21;
const UNREACHABLE: u64 = 22;
const MALFORMED: u64 = 32;
const UNKNOWN_COMMAND: u64 = 33;
const UNKNOWN_FIELD: u64 = 34;
const FRAME_TOO_LARGE: u64 = 35;
const PROTOCOL: u64 = 36;
const TOO_SLOW: u64 = 37;

impl Failure {
    /// The number that stands for it on the wire, whatever the version.
    pub fn code(&self) -> u64 {
        match self {
            Self::Refused(refusal) => codes::refusal(refusal),
            Self::NotStored => NOT_STORED,
            Self::OutcomeUnknown => OUTCOME_UNKNOWN,
            Self::Stopping => STOPPING,
            Self::Cancelled => CANCELLED,
            Self::Busy => BUSY,
            Self::TooManyInFlight { .. } => TOO_MANY_IN_FLIGHT,
            Self::Unreachable => UNREACHABLE,
            Self::Malformed => MALFORMED,
            Self::UnknownCommand => UNKNOWN_COMMAND,
            Self::UnknownField => UNKNOWN_FIELD,
            Self::FrameTooLarge { .. } => FRAME_TOO_LARGE,
            Self::Protocol => PROTOCOL,
            Self::TooSlow => TOO_SLOW,
        }
    }
}

/// Appends a code, a text for people, and what else the code needs.
pub(super) fn put(out: &mut Vec<u8>, failure: &Failure) {
    put_varint(out, failure.code());
    put_shown(out, failure);
    match failure {
        Failure::Refused(refusal) => codes::put_details(out, refusal),
        Failure::TooManyInFlight { maximum } | Failure::FrameTooLarge { maximum } => {
            put_varint(out, u64::from(*maximum));
        }
        _ => {}
    }
}

/// Appends what is shown as a text, whose length is known only behind it.
fn put_shown(out: &mut Vec<u8>, shown: &impl fmt::Display) {
    struct End<'a>(&'a mut Vec<u8>);
    impl fmt::Write for End<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    let start = out.len();
    // Neither the buffer fails nor what is shown here.
    let _ = fmt::write(&mut End(out), format_args!("{shown}"));
    let end = out.len();
    put_varint(out, (end - start) as u64);
    let prefix = out.len() - end;
    if let Some(text) = out.get_mut(start..) {
        text.rotate_right(prefix);
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Failure, DecodeError> {
    let code = number(reader)?;
    text(reader)?;
    let mut maximum = || super::fields::number_u32(reader);
    Ok(match code {
        NOT_STORED => Failure::NotStored,
        OUTCOME_UNKNOWN => Failure::OutcomeUnknown,
        STOPPING => Failure::Stopping,
        CANCELLED => Failure::Cancelled,
        BUSY => Failure::Busy,
        TOO_MANY_IN_FLIGHT => Failure::TooManyInFlight {
            maximum: maximum()?,
        },
        UNREACHABLE => Failure::Unreachable,
        MALFORMED => Failure::Malformed,
        UNKNOWN_COMMAND => Failure::UnknownCommand,
        UNKNOWN_FIELD => Failure::UnknownField,
        FRAME_TOO_LARGE => Failure::FrameTooLarge {
            maximum: maximum()?,
        },
        PROTOCOL => Failure::Protocol,
        TOO_SLOW => Failure::TooSlow,
        code => Failure::Refused(codes::read_refusal(code, reader)?),
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotStored => f.write_str("The change cannot be stored; nothing was changed"),
            Self::OutcomeUnknown => f.write_str("The change may have been made or not"),
            Self::Stopping => f.write_str("The server is stopping; nothing was changed"),
            Self::Cancelled => f.write_str("The request was cancelled"),
            Self::Busy => f.write_str("The server has too much to do; nothing was changed"),
            Self::TooManyInFlight { maximum } => {
                write!(
                    f,
                    "More than {maximum} requests in flight; nothing was changed"
                )
            }
            Self::Unreachable => {
                f.write_str("The queue's server cannot be reached; nothing was changed")
            }
            Self::Malformed => f.write_str("The frame cannot be read"),
            Self::UnknownCommand => f.write_str("Unknown command"),
            Self::UnknownField => f.write_str("Unknown field"),
            Self::FrameTooLarge { maximum } => write!(f, "A frame has more than {maximum} bytes"),
            Self::Protocol => f.write_str("Not what a client may send"),
            Self::TooSlow => f.write_str("Nothing came in time"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBurrow => f.write_str("the other end does not speak the Burrow protocol"),
            Self::NoCommonVersion => f.write_str("the other end speaks another version"),
            Self::Malformed => f.write_str("the frame cannot be read"),
            Self::UnknownField => f.write_str("the frame holds more than is known"),
            Self::UnknownCode => f.write_str("unknown command or reply"),
            Self::UnknownKind => f.write_str("unknown kind of frame"),
            Self::FrameTooLarge { maximum } => {
                write!(f, "a frame has more than {maximum} bytes")
            }
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
impl core::error::Error for DecodeError {}
