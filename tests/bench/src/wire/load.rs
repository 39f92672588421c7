//! A load on the wire protocol: one thread, every answer checked.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use burrow_core::wire::{self, Answer, Decoder, Failure};
use burrow_core::{Command, MessageList, NewMessage, QueueName, Reply, SettleAction, Settlement};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::content::{self, Id};
use crate::drive;
use crate::http::load::Outcome;

/// Messages of a batch.
pub const BATCH: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Puts of single messages, so many in flight on each connection.
    Insert { depth: usize },
    /// Batches that are put, claimed and deleted, one request at a time on each connection.
    Life,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub work: Work,
    pub queue: &'a str,
    pub connections: usize,
    /// No work is begun after so long.
    pub duration: Duration,
}

/// Works until the time is over. The outcome counts messages: put ones, or whole lives.
pub fn run(plan: &Plan<'_>) -> anyhow::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        let mut connection = Connection::open(plan)?;
        poll.registry().register(
            &mut connection.stream,
            Token(number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        connections.push(connection);
    }
    let mut tally = Tally::default();
    let started = Instant::now();
    for connection in &mut connections {
        let begun = match plan.work {
            Work::Insert { depth } => depth,
            Work::Life => 1,
        };
        for _ in 0..begun {
            connection.begin(&mut tally)?;
        }
        connection.flush()?;
    }
    let mut events = Events::with_capacity(plan.connections);
    let mut chunk = vec![0; 64 << 10];
    while tally.under_way > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(30)))?;
        ensure!(!events.is_empty(), "{} were not answered", tally.under_way);
        tally.is_over = tally.is_over || started.elapsed() >= plan.duration;
        for event in &events {
            connections[event.token().0].serve(&mut chunk, &mut tally)?;
        }
    }
    Ok(Outcome {
        answered: tally.done,
        elapsed: started.elapsed(),
    })
}

#[derive(Default)]
struct Tally {
    /// Numbers of messages given out.
    next: u64,
    done: u64,
    under_way: u64,
    is_over: bool,
}

struct Connection {
    stream: TcpStream,
    work: Work,
    queue: QueueName<'static>,
    decoder: Decoder,
    output: Vec<u8>,
    written: usize,
    last_id: u64,
}

impl Connection {
    fn open(plan: &Plan<'_>) -> anyhow::Result<Self> {
        let mut stream = std::net::TcpStream::connect(plan.address)?;
        stream.set_nodelay(true)?;
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        stream.write_all(&hello)?;
        let mut decoder = Decoder::new(u32::MAX);
        loop {
            let mut chunk = [0; 64];
            let length = stream.read(&mut chunk)?;
            ensure!(length > 0, "the server closed a connection");
            decoder.received().extend_from_slice(&chunk[..length]);
            // The limits follow in the same breath; they are read with the answers.
            if wire::take_welcome(&mut decoder)?.is_some() {
                break;
            }
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            work: plan.work,
            queue: QueueName {
                account: "bench".into(),
                queue: plan.queue.to_owned().into(),
            },
            decoder,
            output: Vec::new(),
            written: 0,
            last_id: 0,
        })
    }

    /// One more message, or batch of messages.
    fn begin(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let count = match self.work {
            Work::Insert { .. } => 1,
            Work::Life => BATCH,
        };
        let numbers = tally.next..tally.next + count;
        tally.next += count;
        tally.under_way += 1;
        let ids: Vec<Id> = numbers.clone().map(Id::of).collect();
        let mut messages = ids.iter().zip(numbers).map(|(id, number)| NewMessage {
            id: Some(id.as_str().into()),
            body: content::body(number).into(),
            ..NewMessage::default()
        });
        let queue = self.queue.clone();
        let command = match self.work {
            Work::Insert { .. } => Command::Put {
                queue,
                message: messages.next().context("one message")?,
            },
            Work::Life => Command::PutBatch {
                queue,
                messages: messages.collect(),
            },
        };
        submit(&mut self.output, &mut self.last_id, &command)
    }

    fn serve(&mut self, chunk: &mut [u8], tally: &mut Tally) -> anyhow::Result<()> {
        loop {
            match self.stream.read(chunk) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(length) => {
                    self.decoder.received().extend_from_slice(&chunk[..length]);
                    if length < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        while let Some(frame) = self.decoder.next_frame()? {
            let outcome = match wire::decode_answer(&frame)? {
                Answer::Outcome { outcome, .. } => outcome,
                Answer::Hello(_) => continue,
                other => bail!("unexpected {other:?}"),
            };
            self.handle(outcome, tally)?;
        }
        self.flush()
    }

    fn handle(&mut self, outcome: Result<Reply, Failure>, tally: &mut Tally) -> anyhow::Result<()> {
        let done = match outcome? {
            Reply::Put { created: true } => 1,
            Reply::PutBatch(ids) if ids.len() as u64 == BATCH => {
                let claim = drive::claim(&self.queue, BATCH);
                return submit(&mut self.output, &mut self.last_id, &claim);
            }
            Reply::Messages(messages) => return self.settle(&messages),
            Reply::Settled(results) if results.iter().all(Result::is_ok) => BATCH,
            other => bail!("unexpected {other:?}"),
        };
        tally.done += done;
        tally.under_way -= 1;
        match tally.is_over {
            true => Ok(()),
            false => self.begin(tally),
        }
    }

    fn settle(&mut self, messages: &MessageList) -> anyhow::Result<()> {
        ensure!(
            messages.matched() == BATCH,
            "{} claimed",
            messages.matched()
        );
        let settlements = messages.iter().map(|message| Settlement {
            id: message.id.into(),
            claim: message.claim,
            action: SettleAction::Delete,
        });
        let command = Command::Settle {
            queue: self.queue.clone(),
            settlements: settlements.collect(),
        };
        submit(&mut self.output, &mut self.last_id, &command)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

fn submit(out: &mut Vec<u8>, last_id: &mut u64, command: &Command<'_>) -> anyhow::Result<()> {
    *last_id += 1;
    wire::encode_request(out, *last_id, command, u32::MAX)?;
    Ok(())
}
