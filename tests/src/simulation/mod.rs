//! The simulator: random commands against a node in virtual time, on a storage that
//! fails, with a plain model beside it that says what must come of it.
//!
//! Everything follows from the seed. Each step draws from a generator of its own, so
//! that a failing run can be shortened by leaving out steps.

pub mod canaries;
mod faults;
mod generate;
mod model;
mod profile;
mod shrink;
mod spoil;
mod step;
mod storage;
mod subject;
mod tally;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use burrow_core::Config;
use fastrand::Rng;

pub use shrink::{Skip, shrink};
pub use subject::{Honest, Outcome, Subject};
pub use tally::Tally;

use profile::Profile;
use world::World;

/// Makes the node that a run is about.
pub type Make = fn(Config) -> Box<dyn Subject>;

/// What to run.
#[derive(Clone, Debug)]
pub struct Run {
    pub seed: u64,
    pub commands: usize,
    /// Steps that are left out.
    pub skip: Skip,
    pub verbose: bool,
    pub make: Make,
}

impl Run {
    pub fn new(seed: u64, commands: usize) -> Self {
        Self {
            seed,
            commands,
            skip: Skip::default(),
            verbose: false,
            make: Honest::make,
        }
    }
}

/// A run in which node and model disagreed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub run: Run,
    /// The step that failed; the number of commands if it was the end.
    pub step: usize,
    pub violation: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run {
            seed,
            commands,
            skip,
            ..
        } = &self.run;
        writeln!(f, "seed {seed}, command {}: {}", self.step, self.violation)?;
        write!(
            f,
            "replay: cargo run -p burrow-tests --bin simulate -- --verbose --seed {seed} --commands {commands}"
        )?;
        if skip.is_empty() {
            Ok(())
        } else {
            write!(f, " --skip {skip}")
        }
    }
}

/// What a run without a failure gives.
#[derive(Clone, Debug)]
pub struct Report {
    /// Equal for two runs in which the node did the same, to the byte.
    pub fingerprint: u64,
    pub tally: Tally,
}

/// Runs a seed.
pub fn run(run: &Run) -> Result<Report, Failure> {
    let mut step = 0;
    let result = catch_unwind(AssertUnwindSafe(|| run_steps(run, &mut step)));
    result
        .unwrap_or_else(|panic| Err(panic_text(&*panic)))
        .map_err(|violation| Failure {
            run: run.clone(),
            step,
            violation,
        })
}

/// Runs seeds on all processors. Stops at a failure, and gives that of the lowest seed if
/// there are several at once.
pub fn run_seeds(first: u64, seeds: u64, commands: usize) -> Result<Tally, Failure> {
    let seeds = Mutex::new(first..first.saturating_add(seeds));
    let so_far = Mutex::new(Ok(Tally::default()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while lock(&so_far).is_ok() {
                    let Some(seed) = lock(&seeds).next() else {
                        break;
                    };
                    let result = run(&Run::new(seed, commands));
                    add(&mut lock(&so_far), result);
                }
            });
        }
    });
    so_far.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn add(so_far: &mut Result<Tally, Failure>, result: Result<Report, Failure>) {
    match (so_far, result) {
        (Ok(tally), Ok(report)) => tally.merge(report.tally),
        (Err(first), Err(other)) if first.run.seed < other.run.seed => {}
        (so_far, Err(failure)) => *so_far = Err(failure),
        (Err(_), Ok(_)) => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_steps(run: &Run, step: &mut usize) -> Result<Report, String> {
    let profile = Profile::of(run.seed);
    let subject = (run.make)(profile.config.clone());
    let mut world = World::new(profile, subject, run.verbose);
    world.log(|| format!("{:#?}", world.profile));
    while *step < run.commands {
        if !run.skip.contains(*step) {
            world.log(|| format!("step {step}"));
            let mut rng =
                Rng::with_seed(run.seed.wrapping_mul(1_000_003).wrapping_add(*step as u64));
            world.step(&mut rng)?;
        }
        *step += 1;
    }
    world.log(|| "end".to_string());
    world.finish()?;
    world.tally.add("given ids", world.learned.given.len());
    Ok(Report {
        fingerprint: world.fingerprint(),
        tally: world.tally,
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("?"))
}
