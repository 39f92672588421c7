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

const QUEUE: &str = "latency";

/// A row for every server of a queue among the contestants. The echo among them, at the same
/// pace, shows what this machine and the load have of their own in it.
pub fn table(size: Size, contestants: &[Contestant], rounds: u64) -> anyhow::Result<Report> {
    let columns = [
        "server",
        "inserts/s",
        "p50 us",
        "p99 us",
        "p99 to p50",
        "spread",
        "wanted",
        "echo's p50 us",
        "echo's p99 us",
    ];
    let title = "latency: single messages at 70 % of the throughput of 50 connections";
    let mut report = Report::new(title, &columns);
    let echo = contestants
        .iter()
        .find_map(|contestant| match contestant.kind {
            Kind::Server {
                address,
                speech: Speech::Echo,
                ..
            } => Some(address),
            _ => None,
        });
    let echo = echo.context("no echo")?;
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
        let mut paces = Vec::new();
        let (mut p50, mut p99, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut echo_p50, mut echo_p99) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let round = || {
                let pace = highest(size, *address, *speech, *rest)? * SHARE;
                let own = paced(size, *address, *speech, pace)?;
                clear(*rest)?;
                anyhow::Ok((pace, own, paced(size, echo, Speech::Echo, pace)?))
            };
            let (pace, own, echo) = round().with_context(|| contestant.name.clone())?;
            paces.push(pace);
            p50.push(own.p50_us);
            p99.push(own.p99_us);
            ratios.push(own.p99_us / own.p50_us);
            echo_p50.push(echo.p50_us);
            echo_p99.push(echo.p99_us);
        }
        report.row(&[
            &contestant.name,
            &decimal(median(&mut paces), 0),
            &decimal(median(&mut p50), 0),
            &decimal(median(&mut p99), 0),
            &decimal(median(&mut ratios), 1),
            &spread(&ratios, 1),
            &"5",
            &decimal(median(&mut echo_p50), 0),
            &decimal(median(&mut echo_p99), 0),
        ]);
    }
    report.note(
        "Each request is sent when it is due, whatever is unanswered, and its time begins then. \
         Checkpoints of the journal and of SQLite's log are on the way. After each turn the echo has one at the same pace.",
    );
    Ok(report)
}

/// Messages for each second, as many as are answered.
fn highest(
    size: Size,
    address: SocketAddr,
    speech: Speech,
    rest: SocketAddr,
) -> anyhow::Result<f64> {
    let phases = apart(&plan(address, speech, size.of(1_000, 20), None))?;
    clear(rest)?;
    Ok(phases.first().context("no phase")?.rate())
}

fn paced(
    size: Size,
    address: SocketAddr,
    speech: Speech,
    per_second: f64,
) -> anyhow::Result<Latency> {
    let phases = apart(&plan(address, speech, size.of(3_000, 20), Some(per_second)))?;
    let latency = phases.first().and_then(|phase| phase.latency);
    latency.context("no latency")
}

fn plan(address: SocketAddr, speech: Speech, insert_ms: u64, per_second: Option<f64>) -> Plan {
    Plan {
        address,
        speech,
        queue: QUEUE.to_owned(),
        connections: CONNECTIONS,
        depth: 1,
        batch: 1,
        body_bytes: BODY_BYTES,
        insert_ms,
        whole_life: false,
        server: None,
        per_second,
    }
}

fn clear(rest: SocketAddr) -> anyhow::Result<()> {
    let target = format!("/v1.0/bench/{QUEUE}?match_hidden=true");
    let cleared = Connection::open(rest)?.call(&Request::new("DELETE", target))?;
    ensure!(cleared.status == 204, "not cleared: {}", cleared.text());
    Ok(())
}
