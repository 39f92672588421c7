//! How long the slowest answers take where a server is busy, but not at its limit.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use burrow_tests::crash::http::{Connection, Request};

use crate::Size;
use crate::content::BODY_BYTES;
use crate::contest::{CONNECTIONS, Contestant, Kind};
use crate::load::{Latency, Plan, Speech, apart};
use crate::report::{Report, decimal, median, spread};

/// The share of the highest throughput that is asked for.
const SHARE: f64 = 0.7;

/// A row for every server of a queue among the contestants.
pub fn table(size: Size, contestants: &[Contestant], rounds: u64) -> anyhow::Result<Report> {
    let columns = [
        "server",
        "inserts/s",
        "p50 us",
        "p99 us",
        "p99 to p50",
        "spread",
        "wanted",
    ];
    let title = "latency: single messages at 70 % of the throughput of 50 connections";
    let mut report = Report::new(title, &columns);
    for contestant in contestants {
        let Kind::Server {
            address,
            speech,
            rest: Some(rest),
            ..
        } = &contestant.kind
        else {
            continue;
        };
        let (mut paces, mut p50, mut p99, mut ratios) = (vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            let (pace, latency) =
                round(size, *address, *speech, *rest).with_context(|| contestant.name.clone())?;
            paces.push(pace);
            p50.push(latency.p50_us);
            p99.push(latency.p99_us);
            ratios.push(latency.p99_us / latency.p50_us);
        }
        report.row(&[
            &contestant.name,
            &decimal(median(&mut paces), 0),
            &decimal(median(&mut p50), 0),
            &decimal(median(&mut p99), 0),
            &decimal(median(&mut ratios), 1),
            &spread(&ratios, 1),
            &"5",
        ]);
    }
    report.note(
        "Each request is sent when it is due, whatever is unanswered, and its time begins then. \
         Checkpoints of the journal and of SQLite's log are on the way.",
    );
    Ok(report)
}

/// The pace, and what came of it.
fn round(
    size: Size,
    address: SocketAddr,
    speech: Speech,
    rest: SocketAddr,
) -> anyhow::Result<(f64, Latency)> {
    let queue = "latency";
    let mut plan = Plan {
        address,
        speech,
        queue: queue.to_owned(),
        connections: CONNECTIONS,
        depth: 1,
        batch: 1,
        body_bytes: BODY_BYTES,
        insert_ms: size.of(1_000, 20),
        whole_life: false,
        server: None,
        per_second: None,
    };
    let highest = apart(&plan)?.first().context("no phase")?.rate();
    clear(rest, queue)?;
    plan.per_second = Some(highest * SHARE);
    plan.insert_ms = size.of(3_000, 20);
    let phases = apart(&plan)?;
    clear(rest, queue)?;
    let latency = phases.first().and_then(|phase| phase.latency);
    Ok((highest * SHARE, latency.context("no latency")?))
}

fn clear(rest: SocketAddr, queue: &str) -> anyhow::Result<()> {
    let target = format!("/v1.0/bench/{queue}?match_hidden=true");
    let cleared = Connection::open(rest)?.call(&Request::new("DELETE", target))?;
    ensure!(cleared.status == 204, "not cleared: {}", cleared.text());
    Ok(())
}
