//! `burrow check` and `burrow dump`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use burrow::engine::StartError;
use burrow::inspect::{self, CheckReport, DumpError};
use burrow::storage::OpenError;
use burrow_core::journal::RestoreError;

use crate::{DAMAGED, FAILED, fail};

pub(crate) fn check(folder: &Path) -> ExitCode {
    let report = match inspect::check(folder) {
        Ok(report) => report,
        Err(error) => return fail(open_failure(&error), &error),
    };
    match print_check(&report) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(FAILED, &error),
        _ if report.is_sound() => ExitCode::SUCCESS,
        _ => ExitCode::from(DAMAGED),
    }
}

pub(crate) fn dump(folder: &Path) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = inspect::dump(folder, &mut out).and_then(|_| Ok(out.flush()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // As with `burrow dump DIR | head`: whoever reads has seen enough.
        Err(DumpError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => fail(dump_failure(&error), &error),
    }
}

fn print_check(report: &CheckReport) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for damage in &report.damage {
        writeln!(out, "damaged: {damage}")?;
    }
    if let Some(restored) = &report.restored {
        let found = (restored.messages, restored.queues, restored.accounts);
        writeln!(
            out,
            "{} messages in {} queues of {} accounts",
            found.0, found.1, found.2
        )?;
    }
    let state = if report.is_sound() {
        "sound"
    } else {
        "damaged"
    };
    writeln!(
        out,
        "{state}: {} blobs, {} bytes",
        report.blobs, report.bytes
    )
}

fn open_failure(error: &OpenError) -> u8 {
    match error {
        OpenError::Damaged { .. } | OpenError::Missing { .. } => DAMAGED,
        _ => FAILED,
    }
}

pub(crate) fn start_failure(error: &StartError) -> u8 {
    match error {
        StartError::Open(error) => open_failure(error),
        StartError::Restore(error) => restore_failure(error),
        StartError::Thread(_) => FAILED,
    }
}

fn restore_failure(error: &RestoreError) -> u8 {
    match error {
        RestoreError::Damaged { .. } | RestoreError::Missing { .. } => DAMAGED,
        RestoreError::Load(_) | RestoreError::Newer { .. } => FAILED,
    }
}

pub(crate) fn dump_failure(error: &DumpError) -> u8 {
    match error {
        DumpError::Open(error) => open_failure(error),
        DumpError::Restore(error) => restore_failure(error),
        DumpError::Write(_) | DumpError::Machine => FAILED,
    }
}
