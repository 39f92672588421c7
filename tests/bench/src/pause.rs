//! How long anything stands still while a large backlog is checkpointed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use burrow_core::{Command, Detail, NewMessage};
use burrow_tests::crash::http::Connection;

use crate::Size;
use crate::content::{self, Id};
use crate::drive::{Driver, claim, queue, read_claims};
use crate::lives;
use crate::report::{Report, decimal};
use crate::server::{Server, data_folder, thread_cpu};

const STEADY_INTERVAL: Duration = Duration::from_millis(4);

/// The longest that one kind of call took.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    wall: Duration,
    /// Without the time in which other programs had the processor.
    cpu: Duration,
    calls: u64,
}

impl Longest {
    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let (started, cpu) = (Instant::now(), thread_cpu());
        let value = call();
        self.wall = self.wall.max(started.elapsed());
        self.cpu = self.cpu.max(thread_cpu().saturating_sub(cpu));
        self.calls += 1;
        value
    }
}

pub fn run(size: Size) -> anyhow::Result<()> {
    tables(size)?.iter().for_each(Report::print);
    Ok(())
}

pub fn tables(size: Size) -> anyhow::Result<[Report; 2]> {
    Ok([node(size)?, server(size)?])
}

/// Every call of the node, by itself.
fn node(size: Size) -> anyhow::Result<Report> {
    let backlog = size.of(1_000_000, 20_000);
    let lives = size.of(3_000_000, 50_000);
    let calls = Calls::time(backlog, lives)?;
    Ok(calls.report(backlog, lives))
}

/// The longest call of a node with so many messages, in its own time, as so many come and go.
pub(crate) fn longest_call(backlog: u64, lives: u64) -> anyhow::Result<Duration> {
    let calls = Calls::time(backlog, lives)?.calls;
    Ok(calls
        .iter()
        .map(|(_, longest)| longest.cpu)
        .max()
        .unwrap_or_default())
}

/// The calls of a node, and what it wrote.
struct Calls {
    calls: [(&'static str, Longest); 4],
    bytes: u64,
    dropping: u64,
    largest: usize,
}

impl Calls {
    fn time(backlog: u64, lives: u64) -> anyhow::Result<Self> {
        let mut driver = Driver::new(true);
        let jobs = queue("jobs");
        driver.fill(&jobs, 0..backlog)?;
        let [mut submit, mut poll_batch, mut durable, mut reply] = [Longest::default(); 4];
        let (mut dropping, mut bytes, mut largest) = (0_u64, 0_u64, 0_usize);

        let mut step = |driver: &mut Driver, command: Command<'_>| -> anyhow::Result<_> {
            let now = driver.now();
            submit.time(|| driver.node.submit(now, command));
            while let Some(batch) = poll_batch.time(|| driver.node.poll_batch()) {
                bytes += batch.blob.len() as u64;
                largest = largest.max(batch.blob.len());
                dropping += u64::from(!batch.drops.is_empty());
                durable.time(|| driver.node.handle_durable(batch.sequence));
            }
            reply.time(|| driver.reply())
        };
        for number in backlog..backlog + lives {
            let id = Id::of(number);
            let message = NewMessage {
                id: Some(id.as_str().into()),
                body: content::body(number).into(),
                ..NewMessage::default()
            };
            step(
                &mut driver,
                Command::Put {
                    queue: jobs.clone(),
                    message,
                },
            )?;
            let claims = read_claims(&step(&mut driver, claim(&jobs, 1))?)?;
            ensure!(
                claims.len() == 1,
                "{} messages claimed instead of 1",
                claims.len()
            );
            for (id, token) in claims {
                let id = id.as_str().into();
                let delete = Command::DeleteMessage {
                    queue: jobs.clone(),
                    id,
                    claim: Some(token),
                    detail: Detail::None,
                };
                step(&mut driver, delete)?;
            }
        }
        let messages = driver.node.stats().messages;
        ensure!(
            messages == backlog,
            "{messages} messages instead of {backlog}"
        );

        Ok(Self {
            calls: [
                ("submit", submit),
                ("poll_batch", poll_batch),
                ("handle_durable", durable),
                ("poll_reply", reply),
            ],
            bytes,
            dropping,
            largest,
        })
    }

    fn report(&self, backlog: u64, lives: u64) -> Report {
        let columns = [
            "call of the node",
            "calls",
            "longest ms",
            "longest ms of its own",
            "wanted",
        ];
        let mut report = Report::new(
            "pause: one queue, single commands, a commit for each, checkpoints on the way",
            &columns,
        );
        for (name, longest) in &self.calls {
            let (wall, cpu) = (milliseconds(longest.wall), milliseconds(longest.cpu));
            report.row(&[name, &longest.calls, &wall, &cpu, &"10"]);
        }
        report.note(format!(
        "{backlog} messages all the time, {lives} more came and went; journal {} MB, {} commits dropped blobs, largest blob {} bytes",
        self.bytes >> 20, self.dropping, self.largest
    ));
        report
    }
}

/// What a client with a request every few milliseconds sees of it.
fn server(size: Size) -> anyhow::Result<Report> {
    let backlog = size.of(1_000_000, 20_000);
    let lives = size.of(1_000_000, 20_000);
    let folder = data_folder()?;
    let server = Server::burrow(Some(folder.path()), &[])?;
    lives::fill(server.address, "jobs", 0..backlog)?;
    let done = AtomicBool::new(false);
    let (worked, mut latencies) = std::thread::scope(|scope| {
        let steady = scope.spawn(|| steady_client(&server, &done));
        let worked = lives::on_connections(
            server.address,
            2,
            backlog..backlog + lives,
            100,
            |connection, numbers| lives::batch(connection, "jobs", numbers),
        );
        done.store(true, Ordering::Relaxed);
        (worked, steady.join())
    });
    worked?;
    let latencies = latencies
        .as_mut()
        .map_err(|_| anyhow::anyhow!("the steady client panicked"))?;
    let latencies = latencies
        .as_mut()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    latencies.sort_unstable();
    let (stored, put) = (
        lives::count(server.address, "jobs")?,
        lives::count(server.address, "steady")?,
    );
    ensure!(stored == backlog, "{stored} messages instead of {backlog}");
    ensure!(
        put == latencies.len() as u64,
        "{put} messages instead of {}",
        latencies.len()
    );

    let columns = [
        "latency of a durable PUT",
        "requests",
        "median ms",
        "99 % ms",
        "99.9 % ms",
        "longest ms",
    ];
    let title = "pause: a PUT every 4 ms, through the server, SQLite, checkpoints on the way";
    let mut report = Report::new(title, &columns);
    let at = |part: usize| {
        milliseconds(
            latencies
                .get((latencies.len() - 1) * part / 1_000)
                .copied()
                .unwrap_or_default(),
        )
    };
    report.row(&[
        &"steady client",
        &latencies.len(),
        &at(500),
        &at(990),
        &at(999),
        &at(1_000),
    ]);
    report.note(format!(
        "{backlog} messages all the time, {lives} more came and went in batches of 100 on 2 other connections"
    ));
    Ok(report)
}

/// Latencies from the moment at which each request was due.
fn steady_client(server: &Server, done: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(server.address)?;
    let mut latencies = Vec::new();
    let started = Instant::now();
    while !done.load(Ordering::Relaxed) {
        let due = STEADY_INTERVAL * u32::try_from(latencies.len())?;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        lives::put(&mut connection, "steady", latencies.len() as u64)?;
        latencies.push(started.elapsed().saturating_sub(due));
    }
    Ok(latencies)
}

fn milliseconds(duration: Duration) -> String {
    decimal(duration.as_secs_f64() * 1_000.0, 3)
}
