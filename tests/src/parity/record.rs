//! Makes a log.

use burrow_core::{Ticket, Timestamp};

use super::generate::{Generator, WaitingRequest, every_queue};
use super::reference::{Called, Reference};
use super::{Exchange, Log, Step, advance};
use crate::conformance::{Answer, Request};

/// Commands between two restarts, on average.
const RESTART_EVERY: u32 = 1_500;
/// Commands between two that are to wait, on average, and those that one of them waits through before
/// its client leaves, if nothing else happens to it.
const WAIT_EVERY: u32 = 25;
const LEAVE_EVERY: u32 = 100;
/// So many wait at a time.
const MOST_WAITING: usize = 5;
/// A host may take it that so much of the time after its last stored change was used. Only
/// after that do all hosts number claims alike again.
const SETTLED_MS: u64 = 61_000;

/// The log that follows from the seed, with so many commands at least.
pub fn record(seed: u64, commands: usize) -> Log {
    record_with(Generator::new(seed), seed, commands)
}

/// As [`record`], but no queue gives messages up.
pub fn record_without_dead_letters(seed: u64, commands: usize) -> Log {
    let mut generator = Generator::new(seed);
    generator.has_dead_letters = false;
    record_with(generator, seed, commands)
}

fn record_with(generator: Generator, seed: u64, commands: usize) -> Log {
    let mut recorder = Recorder {
        generator,
        reference: Reference::new(),
        log: Log {
            seed,
            ..Log::default()
        },
        stamped: None,
        waiting: Vec::new(),
        last_number: 0,
    };
    while recorder.log.commands() < commands {
        recorder.step();
    }
    // The last words: all that is held, and its digest.
    for queue in every_queue() {
        recorder.exchange(Request {
            method: "GET".into(),
            target: format!("{queue}?match_hidden=true"),
            ..Request::default()
        });
    }
    recorder.exchange(advance(0));
    recorder.log
}

struct Recorder {
    generator: Generator,
    reference: Reference,
    log: Log,
    /// The queue whose messages were numbered last, and when.
    stamped: Option<(String, Timestamp)>,
    waiting: Vec<Waiting>,
    last_number: u64,
}

/// A request that waits.
struct Waiting {
    number: u64,
    ticket: Ticket,
    request: Request,
    queue: String,
    is_claim: bool,
    until: Timestamp,
}

impl Recorder {
    fn step(&mut self) {
        let has_room = self.waiting.len() < MOST_WAITING;
        let rng = &mut self.generator.rng;
        if rng.u32(0..RESTART_EVERY) == 0 {
            self.restart();
        } else if !self.waiting.is_empty() && rng.u32(0..LEAVE_EVERY) == 0 {
            let place = rng.usize(..self.waiting.len());
            self.leave(place);
        } else if has_room && rng.u32(0..WAIT_EVERY) == 0 {
            self.wait();
        } else {
            self.generator.most_advance_ms = self.until_next_ms();
            let request = self.generator.request();
            self.exchange(request);
        }
    }

    /// What is told when a wait is over may depend on other queues. Where these have clocks of their own, they
    /// agree when all have been moved, and not on the way.
    fn until_next_ms(&self) -> u64 {
        let next = self.waiting.iter().map(|waiting| waiting.until).min();
        next.map_or(u64::MAX, |until| until.since_ms(self.reference.now))
    }

    /// Where queues are numbered apart, claims of two queues in one millisecond may get
    /// the same numbers, or other ones than where they are numbered together.
    fn part(&mut self, request: &Request) {
        let Some(queue) = self.numbered_by(request) else {
            return;
        };
        while self
            .stamped
            .as_ref()
            .is_some_and(|(last, at)| *last != queue && *at == self.reference.now)
        {
            // Which may be what a claim waits for.
            self.submit(advance(1));
        }
        self.stamped = Some((queue, self.reference.now));
    }

    /// The queue in which the request may number messages, itself or by what it lets a claim have that waits.
    fn numbered_by(&self, request: &Request) -> Option<String> {
        let (path, _) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let is_in = |queue: &str| {
            let behind = path.strip_prefix(queue);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
        };
        let claimed = self.claimed().filter(|queue| is_in(queue));
        let claimed = claimed.map(str::to_owned);
        claimed.or_else(|| self.generator.numbers(request))
    }

    /// The queue in which claims wait.
    fn claimed(&self) -> Option<&str> {
        let mut claims = self.waiting.iter().filter(|waiting| waiting.is_claim);
        claims.next().map(|waiting| waiting.queue.as_str())
    }

    fn exchange(&mut self, request: Request) {
        self.part(&request);
        self.submit(request);
    }

    fn submit(&mut self, request: Request) {
        match self.reference.call(&request) {
            Called::Answered(answer) => self.answered(request, answer),
            Called::Waits(ticket) => self.reference.cancel(ticket),
        }
        self.take_answers();
    }

    fn answered(&mut self, request: Request, answer: Answer) {
        self.generator.learn(&request, &answer);
        let exchange = Box::new(Exchange { request, answer });
        self.log.steps.push(Step::Exchange(exchange));
    }

    /// Begins a request that waits, if there is nothing for it.
    fn wait(&mut self) {
        let claimed = self.claimed().map(str::to_owned);
        let WaitingRequest {
            request,
            queue,
            is_claim,
            wait_ms,
        } = self.generator.waiting(claimed.as_deref());
        if self.generator.rng.bool() {
            let hide_all = self.generator.hide_all(&queue);
            self.exchange(hide_all);
        }
        self.part(&request);
        match self.reference.call(&request) {
            Called::Answered(answer) => self.answered(request, answer),
            Called::Waits(ticket) => {
                self.last_number += 1;
                self.log.steps.push(Step::Start {
                    number: self.last_number,
                    request: Box::new(request.clone()),
                });
                self.waiting.push(Waiting {
                    number: self.last_number,
                    ticket,
                    request,
                    queue,
                    is_claim,
                    until: self.reference.now.after_ms(wait_ms),
                });
            }
        }
        self.take_answers();
    }

    /// Records who has waited for what just happened.
    fn take_answers(&mut self) {
        while let Some((ticket, answer)) = self.reference.take_answered() {
            let mut found = self.waiting.extract_if(.., |own| own.ticket == ticket);
            let Some(waited) = found.next() else { continue };
            drop(found);
            if waited.is_claim && answer.status < 300 {
                self.stamped = Some((waited.queue, self.reference.now));
            }
            self.generator.learn(&waited.request, &answer);
            self.log.steps.push(Step::Answer {
                number: waited.number,
                answer: Box::new(answer),
            });
        }
    }

    fn leave(&mut self, place: usize) {
        let left = self.waiting.swap_remove(place);
        self.reference.cancel(left.ticket);
        self.log.steps.push(Step::Leave {
            number: left.number,
        });
    }

    fn restart(&mut self) {
        let until = self.reference.now.after_ms(SETTLED_MS);
        self.reference.restart();
        self.waiting.clear();
        self.reference.advance_to(until);
        let until_ms = until.as_millis();
        self.log.steps.push(Step::Restart { until_ms });
        self.log.restarts += 1;
    }
}
