//! What every protocol of the load has in common.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use anyhow::{bail, ensure};

/// What it takes to delete a claimed message, in the words of its protocol.
pub(super) type Handle = Vec<u8>;

/// One connection's side of a protocol. Requests are answered in order, or each tells enough.
pub(super) trait Client {
    /// Introduces itself, and makes the queue if the protocol wants that.
    fn open(&mut self, _stream: &mut TcpStream) -> anyhow::Result<()> {
        Ok(())
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()>;

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()>;

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()>;

    /// Takes the first answer off the input, once all of it is there. A wrong one is an error.
    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>>;
}

/// What was taken off the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) bytes: usize,
    /// Messages of the request that is answered by this; none if it is not answered yet.
    pub(super) messages: Option<u64>,
}

impl Taken {
    pub(super) fn done(bytes: usize, messages: u64) -> Option<Self> {
        let messages = Some(messages);
        Some(Self { bytes, messages })
    }

    pub(super) fn more(bytes: usize) -> Option<Self> {
        Some(Self {
            bytes,
            messages: None,
        })
    }
}

/// Messages that a connection has claimed and not deleted yet.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) handles: VecDeque<Handle>,
    /// The sum of the fingerprints of their bodies.
    pub(super) sum: u64,
    pub(super) body_bytes: usize,
}

impl Claims {
    pub(super) fn add(&mut self, handle: Handle, body: &[u8]) -> anyhow::Result<()> {
        ensure!(
            body.len() == self.body_bytes,
            "a body of {} bytes",
            body.len()
        );
        self.sum = self.sum.wrapping_add(fingerprint(body));
        self.handles.push_back(handle);
        Ok(())
    }
}

/// Tells one body from another.
pub(super) fn fingerprint(body: &[u8]) -> u64 {
    body.first_chunk()
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// The length of the first line with its end, once it is there.
pub(super) fn line_length(input: &[u8]) -> Option<usize> {
    Some(memchr::memmem::find(input, b"\r\n")? + 2)
}

/// The number that these digits spell.
pub(super) fn number(digits: &[u8]) -> anyhow::Result<usize> {
    Ok(str::from_utf8(digits)?.parse()?)
}

/// For introductions: writes, and reads until enough has come.
pub(super) fn exchange<T>(
    stream: &mut TcpStream,
    request: &[u8],
    mut enough: impl FnMut(&[u8]) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    stream.write_all(request)?;
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(value) = enough(&input)? {
            return Ok(value);
        }
        match stream.read(&mut chunk)? {
            0 => bail!("the server closed a connection"),
            count => input.extend_from_slice(&chunk[..count]),
        }
    }
}
