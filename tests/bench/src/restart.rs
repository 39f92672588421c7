//! How long it takes until a server with many messages answers again.

use std::path::Path;

use anyhow::ensure;

use crate::Size;
use crate::lives;
use crate::report::{Report, decimal};
use crate::server::{Server, data_folder};

pub fn run(size: Size) -> anyhow::Result<()> {
    table(size)?.print();
    Ok(())
}

pub fn table(size: Size) -> anyhow::Result<Report> {
    let count = size.of(1_000_000, 20_000);
    let folder = data_folder()?;
    let columns = [
        "the journal before",
        "messages",
        "start s",
        "as told by the server",
        "wanted",
    ];
    let mut report = Report::new(
        "restart: from the start of the process to its first line, SQLite, 100-byte bodies",
        &columns,
    );

    let server = Server::burrow(Some(folder.path()), &[])?;
    lives::fill(server.address, "jobs", 0..count)?;
    server.kill()?;
    row(
        &mut report,
        "inserts only, then kill -9",
        folder.path(),
        count,
    )?;

    let server = Server::burrow(Some(folder.path()), &[])?;
    lives::on_connections(
        server.address,
        4,
        count..2 * count,
        1_000,
        |connection, numbers| lives::batch(connection, "jobs", numbers),
    )?;
    server.kill()?;
    row(
        &mut report,
        "as many lives more, with checkpoints, then kill -9",
        folder.path(),
        count,
    )?;

    Server::burrow(Some(folder.path()), &[])?.stop()?;
    row(
        &mut report,
        "the same, stopped in order",
        folder.path(),
        count,
    )?;
    Ok(report)
}

/// Starts three times; the slowest counts.
fn row(report: &mut Report, before: &str, folder: &Path, count: u64) -> anyhow::Result<()> {
    let (mut slowest, mut processor, mut told) = (0.0_f64, 0.0, String::new());
    for _ in 0..3 {
        let server = Server::burrow(Some(folder), &[])?;
        let processor_time = server.cpu_time()?;
        let stored = lives::count(server.address, "jobs")?;
        ensure!(stored == count, "{stored} messages instead of {count}");
        if server.start_time.as_secs_f64() > slowest {
            slowest = server.start_time.as_secs_f64();
            processor = processor_time.as_secs_f64();
            told = server
                .greeting
                .rsplit("restored in ")
                .next()
                .unwrap_or_default()
                .to_owned();
        }
        server.kill()?;
    }
    report.row(&[
        &before,
        &count,
        &decimal(slowest, 2),
        &decimal(processor, 2),
        &told,
        &"2",
    ]);
    Ok(())
}
