//! What a proxy costs: the same load on a server, directly and through a proxy.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::ensure;
use burrow_tests::crash::http::{Connection, Request};

use crate::Size;
use crate::contest::{BATCH, CONNECTIONS};
use crate::load::{Plan, Speech, run as run_load};
use crate::report::{Report, decimal, median};
use crate::server::Server;

/// The two ways to the same server.
struct Ways {
    name: &'static str,
    direct: Server,
    proxy: Server,
}

/// What is done: batches are whole lives, single messages are put.
#[derive(Clone, Copy)]
struct Load {
    speech: Speech,
    depth: usize,
    batch: u64,
}

pub fn run(size: Size) -> anyhow::Result<()> {
    let folder = crate::server::data_folder()?;
    let ways = |name, data| {
        let direct = Server::burrow(data, &["--listen-wire=127.0.0.1:0"])?;
        let proxy = Server::proxy(direct.wire_address()?)?;
        anyhow::Ok(Ways {
            name,
            direct,
            proxy,
        })
    };
    let contestants = [ways("memory", None)?, ways("SQLite", Some(folder.path()))?];
    throughput(&contestants, size)?;
    latency(&contestants, size)?;
    println!("load, proxy and server share all cores; every answer checked");
    Ok(())
}

fn throughput(contestants: &[Ways], size: Size) -> anyhow::Result<()> {
    let columns = [
        "load",
        "server",
        "directly/s",
        "by proxy/s",
        "ratio",
        "wanted",
    ];
    let mut report = Report::new("proxy: messages for each second", &columns);
    let load = |speech, depth, batch| Load {
        speech,
        depth,
        batch,
    };
    let loads = [
        (
            "HTTP PUT, 50 connections, one at a time",
            load(Speech::Http, 1, 1),
        ),
        (
            "wire put, 50 connections, one at a time",
            load(Speech::Wire, 1, 1),
        ),
        (
            "wire put, 50 connections, 100 in flight",
            load(Speech::Wire, 100, 1),
        ),
        ("wire life, batches of 100", load(Speech::Wire, 1, BATCH)),
    ];
    for (name, load) in loads {
        for ways in contestants {
            let (mut direct, mut proxied, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..size.of(5, 1) {
                direct.push(rate(ways, &ways.direct, load, size)?);
                proxied.push(rate(ways, &ways.proxy, load, size)?);
                let last = direct.last().zip(proxied.last());
                ratios.extend(last.map(|(direct, proxied)| proxied / direct));
            }
            report.row(&[
                &name,
                &ways.name,
                &decimal(median(&mut direct), 0),
                &decimal(median(&mut proxied), 0),
                &decimal(median(&mut ratios), 2),
                &"0.7",
            ]);
        }
    }
    report.print();
    Ok(())
}

fn rate(ways: &Ways, front: &Server, load: Load, size: Size) -> anyhow::Result<f64> {
    let phases = run_load(&Plan {
        address: match load.speech {
            Speech::Wire => front.wire_address()?,
            _ => front.address,
        },
        speech: load.speech,
        queue: "proxy".to_owned(),
        connections: CONNECTIONS,
        depth: load.depth,
        batch: load.batch,
        body_bytes: crate::content::BODY_BYTES,
        insert_ms: size.of(1_500, 100),
        whole_life: load.batch > 1,
        server: None,
        per_second: None,
    })?;
    let messages = phases.first().map_or(0, |phase| phase.messages);
    let seconds: f64 = phases.iter().map(|phase| phase.seconds).sum();
    // They make room for the next, directly and so certainly.
    let mut connection = Connection::open(ways.direct.address)?;
    let cleared = connection.call(&Request::new("DELETE", "/v1.0"))?;
    ensure!(matches!(cleared.status, 204 | 404), "not cleared");
    Ok(messages as f64 / seconds)
}

fn latency(contestants: &[Ways], size: Size) -> anyhow::Result<()> {
    let columns = ["server", "way", "p50 us", "p99 us", "p99 added us"];
    let mut report = Report::new("proxy: one HTTP PUT after another", &columns);
    for ways in contestants {
        let mut direct = Vec::new();
        let mut proxied = Vec::new();
        let count = size.of(2_000, 20);
        // In turn, so that whatever else the machine does meets both.
        for round in 0..10 {
            direct.extend(spans(ways.direct.address, round, count / 10)?);
            proxied.extend(spans(ways.proxy.address, round + 10, count / 10)?);
        }
        let added = percentile(&mut proxied, 99) - percentile(&mut direct, 99);
        for (way, mut spans, added) in [
            ("directly", direct, String::new()),
            ("by proxy", proxied, decimal(added, 0)),
        ] {
            report.row(&[
                &ways.name,
                &way,
                &decimal(percentile(&mut spans, 50), 0),
                &decimal(percentile(&mut spans, 99), 0),
                &added,
            ]);
        }
    }
    report.print();
    Ok(())
}

/// Microseconds that each of so many puts takes.
fn spans(address: SocketAddr, round: u64, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(address)?;
    let mut spans = Vec::new();
    for number in 0..count {
        let target = format!("/v1.0/bench/latency/{round}-{number}");
        let put = Request::new("PUT", target).with_body([b'x'; 100]);
        let started = Instant::now();
        let answer = connection.call(&put)?;
        spans.push(started.elapsed().as_secs_f64() * 1e6);
        ensure!(answer.status == 201, "status {}", answer.status);
    }
    Ok(spans)
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = values.len() * percent / 100;
    values.get(place).copied().unwrap_or_default()
}
