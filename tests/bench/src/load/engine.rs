//! Keeps requests in flight on all connections until a part of the work is done.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::client::{Claims, Client, Handle, fingerprint};
use super::{Phase, Plan, Speech, Work, amqp, beanstalk, gearman, http, nats, paced, redis, wire};
use crate::content;
use crate::server::{process_cpu, thread_cpu};

/// How long nothing may be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Inserts until the time is over; then, if the plan says so, claims all that, and deletes it.
pub fn run(plan: &Plan) -> anyhow::Result<Vec<Phase>> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        let mut connection = Connection::open(plan, number)?;
        poll.registry().register(
            &mut connection.stream,
            Token(number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        connections.push(connection);
    }
    let mut tally = Tally::default();
    if let Some(per_second) = plan.per_second {
        let started = Instant::now();
        let latency = paced::insert(plan, per_second, &mut poll, &mut connections, &mut tally)?;
        return Ok(vec![Phase {
            work: Work::Insert,
            messages: tally.done,
            seconds: started.elapsed().as_secs_f64(),
            server_busy: 0.0,
            load_busy: 1.0,
            latency: Some(latency),
        }]);
    }
    let mut phases = vec![phase(
        plan,
        Work::Insert,
        &mut poll,
        &mut connections,
        &mut tally,
    )?];
    if plan.whole_life {
        tally.unclaimed = tally.inserted;
        phases.push(phase(
            plan,
            Work::Claim,
            &mut poll,
            &mut connections,
            &mut tally,
        )?);
        let sum = connections.iter().fold(0_u64, |sum, connection| {
            sum.wrapping_add(connection.claims.sum)
        });
        ensure!(
            sum == tally.sum,
            "other bodies were claimed than were inserted"
        );
        phases.push(phase(
            plan,
            Work::Delete,
            &mut poll,
            &mut connections,
            &mut tally,
        )?);
        let counts = phases.iter().map(|phase| phase.messages);
        ensure!(
            counts.clone().all(|count| count == tally.inserted),
            "inserted, claimed, deleted: {:?}",
            counts.collect::<Vec<_>>()
        );
    }
    Ok(phases)
}

#[derive(Default)]
pub(super) struct Tally {
    /// Messages that were given a number, and that were answered for.
    inserted: u64,
    unclaimed: u64,
    /// The sum of the fingerprints of the inserted bodies.
    sum: u64,
    pub(super) under_way: u64,
    done: u64,
    is_over: bool,
}

fn phase(
    plan: &Plan,
    work: Work,
    poll: &mut Poll,
    connections: &mut [Connection],
    tally: &mut Tally,
) -> anyhow::Result<Phase> {
    let mut events = Events::with_capacity(connections.len().max(1));
    let mut chunk = vec![0; 256 << 10];
    (tally.done, tally.is_over) = (0, false);
    let server_cpu = || plan.server.map_or(Ok(Duration::ZERO), process_cpu);
    let (cpu, own_cpu, started) = (server_cpu()?, thread_cpu(), Instant::now());
    for connection in &mut *connections {
        for _ in 0..plan.depth {
            connection.begin(plan, work, tally)?;
        }
        connection.flush()?;
    }
    while tally.under_way > 0 {
        poll.poll(&mut events, Some(PATIENCE))?;
        ensure!(!events.is_empty(), "{} were not answered", tally.under_way);
        if work == Work::Insert {
            tally.is_over = tally.is_over || started.elapsed().as_millis() >= plan.insert_ms.into();
        }
        for event in &events {
            connections[event.token().0].serve(plan, work, &mut chunk, tally)?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Phase {
        work,
        messages: tally.done,
        seconds,
        server_busy: (server_cpu()?.saturating_sub(cpu)).as_secs_f64() / seconds,
        load_busy: (thread_cpu() - own_cpu).as_secs_f64() / seconds,
        latency: None,
    })
}

pub(super) struct Connection {
    stream: TcpStream,
    client: Box<dyn Client>,
    claims: Claims,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that were written.
    written: usize,
}

impl Connection {
    fn open(plan: &Plan, number: usize) -> anyhow::Result<Self> {
        let mut client: Box<dyn Client> = match plan.speech {
            Speech::Echo => Box::new(http::Echo::new(plan)),
            Speech::Http => Box::new(http::Http::new(plan)),
            Speech::Wire => Box::new(wire::Wire::new(plan)),
            Speech::Beanstalk => Box::new(beanstalk::Beanstalk::default()),
            Speech::RedisList => Box::new(redis::List::new(number)),
            Speech::RedisStream => Box::new(redis::Stream::new(number)),
            Speech::Gearman => Box::new(gearman::Gearman::default()),
            Speech::AmqpClassic => Box::new(amqp::Amqp::new(plan, "classic")),
            Speech::AmqpQuorum => Box::new(amqp::Amqp::new(plan, "quorum")),
            Speech::NatsMemory => Box::new(nats::Nats::new(plan, number, "memory")),
            Speech::NatsFile => Box::new(nats::Nats::new(plan, number, "file")),
        };
        let mut stream = std::net::TcpStream::connect(plan.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        client.open(&mut stream)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            client,
            claims: Claims {
                body_bytes: plan.body_bytes,
                ..Claims::default()
            },
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
        })
    }

    /// One more request, if there is work left.
    pub(super) fn begin(
        &mut self,
        plan: &Plan,
        work: Work,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        match work {
            Work::Insert if tally.is_over => return Ok(()),
            Work::Insert => {
                let numbers = tally.inserted..tally.inserted + plan.batch;
                tally.inserted = numbers.end;
                for number in numbers.clone() {
                    let body = content::body_of(number, plan.body_bytes);
                    tally.sum = tally.sum.wrapping_add(fingerprint(body));
                }
                self.client.insert(&mut self.output, numbers)?;
            }
            Work::Claim => {
                let count = tally.unclaimed.min(plan.batch);
                if count == 0 {
                    return Ok(());
                }
                tally.unclaimed -= count;
                self.client.claim(&mut self.output, count)?;
            }
            Work::Delete => {
                let count = self.claims.handles.len().min(plan.batch as usize);
                if count == 0 {
                    return Ok(());
                }
                let handles: Vec<Handle> = self.claims.handles.drain(..count).collect();
                self.client.delete(&mut self.output, &handles)?;
            }
        }
        tally.under_way += 1;
        Ok(())
    }

    /// Reads what is there, and begins as much as was answered.
    fn serve(
        &mut self,
        plan: &Plan,
        work: Work,
        chunk: &mut [u8],
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        for _ in 0..self.take_answers(chunk, tally)? {
            self.begin(plan, work, tally)?;
        }
        self.flush()
    }

    /// Reads what is there; tells how many requests are answered by it.
    pub(super) fn take_answers(
        &mut self,
        chunk: &mut [u8],
        tally: &mut Tally,
    ) -> anyhow::Result<usize> {
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
        let (mut used, mut answered) = (0, 0);
        while let Some(taken) = self.client.answer(&self.input[used..], &mut self.claims)? {
            used += taken.bytes;
            if let Some(messages) = taken.messages {
                ensure!(messages > 0, "nothing was done");
                tally.done += messages;
                answered += 1;
            }
        }
        self.input.drain(..used);
        tally.under_way -= answered as u64;
        Ok(answered)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
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
