//! Messages that come and go through the real server, on blocking connections.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, ensure};
use burrow_tests::crash::http::{Connection, Request, Response};
use serde_json::{Value, json};

use crate::content::{self, Id};

/// Puts the messages into the queue, 10,000 a request.
pub fn fill(address: SocketAddr, queue: &str, numbers: Range<u64>) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    for first in numbers.clone().step_by(10_000) {
        put_batch(
            &mut connection,
            queue,
            first..numbers.end.min(first + 10_000),
        )?;
    }
    Ok(())
}

/// Lives of messages whose numbers do not overlap, on so many connections at once. Each
/// thread calls `step` with numbers until its share is done.
pub fn on_connections(
    address: SocketAddr,
    connections: u64,
    numbers: Range<u64>,
    at_once: u64,
    step: impl Fn(&mut Connection, Range<u64>) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let share = (numbers.end - numbers.start) / connections;
    std::thread::scope(|scope| {
        let step = &step;
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                let own = numbers.start + worker * share..numbers.start + (worker + 1) * share;
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut connection = Connection::open(address)?;
                    for first in own.clone().step_by(at_once as usize) {
                        step(&mut connection, first..own.end.min(first + at_once))?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?
        })
    })
}

/// Inserts the messages, claims as many and deletes those, in three requests.
pub fn batch(connection: &mut Connection, queue: &str, numbers: Range<u64>) -> anyhow::Result<()> {
    let count = numbers.end - numbers.start;
    put_batch(connection, queue, numbers)?;
    let claims = claim(connection, queue, count)?;
    ensure!(
        claims.len() as u64 == count,
        "{} messages claimed instead of {count}",
        claims.len()
    );
    let settlements: Vec<Value> = claims
        .iter()
        .map(|(id, token)| json!({ "id": id, "claim": token, "delete": true }))
        .collect();
    let request = Request::new("POST", path(queue)).with_body(Value::from(settlements).to_string());
    let results = answered(connection, &request, 200)?.json();
    let deleted = results
        .as_array()
        .into_iter()
        .flatten()
        .filter(|result| result["status"] == 204)
        .count();
    ensure!(
        deleted as u64 == count,
        "{deleted} messages deleted instead of {count}"
    );
    Ok(())
}

/// The same with single messages.
pub fn single(connection: &mut Connection, queue: &str, numbers: Range<u64>) -> anyhow::Result<()> {
    for number in numbers {
        put(connection, queue, number)?;
        for (id, token) in claim(connection, queue, 1)? {
            answered(
                connection,
                &Request::new("DELETE", format!("{}/{id}?claim={token}", path(queue))),
                204,
            )?;
        }
    }
    Ok(())
}

pub fn put(connection: &mut Connection, queue: &str, number: u64) -> anyhow::Result<()> {
    let target = format!("{}/{}", path(queue), Id::of(number).as_str());
    answered(
        connection,
        &Request::new("PUT", target).with_body(content::body(number)),
        201,
    )?;
    Ok(())
}

/// How many messages the queue holds, hidden ones too: listed page by page, since an answer has a bound.
pub fn count(address: SocketAddr, queue: &str) -> anyhow::Result<u64> {
    const PAGE: usize = 100_000;
    let mut connection = Connection::open(address)?;
    let (mut counted, mut marker) = (0, String::new());
    loop {
        let target = format!(
            "{}?match_hidden=true&detail=id&limit={PAGE}{marker}",
            path(queue)
        );
        let response = connection.call(&Request::new("GET", target))?;
        if response.status == 404 {
            return Ok(counted);
        }
        ensure!(response.status == 200, "listing: {}", response.text());
        let ids: Vec<String> = serde_json::from_value(response.json())?;
        let last = ids.last().context("a list without messages")?;
        counted += ids.len() as u64;
        marker = format!("&marker={last}");
    }
}

fn put_batch(connection: &mut Connection, queue: &str, numbers: Range<u64>) -> anyhow::Result<()> {
    let count = numbers.end - numbers.start;
    let entry = |number: u64| json!({ "id": Id::of(number).as_str(), "body": String::from_utf8_lossy(content::body(number)) });
    let entries: Vec<Value> = numbers.map(entry).collect();
    let request = Request::new("PUT", path(queue)).with_body(Value::from(entries).to_string());
    let stored = answered(connection, &request, 201)?
        .json()
        .as_array()
        .map_or(0, Vec::len) as u64;
    ensure!(
        stored == count,
        "{stored} messages stored instead of {count}"
    );
    Ok(())
}

fn claim(
    connection: &mut Connection,
    queue: &str,
    limit: u64,
) -> anyhow::Result<Vec<(String, String)>> {
    let request = Request::new(
        "POST",
        format!("{}?claim=true&limit={limit}&hide=3600", path(queue)),
    );
    let claimed = answered(connection, &request, 200)?.json();
    let text = |message: &Value, field: &str| {
        message[field]
            .as_str()
            .map(str::to_owned)
            .context("no id or claim")
    };
    claimed
        .as_array()
        .into_iter()
        .flatten()
        .map(|message| Ok((text(message, "id")?, text(message, "claim")?)))
        .collect()
}

fn answered(
    connection: &mut Connection,
    request: &Request,
    status: u16,
) -> anyhow::Result<Response> {
    let response = connection.call(request)?;
    ensure!(
        response.status == status,
        "{} {}: {} {}",
        request.method,
        request.target,
        response.status,
        response.text()
    );
    Ok(response)
}

fn path(queue: &str) -> String {
    format!("/v1.0/bench/{queue}")
}
