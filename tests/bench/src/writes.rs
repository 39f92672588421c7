//! Bytes that reach the disk for each byte of a message's body, over the message's life.

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use anyhow::ensure;

use crate::Size;
use crate::content::BODY_BYTES;
use crate::drive::{Driver, queue};
use crate::lives;
use crate::report::{Report, decimal};
use crate::server::{Server, data_folder};

/// Messages that are there all the time.
const BACKLOG: u64 = 10_000;

pub fn run(size: Size) -> anyhow::Result<()> {
    let columns = [
        "insert + claim + delete",
        "lives",
        "bytes a life",
        "bytes a body byte",
        "wanted",
    ];
    let title = "writes: bytes written over the life of a message, in steady state, for each byte of its body";
    let mut report = Report::new(title, &columns);
    let mut row = |name: &str, lives: u64, bytes: u64, wanted: &str| {
        let a_life = bytes as f64 / lives as f64;
        report.row(&[
            &name,
            &lives,
            &decimal(a_life, 1),
            &decimal(a_life / BODY_BYTES as f64, 2),
            &wanted,
        ]);
    };
    let lives = size.of(500_000, 10_000);
    for batch in [100, 1_000, 5_000] {
        row(
            &format!("journal of the node, {batch} messages a commit"),
            lives,
            journal_bytes(lives, batch)?,
            "2",
        );
    }
    for connections in [4, 50] {
        let disk = server_bytes(lives, |server, numbers| {
            lives::on_connections(
                server.address,
                connections,
                numbers,
                100,
                |connection, numbers| lives::batch(connection, "jobs", numbers),
            )
        })?;
        row(
            &format!("SQLite on disk, {connections} connections, batches of 100"),
            lives,
            disk,
            "2",
        );
    }
    let lives = size.of(100_000, 5_000);
    let disk = server_bytes(lives, |server, numbers| {
        lives::on_connections(server.address, 50, numbers, 100, |connection, numbers| {
            lives::single(connection, "jobs", numbers)
        })
    })?;
    row(
        "SQLite on disk, 50 connections, single messages",
        lives,
        disk,
        "",
    );
    report.print();
    println!(
        "disk: write_bytes of /proc/PID/io of the server; a queue of {BACKLOG} messages all the time"
    );
    Ok(())
}

/// Bytes of the node's batches, without any host, with so many messages a commit.
fn journal_bytes(lives: u64, batch: u64) -> anyhow::Result<u64> {
    let mut driver = Driver::new(true);
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
    lives: u64,
    work: impl Fn(&Server, std::ops::Range<u64>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let folder = data_folder()?;
    let in_memory = statfs(folder.path())?.filesystem_type() == TMPFS_MAGIC;
    ensure!(!in_memory, "{} is not on a disk", folder.path().display());
    let server = Server::burrow(Some(folder.path()), &[])?;
    lives::fill(server.address, "jobs", 0..BACKLOG)?;
    work(&server, BACKLOG..BACKLOG + lives)?;
    let before = server.written_bytes()?;
    work(&server, BACKLOG + lives..BACKLOG + 2 * lives)?;
    let written = server.written_bytes()? - before;
    let stored = lives::count(server.address, "jobs")?;
    ensure!(stored == BACKLOG, "{stored} messages instead of {BACKLOG}");
    Ok(written)
}
