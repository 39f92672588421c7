//! A worker: takes messages from a queue of a running server, one at a time.
//!
//! `cargo run -p burrow-examples --bin worker -- http://127.0.0.1:8080/v1.0/shop/jobs`
//!
//! Start as many as you like. A message that a worker claims is hidden from the others; if
//! the worker dies, the message comes back after `HIDE_S` and the next one takes it.

use serde::Deserialize;
use ureq::{Agent, Error};

/// Seconds for which a claimed message is hidden. Work that takes longer extends the claim.
const HIDE_S: u32 = 30;

/// Seconds that the server may hold a request while there is nothing to do.
const WAIT_S: u32 = 20;

#[derive(Deserialize)]
struct Message {
    id: String,
    body: String,
    /// Proof of the claim, to be shown with the extension and the acknowledgement.
    claim: String,
    attempts: u32,
}

fn main() -> Result<(), Error> {
    let queue = std::env::args()
        .nth(1)
        .unwrap_or("http://127.0.0.1:8080/v1.0/shop/jobs".into());
    let agent = Agent::new_with_defaults();
    loop {
        for message in claim(&agent, &queue)? {
            println!(
                "{} (attempt {}): {}",
                message.id, message.attempts, message.body
            );
            for part in message.body.split_whitespace() {
                println!("  did {part}");
                if !still_mine(
                    agent
                        .post(address(&queue, &message, &format!("hide={HIDE_S}&")))
                        .send_empty(),
                )? {
                    break;
                }
            }
            if still_mine(agent.delete(address(&queue, &message, "")).call())? {
                println!("  done");
            }
        }
    }
}

/// Waits for a message and claims it; none if the wait ran out.
fn claim(agent: &Agent, queue: &str) -> Result<Vec<Message>, Error> {
    let claim = format!("{queue}?limit=1&claim=true&hide={HIDE_S}&wait={WAIT_S}");
    match agent.post(claim).send_empty() {
        Ok(mut response) => response.body_mut().read_json(),
        Err(Error::StatusCode(404)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// False if the claim ran out and another worker has the message, or it is gone: whatever
/// this worker did with it since then must not count.
fn still_mine<T>(answer: Result<T, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::StatusCode(404 | 409)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The address of a claimed message.
fn address(queue: &str, message: &Message, parameters: &str) -> String {
    format!("{queue}/{}?{parameters}claim={}", message.id, message.claim)
}
