//! Messages for each second over the wire protocol, beside a bare TCP echo.

pub mod load;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use burrow_tests::crash::http::{Connection, Request};

use self::load::{Plan, Work};
use crate::Size;
use crate::http::load as http_load;
use crate::report::{Report, decimal, median};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, pin, thread_cpu, unpin};

const CONNECTIONS: usize = 50;

/// A server, and where it speaks the wire protocol; the echo does not.
struct Contestant {
    name: &'static str,
    server: Server,
    wire: Option<SocketAddr>,
}

#[derive(Default)]
struct Row {
    rates: Vec<f64>,
    ratios: Vec<f64>,
    server_busy: Vec<f64>,
    load_busy: Vec<f64>,
}

pub fn run(size: Size) -> anyhow::Result<()> {
    let folder = crate::server::data_folder()?;
    pin(SERVER_CORE)?;
    let burrow = |name, data| {
        let server = Server::burrow(data, &["--listen-wire=127.0.0.1:0"])?;
        let wire = wire_address(&server.greeting).context("no wire address")?;
        anyhow::Ok(Contestant {
            name,
            server,
            wire: Some(wire),
        })
    };
    let contestants = [
        Contestant {
            name: "TCP echo (tokio, one thread)",
            server: Server::echo()?,
            wire: None,
        },
        burrow("wire, memory", None)?,
        burrow("wire, SQLite", Some(folder.path()))?,
    ];
    pin(LOAD_CORE)?;
    let tables = [
        (
            Work::Insert { depth: 1 },
            "wire: inserts, 50 connections, one at a time on each",
            ["1", "0.90", "0.65"],
        ),
        (
            Work::Insert { depth: 100 },
            "wire: inserts, 50 connections, 100 in flight on each",
            ["", "", ""],
        ),
        (
            Work::Life,
            "wire: put, claim and delete in batches of 100, 50 connections; the echo: one request at a time",
            ["", "", "300,000/s"],
        ),
    ];
    for (work, title, goals) in tables {
        print(
            title,
            &contestants,
            measure(&contestants, work, size)?,
            goals,
        );
    }
    println!(
        "server on core {SERVER_CORE}, load on core {LOAD_CORE}; every answer checked, every message counted; the load is the limit where it is busier than the server"
    );
    unpin()
}

/// Where a server that has said this speaks the wire protocol.
pub(crate) fn wire_address(greeting: &str) -> Option<SocketAddr> {
    let (_, wire) = greeting.split_once(", wire on ")?;
    wire.split(',').next()?.parse().ok()
}

fn print(title: &'static str, contestants: &[Contestant], rows: Vec<Row>, goals: [&str; 3]) {
    let columns = [
        "server",
        "messages/s",
        "of echo",
        "spread",
        "wanted",
        "server busy",
        "load busy",
    ];
    let mut report = Report::new(title, &columns);
    for ((contestant, mut row), goal) in contestants.iter().zip(rows).zip(goals) {
        let ratio = decimal(median(&mut row.ratios), 3);
        let spread = format!(
            "{:.3} to {:.3}",
            row.ratios[0],
            row.ratios[row.ratios.len() - 1]
        );
        let rate = decimal(median(&mut row.rates), 0);
        let busy = [&mut row.server_busy, &mut row.load_busy]
            .map(|busy| format!("{:.0} %", 100.0 * median(busy)));
        report.row(&[
            &contestant.name,
            &rate,
            &ratio,
            &spread,
            &goal,
            &busy[0],
            &busy[1],
        ]);
    }
    report.print();
}

/// All contestants in turn, round after round.
fn measure(contestants: &[Contestant], work: Work, size: Size) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = contestants.iter().map(|_| Row::default()).collect();
    let duration = Duration::from_millis(size.of(2_000, 100));
    for round in 0..size.of(7, 2) {
        let queue = format!("round-{round}");
        let mut echo_rate = None;
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            let server = &contestant.server;
            let (server_cpu, load_cpu) = (server.cpu_time()?, thread_cpu());
            let outcome = match contestant.wire {
                None => http_load::run(&echo_plan(server.address, work, duration))?,
                Some(address) => load::run(&Plan {
                    address,
                    work,
                    queue: &queue,
                    connections: CONNECTIONS,
                    duration,
                })?,
            };
            let seconds = outcome.elapsed.as_secs_f64();
            row.server_busy
                .push((server.cpu_time()? - server_cpu).as_secs_f64() / seconds);
            row.load_busy
                .push((thread_cpu() - load_cpu).as_secs_f64() / seconds);
            row.rates.push(outcome.rate());
            row.ratios
                .push(outcome.rate() / *echo_rate.get_or_insert(outcome.rate()));
            if contestant.wire.is_some() {
                let expected = match work {
                    Work::Insert { .. } => outcome.answered,
                    Work::Life => 0,
                };
                count_and_clear(server, expected)?;
            }
        }
    }
    Ok(rows)
}

fn echo_plan(address: SocketAddr, work: Work, duration: Duration) -> http_load::Plan<'static> {
    http_load::Plan {
        address,
        protocol: http_load::Protocol::Echo,
        queue: "echo",
        connections: CONNECTIONS,
        depth: match work {
            Work::Insert { depth } => depth,
            Work::Life => 1,
        },
        duration,
    }
}

/// Every answered message must be there; they make room for the next round.
fn count_and_clear(server: &Server, expected: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address)?;
    let response = connection.call(&Request::new("GET", "/v1.0/bench?detail=id"))?;
    let mut stored = 0;
    if response.status == 200 {
        for queue in response.json().as_array().into_iter().flatten() {
            let queue = queue.as_str().unwrap_or_default();
            let target = format!("/v1.0/bench/{queue}?detail=id");
            let response = connection.call(&Request::new("GET", &target))?;
            stored += response.json().as_array().map_or(0, Vec::len) as u64;
        }
        connection.call(&Request::new("DELETE", "/v1.0/bench"))?;
    }
    ensure!(
        stored == expected,
        "{stored} messages are stored, {expected} were acknowledged"
    );
    Ok(())
}
