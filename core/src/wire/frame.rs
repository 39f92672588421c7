//! Frames: a length, a kind, an id, and what the kind says.

use alloc::vec::Vec;

use super::failure::DecodeError;
use crate::codec::{Reader, put_varint};

/// The length before each frame.
pub(super) const PREFIX_BYTES: usize = 4;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From a client: a command.
    Request,
    /// From a client: the request of this id is not wanted any more.
    Cancel,
    /// From a client: is anybody there?
    Ping,
    /// From a server: its limits, once, before anything else.
    Hello,
    /// From a server: the command of this id was carried out.
    Reply,
    /// From a server: the command of this id was not carried out.
    Failure,
    /// From a server: the ping of this id was read.
    Pong,
    /// From a server: it closes the connection.
    Goodbye,
}

/// A frame as it lies in the bytes received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: Kind,
    /// The request that it is about; 0 for `Hello` and `Goodbye`.
    pub id: u64,
    /// What the kind says.
    pub payload: &'a [u8],
}

impl Kind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Cancel => 2,
            Self::Ping => 3,
            Self::Hello => 16,
            Self::Reply => 17,
            Self::Failure => 18,
            Self::Pong => 19,
            Self::Goodbye => 20,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [
            Self::Request,
            Self::Cancel,
            Self::Ping,
            Self::Hello,
            Self::Reply,
            Self::Failure,
            Self::Pong,
            Self::Goodbye,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// Appends a frame whose payload `put` appends. Where it is longer than `max_frame_bytes`,
/// nothing is appended.
pub(super) fn put_frame(
    out: &mut Vec<u8>,
    (kind, id): (Kind, u64),
    max_frame_bytes: u32,
    put: impl FnOnce(&mut Vec<u8>),
) -> Result<(), DecodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.push(kind.code());
    put_varint(out, id);
    put(out);
    let bytes = u32::try_from(out.len() - start - PREFIX_BYTES)
        .ok()
        .filter(|bytes| *bytes <= max_frame_bytes);
    let prefix = out.get_mut(start..start + PREFIX_BYTES);
    let (Some(bytes), Some(prefix)) = (bytes, prefix) else {
        out.truncate(start);
        return Err(DecodeError::FrameTooLarge {
            maximum: max_frame_bytes,
        });
    };
    prefix.copy_from_slice(&bytes.to_le_bytes());
    Ok(())
}

/// Takes frames out of the bytes of a stream, wherever these were cut.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Bytes that were taken.
    taken: usize,
    /// Where the frame begins that was taken last.
    frame: usize,
    max_frame_bytes: u32,
}

impl Decoder {
    /// A decoder that refuses frames with more than `max_frame_bytes` behind their length.
    pub fn new(max_frame_bytes: u32) -> Self {
        Self {
            bytes: Vec::new(),
            taken: 0,
            frame: 0,
            max_frame_bytes,
        }
    }

    /// The buffer at whose end received bytes are to be appended. What it holds already is
    /// the decoder's.
    pub fn received(&mut self) -> &mut Vec<u8> {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        } else if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        &mut self.bytes
    }

    /// The frame that was taken last, with its length, as long as nothing more is received.
    pub(super) fn last_frame(&self) -> &[u8] {
        self.bytes.get(self.frame..self.taken).unwrap_or_default()
    }

    /// Gives memory back that is not in use.
    pub fn release(&mut self) {
        self.received().shrink_to_fit();
    }

    /// Bytes that were received and not taken: none, or a part of a frame once
    /// [`next_frame`](Self::next_frame) has given `None`.
    pub fn unread(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// What was received and not taken.
    pub(super) fn peek(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Takes so many bytes, if they are there: for what is before the first frame.
    pub(super) fn take(&mut self, length: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.taken..self.taken + length)?;
        self.taken += length;
        Some(taken)
    }

    /// The next frame, `None` if not all of it is there yet. After an error the stream is of
    /// no more use.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        self.frames().next()
    }

    /// Takes frames that borrow what was received, and not the decoder.
    pub(super) fn frames(&mut self) -> Frames<'_> {
        Frames {
            bytes: &self.bytes,
            taken: &mut self.taken,
            frame: &mut self.frame,
            max_frame_bytes: self.max_frame_bytes,
        }
    }
}

/// The frames of a [`Decoder`].
#[derive(Debug)]
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    taken: &'a mut usize,
    frame: &'a mut usize,
    max_frame_bytes: u32,
}

impl<'a> Frames<'a> {
    /// As [`Decoder::next_frame`].
    pub(super) fn next(&mut self) -> Result<Option<Frame<'a>>, DecodeError> {
        let Some((frame, whole_bytes)) = self.whole()? else {
            return Ok(None);
        };
        *self.frame = *self.taken;
        *self.taken += whole_bytes;
        read(frame).map(Some)
    }

    /// The next frame if it can be read, without taking it.
    pub(super) fn peek(&self) -> Option<Frame<'a>> {
        let (frame, _) = self.whole().ok()??;
        read(frame).ok()
    }

    /// Whether bytes have come behind the next frame.
    pub(super) fn goes_on(&self) -> bool {
        let received = self.bytes.len() - *self.taken;
        matches!(self.whole(), Ok(Some((_, whole_bytes))) if whole_bytes < received)
    }

    /// What is behind the length of the next frame, and how many bytes both have.
    fn whole(&self) -> Result<Option<(&'a [u8], usize)>, DecodeError> {
        let Some((prefix, rest)) = self
            .bytes
            .get(*self.taken..)
            .unwrap_or_default()
            .split_first_chunk::<PREFIX_BYTES>()
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*prefix);
        if length > self.max_frame_bytes {
            return Err(DecodeError::FrameTooLarge {
                maximum: self.max_frame_bytes,
            });
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::Malformed)?;
        let frame = rest.get(..length);
        Ok(frame.map(|frame| (frame, PREFIX_BYTES + length)))
    }
}

/// The frame that these bytes are, no more and no less, where they come one by one and not as a stream.
pub fn decode_frame(bytes: &[u8]) -> Result<Frame<'_>, DecodeError> {
    match bytes.split_first_chunk::<PREFIX_BYTES>() {
        Some((prefix, frame))
            if usize::try_from(u32::from_le_bytes(*prefix)) == Ok(frame.len()) =>
        {
            read(frame)
        }
        _ => Err(DecodeError::Malformed),
    }
}

fn read(frame: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let mut reader = Reader::new(frame);
    let kind = reader.byte().ok_or(DecodeError::Malformed)?;
    let kind = Kind::of(kind).ok_or(DecodeError::UnknownKind)?;
    let id = reader.varint().ok_or(DecodeError::Malformed)?;
    Ok(Frame {
        kind,
        id,
        payload: reader.rest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_by_itself_is_all_of_its_bytes() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, (Kind::Ping, 300), u32::MAX, |out| out.push(7)).unwrap();
        let frame = decode_frame(&bytes).unwrap();
        assert_eq!(
            (frame.kind, frame.id, frame.payload),
            (Kind::Ping, 300, [7].as_slice())
        );
        for length in 0..bytes.len() {
            assert_eq!(decode_frame(&bytes[..length]), Err(DecodeError::Malformed));
        }
        bytes.push(0);
        assert_eq!(decode_frame(&bytes), Err(DecodeError::Malformed));
        assert_eq!(decode_frame(&[0; 4]), Err(DecodeError::Malformed));
        assert_eq!(
            decode_frame(&[2, 0, 0, 0, 99, 0]),
            Err(DecodeError::UnknownKind)
        );
    }
}
