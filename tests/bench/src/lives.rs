//! Messages that come and go through the real server, on blocking connections.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, ensure};
use burrow_tests::crash::http::{Connection, Request, Response};
use serde_json::{Value, json};

use crate::content::{self, BODY_BYTES, Id};

/// Where messages go, and how large their bodies are.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    pub queue: &'a str,
    pub body_bytes: usize,
}

impl<'a> From<&'a str> for Jobs<'a> {
    fn from(queue: &'a str) -> Self {
        Self {
            queue,
            body_bytes: BODY_BYTES,
        }
    }
}

impl Jobs<'_> {
    fn path(self) -> String {
        format!("/v1.0/bench/{}", self.queue)
    }
}

/// Puts the messages into the queue, 10,000 a request, or fewer if they are large.
pub fn fill<'a>(
    address: SocketAddr,
    jobs: impl Into<Jobs<'a>>,
    numbers: Range<u64>,
) -> anyhow::Result<()> {
    const REQUEST_BYTES: usize = 4 << 20;
    let jobs = jobs.into();
    let at_once = (REQUEST_BYTES / jobs.body_bytes.max(1)).min(10_000) as u64;
    let mut connection = Connection::open(address)?;
    for first in numbers.clone().step_by(at_once as usize) {
        put_batch(
            &mut connection,
            jobs,
            first..numbers.end.min(first + at_once),
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
pub fn batch<'a>(
    connection: &mut Connection,
    jobs: impl Into<Jobs<'a>>,
    numbers: Range<u64>,
) -> anyhow::Result<()> {
    let jobs = jobs.into();
    let count = numbers.end - numbers.start;
    put_batch(connection, jobs, numbers)?;
    let claims = claim(connection, jobs, count)?;
    ensure!(
        claims.len() as u64 == count,
        "{} messages claimed instead of {count}",
        claims.len()
    );
    let settlements: Vec<Value> = claims
        .iter()
        .map(|(id, token)| json!({ "id": id, "claim": token, "delete": true }))
        .collect();
    let request = Request::new("POST", jobs.path()).with_body(Value::from(settlements).to_string());
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
pub fn single<'a>(
    connection: &mut Connection,
    jobs: impl Into<Jobs<'a>>,
    numbers: Range<u64>,
) -> anyhow::Result<()> {
    let jobs = jobs.into();
    for number in numbers {
        put(connection, jobs, number)?;
        for (id, token) in claim(connection, jobs, 1)? {
            answered(
                connection,
                &Request::new("DELETE", format!("{}/{id}?claim={token}", jobs.path())),
                204,
            )?;
        }
    }
    Ok(())
}

pub fn put<'a>(
    connection: &mut Connection,
    jobs: impl Into<Jobs<'a>>,
    number: u64,
) -> anyhow::Result<()> {
    let jobs = jobs.into();
    let target = format!("{}/{}", jobs.path(), Id::of(number).as_str());
    answered(
        connection,
        &Request::new("PUT", target).with_body(content::body_of(number, jobs.body_bytes)),
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
            Jobs::from(queue).path()
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

fn put_batch(
    connection: &mut Connection,
    jobs: Jobs<'_>,
    numbers: Range<u64>,
) -> anyhow::Result<()> {
    let count = numbers.end - numbers.start;
    let entry = |number: u64| json!({ "id": Id::of(number).as_str(), "body": content::text(number, jobs.body_bytes) });
    let entries: Vec<Value> = numbers.map(entry).collect();
    let request = Request::new("PUT", jobs.path()).with_body(Value::from(entries).to_string());
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
    jobs: Jobs<'_>,
    limit: u64,
) -> anyhow::Result<Vec<(String, String)>> {
    let request = Request::new(
        "POST",
        format!("{}?claim=true&limit={limit}&hide=3600", jobs.path()),
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
