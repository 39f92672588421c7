//! A client whose messages live for moments: none may outlive its time, crash or not.

use std::net::SocketAddr;

use serde_json::Value;

use super::Watch;
use super::http::{Connection, Request};
use super::wire::{During, now_ms};

const QUEUE: &str = "/v1.0/brief/messages";
/// How far the server's reading of the clock may lie from the client's.
const CLOCK_SLACK_MS: u64 = 200;

#[derive(Debug, Default)]
pub struct Brief {
    sent: Vec<Sent>,
    named: u64,
}

#[derive(Debug)]
struct Sent {
    id: String,
    ttl_ms: u64,
    sent_ms: u64,
    answered_ms: Option<u64>,
}

impl Brief {
    pub fn work(
        &mut self,
        address: SocketAddr,
        mut random: fastrand::Rng,
        watch: &Watch,
    ) -> Result<(), String> {
        let Ok(mut connection) = Connection::open(address) else {
            return Ok(());
        };
        while !watch.stopped() {
            let id = format!("b{}", self.named);
            self.named += 1;
            let ttl_ms = random.u64(50..3_000);
            let ttl_s = format!("{}.{:03}", ttl_ms / 1_000, ttl_ms % 1_000);
            self.sent.push(Sent {
                id: id.clone(),
                ttl_ms,
                sent_ms: now_ms(),
                answered_ms: None,
            });
            let request = Request::new("PUT", format!("{QUEUE}/{id}?ttl={ttl_s}")).with_body(id);
            let Ok(response) = connection.call(&request) else {
                return Ok(());
            };
            if watch.refused(&response) {
                self.sent.pop();
                continue;
            }
            if response.status != 201 {
                return Err(format!(
                    "{request:?}: status {}: {}",
                    response.status,
                    response.text()
                ));
            }
            if let Some(sent) = self.sent.last_mut() {
                sent.answered_ms = Some(now_ms());
            }
            watch.progress();
        }
        Ok(())
    }

    pub fn verify(&self, connection: &mut Connection) -> Result<(), String> {
        let from_ms = now_ms();
        let request = Request::new("GET", format!("{QUEUE}?match_hidden=true&detail=id"));
        let response = connection
            .call(&request)
            .map_err(|error| error.to_string())?;
        let listed = During::since(from_ms);
        let json = response.json();
        let stored: Vec<&str> = json
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for sent in &self.sent {
            let there = stored.contains(&sent.id.as_str());
            let over = sent
                .answered_ms
                .is_some_and(|at| at + sent.ttl_ms + CLOCK_SLACK_MS < listed.from_ms);
            let alive = sent.answered_ms.is_some()
                && sent.sent_ms + sent.ttl_ms > listed.until_ms + CLOCK_SLACK_MS;
            if there && over {
                return Err(format!("listed after its time: {sent:?}, {listed:?}"));
            }
            if !there && alive {
                return Err(format!(
                    "acknowledged and gone before its time: {sent:?}, {listed:?}"
                ));
            }
        }
        Ok(())
    }
}
