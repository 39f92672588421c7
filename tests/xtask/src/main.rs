//! The commands of the project. `cargo xtask help` lists them.

mod debian_rust;
mod fuzz;
mod install;
mod js;
mod npm;
mod python;
mod report;
mod run;
mod test;
mod wasm;
mod worker;
mod workerd;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Count;
use crate::run::{Failure, cargo};

/// The commands of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every check and every test, and installs what they need.
    Test,
    /// Simulates seeds: `cargo xtask seeds --help` says how to replay one or to run many.
    Seeds {
        /// Arguments for the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kills the server under load, many times over.
    Crash {
        /// How often it is killed.
        #[arg(long, default_value_t = 500)]
        rounds: u32,
    },
    /// Fuzzes each target under the guidance of its coverage.
    Fuzz {
        /// How long each target is fuzzed.
        #[arg(long, default_value_t = 300)]
        seconds: u32,
    },
    /// Runs the core as wasm, and compares it with the native one.
    Wasm,
    /// The Cloudflare Worker, on workerd.
    #[command(subcommand)]
    Worker(worker::Task),
    /// Builds the component and runs it in wasmtime, from Rust and Python, and in JavaScript.
    Component,
    /// Builds the JavaScript package and runs its tests, in Node, Deno, Bun and Chromium.
    Js {
        #[command(subcommand)]
        task: Option<js::Task>,
    },
    /// Serves a page with a queue in it.
    Page,
    /// Measures and prints the figures: `cargo xtask figures --help` lists them.
    Figures {
        /// Arguments for the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Checks licences, sources and known weaknesses of the dependencies (cargo-deny,
    /// which takes some minutes to compile the first time).
    Deny,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test => test::everything(),
        Task::Seeds { arguments } => cargo([
            "run",
            "--quiet",
            "--package",
            "burrow-tests",
            "--bin",
            "simulate",
            "--",
        ])
        .args(arguments)
        .run(),
        Task::Crash { rounds } => test::crash(rounds),
        Task::Fuzz { seconds } => fuzz::fuzz(seconds),
        Task::Wasm => test::wasm(&mut Count::default()),
        Task::Worker(task) => worker::run(task),
        Task::Component => test::component(&mut Count::default()),
        Task::Js { task } => js::run(task),
        Task::Page => js::page(),
        Task::Figures { arguments } => figures(&arguments),
        Task::Deny => deny(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn figures(arguments: &[String]) -> Result<(), Failure> {
    let run = cargo([
        "run",
        "--quiet",
        "--release",
        "--package",
        "burrow-bench",
        "--",
    ])
    .args(arguments);
    let asks_for = |name: &str| arguments.iter().any(|argument| argument == name);
    let layers = asks_for("layers");
    let run = if layers {
        run.env("BURROW_WORKERD", worker::ready()?)
    } else {
        run
    };
    let component = ["component", "profile", "all"].into_iter().any(asks_for);
    if layers || component {
        run.env("BURROW_COMPONENT", wasm::build_component()?).run()
    } else {
        run.run()
    }
}

fn deny() -> Result<(), Failure> {
    install::cargo_tool("cargo-deny")?;
    cargo(["deny", "--workspace", "check"]).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `cargo xtask …` that a document shows.
    #[test]
    fn commands_in_documents_exist() {
        let mut shown = 0;
        for document in [
            "README.md",
            "CONTRIBUTING.md",
            "ARCHITECTURE.md",
            "host-wasm/js/README.md",
            "host-wasm/worker/README.md",
        ] {
            let text = std::fs::read_to_string(run::root().join(document))
                .expect("the document can be read");
            for (at, _) in text.match_indices("cargo xtask ") {
                let command = text[at..]
                    .split(['#', '`', '"', '\n'])
                    .next()
                    .unwrap_or_default();
                let parsed = Arguments::try_parse_from(command.split_whitespace().skip(1));
                let is_help =
                    |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(
                    parsed.as_ref().err().is_none_or(is_help),
                    "{document}: {command}"
                );
                shown += 1;
            }
        }
        assert!(shown > 8, "{shown} commands");
    }
}
