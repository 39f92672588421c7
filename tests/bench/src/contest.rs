//! Servers that do the same work in turn, round after round, each beside the echo of its round.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use burrow_tests::crash::http::{Connection, Request};
use clap::Args;

use crate::Size;
use crate::load::{Phase, Plan, Speech, Work, apart};
use crate::plot::Bar;
use crate::report::{Report, Run, decimal, median, spread};

pub const CONNECTIONS: usize = 50;
pub const BATCH: u64 = 100;

/// How long to measure, and where to put what was measured beside standard output.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Rounds in which every contestant has its turn.
    #[arg(long)]
    rounds: Option<u64>,
    /// Seconds for which each contestant inserts in a round.
    #[arg(long)]
    seconds: Option<f64>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the figures.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Puts the tables into the section of this document that has the command's name, and
    /// the plot beside it.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

impl Options {
    pub fn rounds(&self, size: Size, full: u64) -> u64 {
        self.rounds.unwrap_or(size.of(full, 1)).max(1)
    }

    pub fn insert_ms(&self, size: Size, full: u64) -> u64 {
        let asked = self.seconds.map(|seconds| (seconds * 1_000.0) as u64);
        asked.unwrap_or(size.of(full, 20)).max(1)
    }

    /// Prints the tables and writes what else was asked for.
    pub fn publish(
        &self,
        name: &str,
        run: &Run,
        draw: impl Fn(&std::path::Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.print(run)?;
        if let Some(file) = &self.svg {
            draw(file)?;
        }
        if let Some(document) = &self.document {
            let plot = format!("{name}.svg");
            draw(&document.with_file_name(&plot))?;
            run.write_section(document, name, Some(&plot))?;
        }
        Ok(())
    }

    /// As [`publish`](Self::publish), where there is nothing to draw.
    pub fn publish_tables(&self, name: &str, run: &Run) -> anyhow::Result<()> {
        if self.svg.is_some() {
            eprintln!("--svg: there is no plot of {name}");
        }
        self.print(run)?;
        match &self.document {
            Some(document) => run.write_section(document, name, None),
            None => Ok(()),
        }
    }

    fn print(&self, run: &Run) -> anyhow::Result<()> {
        run.tables.iter().for_each(Report::print);
        let Some(file) = &self.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&run.json())?;
        std::fs::write(file, text + "\n")
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One message a request, one request at a time on each connection.
    OneAtATime,
    /// One message a request, a hundred requests in flight on each connection.
    InFlight,
    /// A hundred messages a request, one request at a time.
    Batches,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::OneAtATime, Self::InFlight, Self::Batches];

    pub fn describe(self) -> &'static str {
        match self {
            Self::OneAtATime => "one request at a time on each of 50 connections",
            Self::InFlight => "100 requests in flight on each of 50 connections",
            Self::Batches => "batches of 100 messages, one at a time on each of 50 connections",
        }
    }
}

/// A part of a message's life, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Insert,
    Claim,
    Delete,
    Life,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Insert, Self::Claim, Self::Delete, Self::Life];

    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Claim => "claim",
            Self::Delete => "delete",
            Self::Life => "life",
        }
    }
}

/// One of those that are measured.
pub struct Contestant {
    pub name: String,
    /// What its answers promise.
    pub durability: &'static str,
    pub kind: Kind,
    /// In which shapes it takes part.
    pub shapes: &'static [Shape],
    /// Its process, and what else must live as long.
    pub keep: Box<dyn Any>,
}

impl fmt::Debug for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How its work is done.
#[expect(
    missing_debug_implementations,
    reason = "a closure has nothing to show"
)]
pub enum Kind {
    Server {
        address: SocketAddr,
        speech: Speech,
        /// For its time on a core.
        process: Option<u32>,
        /// Whether messages can be claimed and deleted there.
        whole_life: bool,
        /// Where REST tells that nothing is left.
        rest: Option<SocketAddr>,
    },
    /// In this process: messages for each second of every part.
    Within(Within),
}

/// Works for about so many milliseconds.
pub type Within = Box<dyn FnMut(Shape, u64) -> anyhow::Result<Vec<(Part, f64)>>>;

/// What a contestant has reached in one part.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    rates: Vec<f64>,
    ratios: Vec<f64>,
    server_busy: Vec<f64>,
    load_busy: Vec<f64>,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub contestant: usize,
    pub part: Part,
    pub figures: Figures,
}

impl Row {
    /// For the plot: the ratio to echo.
    pub fn bar(&self, name: &str) -> Bar {
        let mut ratios = self.figures.ratios.clone();
        let value = median(&mut ratios);
        Bar {
            name: format!("{name}, {}", self.part.name()),
            value,
            least: ratios.first().copied().unwrap_or(value),
            most: ratios.last().copied().unwrap_or(value),
        }
    }
}

/// A turn of each queue's server that is not measured: files that are written over and over
/// have their size afterwards, and what is written then is what is always written.
pub fn warm_up(contestants: &mut [Contestant], size: Size) -> anyhow::Result<()> {
    for contestant in contestants {
        let Kind::Server {
            whole_life: true,
            process,
            ..
        } = contestant.kind
        else {
            continue;
        };
        // All of it has to fit into the memory of an object on workerd, which has no process of its own and no
        // log that grows.
        let insert_ms = if process.is_some() { 2_000 } else { 400 };
        let shape = match contestant.shapes.contains(&Shape::Batches) {
            true => Shape::Batches,
            false => Shape::InFlight,
        };
        let name = contestant.name.clone();
        turn(contestant, shape, "warm-up", size.of(insert_ms, 20)).with_context(|| name)?;
    }
    Ok(())
}

/// All contestants of that shape in turn, round after round. The first one is the echo.
pub fn measure(
    contestants: &mut [Contestant],
    shape: Shape,
    rounds: u64,
    insert_ms: u64,
) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..rounds {
        let mut echo_rate = None;
        for (place, contestant) in contestants.iter_mut().enumerate() {
            if !contestant.shapes.contains(&shape) {
                continue;
            }
            let queue = format!("{shape:?}-{round}").to_lowercase();
            let name = contestant.name.clone();
            let turn = turn(contestant, shape, &queue, insert_ms).with_context(|| name)?;
            for (part, rate, busy) in turn {
                let echo_rate = *echo_rate.get_or_insert(rate);
                let is_this = |row: &Row| row.contestant == place && row.part == part;
                let at = rows.iter().position(is_this).unwrap_or_else(|| {
                    rows.push(Row {
                        contestant: place,
                        part,
                        figures: Figures::default(),
                    });
                    rows.len() - 1
                });
                let figures = &mut rows[at].figures;
                figures.rates.push(rate);
                figures.ratios.push(rate / echo_rate);
                if let Some((server, load)) = busy {
                    figures.server_busy.push(server);
                    figures.load_busy.push(load);
                }
            }
        }
    }
    Ok(rows)
}

/// A part, its messages for each second, and how busy the server and the load were.
type Turn = Vec<(Part, f64, Option<(f64, f64)>)>;

fn turn(
    contestant: &mut Contestant,
    shape: Shape,
    queue: &str,
    insert_ms: u64,
) -> anyhow::Result<Turn> {
    let (address, speech, process, whole_life, rest) = match &mut contestant.kind {
        Kind::Within(work) => {
            let rates = work(shape, insert_ms)?;
            return Ok(rates
                .into_iter()
                .map(|(part, rate)| (part, rate, None))
                .collect());
        }
        Kind::Server {
            address,
            speech,
            process,
            whole_life,
            rest,
        } => (*address, *speech, *process, *whole_life, *rest),
    };
    let phases = apart(&Plan {
        address,
        speech,
        queue: queue.to_owned(),
        connections: CONNECTIONS,
        depth: if shape == Shape::InFlight { 100 } else { 1 },
        batch: if shape == Shape::Batches && whole_life {
            BATCH
        } else {
            1
        },
        body_bytes: crate::content::BODY_BYTES,
        insert_ms,
        whole_life,
        server: process,
        per_second: None,
    })?;
    if let Some(rest) = rest {
        nothing_is_left(rest, queue)?;
    }
    let mut turn: Turn = phases
        .iter()
        .map(|phase| {
            let part = match phase.work {
                Work::Insert => Part::Insert,
                Work::Claim => Part::Claim,
                Work::Delete => Part::Delete,
            };
            (
                part,
                phase.rate(),
                Some((phase.server_busy, phase.load_busy)),
            )
        })
        .collect();
    if whole_life {
        turn.push(life(&phases));
    }
    Ok(turn)
}

fn life(phases: &[Phase]) -> (Part, f64, Option<(f64, f64)>) {
    let seconds: f64 = phases.iter().map(|phase| phase.seconds).sum();
    let messages = phases.first().map_or(0, |phase| phase.messages);
    let share = |busy: fn(&Phase) -> f64| {
        phases
            .iter()
            .map(|phase| busy(phase) * phase.seconds)
            .sum::<f64>()
            / seconds
    };
    let busy = (
        share(|phase| phase.server_busy),
        share(|phase| phase.load_busy),
    );
    (Part::Life, messages as f64 / seconds, Some(busy))
}

fn nothing_is_left(rest: SocketAddr, queue: &str) -> anyhow::Result<()> {
    let target = format!("/v1.0/bench/{queue}?match_hidden=true&limit=1&detail=id");
    let left = Connection::open(rest)?.call(&Request::new("GET", target))?;
    ensure!(left.status == 404, "not all is deleted: {}", left.text());
    Ok(())
}

/// The rows as a table. `wanted` names the goal of a row, if there is one.
pub fn table(
    title: String,
    contestants: &[Contestant],
    rows: &[Row],
    wanted: impl Fn(&str, Part) -> &'static str,
) -> Report {
    let mut report = Report::new(
        title,
        &[
            "server",
            "durable",
            "work",
            "messages/s",
            "of echo",
            "spread",
            "wanted",
            "server busy",
            "load busy",
        ],
    );
    for (place, contestant) in contestants.iter().enumerate() {
        for row in rows.iter().filter(|row| row.contestant == place) {
            let mut figures = row.figures.clone();
            let ratio = decimal(median(&mut figures.ratios), 3);
            let busy = [&mut figures.server_busy, &mut figures.load_busy].map(|busy| {
                if busy.is_empty() {
                    String::new()
                } else {
                    format!("{:.0} %", 100.0 * median(busy))
                }
            });
            report.row(&[
                &contestant.name,
                &contestant.durability,
                &row.part.name(),
                &decimal(median(&mut figures.rates), 0),
                &ratio,
                &spread(&figures.ratios, 3),
                &wanted(&contestant.name, row.part),
                &busy[0],
                &busy[1],
            ]);
        }
    }
    report
}

/// Bars for the parts that tell most: inserts, and the whole life.
pub fn bars(contestants: &[Contestant], rows: &[Row]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (place, contestant) in contestants.iter().enumerate() {
        for row in rows {
            if row.contestant == place && matches!(row.part, Part::Insert | Part::Life) {
                bars.push(row.bar(&contestant.name));
            }
        }
    }
    bars
}
