//! Redis: a list from which each connection moves messages to a list of its own, the usual
//! reliable queue; and a stream with a group of consumers.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::ops::Range;

use anyhow::{Context, bail, ensure};

use super::Work;
use super::client::{Claims, Client, Handle, Taken, exchange, line_length, number};
use crate::content;

/// A value that Redis answers.
#[derive(Debug)]
enum Value<'a> {
    Number(usize),
    Bulk(Option<&'a [u8]>),
    Array(Vec<Value<'a>>),
}

/// Writes a command as an array of strings.
fn command(out: &mut Vec<u8>, words: &[&[u8]]) -> anyhow::Result<()> {
    write!(out, "*{}\r\n", words.len())?;
    for word in words {
        write!(out, "${}\r\n", word.len())?;
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// The first value and its length, once all of it is there.
fn value(input: &[u8]) -> anyhow::Result<Option<(usize, Value<'_>)>> {
    let Some(line_bytes) = line_length(input) else {
        return Ok(None);
    };
    let (kind, text) = input[..line_bytes - 2].split_first().context("no kind")?;
    Ok(Some(match kind {
        b':' => (line_bytes, Value::Number(number(text)?)),
        b'$' if text == b"-1" => (line_bytes, Value::Bulk(None)),
        b'$' => {
            let length = number(text)?;
            let Some(bulk) = input.get(line_bytes..line_bytes + length + 2) else {
                return Ok(None);
            };
            (line_bytes + length + 2, Value::Bulk(Some(&bulk[..length])))
        }
        b'*' => {
            let (mut used, mut values) = (line_bytes, Vec::new());
            let count = if text == b"-1" { 0 } else { number(text)? };
            for _ in 0..count {
                let Some((length, inner)) = value(&input[used..])? else {
                    return Ok(None);
                };
                used += length;
                values.push(inner);
            }
            (used, Value::Array(values))
        }
        _ => bail!("answered {}", String::from_utf8_lossy(input)),
    }))
}

/// Requests in flight: what they ask for, how many answers are to come, how many messages.
type Asked = VecDeque<(Work, u64, u64)>;

/// One answer less to come; the messages of the request if that was the last.
fn answered(asked: &mut Asked, bytes: usize) -> anyhow::Result<Option<Taken>> {
    let (_, left, messages) = asked.front_mut().context("an answer too many")?;
    *left -= 1;
    if *left > 0 {
        return Ok(Taken::more(bytes));
    }
    let messages = *messages;
    asked.pop_front();
    Ok(Taken::done(bytes, messages))
}

pub(super) struct List {
    /// Where this connection keeps what it has claimed.
    own: Vec<u8>,
    asked: Asked,
}

impl List {
    pub(super) fn new(number: usize) -> Self {
        Self {
            own: format!("claimed-{number}").into_bytes(),
            asked: Asked::new(),
        }
    }
}

impl Client for List {
    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        self.asked
            .push_back((Work::Insert, 1, numbers.end - numbers.start));
        let mut words: Vec<&[u8]> = vec![b"LPUSH", b"jobs"];
        words.extend(numbers.map(content::body));
        command(out, &words)
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.asked.push_back((Work::Claim, count, count));
        (0..count)
            .try_for_each(|_| command(out, &[b"LMOVE", b"jobs", &self.own, b"RIGHT", b"LEFT"]))
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        let count = handles.len() as u64;
        self.asked.push_back((Work::Delete, count, count));
        // From the tail, where the oldest is: that is found at once.
        handles
            .iter()
            .try_for_each(|body| command(out, &[b"LREM", &self.own, b"-1", body]))
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some((bytes, value)) = value(input)? else {
            return Ok(None);
        };
        let (work, _, _) = self.asked.front().context("an answer too many")?;
        match (work, value) {
            (Work::Insert, Value::Number(_)) | (Work::Delete, Value::Number(1)) => {}
            (Work::Claim, Value::Bulk(Some(body))) => claims.add(body.to_vec(), body)?,
            (work, other) => bail!("answered {other:?} to {work:?}"),
        }
        answered(&mut self.asked, bytes)
    }
}

pub(super) struct Stream {
    consumer: Vec<u8>,
    asked: Asked,
}

impl Stream {
    pub(super) fn new(number: usize) -> Self {
        Self {
            consumer: format!("consumer-{number}").into_bytes(),
            asked: Asked::new(),
        }
    }
}

impl Client for Stream {
    fn open(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        let mut make = Vec::new();
        let words: [&[u8]; 6] = [b"XGROUP", b"CREATE", b"stream", b"group", b"0", b"MKSTREAM"];
        command(&mut make, &words)?;
        exchange(stream, &make, |input| {
            let Some(length) = line_length(input) else {
                return Ok(None);
            };
            let is_made = input.starts_with(b"+OK") || input.starts_with(b"-BUSYGROUP");
            ensure!(is_made, "{}", String::from_utf8_lossy(&input[..length]));
            Ok(Some(()))
        })
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        let count = numbers.end - numbers.start;
        self.asked.push_back((Work::Insert, count, count));
        numbers.into_iter().try_for_each(|number| {
            command(
                out,
                &[b"XADD", b"stream", b"*", b"b", content::body(number)],
            )
        })
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.asked.push_back((Work::Claim, 1, count));
        let digits = count.to_string();
        command(
            out,
            &[
                b"XREADGROUP",
                b"GROUP",
                b"group",
                &self.consumer,
                b"COUNT",
                digits.as_bytes(),
                b"STREAMS",
                b"stream",
                b">",
            ],
        )
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        self.asked
            .push_back((Work::Delete, 2, handles.len() as u64));
        let ids = || handles.iter().map(Vec::as_slice);
        let mut words: Vec<&[u8]> = vec![b"XACK", b"stream", b"group"];
        words.extend(ids());
        command(out, &words)?;
        let mut words: Vec<&[u8]> = vec![b"XDEL", b"stream"];
        words.extend(ids());
        command(out, &words)
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some((bytes, value)) = value(input)? else {
            return Ok(None);
        };
        let (work, _, messages) = self.asked.front().context("an answer too many")?;
        match (work, value) {
            (Work::Insert, Value::Bulk(Some(_))) => {}
            (Work::Delete, Value::Number(done)) if done as u64 == *messages => {}
            (Work::Claim, Value::Array(streams)) => {
                let before = claims.handles.len();
                take_entries(&streams, claims)?;
                let taken = (claims.handles.len() - before) as u64;
                ensure!(taken == *messages, "{taken} of {messages} claimed");
            }
            (work, other) => bail!("answered {other:?} to {work:?}"),
        }
        answered(&mut self.asked, bytes)
    }
}

/// `[[stream, [[id, [field, body]], …]]]`
fn take_entries(streams: &[Value<'_>], claims: &mut Claims) -> anyhow::Result<()> {
    let [Value::Array(stream)] = streams else {
        bail!("answered {streams:?}")
    };
    let [_, Value::Array(entries)] = &stream[..] else {
        bail!("answered {stream:?}")
    };
    for entry in entries {
        match entry {
            Value::Array(parts) => match &parts[..] {
                [Value::Bulk(Some(id)), Value::Array(fields)] => match &fields[..] {
                    [_, Value::Bulk(Some(body))] => claims.add(id.to_vec(), body)?,
                    other => bail!("answered {other:?}"),
                },
                other => bail!("answered {other:?}"),
            },
            other => bail!("answered {other:?}"),
        }
    }
    Ok(())
}
