//! Time per command as the node's contents grow.

use std::ops::Range;
use std::time::Duration;

use anyhow::ensure;
use burrow_core::{Command, Detail, NewMessage, QueueName, Reply, Selection};

use crate::Size;
use crate::content::{self, Id};
use crate::drive::{Carrier, Claim, Driver, HIDE_MS, claim, queue, read_claims};
use crate::report::{Report, decimal, median};
use crate::server::thread_cpu;

/// Lives whose phases are timed as one.
const CHUNK: u64 = 500;
/// Commands that share a commit where single commands are journaled: as many connections.
const GROUP: usize = 50;
const BATCH: u64 = 100;

pub fn run(size: Size) -> anyhow::Result<()> {
    let small = 1_000;
    let columns = [
        "contents, journal, commands",
        "small ns",
        "large ns",
        "ratio",
        "spread",
    ];
    let mut report = Report::new(
        "machine: processor time per message, 100-byte bodies; a life is insert + claim + delete",
        &columns,
    );
    for journal in [false, true] {
        let cases: [(&str, u64, Make); 4] = [
            ("messages", size.of(10_000_000, 5_000), Bed::messages),
            ("hidden", size.of(1_000_000, 5_000), Bed::hidden),
            ("queues", size.of(1_000_000, 5_000), Bed::queues),
            ("waiters", size.of(100_000, 2_000), Bed::waiters),
        ];
        for (contents, large, make) in cases {
            let mut beds = [make(journal, small)?, make(journal, large)?];
            let journal = if journal { "journal" } else { "memory" };
            let name = format!("{small} / {large} {contents}, {journal}");
            let steps: &[(&str, Step)] = match contents {
                "waiters" => &[("wake", Bed::wake_laps)],
                "queues" => &[("singles", Bed::single_laps)],
                _ => &[("singles", Bed::single_laps), ("batches", Bed::batch_laps)],
            };
            for (commands, step) in steps {
                compare(
                    &mut report,
                    &format!("{name}, {commands}"),
                    &mut beds,
                    *step,
                    size,
                )?;
            }
            for bed in &beds {
                bed.check()?;
            }
        }
    }
    report.print();
    println!(
        "singles: one message a command, with a journal {GROUP} commands a commit; batches: {BATCH} messages a command and commit"
    );
    println!(
        "wake: an insert that wakes one of the waiters of its queue, which pops the message; a new one takes its place"
    );
    Ok(())
}

/// A bed with a journal or without, and so much in it.
type Make = fn(bool, u64) -> anyhow::Result<Bed>;
/// The times of the phases of so many lives, with their names.
pub(crate) type Laps = Vec<(&'static str, Duration)>;
pub(crate) type Step = fn(&mut Bed, u64) -> anyhow::Result<Laps>;

/// Runs the step on both beds in turn, and adds a row for each phase and for the life.
fn compare(
    report: &mut Report,
    name: &str,
    beds: &mut [Bed; 2],
    step: Step,
    size: Size,
) -> anyhow::Result<()> {
    let (rounds, chunks) = (size.of(15, 3), size.of(20, 2));
    let mut times: Vec<(&str, [Vec<f64>; 2])> = Vec::new();
    for _ in 0..rounds {
        for (which, bed) in beds.iter_mut().enumerate() {
            let mut total: Laps = Vec::new();
            for _ in 0..chunks {
                for (place, (phase, took)) in step(bed, CHUNK)?.into_iter().enumerate() {
                    match total.get_mut(place) {
                        Some((_, sum)) => *sum += took,
                        None => total.push((phase, took)),
                    }
                }
            }
            if total.len() > 1 {
                total.push(("life", total.iter().map(|(_, took)| *took).sum()));
            }
            for (place, (phase, took)) in total.into_iter().enumerate() {
                if times.len() == place {
                    times.push((phase, [Vec::new(), Vec::new()]));
                }
                times[place].1[which].push(took.as_nanos() as f64 / (chunks * CHUNK) as f64);
            }
        }
    }
    for (phase, [mut small, mut large]) in times {
        let mut ratios: Vec<f64> = small
            .iter()
            .zip(&large)
            .map(|(small, large)| large / small)
            .collect();
        let ratio = median(&mut ratios);
        let spread = format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]);
        let (small, large) = (
            decimal(median(&mut small), 0),
            decimal(median(&mut large), 0),
        );
        report.row(&[
            &format!("{name}: {phase}"),
            &small,
            &large,
            &decimal(ratio, 2),
            &spread,
        ]);
    }
    Ok(())
}

/// A node with its contents, which stay as many as they are.
pub(crate) struct Bed {
    driver: Driver,
    queues: Vec<String>,
    random: fastrand::Rng,
    /// The number of the next message.
    next: u64,
    /// What the node must hold between laps.
    messages: u64,
    waiters: u64,
}

impl Bed {
    fn empty(journal: bool, queues: u64) -> Self {
        let queues = (0..queues)
            .map(|number| format!("queue-{number}"))
            .collect();
        Self {
            driver: Driver::new(journal),
            queues,
            random: fastrand::Rng::with_seed(7),
            next: 0,
            messages: 0,
            waiters: 0,
        }
    }

    pub(crate) fn messages(journal: bool, count: u64) -> anyhow::Result<Self> {
        let mut bed = Self::empty(journal, 1);
        bed.driver.fill(&queue(&bed.queues[0]), 0..count)?;
        (bed.next, bed.messages) = (count, count);
        Ok(bed)
    }

    /// Hidden messages and a few visible ones.
    pub(crate) fn hidden(journal: bool, count: u64) -> anyhow::Result<Self> {
        let mut bed = Self::messages(journal, count)?;
        let name = queue(&bed.queues[0]);
        let mut left = count;
        while left > 0 {
            left -= bed.driver.claim_batch(&name, left.min(10_000))?.len() as u64;
        }
        Ok(bed)
    }

    /// Queues with one message each.
    pub(crate) fn queues(journal: bool, count: u64) -> anyhow::Result<Self> {
        let mut bed = Self::empty(journal, count);
        for (number, name) in bed.queues.iter().enumerate() {
            bed.driver
                .put_batch(&queue(name), number as u64..number as u64 + 1)?;
        }
        (bed.next, bed.messages) = (count, count);
        Ok(bed)
    }

    pub(crate) fn waiters(journal: bool, count: u64) -> anyhow::Result<Self> {
        let mut bed = Self::empty(journal, 1);
        for _ in 0..count {
            bed.driver.submit(waiting_pop(&queue(&bed.queues[0])));
        }
        bed.waiters = count;
        bed.check()?;
        Ok(bed)
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let stats = self.driver.node.stats();
        ensure!(
            stats.messages == self.messages,
            "{} messages instead of {}",
            stats.messages,
            self.messages
        );
        ensure!(
            stats.waiters == self.waiters,
            "{} waiters instead of {}",
            stats.waiters,
            self.waiters
        );
        ensure!(stats.replies == 0, "{} replies are left", stats.replies);
        Ok(())
    }

    fn new_numbers(&mut self, count: u64) -> Range<u64> {
        self.next += count;
        self.next - count..self.next
    }

    pub(crate) fn single_laps(&mut self, count: u64) -> anyhow::Result<Laps> {
        let ids: Vec<(u64, Id)> = self
            .new_numbers(count)
            .map(|number| (number, Id::of(number)))
            .collect();
        let places: Vec<usize> = ids
            .iter()
            .map(|_| self.random.usize(..self.queues.len()))
            .collect();
        let names: Vec<QueueName<'_>> = places
            .iter()
            .map(|&place| queue(&self.queues[place]))
            .collect();
        let driver = &mut self.driver;
        let mut created = 0;
        let started = thread_cpu();
        for (ids, names) in ids.chunks(GROUP).zip(names.chunks(GROUP)) {
            for ((number, id), name) in ids.iter().zip(names) {
                driver.submit(put(name, id, *number));
            }
            driver.commit();
            driver.take_replies(|reply| {
                created += u64::from(reply == Reply::Put { created: true });
                Ok(())
            })?;
        }
        let insert = thread_cpu() - started;
        ensure!(
            created == count,
            "{created} messages created instead of {count}"
        );

        let mut claims: Vec<Claim> = Vec::with_capacity(ids.len());
        let started = thread_cpu();
        for names in names.chunks(GROUP) {
            for name in names {
                driver.submit(claim(name, 1));
            }
            driver.commit();
            driver.take_replies(|reply| {
                claims.append(&mut read_claims(&reply)?);
                Ok(())
            })?;
        }
        let claimed = thread_cpu() - started;
        ensure!(
            claims.len() as u64 == count,
            "{} messages claimed instead of {count}",
            claims.len()
        );

        let mut deleted = 0;
        let started = thread_cpu();
        for (claims, names) in claims.chunks(GROUP).zip(names.chunks(GROUP)) {
            for ((id, token), name) in claims.iter().zip(names) {
                let id = id.as_str().into();
                driver.submit(Command::DeleteMessage {
                    queue: name.clone(),
                    id,
                    claim: Some(*token),
                    detail: Detail::None,
                });
            }
            driver.commit();
            deleted += driver.take_replies(|_| Ok(()))?;
        }
        let delete = thread_cpu() - started;
        ensure!(
            deleted == count,
            "{deleted} messages deleted instead of {count}"
        );
        Ok(vec![
            ("insert", insert),
            ("claim", claimed),
            ("delete", delete),
        ])
    }

    pub(crate) fn batch_laps(&mut self, count: u64) -> anyhow::Result<Laps> {
        let numbers = self.new_numbers(count);
        let name = queue(&self.queues[0]);
        let batches = || numbers.clone().step_by(BATCH as usize);
        let driver = &mut self.driver;
        let started = thread_cpu();
        for first in batches() {
            driver.put_batch(&name, first..first + BATCH)?;
        }
        let insert = thread_cpu() - started;
        let mut claims = Vec::new();
        let started = thread_cpu();
        for _ in batches() {
            claims.push(driver.claim_batch(&name, BATCH)?);
        }
        let claimed = thread_cpu() - started;
        let started = thread_cpu();
        for claims in &claims {
            driver.delete_batch(&name, claims)?;
        }
        let delete = thread_cpu() - started;
        let total: usize = claims.iter().map(Vec::len).sum();
        ensure!(
            total as u64 == count,
            "{total} messages claimed instead of {count}"
        );
        Ok(vec![
            ("insert", insert),
            ("claim", claimed),
            ("delete", delete),
        ])
    }

    /// Batches that are inserted, claimed and deleted one after another, so that no more is held than there was.
    pub(crate) fn batch_lives(&mut self, count: u64) -> anyhow::Result<Laps> {
        let numbers = self.new_numbers(count);
        let name = queue(&self.queues[0]);
        let driver = &mut self.driver;
        let mut total = 0;
        let started = thread_cpu();
        for first in numbers.step_by(BATCH as usize) {
            driver.put_batch(&name, first..first + BATCH)?;
            let claims = driver.claim_batch(&name, BATCH)?;
            driver.delete_batch(&name, &claims)?;
            total += claims.len() as u64;
        }
        let life = thread_cpu() - started;
        ensure!(
            total == count,
            "{total} messages claimed instead of {count}"
        );
        Ok(vec![("life", life)])
    }

    pub(crate) fn wake_laps(&mut self, count: u64) -> anyhow::Result<Laps> {
        let numbers = self.new_numbers(count);
        let name = queue(&self.queues[0]);
        let driver = &mut self.driver;
        let mut replies = 0;
        let started = thread_cpu();
        for number in numbers {
            driver.submit(put(&name, &Id::of(number), number));
            driver.submit(waiting_pop(&name));
            driver.commit();
            replies += driver.take_replies(|_| Ok(()))?;
        }
        let wake = thread_cpu() - started;
        ensure!(
            replies == 2 * count,
            "{replies} replies instead of {}",
            2 * count
        );
        Ok(vec![("wake", wake)])
    }
}

fn put<'a>(queue: &QueueName<'a>, id: &'a Id, number: u64) -> Command<'a> {
    let message = NewMessage {
        id: Some(id.as_str().into()),
        body: content::body(number).into(),
        ..NewMessage::default()
    };
    Command::Put {
        queue: queue.clone(),
        message,
    }
}

fn waiting_pop<'a>(queue: &QueueName<'a>) -> Command<'a> {
    Command::DeleteMessages {
        queue: queue.clone(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        wait_ms: HIDE_MS,
        detail: Detail::All,
    }
}
