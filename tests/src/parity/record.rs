//! Makes a log.

use burrow_core::Timestamp;

use super::generate::{Generator, every_queue};
use super::reference::Reference;
use super::{Exchange, Log, Step, advance};
use crate::conformance::Request;

/// Commands between two restarts, on average.
const RESTART_EVERY: u32 = 1_500;
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
}

impl Recorder {
    fn step(&mut self) {
        if self.generator.rng.u32(0..RESTART_EVERY) == 0 {
            return self.restart();
        }
        let request = self.generator.request();
        // Where queues are numbered apart, claims of two queues in one millisecond may get
        // the same numbers, or other ones than where they are numbered together.
        if let Some(queue) = self.generator.numbers(&request) {
            let now = self.reference.now;
            let other = |(last, at): &(String, Timestamp)| *last != queue && *at == now;
            if self.stamped.as_ref().is_some_and(other) {
                self.exchange(advance(1));
            }
            self.stamped = Some((queue, self.reference.now));
        }
        self.exchange(request);
    }

    fn exchange(&mut self, request: Request) {
        if let Some(answer) = self.reference.call(&request) {
            self.generator.learn(&request, &answer);
            let exchange = Box::new(Exchange { request, answer });
            self.log.steps.push(Step::Exchange(exchange));
        }
    }

    fn restart(&mut self) {
        let until = self.reference.now.after_ms(SETTLED_MS);
        self.reference.restart();
        self.reference.advance_to(until);
        let until_ms = until.as_millis();
        self.log.steps.push(Step::Restart { until_ms });
        self.log.restarts += 1;
    }
}
