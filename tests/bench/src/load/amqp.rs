//! RabbitMQ by AMQP 0-9-1: persistent messages, publisher confirms, manual acknowledgements.

use std::collections::{BTreeSet, VecDeque};
use std::net::TcpStream;
use std::ops::Range;

use anyhow::{Context, bail, ensure};

use super::client::{Claims, Client, Handle, Taken, exchange};
use super::{Plan, Work};
use crate::content;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;
/// Class and method, as one number.
const START_OK: u32 = 10 << 16 | 11;
const TUNE: u32 = 10 << 16 | 30;
const TUNE_OK: u32 = 10 << 16 | 31;
const OPEN: u32 = 10 << 16 | 40;
const CLOSE: u32 = 10 << 16 | 50;
const CHANNEL_OPEN: u32 = 20 << 16 | 10;
const CHANNEL_CLOSE: u32 = 20 << 16 | 40;
const DECLARE: u32 = 50 << 16 | 10;
const QOS: u32 = 60 << 16 | 10;
const QOS_OK: u32 = 60 << 16 | 11;
const PUBLISH: u32 = 60 << 16 | 40;
const GET: u32 = 60 << 16 | 70;
const GET_OK: u32 = 60 << 16 | 71;
const ACK: u32 = 60 << 16 | 80;
const SELECT: u32 = 85 << 16 | 10;
const SELECT_OK: u32 = 85 << 16 | 11;

pub(super) struct Amqp {
    queue: String,
    kind: &'static str,
    asked: VecDeque<(Work, u64)>,
    /// Messages that were confirmed, or got, and not yet reckoned to a request.
    ready: u64,
    published: u64,
    /// Numbers of the published messages whose confirmation is to come, in any order.
    unconfirmed: BTreeSet<u64>,
    /// The tag of the message whose body is to come.
    tag: Option<Handle>,
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) -> anyhow::Result<()> {
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&u32::try_from(payload.len())?.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
    Ok(())
}

fn method(out: &mut Vec<u8>, channel: u16, id: u32, parts: &[&[u8]]) -> anyhow::Result<()> {
    let payload = [&id.to_be_bytes()[..], &parts.concat()].concat();
    frame(out, METHOD, channel, &payload)
}

/// A string of at most 255 bytes, after its length.
fn short(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok([&[u8::try_from(text.len())?], text.as_bytes()].concat())
}

fn long(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok([&u32::try_from(text.len())?.to_be_bytes()[..], text].concat())
}

/// The first frame: its length, kind and payload, once all of it is there.
fn first_frame(input: &[u8]) -> anyhow::Result<Option<(usize, u8, &[u8])>> {
    let Some(([kind, _, _, l0, l1, l2, l3], rest)) = input.split_first_chunk::<7>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
    let Some(end) = rest.get(length) else {
        return Ok(None);
    };
    ensure!(*end == FRAME_END, "a frame without its end");
    Ok(Some((length + 8, *kind, &rest[..length])))
}

fn method_of(payload: &[u8]) -> anyhow::Result<(u32, &[u8])> {
    let (id, rest) = payload.split_first_chunk().context("no method")?;
    Ok((u32::from_be_bytes(*id), rest))
}

/// Sends all, and waits for a certain method.
fn call(stream: &mut TcpStream, request: &[u8], wanted: u32) -> anyhow::Result<()> {
    exchange(stream, request, |input| {
        let mut used = 0;
        while let Some((bytes, kind, payload)) = first_frame(&input[used..])? {
            used += bytes;
            if kind != METHOD {
                continue;
            }
            match method_of(payload)? {
                (id, _) if id == wanted => return Ok(Some(())),
                (CLOSE | CHANNEL_CLOSE, rest) => {
                    bail!("RabbitMQ: {}", String::from_utf8_lossy(rest))
                }
                _ => {}
            }
        }
        Ok(None)
    })
}

impl Amqp {
    pub(super) fn new(plan: &Plan, kind: &'static str) -> Self {
        Self {
            queue: plan.queue.clone(),
            kind,
            asked: VecDeque::new(),
            ready: 0,
            published: 0,
            unconfirmed: BTreeSet::new(),
            tag: None,
        }
    }

    fn handle(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        match method_of(payload)? {
            (ACK, rest) => {
                let (tag, _) = rest.split_first_chunk().context("no tag")?;
                let tag = u64::from_be_bytes(*tag);
                let before = self.unconfirmed.len();
                match rest.get(8) {
                    // What came before as well.
                    Some(1) => self.unconfirmed = self.unconfirmed.split_off(&(tag + 1)),
                    _ => {
                        self.unconfirmed.remove(&tag);
                    }
                }
                self.ready += (before - self.unconfirmed.len()) as u64;
            }
            (GET_OK, rest) => self.tag = Some(rest.get(..8).context("no tag")?.to_vec()),
            (QOS_OK, _) => self.ready += self.asked.front().map_or(0, |(_, count)| *count),
            (id, _) => bail!(
                "answered {}.{}: {}",
                id >> 16,
                id & 0xFFFF,
                String::from_utf8_lossy(payload)
            ),
        }
        Ok(())
    }
}

impl Client for Amqp {
    fn open(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        // The server's start is answered unseen, so that its tune is what is waited for.
        let mut out = b"AMQP\0\0\x09\x01".to_vec();
        let login = long(b"\0guest\0guest")?;
        let (plain, locale) = (short("PLAIN")?, short("en_US")?);
        method(
            &mut out,
            0,
            START_OK,
            &[&long(b"")?, &plain, &login, &locale],
        )?;
        call(stream, &out, TUNE)?;
        out.clear();
        let frame_max = 131_072_u32.to_be_bytes();
        method(&mut out, 0, TUNE_OK, &[&[0, 1], &frame_max, &[0, 0]])?;
        method(&mut out, 0, OPEN, &[&short("/")?, &[0, 0]])?;
        method(&mut out, 1, CHANNEL_OPEN, &[&[0]])?;
        let kind = [
            short("x-queue-type")?,
            vec![b'S'],
            long(self.kind.as_bytes())?,
        ]
        .concat();
        let queue = short(&self.queue)?;
        // Durable, and nothing else.
        method(
            &mut out,
            1,
            DECLARE,
            &[&[0, 0], &queue, &[2], &long(&kind)?],
        )?;
        method(&mut out, 1, SELECT, &[&[0]])?;
        call(stream, &out, SELECT_OK)
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        self.asked
            .push_back((Work::Insert, numbers.end - numbers.start));
        let queue = short(&self.queue)?;
        for number in numbers {
            self.published += 1;
            self.unconfirmed.insert(self.published);
            let body = content::body(number);
            method(out, 1, PUBLISH, &[&[0, 0], &[0], &queue, &[0]])?;
            let mut header = vec![0, 60, 0, 0];
            header.extend_from_slice(&(body.len() as u64).to_be_bytes());
            // Only the delivery mode is told: persistent.
            header.extend_from_slice(&[0x10, 0, 2]);
            frame(out, HEADER, 1, &header)?;
            frame(out, BODY, 1, body)?;
        }
        Ok(())
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.asked.push_back((Work::Claim, count));
        let queue = short(&self.queue)?;
        (0..count).try_for_each(|_| method(out, 1, GET, &[&[0, 0], &queue, &[0]]))
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        self.asked.push_back((Work::Delete, handles.len() as u64));
        for tag in handles {
            method(out, 1, ACK, &[tag, &[0]])?;
        }
        // An acknowledgement is not answered; this is, after it.
        method(out, 1, QOS, &[&[0; 4], &[0, 0], &[0]])
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let mut used = 0;
        // Confirmations of several requests may come as one.
        let is_ready = |client: &Self| matches!(client.asked.front(), Some((_, count)) if client.ready >= *count);
        while !is_ready(self) {
            let Some((bytes, kind, payload)) = first_frame(&input[used..])? else {
                return Ok((used > 0).then_some(Taken {
                    bytes: used,
                    messages: None,
                }));
            };
            used += bytes;
            match kind {
                METHOD => self.handle(payload)?,
                BODY => {
                    let tag = self.tag.take().context("a body of nothing")?;
                    claims.add(tag, payload)?;
                    self.ready += 1;
                }
                // A header tells what the body shows; a heartbeat, that the server lives.
                _ => {}
            }
        }
        let (_, count) = self.asked.pop_front().context("an answer too many")?;
        self.ready -= count;
        Ok(Taken::done(used, count))
    }
}
