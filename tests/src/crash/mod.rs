//! Load on a real server by clients that write down what was acknowledged, and the check
//! of a restarted server against what they wrote.

pub mod brief;
pub mod contended;
pub mod disk;
pub mod hoard;
pub mod http;
pub mod operation;
pub mod owner;
pub mod record;
pub mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use self::brief::Brief;
use self::contended::Board;
use self::http::{Connection, Response};
use self::owner::Owner;

/// What the clients of a load and the test that runs them tell each other.
#[derive(Debug, Default)]
pub struct Watch {
    stop: AtomicBool,
    refusals_allowed: AtomicBool,
    refused: AtomicU64,
    answered: Mutex<u64>,
    grown: Condvar,
}

impl Watch {
    /// For a server whose disk may be full: 503 is an answer, and means that nothing happened.
    pub fn allowing_refusals() -> Self {
        Self {
            refusals_allowed: AtomicBool::new(true),
            ..Self::default()
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One more request was answered as it may be.
    pub fn progress(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.grown.notify_all();
    }

    /// True if the response is a refusal that is allowed. It is counted.
    pub fn refused(&self, response: &Response) -> bool {
        let refused = response.status == 503 && self.refusals_allowed.load(Ordering::Relaxed);
        if refused {
            self.progress();
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        refused
    }

    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn answered(&self) -> u64 {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once `more` requests have been answered since the call.
    pub fn wait_for(&self, more: u64) {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let goal = *answered + more;
        drop(
            self.grown
                .wait_while(answered, |answered| *answered < goal && !self.stopped()),
        );
    }
}

/// All clients together.
#[derive(Debug)]
pub struct Load {
    owners: Vec<Owner>,
    board: Board,
    /// Clients on the board.
    sharers: usize,
    brief: Brief,
    /// How long dead letters may be under way when a server has just started.
    dead_letters_within: Duration,
    random: fastrand::Rng,
}

impl Load {
    /// The same seed draws the same operations, though not at the same moments.
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            owners: (0..6)
                .map(|number| Owner::new(number, random.fork()))
                .collect(),
            board: Board::default(),
            sharers: 4,
            brief: Brief::default(),
            dead_letters_within: Duration::ZERO,
            random,
        }
    }

    /// For servers that move a dead letter from queue to queue in two steps: what a kill
    /// has interrupted is completed after the start.
    pub fn dead_letters_within(mut self, span: Duration) -> Self {
        self.dead_letters_within = span;
        self
    }

    /// Lets all clients work while `conduct` runs; then they stop, or find their
    /// connections broken if `conduct` has killed the server.
    pub fn run<T>(
        &mut self,
        address: SocketAddr,
        watch: &Watch,
        conduct: impl FnOnce() -> T,
    ) -> Result<T, String> {
        let Self {
            owners,
            board,
            sharers,
            brief,
            random,
            ..
        } = self;
        std::thread::scope(|scope| {
            let mut clients = Vec::new();
            for owner in owners {
                clients.push(scope.spawn(move || stop_on_error(watch, owner.work(address, watch))));
            }
            for _ in 0..*sharers {
                let random = random.fork();
                let board = &*board;
                clients.push(
                    scope.spawn(move || stop_on_error(watch, board.work(address, random, watch))),
                );
            }
            let random = random.fork();
            clients.push(
                scope.spawn(move || stop_on_error(watch, brief.work(address, random, watch))),
            );
            let conducted = conduct();
            watch.stop();
            let results = clients.into_iter().map(|client| {
                client
                    .join()
                    .unwrap_or_else(|_| Err("a client panicked".into()))
            });
            let problems: Vec<String> = results.filter_map(Result::err).collect();
            if problems.is_empty() {
                Ok(conducted)
            } else {
                Err(problems.join("\n"))
            }
        })
    }

    /// Holds what the server has against what was acknowledged.
    pub fn verify(&mut self, address: SocketAddr) -> Result<(), String> {
        let mut connection = Connection::open(address).map_err(|error| error.to_string())?;
        for owner in &mut self.owners {
            owner.verify(&mut connection, self.dead_letters_within)?;
        }
        self.board.verify(&mut connection)?;
        self.brief.verify(&mut connection)
    }
}

fn stop_on_error(watch: &Watch, result: Result<(), String>) -> Result<(), String> {
    if result.is_err() {
        watch.stop();
    }
    result
}
