//! Bytes that reach the disk for each byte of a message's body, over the message's life.

use std::ops::Range;

use anyhow::ensure;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::Size;
use crate::drive::{Carrier, Driver, queue};
use crate::lives::{self, Jobs};
use crate::report::{Report, decimal};
use crate::server::{Server, data_folder};

const BODIES: [usize; 3] = [100, 1_000, 10_000];
/// Messages that are there all the time. With the largest bodies they would be more than
/// SQLite's log holds, so there are fewer of these, too.
const BACKLOG: u64 = 10_000;
const SMALL_BACKLOG: u64 = 1_000;

/// How clients let messages come and go.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    connections: u64,
    batch: u64,
    wanted: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        name: "batches of 100, 4 connections",
        connections: 4,
        batch: 100,
        wanted: "2",
    },
    Way {
        name: "batches of 100, 50 connections",
        connections: 50,
        batch: 100,
        wanted: "2",
    },
    Way {
        name: "single, 50 connections",
        connections: 50,
        batch: 1,
        wanted: "",
    },
];

/// One row: what is done, and what it cost.
struct Row {
    name: String,
    body_bytes: usize,
    backlog: u64,
    lives: u64,
    bytes: u64,
    wanted: &'static str,
}

pub fn run(size: Size) -> anyhow::Result<()> {
    table(size)?.print();
    Ok(())
}

pub fn table(size: Size) -> anyhow::Result<Report> {
    let columns = [
        "insert + claim + delete",
        "body bytes",
        "there all the time",
        "lives",
        "bytes a life",
        "bytes a body byte",
        "wanted",
    ];
    let title = "writes: bytes written over the life of a message, in steady state, for each byte of its body";
    let mut report = Report::new(title, &columns);
    let mut add = |row: Row| {
        let a_life = row.bytes as f64 / row.lives as f64;
        report.row(&[
            &row.name,
            &row.body_bytes,
            &row.backlog,
            &row.lives,
            &decimal(a_life, 1),
            &decimal(a_life / row.body_bytes as f64, 2),
            &row.wanted,
        ]);
    };
    for body_bytes in BODIES {
        let lives = lives_of(body_bytes, size);
        let bytes = journal_bytes(body_bytes, lives, 100)?;
        add(Row {
            name: "journal of the node, batches of 100".into(),
            body_bytes,
            backlog: BACKLOG,
            lives,
            bytes,
            wanted: "2",
        });
    }
    for body_bytes in BODIES {
        for way in WAYS {
            let backlogs: &[u64] = match body_bytes {
                10_000 => &[SMALL_BACKLOG, BACKLOG],
                _ => &[BACKLOG],
            };
            for &backlog in backlogs {
                add(disk_row(way, body_bytes, backlog, size)?);
            }
        }
    }
    report.note("disk: write_bytes of /proc/PID/io of the server, which counts whole pages of the file system");
    Ok(report)
}

/// Enough for SQLite's log of 64 MB to be copied a few times.
fn lives_of(body_bytes: usize, size: Size) -> u64 {
    const JOURNAL_BYTES: u64 = 200_000_000;
    let lives = JOURNAL_BYTES / (body_bytes as u64 + 100);
    size.of(lives - lives % 5_000, 2_000)
}

fn disk_row(way: Way, body_bytes: usize, backlog: u64, size: Size) -> anyhow::Result<Row> {
    let lives = match way.batch {
        1 => lives_of(body_bytes, size).min(200_000),
        _ => lives_of(body_bytes, size),
    };
    let jobs = Jobs {
        queue: "jobs",
        body_bytes,
    };
    let bytes = server_bytes(jobs, backlog, lives, |server, numbers| {
        lives::on_connections(
            server.address,
            way.connections,
            numbers,
            100,
            |connection, numbers| match way.batch {
                1 => lives::single(connection, jobs, numbers),
                _ => lives::batch(connection, jobs, numbers),
            },
        )
    })?;
    Ok(Row {
        name: format!("SQLite on disk, {}", way.name),
        body_bytes,
        backlog,
        lives,
        bytes,
        wanted: way.wanted,
    })
}

/// Bytes of the node's batches, without any host, with so many messages a commit.
fn journal_bytes(body_bytes: usize, lives: u64, batch: u64) -> anyhow::Result<u64> {
    let mut driver = Driver::new(true);
    driver.body_bytes = body_bytes;
    let jobs = queue("jobs");
    driver.fill(&jobs, 0..BACKLOG)?;
    let mut before = 0;
    // The first half brings the journal into its steady state.
    for half in 0..2 {
        if half == 1 {
            before = driver.journal_bytes;
        }
        let first = BACKLOG + half * lives;
        for first in (first..first + lives).step_by(usize::try_from(batch)?) {
            driver.put_batch(&jobs, first..first + batch)?;
            let claims = driver.claim_batch(&jobs, batch)?;
            driver.delete_batch(&jobs, &claims)?;
        }
    }
    let messages = driver.node.stats().messages;
    ensure!(
        messages == BACKLOG,
        "{messages} messages instead of {BACKLOG}"
    );
    Ok(driver.journal_bytes - before)
}

/// What a server on a real disk writes while `work` lets so many messages come and go.
fn server_bytes(
    jobs: Jobs<'_>,
    backlog: u64,
    lives: u64,
    work: impl Fn(&Server, Range<u64>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let folder = data_folder()?;
    let in_memory = statfs(folder.path())?.filesystem_type() == TMPFS_MAGIC;
    ensure!(!in_memory, "{} is not on a disk", folder.path().display());
    let server = Server::burrow(Some(folder.path()), &[])?;
    lives::fill(server.address, jobs, 0..backlog)?;
    work(&server, backlog..backlog + lives)?;
    let before = server.written_bytes()?;
    work(&server, backlog + lives..backlog + 2 * lives)?;
    let written = server.written_bytes()? - before;
    let stored = lives::count(server.address, jobs.queue)?;
    ensure!(stored == backlog, "{stored} messages instead of {backlog}");
    Ok(written)
}
