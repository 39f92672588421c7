//! The `burrow` program.

mod cli;
mod inspecting;
mod moving;
mod proxying;
mod running;
mod serving;
mod verbs;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use cli::{Action, Rejected};

/// It could not be done.
const FAILED: u8 = 1;
/// The command line, a variable or the configuration file is wrong.
const USAGE: u8 = 2;
/// What is stored is not what was written.
const DAMAGED: u8 = 3;

fn main() -> ExitCode {
    let action = match cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(action) => action,
        Err(Rejected::Usage(error)) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
        Err(Rejected::Config(error)) => return fail(USAGE, &error),
    };
    match action {
        Action::Serve(settings) => serving::run(&settings),
        Action::Proxy(settings) => proxying::run(&settings),
        Action::Check(folder) => inspecting::check(&folder),
        Action::Dump(folder) => inspecting::dump(&folder),
        Action::Export(from, queue) => moving::export(&from, &queue),
        Action::Import(to, queue, is_meant) => moving::import(&to, &queue, is_meant),
        Action::Use(verb, url) => verbs::run(*verb, url),
        Action::Print(text) => print(&text),
    }
}

fn print(text: &[u8]) -> ExitCode {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(FAILED, &error),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("burrow: {error}");
    ExitCode::from(code)
}
