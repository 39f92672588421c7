//! Bugs about what is stored, and what a restart makes of it.

use std::ops::RangeInclusive;

use burrow_core::journal::{Batch, Load, LoadError, RestoreError, RestoreReport};
use burrow_core::{
    Command, Config, Detail, Node, QueueName, Reply, Selection, Settings, Ticket, Timestamp, Update,
};

use super::super::subject::Subject;
use super::clock::ask;
use super::{Planted, quietly};

/// What is stored, without some of the blobs.
struct Without<'a, Gone> {
    load: &'a mut dyn Load,
    gone: Gone,
}

impl<Gone: Fn(u64) -> bool> Load for Without<'_, Gone> {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        let mut sequences = self.load.sequences()?;
        sequences.retain(|sequence| !(self.gone)(*sequence));
        Ok(sequences)
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        self.load.read(sequence)
    }
}

/// Blobs are dropped when a batch that lists them is made, though it may never be stored.
#[derive(Debug, Default)]
pub struct DropsBeforeStored {
    dropped: Vec<RangeInclusive<u64>>,
}

impl Subject for Planted<DropsBeforeStored> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        let batch = self.node.poll_batch()?;
        self.bug.dropped.extend(batch.drops.iter().cloned());
        Some(batch)
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let dropped = std::mem::take(&mut self.bug.dropped);
        let gone = |sequence: u64| dropped.iter().any(|range| range.contains(&sequence));
        let (node, report) = Node::restore(config, now, &mut Without { load, gone })?;
        self.node = node;
        Ok(report)
    }
}

/// One blob more is dropped than may be.
#[derive(Debug, Default)]
pub struct DropsTooMuch;

impl Subject for Planted<DropsTooMuch> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        let mut batch = self.node.poll_batch()?;
        for range in &mut batch.drops {
            *range = *range.start()..=(range.end() + 1).min(batch.sequence - 1);
        }
        Some(batch)
    }
}

/// The write of the last batch before a crash was confirmed, but never happened.
#[derive(Debug, Default)]
pub struct LastBatchLost;

impl Subject for Planted<LastBatchLost> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let last = load.sequences()?.last().copied();
        let gone = |sequence: u64| Some(sequence) == last;
        let (node, report) = Node::restore(config, now, &mut Without { load, gone })?;
        self.node = node;
        Ok(RestoreReport {
            last_sequence: last.unwrap_or(0),
            ..report
        })
    }
}

/// A write in the middle was confirmed, but never happened.
#[derive(Debug, Default)]
pub struct BlobLost;

impl Subject for Planted<BlobLost> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let sequences = load.sequences()?;
        let lost = sequences.len().checked_sub(2).map(|at| sequences[at]);
        let gone = |sequence: u64| Some(sequence) == lost;
        let (node, report) = Node::restore(config, now, &mut Without { load, gone })?;
        self.node = node;
        Ok(report)
    }
}

/// The node is used on after a write of its failed.
#[derive(Debug, Default)]
pub struct NodeKeptAfterFailure;

impl Subject for Planted<NodeKeptAfterFailure> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (_, report) = Node::restore(config, now, load)?;
        Ok(report)
    }
}

/// Queues that commands have named; what a restart forgets, it forgets of these.
#[derive(Debug, Default)]
struct Named(Vec<QueueName<'static>>);

impl Named {
    fn note(&mut self, command: &Command<'static>) {
        if let Command::PutSettings { queue, .. } | Command::UpdateMessages { queue, .. } = command
            && !self.0.contains(queue)
        {
            self.0.push(queue.clone());
        }
    }
}

/// A restart keeps that a queue has settings, but not what they are.
#[derive(Debug, Default)]
pub struct SettingsLost {
    named: Named,
}

impl Subject for Planted<SettingsLost> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.bug.named.note(&command);
        self.node.submit(now, command)
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (mut other, _) = Node::restore(config.clone(), now, load)?;
        let (mut node, report) = Node::restore(config, now, load)?;
        for queue in self.bug.named.0.iter().cloned() {
            let settings = ask(
                &mut other,
                now,
                Command::GetSettings {
                    queue: queue.clone(),
                },
            );
            if matches!(settings, Some(Reply::Settings(settings)) if settings != Settings::default())
            {
                let settings = Settings::default();
                quietly(&mut node, now, Command::PutSettings { queue, settings });
            }
        }
        self.node = node;
        Ok(report)
    }
}

/// A restart makes claimed messages visible.
#[derive(Debug, Default)]
pub struct ClaimsLost {
    named: Named,
}

impl Subject for Planted<ClaimsLost> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.bug.named.note(&command);
        self.node.submit(now, command)
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (mut node, report) = Node::restore(config, now, load)?;
        for queue in self.bug.named.0.iter().cloned() {
            let selection = Selection {
                match_hidden: true,
                ..Selection::default()
            };
            let update = Update {
                hide_ms: Some(0),
                ..Update::default()
            };
            let visible = Command::UpdateMessages {
                queue,
                selection,
                update,
                wait_ms: 0,
                detail: Detail::None,
            };
            quietly(&mut node, now, visible);
        }
        self.node = node;
        Ok(report)
    }
}
