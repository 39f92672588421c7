//! Requests for each second through the real server, beside a bare TCP echo.

pub mod echo;
pub mod load;

use std::time::Duration;

use anyhow::ensure;
use burrow_tests::crash::http::{Connection, Request};

use self::load::{Plan, Protocol};
use crate::Size;
use crate::report::{Report, decimal, median};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, pin, thread_cpu};

const CONNECTIONS: usize = 50;

struct Contestant {
    name: &'static str,
    protocol: Protocol,
    server: Server,
}

/// One contestant's figures of all rounds.
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
    let contestants = [
        Contestant {
            name: "TCP echo (tokio, one thread)",
            protocol: Protocol::Echo,
            server: Server::echo()?,
        },
        Contestant {
            name: "HTTP PUT, memory",
            protocol: Protocol::Http,
            server: Server::burrow(None, &[])?,
        },
        Contestant {
            name: "HTTP PUT, SQLite",
            protocol: Protocol::Http,
            server: Server::burrow(Some(folder.path()), &[])?,
        },
    ];
    pin(LOAD_CORE)?;
    for (depth, title, goals) in [
        (
            1,
            "http: 50 connections, one request at a time on each",
            ["1", "0.72", "0.55"],
        ),
        (
            100,
            "http: 50 connections, 100 requests in flight on each",
            ["", "", ""],
        ),
    ] {
        let rows = measure(&contestants, depth, size)?;
        let columns = [
            "server",
            "requests/s",
            "of echo",
            "spread",
            "wanted",
            "server busy",
            "load busy",
        ];
        let mut report = Report::new(title, &columns);
        for ((contestant, row), goal) in contestants.iter().zip(rows).zip(goals) {
            let Row {
                mut rates,
                mut ratios,
                mut server_busy,
                mut load_busy,
            } = row;
            let ratio = decimal(median(&mut ratios), 3);
            let spread = format!("{:.3} to {:.3}", ratios[0], ratios[ratios.len() - 1]);
            let rate = decimal(median(&mut rates), 0);
            let busy = [&mut server_busy, &mut load_busy]
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
    println!(
        "server on core {SERVER_CORE}, load on core {LOAD_CORE}; every answer checked, every message counted; the load is the limit where it is busier than the server"
    );
    crate::server::unpin()
}

/// All contestants in turn, round after round.
fn measure(contestants: &[Contestant], depth: usize, size: Size) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = contestants.iter().map(|_| Row::default()).collect();
    let duration = Duration::from_millis(size.of(2_000, 100));
    for round in 0..size.of(7, 2) {
        let queue = format!("depth-{depth}-round-{round}");
        let mut echo_rate = None;
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            let Contestant {
                server, protocol, ..
            } = contestant;
            let plan = Plan {
                address: server.address,
                protocol: *protocol,
                queue: &queue,
                connections: CONNECTIONS,
                depth,
                duration,
            };
            let (server_cpu, load_cpu) = (server.cpu_time()?, thread_cpu());
            let outcome = load::run(&plan)?;
            let seconds = outcome.elapsed.as_secs_f64();
            row.server_busy
                .push((server.cpu_time()? - server_cpu).as_secs_f64() / seconds);
            row.load_busy
                .push((thread_cpu() - load_cpu).as_secs_f64() / seconds);
            row.rates.push(outcome.rate());
            row.ratios
                .push(outcome.rate() / *echo_rate.get_or_insert(outcome.rate()));
            if *protocol == Protocol::Http {
                count_and_clear(server, &queue, outcome.answered)?;
            }
        }
    }
    Ok(rows)
}

/// Every answered message must be there; they make room for the next round.
fn count_and_clear(server: &Server, queue: &str, answered: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address)?;
    let target = format!("/v1.0/bench/{queue}?detail=id");
    let response = connection.call(&Request::new("GET", &target))?;
    let stored = response.json().as_array().map_or(0, Vec::len) as u64;
    ensure!(
        stored == answered,
        "{stored} messages are stored, {answered} were acknowledged"
    );
    let response = connection.call(&Request::new("DELETE", format!("/v1.0/bench/{queue}")))?;
    ensure!(
        response.status == 204,
        "status {} for the removal of {queue}",
        response.status
    );
    Ok(())
}
