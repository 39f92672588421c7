//! What each layer costs: the same work through echo, HTTP alone, HTTP with the queue, the wire
//! protocol with the queue, and the machine alone.

use std::time::Duration;

use anyhow::Context;

use crate::bare::Bare;
use crate::component;
use crate::contest::{self, BATCH, Contestant, Kind, Options, Part, Shape};
use crate::load::Speech;
use crate::machine::{Bed, Step};
use crate::plot::{self, Bars};
use crate::report::{Report, Run};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, data_folder, pin, unpin};
use crate::{Size, interruptions, latency, memory, report, worker};

const MEMORY: &str = "none";
const SYNCED: &str = "synced";

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = report::Header::take();
    header.print();
    let (mut contestants, missing) = contestants()?;
    let (rounds, insert_ms) = (options.rounds(size, 5), options.insert_ms(size, 400));
    contest::warm_up(&mut contestants, size)?;
    let (mut tables, mut plots) = (Vec::new(), Vec::new());
    for shape in Shape::ALL {
        let rows = contest::measure(&mut contestants, shape, rounds, insert_ms)?;
        let title = format!("layers: {}", shape.describe());
        let mut table = contest::table(title.clone(), &contestants, &rows, |name, part| {
            wanted(shape, name, part)
        });
        if shape == Shape::Batches {
            table.note("The echo is that of one single message at a time.");
        }
        tables.push(table);
        let bars = contest::bars(&contestants, &rows);
        let title = format!("{title}: messages to echoes");
        plots.push(Bars { title, bars });
    }
    if let Some(last) = tables.last_mut() {
        notes(last, rounds, insert_ms);
        missing.into_iter().for_each(|name| last.note(name));
    }
    tables.push(latency::table(size, &contestants, size.of(3, 1))?);
    // The servers go before the machine by itself is looked at, and memory is measured.
    drop(contestants);
    tables.push(interruptions::table(size)?);
    pin(SERVER_CORE)?;
    tables.extend(component::table(size)?);
    unpin()?;
    tables.push(memory::table(size)?);
    let run = Run { header, tables };
    options.publish("layers", &run, |file| plot::bars(file, &plots))
}

fn notes(table: &mut Report, rounds: u64, insert_ms: u64) {
    table.note(format!(
        "{rounds} rounds, every contestant in each; median and spread. Inserts for {insert_ms} ms a round, \
         then all that is claimed, then deleted. Server on core {SERVER_CORE}, load, a process of its own, \
         on core {LOAD_CORE}; every answer checked, every body, and that nothing is left. The load is the \
         limit where it is busier than the server."
    ));
    table.note(
        "A life is insert, claim and delete: its ratio compares three requests with one echo.",
    );
}

fn wanted(shape: Shape, name: &str, part: Part) -> &'static str {
    match (shape, name, part) {
        (Shape::OneAtATime, "HTTP + memory", Part::Insert) => "0.72",
        (Shape::OneAtATime, "HTTP + SQLite", Part::Insert) => "0.55",
        (Shape::OneAtATime, "wire + memory", Part::Insert) => "0.90",
        (Shape::OneAtATime, "wire + SQLite", Part::Insert) => "0.65",
        (Shape::Batches, "wire + SQLite", Part::Life) => "300000/s",
        (
            Shape::Batches,
            "machine alone, memory" | "machine alone, memory, 1,000 held",
            Part::Life,
        ) => "3000000/s",
        _ => "",
    }
}

/// All that can be measured here, and a line for each that cannot.
fn contestants() -> anyhow::Result<(Vec<Contestant>, Vec<String>)> {
    const SINGLES: &[Shape] = &[Shape::OneAtATime, Shape::InFlight];
    pin(SERVER_CORE)?;
    let mut all = vec![
        bare("TCP echo", Bare::Echo, Speech::Echo, &Shape::ALL)?,
        bare("bare hyper", Bare::Hyper, Speech::Http, SINGLES)?,
        bare("hyper through axum", Bare::Axum, Speech::Http, SINGLES)?,
    ];
    for (name, speech, durable) in [
        ("HTTP + memory", Speech::Http, false),
        ("HTTP + SQLite", Speech::Http, true),
        ("wire + memory", Speech::Wire, false),
        ("wire + SQLite", Speech::Wire, true),
    ] {
        all.push(burrow(name, speech, durable)?);
    }
    for (name, journal) in [
        ("machine alone, memory", false),
        ("machine alone, journal", true),
    ] {
        const SHAPES: &[Shape] = &[Shape::OneAtATime, Shape::Batches];
        all.push(machine(name, journal, SHAPES, |shape| match shape {
            Shape::Batches => Bed::batch_laps,
            _ => Bed::single_laps,
        })?);
        let name = format!("{name}, 1,000 held");
        all.push(machine(&name, journal, &[Shape::Batches], |_| {
            Bed::batch_lives
        })?);
    }
    let mut missing = Vec::new();
    match component::lives()? {
        Some(lives) => all.push(in_wasmtime(lives)),
        None => missing.push(format!(
            "Missing: the component in wasmtime, which {} names; `cargo xtask figures layers` builds it.",
            component::VARIABLE
        )),
    }
    match worker::contestants_beside()? {
        Some(servers) => all.extend(servers),
        None => missing.push(
            "Missing: the Worker on workerd beside an empty Durable Object, which BURROW_WORKERD names; \
             `cargo xtask figures layers` installs it."
                .to_owned(),
        ),
    }
    pin(LOAD_CORE)?;
    Ok((all, missing))
}

fn bare(
    name: &str,
    kind: Bare,
    speech: Speech,
    shapes: &'static [Shape],
) -> anyhow::Result<Contestant> {
    let server = Server::bare(kind)?;
    Ok(Contestant {
        name: name.to_owned(),
        durability: "",
        kind: Kind::Server {
            address: server.address,
            speech,
            process: Some(server.process()),
            whole_life: false,
            rest: None,
        },
        shapes,
        keep: Box::new(server),
    })
}

/// A Burrow server, in memory or with SQLite in a folder of its own.
pub(crate) fn burrow(name: &str, speech: Speech, durable: bool) -> anyhow::Result<Contestant> {
    let folder = durable.then(data_folder).transpose()?;
    let path = folder.as_ref().map(|folder| folder.path());
    let server = Server::burrow(path, &["--listen-wire=127.0.0.1:0"])?;
    let address = match speech {
        Speech::Wire => server.wire_address()?,
        _ => server.address,
    };
    Ok(Contestant {
        name: name.to_owned(),
        durability: if durable { SYNCED } else { MEMORY },
        kind: Kind::Server {
            address,
            speech,
            process: Some(server.process()),
            whole_life: true,
            rest: Some(server.address),
        },
        shapes: &Shape::ALL,
        // In this order: the server goes before its folder.
        keep: Box::new((server, folder)),
    })
}

/// The machine in this process, on the core of the servers, with 1,000 messages that stay.
fn machine(
    name: &str,
    journal: bool,
    shapes: &'static [Shape],
    step: fn(Shape) -> Step,
) -> anyhow::Result<Contestant> {
    let mut bed = Bed::messages(journal, 1_000)?;
    Ok(Contestant {
        name: name.to_owned(),
        durability: "",
        kind: Kind::Within(Box::new(move |shape, insert_ms| {
            // As many as take about that long, whatever the machine.
            let lives = (insert_ms * 1_000).next_multiple_of(BATCH);
            pin(SERVER_CORE)?;
            let laps = step(shape)(&mut bed, lives);
            pin(LOAD_CORE)?;
            let laps = laps?;
            let rate = |took: Duration| lives as f64 / took.as_secs_f64();
            let mut rates = Vec::new();
            for (name, took) in &laps {
                let part = Part::ALL.into_iter().find(|part| part.name() == *name);
                rates.push((part.context("an unknown part")?, rate(*took)));
            }
            if laps.len() > 1 {
                rates.push((Part::Life, rate(laps.iter().map(|(_, took)| *took).sum())));
            }
            Ok(rates)
        })),
        shapes,
        keep: Box::new(()),
    })
}

fn in_wasmtime(mut lives: component::Lives) -> Contestant {
    let mut next = 0;
    Contestant {
        name: "component in wasmtime".to_owned(),
        durability: "",
        kind: Kind::Within(Box::new(move |_, insert_ms| {
            let count = (insert_ms * 100).next_multiple_of(BATCH);
            pin(SERVER_CORE)?;
            let started = std::time::Instant::now();
            for first in (next..next + count).step_by(BATCH as usize) {
                lives(first..first + BATCH)?;
            }
            let seconds = started.elapsed().as_secs_f64();
            pin(LOAD_CORE)?;
            next += count;
            Ok(vec![(Part::Life, count as f64 / seconds)])
        })),
        shapes: &[Shape::Batches],
        keep: Box::new(()),
    }
}
