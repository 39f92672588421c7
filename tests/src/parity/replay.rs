//! Holds a host to a log.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Log, Replica, Step, advance, essence};
use crate::conformance::{Answer, Request};

/// How often a host is looked at in which a request is to begin or to end its waiting.
const LOOK: Duration = Duration::from_millis(2);
/// How often it is looked at before it counts as stuck.
const LOOKS: u32 = 5_000;

/// Holds a host to a log.
///
/// # Errors
/// The first answer that is another one, with all that leads to it.
pub fn replay<R: Replica>(log: &Log, replica: &mut R) -> Result<(), String> {
    let mut player = Player {
        replica,
        waiting: BTreeMap::new(),
    };
    for (number, step) in log.steps.iter().enumerate() {
        player
            .play(step)
            .map_err(|error| format!("seed {}, step {number}: {error}", log.seed))?;
    }
    Ok(())
}

struct Player<'r, R: Replica> {
    replica: &'r mut R,
    /// Those that wait, by the numbers that the log gives them.
    waiting: BTreeMap<u64, R::Call>,
}

impl<R: Replica> Player<'_, R> {
    fn play(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Exchange(exchange) => {
                let answer = self.replica.call(&exchange.request)?;
                self.compare(&exchange.answer, &answer, || {
                    show_request(&exchange.request)
                })
            }
            Step::Start { number, request } => {
                let call = self.replica.send(request)?;
                self.waiting.insert(*number, call);
                self.await_waiting(|| show_request(request))
            }
            Step::Answer { number, answer } => {
                let call = self.take(*number)?;
                let got = self.replica.finish(call)?;
                self.compare(answer, &got, || format!("request {number}, which waited"))
            }
            Step::Leave { number } => {
                let call = self.take(*number)?;
                self.replica.leave(call)?;
                self.await_waiting(|| format!("request {number} is taken back"))
            }
            Step::Restart { until_ms } => self.restart(*until_ms),
        }
    }

    fn take(&mut self, number: u64) -> io::Result<R::Call> {
        let call = self.waiting.remove(&number);
        call.ok_or_else(|| io::Error::other(format!("nothing waits as {number}")))
    }

    fn compare(
        &self,
        wanted: &Answer,
        got: &Answer,
        request: impl Fn() -> String,
    ) -> io::Result<()> {
        let is_same = essence(got) == essence(wanted);
        if is_same || self.replica.may_answer(wanted, got) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{}\nwanted {}\ngot    {}",
            request(),
            show(wanted),
            show(got),
        )))
    }

    /// Returns when the host says that as many wait as should.
    fn await_waiting(&mut self, what: impl Fn() -> String) -> io::Result<()> {
        let wanted = self.waiting.len() as u64;
        let mut waiting = self.ask_clock("waiting")?;
        for _ in 0..LOOKS {
            if waiting == wanted {
                return Ok(());
            }
            thread::sleep(LOOK);
            waiting = self.ask_clock("waiting")?;
        }
        let what = what();
        Err(io::Error::other(format!(
            "{what}: {waiting} wait, not {wanted}"
        )))
    }

    fn ask_clock(&mut self, member: &str) -> io::Result<u64> {
        let clock = self.replica.call(&Request {
            method: "GET".into(),
            target: "/clock".into(),
            ..Request::default()
        })?;
        let told: Value = serde_json::from_slice(&clock.body)?;
        let told = told[member].as_u64();
        told.ok_or_else(|| io::Error::other(format!("the clock tells nothing as {member}")))
    }

    /// Restarts, and moves the clock to where it was: what it stands at then is the host's own
    /// affair, as a move that changed nothing may be forgotten.
    fn restart(&mut self, until_ms: u64) -> io::Result<()> {
        self.replica.restart()?;
        self.waiting.clear();
        self.await_waiting(|| "after a restart".to_owned())?;
        let now_ms = self.ask_clock("now_ms")?;
        let span_ms = until_ms
            .checked_sub(now_ms)
            .ok_or_else(|| io::Error::other(format!("its clock is ahead: {now_ms}")))?;
        self.replica.call(&advance(span_ms)).map(drop)
    }
}

fn show_request(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {} {body:.300}", request.method, request.target)
}

fn show(answer: &Answer) -> String {
    let (status, headers, body) = essence(answer);
    format!(
        "{status} {headers:?} {:.600}",
        String::from_utf8_lossy(body)
    )
}
