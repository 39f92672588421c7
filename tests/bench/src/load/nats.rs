//! NATS JetStream: a stream as a work queue, and a durable consumer that is pulled from.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::ops::Range;

use anyhow::{Context, bail, ensure};

use super::client::{Claims, Client, Handle, Taken, exchange, line_length, number};
use super::{Plan, Work};
use crate::content;

pub(super) struct Nats {
    inbox: String,
    storage: &'static str,
    connection: usize,
    connections: usize,
    asked: VecDeque<(Work, u64, u64)>,
}

impl Nats {
    pub(super) fn new(plan: &Plan, connection: usize, storage: &'static str) -> Self {
        Self {
            inbox: format!("_INBOX.{}-{connection}", plan.queue),
            storage,
            connection,
            connections: plan.connections,
            asked: VecDeque::new(),
        }
    }

    fn publish(&self, out: &mut Vec<u8>, subject: &[u8], body: &[u8]) -> anyhow::Result<()> {
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(subject);
        write!(out, " {} {}\r\n", self.inbox, body.len())?;
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The stream and its consumer, by the first connection.
    fn make(&self, stream: &mut TcpStream) -> anyhow::Result<()> {
        let config = format!(
            r#"{{"name":"bench","subjects":["jobs"],"retention":"workqueue","storage":"{}"}}"#,
            self.storage
        );
        let consumer = format!(
            r#"{{"stream_name":"bench","config":{{"durable_name":"worker","ack_policy":"explicit","ack_wait":3600000000000,"max_ack_pending":-1,"max_waiting":{}}}}}"#,
            self.connections * 1_000
        );
        for (subject, config) in [
            ("$JS.API.STREAM.CREATE.bench", config),
            ("$JS.API.CONSUMER.DURABLE.CREATE.bench.worker", consumer),
        ] {
            let mut request = Vec::new();
            self.publish(&mut request, subject.as_bytes(), config.as_bytes())?;
            exchange(stream, &request, |input| {
                let Some((_, message)) = message(input)? else {
                    return Ok(None);
                };
                let told = String::from_utf8_lossy(message.body);
                ensure!(!told.contains("\"error\""), "{told}");
                Ok(Some(()))
            })?;
        }
        Ok(())
    }
}

/// What the server sends for a subject.
struct Message<'a> {
    reply_to: Option<&'a [u8]>,
    has_status: bool,
    body: &'a [u8],
}

/// The first message and the bytes up to its end, once it is there.
fn message(input: &[u8]) -> anyhow::Result<Option<(usize, Message<'_>)>> {
    let Some(line_bytes) = line_length(input) else {
        return Ok(None);
    };
    let line = &input[..line_bytes - 2];
    // Two spaces stand where no subject to answer to is given.
    let words = line.split(|byte| *byte == b' ');
    let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
    let (has_status, head, total, reply_to) = match words[..] {
        [b"MSG", _, _, total] => (false, None, total, None),
        [b"MSG", _, _, reply, total] => (false, None, total, Some(reply)),
        [b"HMSG", _, _, head, total] => (true, Some(head), total, None),
        _ => bail!("answered {}", String::from_utf8_lossy(line)),
    };
    let (head, total) = (head.map_or(Ok(0), number)?, number(total)?);
    let Some(whole) = input.get(line_bytes..line_bytes + total + 2) else {
        return Ok(None);
    };
    let body = whole
        .get(head..total)
        .context("a head beyond its message")?;
    let message = Message {
        reply_to,
        has_status,
        body,
    };
    Ok(Some((line_bytes + total + 2, message)))
}

impl Client for Nats {
    fn open(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":false}}\r\nSUB {} 1\r\nPING\r\n",
            self.inbox
        );
        exchange(stream, hello.as_bytes(), |input| {
            Ok(input.ends_with(b"PONG\r\n").then_some(()))
        })?;
        match self.connection {
            0 => self.make(stream),
            _ => Ok(()),
        }
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        let count = numbers.end - numbers.start;
        self.asked.push_back((Work::Insert, count, count));
        numbers
            .into_iter()
            .try_for_each(|number| self.publish(out, b"jobs", content::body(number)))
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.asked.push_back((Work::Claim, count, count));
        let ask = format!(r#"{{"batch":{count},"no_wait":true}}"#);
        self.publish(
            out,
            b"$JS.API.CONSUMER.MSG.NEXT.bench.worker",
            ask.as_bytes(),
        )
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        let count = handles.len() as u64;
        self.asked.push_back((Work::Delete, count, count));
        // With an inbox to answer to, so that the server says when it is done.
        handles
            .iter()
            .try_for_each(|subject| self.publish(out, subject, b"+ACK"))
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        if input.starts_with(b"PING\r\n") {
            // Nothing is idle for long enough that the server would miss an answer.
            return Ok(Taken::more(6));
        }
        let Some((bytes, message)) = message(input)? else {
            return Ok(None);
        };
        let (work, left, messages) = self.asked.front_mut().context("an answer too many")?;
        match (*work, message.reply_to) {
            (Work::Claim, Some(reply_to)) => claims.add(reply_to.to_vec(), message.body)?,
            (Work::Insert, None) => ensure!(
                memchr::memmem::find(message.body, b"\"seq\"").is_some(),
                "{}",
                String::from_utf8_lossy(message.body)
            ),
            (Work::Delete, None) => ensure!(!message.has_status, "not acknowledged"),
            (work, _) => bail!("{work:?}: {}", String::from_utf8_lossy(&input[..bytes])),
        }
        *left -= 1;
        if *left > 0 {
            return Ok(Taken::more(bytes));
        }
        let messages = *messages;
        self.asked.pop_front();
        Ok(Taken::done(bytes, messages))
    }
}
