//! What a proxy costs: the same load on a server, directly and through a proxy.

use std::time::Instant;

use anyhow::ensure;
use burrow_core::{Command, NewMessage, QueueName, Reply};
use burrow_tests::conformance::WireHost;
use burrow_tests::crash::http::{Connection, Request};

use crate::contest::{BATCH, CONNECTIONS, Options};
use crate::load::{Plan, Speech, run as run_load};
use crate::plot::{self, Bar, Bars};
use crate::report::{Report, Run, decimal, median, spread};
use crate::server::Server;
use crate::{Size, report};

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

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = report::Header::take();
    header.print();
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
    let (mut table, bars) = throughput(&contestants, size, options)?;
    table.note(format!(
        "{} rounds, directly and by the proxy in turn; medians. A ratio is that of one round. Load, proxy and server \
         share all cores; every answer checked.",
        options.rounds(size, 5)
    ));
    let run = Run {
        header,
        tables: vec![table, latency(&contestants, size)?],
    };
    options.publish("proxy", &run, |file| {
        plot::bars(file, std::slice::from_ref(&bars))
    })
}

fn throughput(
    contestants: &[Ways],
    size: Size,
    options: &Options,
) -> anyhow::Result<(Report, Bars)> {
    let columns = [
        "load",
        "server",
        "directly/s",
        "by proxy/s",
        "ratio",
        "spread",
        "wanted",
    ];
    let mut report = Report::new("proxy: messages for each second", &columns);
    let mut bars = Vec::new();
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
            for _ in 0..options.rounds(size, 5) {
                let insert_ms = options.insert_ms(size, 1_500);
                direct.push(rate(ways, &ways.direct, load, insert_ms)?);
                proxied.push(rate(ways, &ways.proxy, load, insert_ms)?);
                let last = direct.last().zip(proxied.last());
                ratios.extend(last.map(|(direct, proxied)| proxied / direct));
            }
            let ratio = median(&mut ratios);
            report.row(&[
                &name,
                &ways.name,
                &decimal(median(&mut direct), 0),
                &decimal(median(&mut proxied), 0),
                &decimal(ratio, 2),
                &spread(&ratios, 2),
                &"0.70",
            ]);
            bars.push(Bar {
                name: format!("{name}, {}", ways.name),
                value: ratio,
                least: ratios.first().copied().unwrap_or_default(),
                most: ratios.last().copied().unwrap_or_default(),
            });
        }
    }
    let title = "proxy: messages by the proxy to those without".to_owned();
    Ok((report, Bars { title, bars }))
}

fn rate(ways: &Ways, front: &Server, load: Load, insert_ms: u64) -> anyhow::Result<f64> {
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
        insert_ms,
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

fn latency(contestants: &[Ways], size: Size) -> anyhow::Result<Report> {
    let columns = [
        "request",
        "server",
        "way",
        "p50 us",
        "p99 us",
        "p99 added us",
    ];
    let mut report = Report::new("proxy: one request after another", &columns);
    let speeches: [(&str, Spans); 2] = [("HTTP PUT", http_spans), ("wire put", wire_spans)];
    for (request, spans) in speeches {
        for ways in contestants {
            let mut direct = Vec::new();
            let mut proxied = Vec::new();
            let count = size.of(2_000, 20);
            // In turn, so that whatever else the machine does meets both.
            for round in 0..10 {
                let ids = |way: &str| format!("{request} {way} {round}").replace(' ', "-");
                direct.extend(spans(&ways.direct, &ids("direct"), count / 10)?);
                proxied.extend(spans(&ways.proxy, &ids("proxied"), count / 10)?);
            }
            let added = percentile(&mut proxied, 99) - percentile(&mut direct, 99);
            for (way, mut spans, added) in [
                ("directly", direct, String::new()),
                ("by proxy", proxied, decimal(added, 0)),
            ] {
                report.row(&[
                    &request,
                    &ways.name,
                    &way,
                    &decimal(percentile(&mut spans, 50), 0),
                    &decimal(percentile(&mut spans, 99), 0),
                    &added,
                ]);
            }
        }
    }
    Ok(report)
}

/// Microseconds that each of so many puts takes, whose ids begin so.
type Spans = fn(&Server, &str, u64) -> anyhow::Result<Vec<f64>>;

fn http_spans(server: &Server, ids: &str, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(server.address)?;
    let mut spans = Vec::new();
    for number in 0..count {
        let target = format!("/v1.0/bench/latency/{ids}-{number}");
        let put = Request::new("PUT", target).with_body([b'x'; 100]);
        let started = Instant::now();
        let answer = connection.call(&put)?;
        spans.push(started.elapsed().as_secs_f64() * 1e6);
        ensure!(answer.status == 201, "status {}", answer.status);
    }
    Ok(spans)
}

fn wire_spans(server: &Server, ids: &str, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut connection = WireHost::connect(server.address, server.wire_address()?)?;
    let mut spans = Vec::new();
    for number in 0..count {
        let put = Command::Put {
            queue: QueueName {
                account: "bench".into(),
                queue: "latency".into(),
            },
            message: NewMessage {
                id: Some(format!("{ids}-{number}").into()),
                body: [b'x'; 100].as_slice().into(),
                ..NewMessage::default()
            },
        };
        let started = Instant::now();
        let outcome = connection.call(&put)?;
        spans.push(started.elapsed().as_secs_f64() * 1e6);
        ensure!(outcome == Ok(Reply::Put { created: true }), "{outcome:?}");
    }
    Ok(spans)
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = values.len() * percent / 100;
    values.get(place).copied().unwrap_or_default()
}
