//! The Worker on workerd, beside an empty object, objects that write a row for each request or for
//! all who wait, and workerd's own queues.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use burrow_tests::crash::http::{Connection, Request};
use burrow_tests::process::{Launch, Server};
use burrow_tests::worker::launch;
use serde_json::{Value, json};

use crate::Size;
use crate::content;
use crate::contest::{Contestant, Kind, Shape};
use crate::load::{self, Plan, Speech};
use crate::report::{Report, decimal, median};

const CONNECTIONS: usize = 32;
const BATCH: u64 = 100;
const PRODUCERS: u64 = 4;
const CONSUMERS: usize = 2;
/// How often is asked how far the queues of workerd have come.
const LOOK: Duration = Duration::from_millis(2);

pub fn run(size: Size) -> anyhow::Result<()> {
    let folder = crate::server::data_folder()?;
    let worker = started(&launch(&sub(folder.path(), "worker")?))?;
    let others = started(&contestants(folder.path())?)?;
    singles(worker.address(), others.address(), size)?;
    batches(worker.address(), others.address(), size)
}

fn started(launch: &Launch) -> anyhow::Result<Server> {
    launch
        .start()
        .map_err(|failure| anyhow!("workerd does not start: {}", failure.logs))
}

fn contestants(data: &Path) -> anyhow::Result<Launch> {
    let program = std::env::var_os("BURROW_WORKERD").context("BURROW_WORKERD names no workerd")?;
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("worker/contestants.capnp");
    let mut launch = Launch::workerd(program, &config).argument("--experimental");
    for disk in ["data", "queued"] {
        let mut argument = OsString::from(format!("--directory-path={disk}="));
        argument.push(sub(data, disk)?);
        launch = launch.argument(argument);
    }
    Ok(launch)
}

/// The Worker and an empty object for a contest, if there is a workerd.
pub(crate) fn contestants_beside() -> anyhow::Result<Option<Vec<Contestant>>> {
    if std::env::var_os("BURROW_WORKERD").is_none() {
        return Ok(None);
    }
    let folder = crate::server::data_folder()?;
    // Room for all that one turn inserts.
    let worker = launch(&sub(folder.path(), "worker")?)
        .variable("MAX_QUEUE_MESSAGES", "1000000")
        .variable("MAX_QUEUE_BYTES", "67108864");
    let worker = started(&worker)?;
    let others = started(&contestants(folder.path())?)?;
    let make = |name: &str, server: &Server, whole_life| Contestant {
        name: name.to_owned(),
        durability: if whole_life { "written" } else { "" },
        kind: Kind::Server {
            address: server.address(),
            speech: Speech::Http,
            process: None,
            whole_life,
            rest: None,
        },
        // workerd takes the requests of a connection one by one.
        shapes: if whole_life {
            &[Shape::OneAtATime, Shape::Batches]
        } else {
            &[Shape::OneAtATime]
        },
        keep: Box::new(()),
    };
    let mut empty = make("an empty Durable Object", &others, false);
    empty.keep = Box::new(others);
    let mut burrow = make("the Worker on workerd", &worker, true);
    burrow.keep = Box::new((worker, folder));
    Ok(Some(vec![empty, burrow]))
}

fn sub(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

fn singles(worker: SocketAddr, others: SocketAddr, size: Size) -> anyhow::Result<()> {
    let contestants = [
        ("an empty object", "empty", others, ""),
        ("an object that inserts a row", "inserting", others, ""),
        (
            "one that inserts a row for all who wait",
            "gathering",
            others,
            "",
        ),
        ("the Worker, PUT", "burrow", worker, "0.8"),
    ];
    let mut rates = [const { Vec::new() }; 4];
    let mut ratios = [const { Vec::new() }; 4];
    for _ in 0..size.of(5, 1) {
        let mut round = Vec::new();
        for (place, (_, queue, address, _)) in contestants.iter().enumerate() {
            let outcome = load::run(&Plan {
                address: *address,
                speech: Speech::Http,
                queue: (*queue).to_owned(),
                connections: CONNECTIONS,
                depth: 1,
                batch: 1,
                body_bytes: content::BODY_BYTES,
                insert_ms: size.of(3_000, 100),
                whole_life: false,
                server: None,
                per_second: None,
            })?;
            let inserted = outcome.first().context("nothing was measured")?;
            round.push(inserted.rate());
            rates[place].push(inserted.rate());
            ratios[place].push(inserted.rate() / round[0]);
            if *queue == "burrow" {
                check_stored(worker, inserted.messages)?;
            }
        }
    }
    let columns = ["what", "requests/s", "of empty", "wanted"];
    let mut report = Report::new("worker: single inserts on 32 connections", &columns);
    for ((name, _, _, wanted), (mut rates, mut ratios)) in
        contestants.iter().zip(rates.into_iter().zip(ratios))
    {
        let (rate, ratio) = (median(&mut rates), median(&mut ratios));
        report.row(&[name, &decimal(rate, 0), &decimal(ratio, 2), wanted]);
    }
    report.print();
    Ok(())
}

fn check_stored(worker: SocketAddr, answered: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(worker)?;
    let listed = connection.call(&Request::new("GET", "/v1.0/bench/burrow?detail=id"))?;
    let stored = listed.json().as_array().map_or(0, Vec::len) as u64;
    ensure!(
        stored == answered,
        "{stored} are stored, {answered} were acknowledged"
    );
    let removed = connection.call(&Request::new("DELETE", "/v1.0/bench/burrow"))?;
    ensure!(removed.status == 204, "status {}", removed.status);
    Ok(())
}

fn batches(worker: SocketAddr, others: SocketAddr, size: Size) -> anyhow::Result<()> {
    let messages = size.of(20_000, 800);
    let mut rates = [const { Vec::new() }; 2];
    for round in 0..size.of(3, 1) {
        rates[0].push(messages as f64 / queues_of_workerd(others, messages, round)?.as_secs_f64());
        rates[1].push(messages as f64 / queue_of_worker(worker, messages)?.as_secs_f64());
    }
    let [mut theirs, mut ours] = rates;
    let (theirs, ours) = (median(&mut theirs), median(&mut ours));
    let title = "worker: messages in batches of 100, sent and consumed";
    let mut report = Report::new(title, &["what", "messages/s", "of workerd's queues"]);
    report.row(&[&"workerd's queues", &decimal(theirs, 0), &decimal(1.0, 2)]);
    report.row(&[&"the Worker", &decimal(ours, 0), &decimal(ours / theirs, 2)]);
    report.print();
    println!(
        "{PRODUCERS} producers; the Worker has {CONSUMERS} consumers, each claims and settles 100 at a time"
    );
    Ok(())
}

fn body() -> Value {
    json!({ "body": "a body of a hundred bytes ".repeat(4) })
}

fn produce(address: SocketAddr, request: &Request, batches: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    for _ in 0..batches {
        let answer = connection.call(request)?;
        ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
    }
    Ok(())
}

fn queues_of_workerd(address: SocketAddr, messages: u64, round: u64) -> anyhow::Result<Duration> {
    let batch = serde_json::to_vec(&vec![body(); BATCH as usize])?;
    let request = Request::new("PUT", "/send").with_body(batch);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| scope.spawn(|| produce(address, &request, messages / BATCH / PRODUCERS)))
            .collect();
        let mut connection = Connection::open(address)?;
        let consumed = Request::new("GET", "/consumed");
        while connection.call(&consumed)?.json()["consumed"].as_u64() < Some(messages * (round + 1))
        {
            std::thread::sleep(LOOK);
        }
        join(producers)
    })?;
    Ok(started.elapsed())
}

fn queue_of_worker(address: SocketAddr, messages: u64) -> anyhow::Result<Duration> {
    let batch = serde_json::to_vec(&vec![body(); BATCH as usize])?;
    let request = Request::new("PUT", "/v1.0/bench/batches").with_body(batch);
    let left = AtomicU64::new(messages);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let mut clients: Vec<_> = (0..PRODUCERS)
            .map(|_| scope.spawn(|| produce(address, &request, messages / BATCH / PRODUCERS)))
            .collect();
        clients.extend((0..CONSUMERS).map(|_| scope.spawn(|| consume(address, &left))));
        join(clients)
    })?;
    Ok(started.elapsed())
}

fn consume(address: SocketAddr, left: &AtomicU64) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let claim = Request::new(
        "POST",
        "/v1.0/bench/batches?limit=100&hide=60&claim=true&wait=0.2",
    );
    while left.load(Ordering::Relaxed) > 0 {
        let claimed = connection.call(&claim)?;
        if claimed.status == 404 {
            continue;
        }
        let claimed = claimed.json();
        let claimed = claimed.as_array().context("no claims")?;
        let settle = claimed
            .iter()
            .map(|message| json!({"id": message["id"], "claim": message["claim"], "delete": true}));
        let settle = serde_json::to_vec(&settle.collect::<Vec<_>>())?;
        let settled =
            connection.call(&Request::new("POST", "/v1.0/bench/batches").with_body(settle))?;
        let done = settled.json();
        let done = done.as_array().context("nothing settled")?;
        let done = done.iter().filter(|result| result["status"] == 204).count();
        ensure!(done == claimed.len(), "a claim was lost");
        left.fetch_sub(done as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn join(clients: Vec<std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>>) -> anyhow::Result<()> {
    clients.into_iter().try_for_each(|client| {
        client
            .join()
            .unwrap_or_else(|_| Err(anyhow!("a client panicked")))
    })
}
