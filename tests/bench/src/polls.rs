//! What requests that wait cost a server, their connections included.

use std::time::Duration;

use anyhow::ensure;
use burrow_tests::crash::http::{Connection, Request};

use crate::server::Server;

/// Memory that the server takes for each of so many requests that wait on one queue. Each
/// gets a message in the end.
pub fn resident_bytes_each(count: u64) -> anyhow::Result<f64> {
    crate::server::allow_open_files()?;
    let server = Server::burrow(None, &[])?;
    let target = "/v1.0/bench/polls?limit=1&wait=600&detail=all";
    let before = server.resident_bytes()?;
    let mut polls = Vec::new();
    for _ in 0..count {
        let mut poll = Connection::open(server.address)?;
        poll.send(&[Request::new("DELETE", target)])?;
        polls.push(poll);
    }
    until_idle(&server)?;
    let each = server.resident_bytes()?.saturating_sub(before) as f64 / count as f64;
    let messages = vec![r#"{"body":"x"}"#; usize::try_from(count)?].join(",");
    let batch = Request::new("PUT", "/v1.0/bench/polls").with_body(format!("[{messages}]"));
    let stored = Connection::open(server.address)?.call(&batch)?;
    ensure!(stored.status == 201, "{}", stored.text());
    for mut poll in polls {
        let answer = poll.receive()?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    server.stop()?;
    Ok(each)
}

/// Waits until the server has read all that was sent.
fn until_idle(server: &Server) -> anyhow::Result<()> {
    let mut busy = server.cpu_time()?;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = server.cpu_time()?;
        if now == busy {
            return Ok(());
        }
        busy = now;
    }
}
