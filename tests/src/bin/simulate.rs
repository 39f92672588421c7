//! Runs seeds of the simulator, or replays one.

use std::process::ExitCode;

use burrow_tests::simulation::{Run, Skip, run, run_seeds, shrink};
use clap::Parser;

/// Random commands against a node in virtual time, with a plain model beside it.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 2000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// Commands for each seed.
    #[arg(long, default_value_t = 400)]
    commands: usize,
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Commands to leave out, as `0-5,8`.
    #[arg(long, requires = "seed")]
    skip: Option<Skip>,
    /// Print everything that happens.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.seed {
        Some(seed) => {
            let skip = arguments.skip.unwrap_or_default();
            let verbose = arguments.verbose;
            run(&Run {
                skip,
                verbose,
                ..Run::new(seed, arguments.commands)
            })
            .map(|report| report.tally)
        }
        None => {
            run_seeds(arguments.first, arguments.seeds, arguments.commands).map_err(|failure| {
                println!("{failure}\nleaving out commands…");
                shrink(failure)
            })
        }
    };
    match result {
        Ok(tally) => {
            print!("{tally}");
            println!("node and model agree");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
