//! Bytes of memory for each message, queue and waiter.
//!
//! Each kind of contents is measured in a process of its own, so that no memory given
//! back by another makes room for it unseen.

use std::process::Command as Process;

use anyhow::{Context, ensure};
use burrow_core::{Command, Detail, NewMessage, QueueName, Selection, Settings};
use clap::ValueEnum;

use crate::Size;
use crate::content::{self, BODY_BYTES, ID_BYTES, Id};
use crate::drive::{Carrier, Driver, HIDE_MS, TTL_MS, queue};
use crate::heap::{held_bytes, resident_bytes};
use crate::polls;
use crate::report::{Report, decimal};

/// What the memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contents {
    /// 16-byte id, ttl, visible, 100-byte body; the node keeps a journal.
    Messages,
    /// The same without a journal.
    MessagesWithoutJournal,
    MessagesThatNeverExpire,
    MessagesWithoutBody,
    MessagesWithLongBody,
    MessagesWithShortId,
    MessagesWithOwnTtl,
    ClaimedMessages,
    /// What is left of a message that was deleted: its marker.
    DeletedMessages,
    QueuesWithSettings,
    QueuesWithOneMessage,
    Waiters,
}

impl Contents {
    fn describe(self) -> &'static str {
        match self {
            Self::Messages => "message: 16-byte id, ttl, visible, 100-byte body",
            Self::MessagesWithoutJournal => "  without a journal",
            Self::MessagesThatNeverExpire => "  that never expires",
            Self::MessagesWithoutBody => "  with an empty body",
            Self::MessagesWithLongBody => "  with a 200-byte body",
            Self::MessagesWithShortId => "  with an 8-byte id",
            Self::MessagesWithOwnTtl => "  each with another ttl",
            Self::ClaimedMessages => "  claimed",
            Self::DeletedMessages => "  deleted (marker only)",
            Self::QueuesWithSettings => "idle queue with settings, no message",
            Self::QueuesWithOneMessage => "queue with one such message",
            Self::Waiters => "waiter, in the machine",
        }
    }

    fn count(self, size: Size) -> u64 {
        match self {
            Self::QueuesWithSettings | Self::QueuesWithOneMessage | Self::Waiters => {
                size.of(100_000, 2_000)
            }
            _ => size.of(1_000_000, 10_000),
        }
    }
}

pub fn run(size: Size) -> anyhow::Result<()> {
    table(size)?.print();
    Ok(())
}

/// A row for each kind of contents.
pub fn table(size: Size) -> anyhow::Result<Report> {
    let columns = ["each", "count", "resident", "allocated", "wanted"];
    let mut report = Report::new("memory: bytes for each, every index counted", &columns);
    for contents in Contents::value_variants() {
        let count = contents.count(size);
        let (resident, allocated) = measure_apart(*contents, count)?;
        let wanted = match contents {
            Contents::Messages => "132",
            Contents::QueuesWithSettings => "300",
            _ => "",
        };
        report.row(&[
            &contents.describe(),
            &count,
            &decimal(resident, 1),
            &decimal(allocated, 1),
            &wanted,
        ]);
    }
    let count = size.of(10_000, 200);
    report.row(&[
        &"idle long-poll, connection included",
        &count,
        &decimal(polls::resident_bytes_each(count)?, 1),
        &"",
        &"4096",
    ]);
    report.note(format!(
        "raw: {ID_BYTES} id + 8 ttl + 8 hide + {BODY_BYTES} body = 132"
    ));
    Ok(report)
}

/// Bytes for each, resident and allocated, in a process of its own.
pub fn measure_apart(contents: Contents, count: u64) -> anyhow::Result<(f64, f64)> {
    let name = contents.to_possible_value().context("no name")?;
    let output = Process::new(std::env::current_exe()?)
        .args(["memory-of", name.get_name(), &count.to_string()])
        .output()?;
    ensure!(
        output.status.success(),
        "{name:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_whitespace().map(str::parse);
    let (Some(resident), Some(allocated)) = (figures.next(), figures.next()) else {
        anyhow::bail!("no figures in {text:?}")
    };
    Ok((resident?, allocated?))
}

/// Fills a node and prints the growth of resident and allocated bytes for each.
pub fn run_one(contents: Contents, count: u64) -> anyhow::Result<()> {
    let _ = content::body(0);
    let (resident, held) = (resident_bytes()?, held_bytes());
    let driver = fill(contents, count)?;
    let resident = resident_bytes()?.saturating_sub(resident);
    let held = held_bytes().saturating_sub(held);
    check(&driver, contents, count)?;
    println!(
        "{} {}",
        resident as f64 / count as f64,
        held as f64 / count as f64
    );
    Ok(())
}

fn check(driver: &Driver, contents: Contents, count: u64) -> anyhow::Result<()> {
    let stats = driver.node.stats();
    let held = match contents {
        Contents::QueuesWithSettings => stats.queues,
        Contents::Waiters => stats.waiters,
        Contents::DeletedMessages => stats.markers,
        Contents::ClaimedMessages => stats.hidden,
        _ => stats.messages,
    };
    ensure!(held == count, "the node holds {held} instead of {count}");
    Ok(())
}

fn fill(contents: Contents, count: u64) -> anyhow::Result<Driver> {
    let mut driver = Driver::new(contents != Contents::MessagesWithoutJournal);
    let jobs = queue("jobs");
    match contents {
        Contents::Messages | Contents::MessagesWithoutJournal => driver.fill(&jobs, 0..count)?,
        Contents::MessagesThatNeverExpire => {
            put_each(&mut driver, count, |_, message| message.ttl_ms = Some(0))?
        }
        Contents::MessagesWithoutBody => put_each(&mut driver, count, |_, message| {
            message.body = Default::default()
        })?,
        Contents::MessagesWithLongBody => {
            put_each(&mut driver, count, |number, message| {
                message.body = [content::body(number), content::body(number + 1)]
                    .concat()
                    .into();
            })?;
        }
        Contents::MessagesWithShortId => {
            put_each(&mut driver, count, |number, message| {
                message.id = Some(format!("{number:08x}").into())
            })?;
        }
        Contents::MessagesWithOwnTtl => {
            put_each(&mut driver, count, |number, message| {
                message.ttl_ms = Some(TTL_MS + number.wrapping_mul(7_919) % count * 1_000);
            })?;
        }
        Contents::ClaimedMessages => {
            driver.fill(&jobs, 0..count)?;
            for _ in 0..count.div_ceil(1_000) {
                driver.claim_batch(&jobs, 1_000)?;
            }
        }
        Contents::DeletedMessages => {
            driver.fill(&jobs, 0..count)?;
            for _ in 0..count.div_ceil(1_000) {
                let claims = driver.claim_batch(&jobs, 1_000)?;
                driver.delete_batch(&jobs, &claims)?;
            }
        }
        Contents::QueuesWithSettings => {
            for number in 0..count {
                let settings = Settings {
                    default_ttl_ms: Some(TTL_MS),
                    ..Settings::default()
                };
                driver.call(Command::PutSettings {
                    queue: queue(Id::of(number).as_str()),
                    settings,
                })?;
            }
        }
        Contents::QueuesWithOneMessage => {
            for number in 0..count {
                driver.put_batch(&queue(Id::of(number).as_str()), number..number + 1)?;
            }
        }
        Contents::Waiters => {
            for _ in 0..count {
                driver.submit(waiting_claim(&jobs));
            }
        }
    }
    Ok(driver)
}

fn put_each(
    driver: &mut Driver,
    count: u64,
    change: impl Fn(u64, &mut NewMessage<'static>),
) -> anyhow::Result<()> {
    for first in (0..count).step_by(1_000) {
        let messages = (first..count.min(first + 1_000)).map(|number| {
            let id = Id::of(number).as_str().to_owned();
            let mut message = NewMessage {
                id: Some(id.into()),
                body: content::body(number).into(),
                ..NewMessage::default()
            };
            change(number, &mut message);
            message
        });
        driver.call(Command::PutBatch {
            queue: queue("jobs"),
            messages: messages.collect(),
        })?;
    }
    Ok(())
}

fn waiting_claim<'a>(queue: &QueueName<'a>) -> Command<'a> {
    Command::UpdateMessages {
        queue: queue.clone(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: burrow_core::Update {
            hide_ms: Some(HIDE_MS),
            ttl_ms: None,
        },
        wait_ms: HIDE_MS,
        detail: Detail::All,
    }
}
