//! A load generator that costs less than what it measures: one thread, no parsing beyond
//! what tells a right answer from a wrong one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::content::{self, BODY_BYTES, ID_BYTES, Id};

/// What is sent, and so what must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The bytes of the request come back.
    Echo,
    /// `201 Created` without a body.
    Http,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub queue: &'a str,
    pub connections: usize,
    /// Requests in flight on each connection.
    pub depth: usize,
    /// No request is sent after so long.
    pub duration: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub answered: u64,
    pub elapsed: Duration,
}

impl Outcome {
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

/// Creates messages until the time is over, each with an id of its own, and checks every answer.
pub fn run(plan: &Plan<'_>) -> anyhow::Result<Outcome> {
    let template = Template::new(plan.queue);
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        let stream = std::net::TcpStream::connect(plan.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(
            &mut stream,
            Token(number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        connections.push(Connection::new(stream, plan.protocol));
    }
    let (started, mut sent, mut answered) = (Instant::now(), 0, 0);
    for connection in &mut connections {
        connection.send(&template, plan.depth, &mut sent)?;
    }
    let mut events = Events::with_capacity(plan.connections);
    let mut chunk = vec![0; 64 << 10];
    let mut open = true;
    while open || answered < sent {
        poll.poll(&mut events, Some(Duration::from_secs(30)))?;
        ensure!(
            !events.is_empty(),
            "{} requests were not answered",
            sent - answered
        );
        open = open && started.elapsed() < plan.duration;
        for event in &events {
            let connection = &mut connections[event.token().0];
            let received = connection.receive(&template, &mut chunk)?;
            answered += received as u64;
            connection.send(&template, if open { received } else { 0 }, &mut sent)?;
        }
    }
    Ok(Outcome {
        answered,
        elapsed: started.elapsed(),
    })
}

/// A request whose id is still to be filled in.
struct Template {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Template {
    fn new(queue: &str) -> Self {
        let path = format!("PUT /v1.0/bench/{queue}/");
        let rest = format!(" HTTP/1.1\r\nhost: burrow\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
        let mut bytes = [path.as_bytes(), &[b'0'; ID_BYTES], rest.as_bytes()].concat();
        bytes.extend_from_slice(content::body(1));
        Self {
            bytes,
            id_at: path.len(),
        }
    }
}

struct Connection {
    stream: TcpStream,
    protocol: Protocol,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that were written.
    written: usize,
    /// Bytes of the last answer; the next is most likely as long.
    likely_length: usize,
    /// Numbers of the requests whose echo is still to come.
    unanswered: VecDeque<u64>,
}

impl Connection {
    fn new(stream: TcpStream, protocol: Protocol) -> Self {
        Self {
            stream,
            protocol,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            likely_length: 0,
            unanswered: VecDeque::new(),
        }
    }

    /// Adds so many requests and writes what the socket takes.
    fn send(&mut self, template: &Template, count: usize, sent: &mut u64) -> io::Result<()> {
        for _ in 0..count {
            let id_at = self.output.len() + template.id_at;
            self.output.extend_from_slice(&template.bytes);
            self.output[id_at..id_at + ID_BYTES].copy_from_slice(Id::of(*sent).as_str().as_bytes());
            if self.protocol == Protocol::Echo {
                self.unanswered.push_back(*sent);
            }
            *sent += 1;
        }
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what is there; the number of answers that are complete.
    fn receive(&mut self, template: &Template, chunk: &mut [u8]) -> anyhow::Result<usize> {
        loop {
            match self.stream.read(chunk) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let (mut used, mut answers) = (0, 0);
        while let Some(length) = self.answer_length(&self.input[used..], template)? {
            self.unanswered.pop_front();
            used += length;
            answers += 1;
            self.likely_length = length;
        }
        self.input.drain(..used);
        Ok(answers)
    }

    /// The length of the first answer, once all of it is there. A wrong answer is an error.
    fn answer_length(&self, input: &[u8], template: &Template) -> anyhow::Result<Option<usize>> {
        match self.protocol {
            Protocol::Echo => {
                let length = template.bytes.len();
                let (Some(echo), Some(number)) = (input.get(..length), self.unanswered.front())
                else {
                    return Ok(None);
                };
                let id = &echo[template.id_at..template.id_at + ID_BYTES];
                ensure!(
                    id == Id::of(*number).as_str().as_bytes(),
                    "another echo: {}",
                    String::from_utf8_lossy(echo)
                );
                Ok(Some(length))
            }
            Protocol::Http => {
                let ends_at = |length: usize| {
                    length >= 4 && input.get(length - 4..length) == Some(b"\r\n\r\n")
                };
                let length = if ends_at(self.likely_length) {
                    self.likely_length
                } else {
                    match input.windows(4).position(|window| window == b"\r\n\r\n") {
                        Some(place) => place + 4,
                        None => return Ok(None),
                    }
                };
                let head = String::from_utf8_lossy(&input[..length.min(16)]);
                ensure!(
                    input.starts_with(b"HTTP/1.1 201 "),
                    "another answer: {head}"
                );
                Ok(Some(length))
            }
        }
    }
}
