//! How cost grows with what is there: messages, hidden ones, queues, waiters, the size of bodies,
//! connections, and the backlog at a restart.

use std::time::Duration;

use anyhow::{Context, ensure};
use burrow_core::{Command, Detail, NewMessage};

use crate::content::{self, Id};
use crate::contest::Options;
use crate::drive::{Carrier, Driver, claim, queue};
use crate::load::{Plan, Speech, apart};
use crate::machine::{Bed, Laps};
use crate::memory::{Contents, measure_apart};
use crate::plot::{self, Line, Lines};
use crate::report::{Header, Report, Run, decimal, median, spread};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, data_folder, pin, thread_cpu, unpin};
use crate::{Size, lives, pause};

/// Lives that are timed at once.
const LIVES: u64 = 2_000;
const SMALL: u64 = 1_000;

/// A way in which contents grow: how to make so many, what to do with them, how large they are.
struct Growth {
    name: &'static str,
    most: u64,
    make: fn(bool, u64) -> anyhow::Result<Bed>,
    step: fn(&mut Bed, u64) -> anyhow::Result<Laps>,
    contents: Contents,
}

const GROWTHS: [Growth; 4] = [
    Growth {
        name: "messages",
        most: 10_000_000,
        make: Bed::messages,
        step: Bed::single_laps,
        contents: Contents::Messages,
    },
    Growth {
        name: "hidden messages",
        most: 1_000_000,
        make: Bed::hidden,
        step: Bed::single_laps,
        contents: Contents::ClaimedMessages,
    },
    Growth {
        name: "queues",
        most: 1_000_000,
        make: Bed::queues,
        step: Bed::single_laps,
        contents: Contents::QueuesWithOneMessage,
    },
    Growth {
        name: "waiters",
        most: 100_000,
        make: Bed::waiters,
        step: Bed::wake_laps,
        contents: Contents::Waiters,
    },
];

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = Header::take();
    header.print();
    let rounds = options.rounds(size, 7);
    let insert_ms = options.insert_ms(size, 500);
    let mut tables = Vec::new();
    let mut plots = Vec::new();
    contents(size, rounds, &mut tables, &mut plots)?;
    for part in [
        bodies(size, rounds)?,
        connections(size, rounds.min(3), insert_ms)?,
        restarts(size)?,
        pauses(size)?,
    ] {
        tables.push(part.0);
        plots.push(part.1);
    }
    let run = Run { header, tables };
    options.publish("growth", &run, |file| plot::lines(file, &plots))
}

/// So many, ten times as many, and so on.
fn decades(from: u64, most: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(from), |count| Some(count * 10))
        .take_while(move |count| *count <= most)
}

/// Time for a life, and bytes for each, as the machine holds more.
fn contents(
    size: Size,
    rounds: u64,
    tables: &mut Vec<Report>,
    plots: &mut Vec<Lines>,
) -> anyhow::Result<()> {
    let columns = [
        "contents",
        "count",
        "ns for a life",
        "spread",
        "to the first",
        "resident bytes",
        "allocated bytes",
    ];
    let mut report = Report::new(
        "growth: the machine with a journal, as it holds more",
        &columns,
    );
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for growth in &GROWTHS {
        let (mut time_points, mut byte_points, mut first) = (Vec::new(), Vec::new(), None);
        for count in decades(SMALL, size.of(growth.most, SMALL)) {
            let mut bed = (growth.make)(true, count)?;
            let mut samples = Vec::new();
            // The first round warms up.
            for round in 0..=rounds {
                let laps = (growth.step)(&mut bed, LIVES)?;
                let total: Duration = laps.iter().map(|(_, took)| *took).sum();
                if round > 0 {
                    samples.push(total.as_nanos() as f64 / LIVES as f64);
                }
            }
            bed.check()?;
            drop(bed);
            let (resident, allocated) = measure_apart(growth.contents, count)?;
            let time = median(&mut samples);
            let first = *first.get_or_insert(time);
            report.row(&[
                &growth.name,
                &count,
                &decimal(time, 0),
                &spread(&samples, 0),
                &decimal(time / first, 2),
                &decimal(resident, 1),
                &decimal(allocated, 1),
            ]);
            time_points.push((count as f64, time));
            byte_points.push((count as f64, allocated));
        }
        let line = |points| Line {
            name: growth.name.to_owned(),
            points,
        };
        times.push(line(time_points));
        bytes.push(line(byte_points));
    }
    report.note("A life is insert, claim and delete, 50 commands a commit; with waiters, a put that wakes one and a new one in its place. Wanted: at most 1.5 to the first.");
    tables.push(report);
    plots.push(chart("time for a life", "there", "ns", times));
    plots.push(chart("memory for each, allocated", "there", "bytes", bytes));
    Ok(())
}

fn chart(title: &str, x: &str, y: &str, lines: Vec<Line>) -> Lines {
    Lines {
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        lines,
    }
}

fn one_line(title: &str, x: &str, y: &str, points: Vec<(f64, f64)>) -> Lines {
    let name = y.to_owned();
    chart(title, x, y, vec![Line { name, points }])
}

/// Time for a life as its body grows.
fn bodies(size: Size, rounds: u64) -> anyhow::Result<(Report, Lines)> {
    let columns = [
        "body bytes",
        "ns for a life",
        "spread",
        "journal bytes to body",
    ];
    let mut report = Report::new(
        "growth: the machine with a journal, one message there, larger bodies",
        &columns,
    );
    let mut points = Vec::new();
    for bytes in decades(10, size.of(1_000_000, 100)) {
        let mut driver = Driver::new(true);
        let lives = (20_000_000 / bytes).clamp(20, LIVES);
        let (mut samples, mut next) = (Vec::new(), 0);
        for _ in 0..rounds {
            let started = thread_cpu();
            for number in next..next + lives {
                body_life(&mut driver, number, usize::try_from(bytes)?)?;
            }
            samples.push((thread_cpu() - started).as_nanos() as f64 / lives as f64);
            next += lives;
        }
        let time = median(&mut samples);
        let journal = driver.journal_bytes as f64 / (next * bytes) as f64;
        report.row(&[
            &bytes,
            &decimal(time, 0),
            &spread(&samples, 0),
            &decimal(journal, 2),
        ]);
        points.push((bytes as f64, time));
    }
    Ok((
        report,
        one_line("larger bodies", "bytes of a body", "ns for a life", points),
    ))
}

fn body_life(driver: &mut Driver, number: u64, bytes: usize) -> anyhow::Result<()> {
    let (jobs, id) = (queue("jobs"), Id::of(number));
    let message = NewMessage {
        id: Some(id.as_str().into()),
        body: content::body_of(number, bytes).into(),
        ..NewMessage::default()
    };
    driver.call(Command::Put {
        queue: jobs.clone(),
        message,
    })?;
    let burrow_core::Reply::Messages(claimed) = driver.call(claim(&jobs, 1))? else {
        anyhow::bail!("no message was claimed")
    };
    let message = claimed.iter().next().context("no message was claimed")?;
    ensure!(
        message.body.len() == bytes,
        "a body of {} bytes",
        message.body.len()
    );
    let delete = Command::DeleteMessage {
        queue: jobs,
        id: id.as_str().into(),
        claim: message.claim,
        detail: Detail::None,
    };
    driver.call(delete)?;
    Ok(())
}

/// Inserts over HTTP as connections become more.
fn connections(size: Size, rounds: u64, insert_ms: u64) -> anyhow::Result<(Report, Lines)> {
    let files = crate::server::allow_open_files()?;
    pin(SERVER_CORE)?;
    let server = Server::burrow(None, &[])?;
    pin(LOAD_CORE)?;
    let columns = ["connections", "messages/s", "spread", "server busy"];
    let mut report = Report::new(
        "growth: HTTP, memory, one PUT at a time on each connection",
        &columns,
    );
    let mut points = Vec::new();
    for connections in decades(1, size.of(10_000, 10)) {
        // The load and the server need some files more.
        if files < connections + 200 {
            report.note(format!(
                "{connections} connections: only {files} open files are allowed"
            ));
            break;
        }
        let (mut rates, mut busy) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let phases = apart(&Plan {
                address: server.address,
                speech: Speech::Http,
                queue: format!("connections-{connections}-{round}"),
                connections: usize::try_from(connections)?,
                depth: 1,
                batch: 1,
                body_bytes: content::BODY_BYTES,
                insert_ms,
                whole_life: true,
                server: Some(server.process()),
                per_second: None,
            })?;
            let insert = phases.first().context("nothing was measured")?;
            rates.push(insert.rate());
            busy.push(insert.server_busy);
        }
        let rate = median(&mut rates);
        let busy = format!("{:.0} %", 100.0 * median(&mut busy));
        report.row(&[&connections, &decimal(rate, 0), &spread(&rates, 0), &busy]);
        points.push((connections as f64, rate));
    }
    unpin()?;
    Ok((
        report,
        one_line("more connections", "connections", "messages/s", points),
    ))
}

/// The time until a server answers again, by the messages that it holds.
fn restarts(size: Size) -> anyhow::Result<(Report, Lines)> {
    let columns = ["messages", "start s", "spread"];
    let mut report = Report::new(
        "growth: start after a kill -9, SQLite, inserts only",
        &columns,
    );
    let mut points = Vec::new();
    for count in decades(SMALL, size.of(1_000_000, SMALL)) {
        let folder = data_folder()?;
        let server = Server::burrow(Some(folder.path()), &[])?;
        lives::fill(server.address, "jobs", 0..count)?;
        server.kill()?;
        let mut samples = Vec::new();
        for _ in 0..3 {
            let server = Server::burrow(Some(folder.path()), &[])?;
            let stored = lives::count(server.address, "jobs")?;
            ensure!(stored == count, "{stored} messages instead of {count}");
            samples.push(server.start_time.as_secs_f64());
            server.kill()?;
        }
        let time = median(&mut samples);
        report.row(&[&count, &decimal(time, 3), &spread(&samples, 3)]);
        points.push((count as f64, time));
    }
    Ok((report, one_line("restart", "messages", "s", points)))
}

/// The longest call of the machine while a checkpoint is under way, by the messages it holds.
fn pauses(size: Size) -> anyhow::Result<(Report, Lines)> {
    let columns = ["messages", "lives", "longest ms of its own"];
    let mut report = Report::new(
        "growth: the longest call of the machine, checkpoints on the way",
        &columns,
    );
    let mut points = Vec::new();
    for count in decades(SMALL, size.of(1_000_000, SMALL)) {
        // As many again come and go: a checkpoint of all is made at least once.
        let lives = (2 * count).max(100_000).min(size.of(u64::MAX, 1_000));
        let longest = pause::longest_call(count, lives)?.as_secs_f64() * 1_000.0;
        report.row(&[&count, &lives, &decimal(longest, 3)]);
        points.push((count as f64, longest));
    }
    Ok((
        report,
        one_line("checkpoint pause", "messages", "ms", points),
    ))
}
