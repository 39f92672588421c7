//! The machine by itself, natively and in wasmtime, while messages live: what a life waits for as more is held.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use super::perf::{Perf, Sample};
use crate::contest::Options;
use crate::machine::Bed;
use crate::report::{Report, decimal};
use crate::server::{SERVER_CORE, data_folder, pin};
use crate::{Size, component};

/// Lives between two looks at the clock.
const CHUNK: u64 = 10_000;

/// What is held while messages live, and how they do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Case {
    Batches,
    BatchesJournaled,
    Singles,
    SinglesOfMany,
    SinglesOfManyHidden,
    SinglesOfManyQueues,
    Component,
    ComponentUnlimited,
}

impl Case {
    const ALL: [(Self, &str); 8] = [
        (Self::Batches, "batches of 100, 1,000,000 messages"),
        (Self::BatchesJournaled, "the same, journaled"),
        (Self::Singles, "singles, 1,000 messages"),
        (Self::SinglesOfMany, "singles, 10,000,000 messages"),
        (Self::SinglesOfManyHidden, "singles, 1,000,000 hidden"),
        (Self::SinglesOfManyQueues, "singles, 1,000,000 queues"),
        (Self::Component, "component, batches of 100, journaled"),
        (Self::ComponentUnlimited, "the same without time limits"),
    ];

    fn is_in_component(self) -> bool {
        matches!(self, Self::Component | Self::ComponentUnlimited)
    }

    fn lives(self, size: Size) -> anyhow::Result<component::Lives> {
        let mut bed = match self {
            Self::Batches => Bed::messages(false, size.of(1_000_000, 1_000))?,
            Self::BatchesJournaled => Bed::messages(true, size.of(1_000_000, 1_000))?,
            Self::Singles => Bed::messages(false, 1_000)?,
            Self::SinglesOfMany => Bed::messages(false, size.of(10_000_000, 1_000))?,
            Self::SinglesOfManyHidden => Bed::hidden(false, size.of(1_000_000, 1_000))?,
            Self::SinglesOfManyQueues => Bed::queues(false, size.of(1_000_000, 1_000))?,
            Self::Component | Self::ComponentUnlimited => {
                let mut lives = component::mapped(matches!(self, Self::Component))?
                    .context("there is no component")?;
                return Ok(Box::new(move |numbers| {
                    let (mut first, last) = (numbers.start, numbers.end);
                    while first < last {
                        lives(first..first + 100)?;
                        first += 100;
                    }
                    Ok(())
                }));
            }
        };
        let singly = !matches!(self, Self::Batches | Self::BatchesJournaled);
        Ok(Box::new(move |numbers| {
            let count = numbers.end - numbers.start;
            if singly {
                bed.single_laps(count).map(drop)
            } else {
                bed.batch_laps(count).map(drop)
            }
        }))
    }
}

/// What a sample is for, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Ids to places: hashing, looking up, entering, taking out.
    Index,
    Markers,
    /// Blocks with their records, queues, limits.
    Messages,
    /// Commands and replies.
    Commands,
    Journal,
    /// The wire protocol, as which commands go to the component.
    Frames,
    /// Allocation, copies and comparisons, by the C library or the component's own.
    Memory,
    Kernel,
    /// What is between a host and its component.
    Crossing,
    /// What makes the commands and checks the replies.
    Rest,
}

impl Part {
    const ALL: [(Self, &str); 10] = [
        (Self::Index, "index"),
        (Self::Markers, "markers"),
        (Self::Messages, "messages"),
        (Self::Commands, "commands"),
        (Self::Journal, "journal"),
        (Self::Frames, "frames"),
        (Self::Memory, "memory"),
        (Self::Kernel, "kernel"),
        (Self::Crossing, "crossing"),
        (Self::Rest, "rest"),
    ];

    /// By the file that the code is in, and the function as perf has it.
    fn of(file: &str, function: &str) -> Self {
        let is_kernel = function.starts_with("[k]");
        let mangled = function.split_once("] ").map_or(function, |(_, name)| name);
        let function = format!("{:#}", rustc_demangle::demangle(mangled));
        let any = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
        let in_state = |parts: &[&str]| {
            function.contains("burrow_core::state")
                && parts.iter().any(|part| function.contains(part))
        };
        if is_kernel {
            Self::Kernel
        } else if file.starts_with("libc")
            || any(&["dlmalloc", "memory_copy", "memory_fill"])
            || ["memcmp", "memcpy", "memmove", "memset", "cabi_realloc"]
                .contains(&function.as_str())
        {
            Self::Memory
        } else if any(&["burrow_core::wire"]) {
            Self::Frames
        } else if any(&["burrow_core::journal", "crc32fast", "burrow_core::crc"]) {
            Self::Journal
        } else if in_state(&["::markers", "::ring", "::kept", "expect_removals"]) {
            Self::Markers
        } else if in_state(&["::index", "::ids", "find_message", "expect_ids"]) {
            Self::Index
        } else if any(&["burrow_core::state"]) {
            Self::Messages
        } else if any(&["burrow_core"]) {
            Self::Commands
        } else if any(&[
            "wasmtime",
            "burrow_embed",
            "burrow_component",
            "burrow:queue",
        ]) || file.starts_with("[JIT]") && !function.contains("::")
        {
            Self::Crossing
        } else {
            Self::Rest
        }
    }
}

/// A row for each case that can be had here.
pub(super) fn table(size: Size, options: &Options) -> anyhow::Result<Report> {
    let columns: Vec<&str> = ["a life", "lives/s", "ns a life"]
        .into_iter()
        .chain(Part::ALL.map(|(_, name)| name))
        .collect();
    let title = "profile: nanoseconds of a life (insert, claim, delete) in the machine alone";
    let mut table = Report::new(title, &columns);
    for (case, name) in Case::ALL {
        if case.is_in_component() && !component::is_there() {
            table.note(format!(
                "Missing: {name}, which {} names; `cargo xtask figures profile` builds it.",
                component::VARIABLE
            ));
            continue;
        }
        add(&mut table, size, options, case, name).with_context(|| name.to_owned())?;
    }
    table.note(
        "Bodies of 100 bytes. Single commands come in groups of 50. By `perf record`; a sample counts for the function it is in, and what a function waits for \
         from memory is in it. What the machine allocates and copies is in `memory`, `rest` is what makes the commands and checks the replies.",
    );
    Ok(table)
}

fn add(
    table: &mut Report,
    size: Size,
    options: &Options,
    case: Case,
    name: &str,
) -> anyhow::Result<()> {
    let folder = data_folder()?;
    let mut command = Command::new(std::env::current_exe()?);
    if size.short {
        command.arg("--short");
    }
    let value = case.to_possible_value().context("no name")?;
    let mut child = command
        .args(["live", value.get_name()])
        .arg(options.insert_ms(size, 2_000).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut to = child.stdin.take().context("no input")?;
    let mut from = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = String::new();
    from.read_line(&mut line)?;
    ensure!(line == "ready\n", "{line:?} instead of its being ready");
    let perf = Perf::begin(child.id(), &folder.path().join("perf.data"))?;
    to.write_all(b"go\n")?;
    line.clear();
    from.read_line(&mut line)?;
    let samples = perf.end(|sample: Sample<'_>| Part::of(sample.file, sample.function))?;
    drop(to);
    ensure!(child.wait()?.success(), "it failed");
    // What perf was told of compiled code.
    let _ = std::fs::remove_file(format!("/tmp/perf-{}.map", child.id()));
    let (lives, nanoseconds) = line.trim().split_once(' ').context("no figures")?;
    let (lives, nanoseconds): (f64, f64) = (lives.parse()?, nanoseconds.parse()?);
    let of_one = nanoseconds / lives;
    let all: u64 = samples.values().sum();
    let parts = Part::ALL.map(|(part, _)| {
        let own = samples.get(&part).copied().unwrap_or(0);
        decimal(of_one * own as f64 / all.max(1) as f64, 0)
    });
    let (rate, total) = (decimal(1e9 / of_one, 0), decimal(of_one, 0));
    let mut cells: Vec<&dyn std::fmt::Display> = vec![&name, &rate, &total];
    cells.extend(parts.iter().map(|part| part as &dyn std::fmt::Display));
    table.row(&cells);
    Ok(())
}

/// Makes what the case wants, says so, and lets messages live for so long once it is told to. Prints how many, and
/// ends when it is told that as well: perf asks for the names of a process' functions while it is there.
pub fn live(size: Size, case: Case, milliseconds: u64) -> anyhow::Result<()> {
    pin(SERVER_CORE)?;
    let mut lives = case.lives(size)?;
    let mut told = std::io::stdin().lock().lines();
    let mut next = 0;
    let mut some = || {
        next += CHUNK;
        lives(next - CHUNK..next)?;
        anyhow::Ok(next)
    };
    // An old marker goes with each message once there are as many as there may be.
    while some()? < size.of(1_200_000, CHUNK) {}
    println!("ready");
    std::io::stdout().flush()?;
    told.next().transpose()?;
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_millis(milliseconds) {
        some()?;
        count += CHUNK;
    }
    println!("{count} {}", began.elapsed().as_nanos());
    std::io::stdout().flush()?;
    told.next().transpose()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_told_by_file_and_function() {
        let (native, compiled) = ("burrow-bench", "[JIT] tid 7");
        for (file, function, part) in [
            ("[kernel.kallsyms]", "[k] do_anonymous_page", Part::Kernel),
            (
                "libc.so.6",
                "[.] __memmove_avx512_unaligned_erms",
                Part::Memory,
            ),
            (
                native,
                "[.] burrow_core::state::messages::<impl burrow_core::state::State>::find_message",
                Part::Index,
            ),
            (
                native,
                "[.] burrow_core::state::block::Block::push",
                Part::Messages,
            ),
            (
                native,
                "[.] burrow_core::node::execute::<impl burrow_core::node::Node>::execute",
                Part::Commands,
            ),
            (
                native,
                "[.] burrow_core::journal::writer::Writer::append",
                Part::Journal,
            ),
            (
                native,
                "[.] burrow_core::wire::command::encode_request",
                Part::Frames,
            ),
            (native, "[.] burrow_bench::drive::read_claims", Part::Rest),
            (
                native,
                "[.] wasmtime::runtime::func::invoke_wasm_and_catch_traps",
                Part::Crossing,
            ),
            (
                compiled,
                "[.] _RNvMs0_NtNtCsjOb9OifI9ZX_11burrow_core5state7markersNtB5_7Markers7current",
                Part::Markers,
            ),
            (
                compiled,
                "[.] _RNvNtCsllDkVc1Pe2u_9crc32fast8baseline14update_fast_16",
                Part::Journal,
            ),
            (
                compiled,
                "[.] burrow:queue/frames@0.1.0#submit",
                Part::Crossing,
            ),
            (compiled, "[.] wasmtime_builtin_memory_copy", Part::Memory),
            (compiled, "[.] memcmp", Part::Memory),
            (compiled, "[.] __multi3", Part::Crossing),
        ] {
            assert_eq!(Part::of(file, function), part, "{function}");
        }
    }
}
