//! Recorded conversations with a server, and a runner for them.
//!
//! The conversations and their format are in `tests/conformance`. Whatever can answer a
//! request is a [`Host`]: [`PureHost`] drives the machine without a network,
//! [`ServerHost`] speaks HTTP/1.1 to an address, [`WorkerHost`] does so to a Worker whose
//! clock it moves, [`WireHost`] speaks the wire protocol, [`WorkerWireHost`] that to a Worker.

mod host;
mod parse;
mod pattern;
mod pure;
mod run;
mod server;
mod wire;
mod worker;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use host::{Answer, Host, Request, header};
pub use parse::{Clock, Conversation, ParseError, parse};
pub use pure::{PureHost, on_the_wire};
pub use run::{Failure, run};
pub use server::{Call as ServerCall, ServerHost};
pub use wire::{Call as WireCall, WireHost};
pub use worker::{WorkerHost, WorkerWireHost};

/// The folder with the conversations.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// How a host did.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    /// Conversations that this host's clock cannot hold.
    pub skipped: usize,
    /// What went wrong, a text each, with file and line.
    pub failures: Vec<String>,
}

/// Holds all conversations of [`folder`] with a host, in order of file name.
pub fn run_all(host: &mut impl Host) -> io::Result<Report> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut report = Report::default();
    for path in files {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match parse(&fs::read_to_string(&path)?) {
            Ok(conversations) => run_file(host, &name, &conversations, &mut report)?,
            Err(error) => report.failures.push(format!("{name}:{error}")),
        }
    }
    Ok(report)
}

fn run_file(
    host: &mut impl Host,
    name: &str,
    conversations: &[Conversation],
    report: &mut Report,
) -> io::Result<()> {
    for conversation in conversations {
        if conversation.clock == Clock::Manual && !host.has_manual_clock() {
            report.skipped += 1;
            continue;
        }
        host.reset()?;
        match run(host, conversation) {
            Ok(()) => report.passed += 1,
            Err(failure) => report.failures.push(format!("{name}:{failure}")),
        }
    }
    Ok(())
}
