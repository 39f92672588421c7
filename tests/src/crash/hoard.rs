//! A client that puts and never takes, until there is no room.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use super::http::{Connection, Request};
use super::wire::{batch_entry, read_list};

const QUEUE: &str = "/v1.0/hoard/messages";
const BODY_BYTES: usize = 16 << 10;
const BATCH: u64 = 4;

/// What was put, and whether it was acknowledged or refused.
#[derive(Debug, Default)]
pub struct Hoard {
    acknowledged: BTreeMap<String, Vec<u8>>,
    refused: Vec<String>,
    named: u64,
}

impl Hoard {
    /// Single messages and batches in turn, until so many in a row were refused. The
    /// server may answer 503 and nothing worse.
    pub fn fill(&mut self, address: SocketAddr, refusals: u64) -> Result<(), String> {
        let mut connection = Connection::open(address).map_err(|error| error.to_string())?;
        let mut in_a_row = 0;
        while in_a_row < refusals {
            let stored = self
                .put(&mut connection)
                .map_err(|error| format!("while it fills: {error}"))?;
            in_a_row = if stored { 0 } else { in_a_row + 1 };
        }
        Ok(())
    }

    /// Tries until something is stored again. The server looks for itself when that is.
    pub fn wait_for_room(&mut self, address: SocketAddr) -> Result<(), String> {
        let mut connection = Connection::open(address).map_err(|error| error.to_string())?;
        for _ in 0..6_000 {
            if self
                .put(&mut connection)
                .map_err(|error| error.to_string())?
            {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err("nothing is stored although there is room".to_owned())
    }

    /// Puts one or a batch; true if it is acknowledged.
    fn put(&mut self, connection: &mut Connection) -> io::Result<bool> {
        let first = self.named;
        self.named += if first.is_multiple_of(2) { 1 } else { BATCH };
        let messages: Vec<(String, Vec<u8>)> = (first..self.named)
            .map(|number| (format!("h{number}"), body(number)))
            .collect();
        let request = match messages.as_slice() {
            [(id, body)] => {
                Request::new("PUT", format!("{QUEUE}/{id}?ttl=0")).with_body(body.clone())
            }
            _ => {
                let entries: Vec<Value> = messages
                    .iter()
                    .map(|(id, body)| batch_entry(Some(id), body, Some(0), None))
                    .collect();
                Request::new("PUT", QUEUE).with_body(Value::from(entries).to_string())
            }
        };
        let response = connection.call(&request)?;
        match response.status {
            201 => self.acknowledged.extend(messages),
            503 => self.refused.extend(messages.into_iter().map(|(id, _)| id)),
            status => {
                return Err(io::Error::other(format!(
                    "status {status}: {}",
                    response.text()
                )));
            }
        }
        Ok(response.status == 201)
    }

    /// Everything acknowledged is there, nothing that was refused is.
    pub fn verify(&self, address: SocketAddr) -> Result<(), String> {
        let mut connection = Connection::open(address).map_err(|error| error.to_string())?;
        let request = Request::new("GET", format!("{QUEUE}?detail=all"));
        let response = connection
            .call(&request)
            .map_err(|error| error.to_string())?;
        let stored: BTreeMap<String, Vec<u8>> = read_list(&response.json())?
            .into_iter()
            .map(|listed| (listed.id, listed.body))
            .collect();
        if let Some(id) = self.refused.iter().find(|id| stored.contains_key(*id)) {
            return Err(format!("{id} was refused and is stored"));
        }
        match self
            .acknowledged
            .iter()
            .find(|(id, body)| stored.get(*id) != Some(*body))
        {
            Some((id, _)) => Err(format!(
                "{id} was acknowledged and is not stored as it was put"
            )),
            None if stored.len() != self.acknowledged.len() => {
                Err("something is stored that was never put".to_owned())
            }
            None => Ok(()),
        }
    }
}

fn body(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    (0..BODY_BYTES)
        .map(|_| random.alphanumeric() as u8)
        .collect()
}
