//! A server while messages are put: what stands between it and the echo.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;

use super::perf::Perf;
use crate::Size;
use crate::bare::Bare;
use crate::contest::{BATCH, CONNECTIONS, Options, Shape};
use crate::load::{Phase, Plan, Speech, apart};
use crate::report::{Report, decimal};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, data_folder, pin};

/// What a sample is for, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    /// The kernel on behalf of threads that serve connections.
    Network,
    /// The kernel on behalf of the thread that stores.
    Disk,
    Sqlite,
    Machine,
    Journal,
    FrontEnd,
    Engine,
    /// Allocation, copies, comparisons.
    Memory,
    Clock,
    Rest,
}

impl For {
    const ALL: [(Self, &str); 10] = [
        (Self::Network, "kernel, serving"),
        (Self::Disk, "kernel, storing"),
        (Self::Sqlite, "SQLite"),
        (Self::Machine, "machine"),
        (Self::Journal, "journal"),
        (Self::FrontEnd, "front-end"),
        (Self::Engine, "engine"),
        (Self::Memory, "libc"),
        (Self::Clock, "clock"),
        (Self::Rest, "tokio and rest"),
    ];

    /// By the thread's name, the file that the code is in, and the function with the level of
    /// the machine that it runs on in front, `[k]` for the kernel.
    fn of(thread: &str, file: &str, function: &str) -> Self {
        let is_kernel = function.starts_with("[k]");
        let function = function.split_once("] ").map_or(function, |(_, name)| name);
        let any = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
        let stores = ["burrow-commit", "burrow-wal"]
            .iter()
            .any(|name| thread.starts_with(name));
        if is_kernel {
            return if stores { Self::Disk } else { Self::Network };
        }
        if file.starts_with("[vdso") || any(&["clock_gettime", "Timespec::now"]) {
            return Self::Clock;
        }
        if file.starts_with("libc") {
            return Self::Memory;
        }
        if any(&["burrow_core::journal"]) {
            Self::Journal
        } else if any(&[
            "burrow_core::rest",
            "burrow_core::wire",
            "httparse",
            "burrow::server",
        ]) {
            Self::FrontEnd
        } else if any(&["burrow_core"]) {
            Self::Machine
        } else if any(&["burrow::engine", "burrow::desk"]) {
            Self::Engine
        } else if any(&["burrow::storage", "rusqlite"]) || stores && !function.contains("::") {
            Self::Sqlite
        } else {
            Self::Rest
        }
    }
}

/// A row for each server and way of speaking.
pub(super) fn table(size: Size, options: &Options) -> anyhow::Result<Report> {
    let names = For::ALL.map(|(_, name)| name);
    let columns: Vec<&str> = ["server", "requests", "messages/s", "busy", "ns a message"]
        .into_iter()
        .chain(names)
        .collect();
    let title = "profile: nanoseconds of the server's processor for each message put";
    let mut table = Report::new(title, &columns);
    let insert_ms = options.insert_ms(size, 2_000);
    for (name, measured, shapes) in MEASURED {
        for &shape in shapes {
            let sampled =
                sample(measured, shape, insert_ms).with_context(|| format!("{name}, {shape:?}"))?;
            sampled.add_to(&mut table, name, shape);
        }
    }
    table.note(
        "By `perf record` at 50 connections, server on one core, load on the other; a sample counts for the function \
         it is in. What serves and what stores are threads of their own. Time for which the server waited is not in it.",
    );
    Ok(table)
}

/// A server, and what it is spoken to in.
#[derive(Clone, Copy)]
enum Measured {
    Bare(Bare, Speech),
    Burrow { speech: Speech, durable: bool },
}

const fn burrow(speech: Speech, durable: bool) -> Measured {
    Measured::Burrow { speech, durable }
}

const SINGLES: &[Shape] = &[Shape::OneAtATime, Shape::InFlight];

const MEASURED: [(&str, Measured, &[Shape]); 6] = [
    (
        "TCP echo",
        Measured::Bare(Bare::Echo, Speech::Echo),
        SINGLES,
    ),
    (
        "bare hyper",
        Measured::Bare(Bare::Hyper, Speech::Http),
        SINGLES,
    ),
    ("HTTP + memory", burrow(Speech::Http, false), &Shape::ALL),
    ("wire + memory", burrow(Speech::Wire, false), &Shape::ALL),
    ("HTTP + SQLite", burrow(Speech::Http, true), &Shape::ALL),
    ("wire + SQLite", burrow(Speech::Wire, true), &Shape::ALL),
];

impl Measured {
    fn start(self, data: &Path) -> anyhow::Result<(Server, SocketAddr, Speech)> {
        let (server, speech) = match self {
            Self::Bare(kind, speech) => (Server::bare(kind)?, speech),
            Self::Burrow { speech, durable } => {
                let arguments = ["--listen-wire=127.0.0.1:0", "--threads=1"];
                (Server::burrow(durable.then_some(data), &arguments)?, speech)
            }
        };
        let address = match speech {
            Speech::Wire => server.wire_address()?,
            _ => server.address,
        };
        Ok((server, address, speech))
    }
}

/// What was seen while messages were put.
struct Sampled {
    phase: Phase,
    samples: BTreeMap<For, u64>,
}

impl Sampled {
    fn of_all(&self) -> f64 {
        self.phase.server_busy * self.phase.seconds * 1e9 / self.phase.messages.max(1) as f64
    }

    fn add_to(&self, table: &mut Report, name: &str, shape: Shape) {
        let all: u64 = self.samples.values().sum();
        let shares = For::ALL.map(|(what, _)| {
            let own = self.samples.get(&what).copied().unwrap_or(0);
            decimal(self.of_all() * own as f64 / all.max(1) as f64, 0)
        });
        let requests = match shape {
            Shape::OneAtATime => "one at a time",
            Shape::InFlight => "100 in flight",
            Shape::Batches => "batches of 100",
        };
        let busy = format!("{:.0} %", self.phase.server_busy * 100.0);
        let rate = decimal(self.phase.rate(), 0);
        let total = decimal(self.of_all(), 0);
        let mut cells: Vec<&dyn std::fmt::Display> = vec![&name, &requests, &rate, &busy, &total];
        cells.extend(shares.iter().map(|share| share as &dyn std::fmt::Display));
        table.row(&cells);
    }
}

fn sample(measured: Measured, shape: Shape, insert_ms: u64) -> anyhow::Result<Sampled> {
    let folder = data_folder()?;
    pin(SERVER_CORE)?;
    let (server, address, speech) = measured.start(&folder.path().join("data"))?;
    pin(LOAD_CORE)?;
    let mut plan = Plan {
        address,
        speech,
        queue: "warm-up".to_owned(),
        connections: CONNECTIONS,
        depth: if shape == Shape::InFlight { 100 } else { 1 },
        batch: if shape == Shape::Batches { BATCH } else { 1 },
        body_bytes: crate::content::BODY_BYTES,
        insert_ms,
        whole_life: matches!(measured, Measured::Burrow { .. }),
        server: Some(server.process()),
        per_second: None,
    };
    apart(&plan)?;
    "profile".clone_into(&mut plan.queue);
    plan.whole_life = false;
    let file = folder.path().join("perf.data");
    let perf = Perf::begin(server.process(), &file)?;
    let phases = apart(&plan)?;
    let samples = perf.end(|sample| For::of(sample.thread, sample.file, sample.function))?;
    Ok(Sampled {
        phase: *phases.first().context("no phase")?,
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_told_by_thread_file_and_function() {
        let worker = "tokio-rt-worker";
        let committer = "burrow-committ";
        for (thread, file, function, what) in [
            (worker, "[kernel.kallsyms]", "[k] tcp_sendmsg", For::Network),
            (
                "burrow-bench",
                "[kernel.kallsyms]",
                "[k] tcp_sendmsg",
                For::Network,
            ),
            (committer, "[ext4]", "[k] ext4_sync_file", For::Disk),
            (committer, "burrow", "sqlite3VdbeExec", For::Sqlite),
            (committer, "burrow", "walWriteOneFrame", For::Sqlite),
            (
                worker,
                "burrow",
                "burrow_core::state::index::Index::insert",
                For::Machine,
            ),
            (
                worker,
                "burrow",
                "burrow_core::journal::records::put",
                For::Journal,
            ),
            (
                worker,
                "burrow",
                "burrow_core::wire::session::Session::next",
                For::FrontEnd,
            ),
            (
                worker,
                "burrow",
                "<burrow::engine::Handle as burrow::desk::Backend>::submit",
                For::Engine,
            ),
            (
                worker,
                "burrow",
                "<burrow::engine::clock::SystemClock as burrow::engine::clock::Clock>::now",
                For::Engine,
            ),
            (worker, "[vdso]", "__vdso_clock_gettime", For::Clock),
            (worker, "libc.so.6", "_int_malloc", For::Memory),
            (
                worker,
                "burrow",
                "tokio::runtime::io::driver::Driver::turn",
                For::Rest,
            ),
        ] {
            assert_eq!(For::of(thread, file, function), what, "{function}");
        }
    }
}
