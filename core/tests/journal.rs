//! A node restored from what it stored holds what it held, wherever checkpoints fall.

use std::collections::BTreeMap;

use burrow_core::journal::{Batch, Load, LoadError};
use burrow_core::*;

#[derive(Default, Clone)]
struct Disk {
    blobs: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    fn store(&mut self, batch: Batch) {
        for range in batch.drops {
            self.blobs.retain(|sequence, _| !range.contains(sequence));
        }
        assert!(self.blobs.insert(batch.sequence, batch.blob).is_none());
    }
}

impl Load for Disk {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.blobs.keys().copied().collect())
    }
    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        self.blobs
            .get(&sequence)
            .cloned()
            .ok_or(LoadError("no such blob".into()))
    }
}

fn config() -> Config {
    let journal = JournalConfig {
        checkpoint_bytes: 4_000,
        extent_bytes: 1_000,
        ..JournalConfig::default()
    };
    Config {
        journal,
        ..Config::default()
    }
}

fn queue(number: u64) -> QueueName<'static> {
    QueueName {
        account: format!("a{}", number % 2).into(),
        queue: format!("q{number}").into(),
    }
}

/// The first piece of a queue, if it is there and nothing is to be stored first.
fn export(node: &mut Node, at: Timestamp, queue: QueueName<'_>, max_bytes: u64) -> Option<Vec<u8>> {
    let command = Command::Export {
        queue,
        after: None,
        max_bytes,
    };
    let ticket = node.submit(at, command);
    loop {
        let (answered, outcome) = node.poll_reply()?;
        if answered == ticket {
            return match outcome.ok()? {
                Reply::Exported { piece, .. } => Some(piece),
                other => panic!("{other:?}"),
            };
        }
    }
}

#[test]
fn restored_nodes_hold_the_same() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut pick = |below: u64| random.u64(..below);
    let mut disk = Disk::default();
    let mut node = Node::new(config());
    let mut now = 1_000_000u64;
    let mut dropped = 0;
    for step in 0..12_000u64 {
        now += pick(20);
        let at = Timestamp::from_millis(now);
        let queue = queue(pick(5));
        let id = format!("m{}", pick(400));
        let selection = Selection {
            limit: Some(1 + pick(30)),
            match_hidden: pick(8) == 0,
            ..Selection::default()
        };
        let message = NewMessage {
            id: Some(id.clone().into()),
            body: vec![b'x'; pick(60) as usize].into(),
            ttl_ms: (pick(3) == 0).then(|| pick(20_000)),
            hide_ms: (pick(5) == 0).then(|| pick(2_000)),
            ..NewMessage::default()
        };
        let command = match pick(12) {
            0..=4 => Command::Put { queue, message },
            5 => Command::PutBatch {
                queue,
                messages: (0..pick(40))
                    .map(|_| NewMessage {
                        id: None,
                        ..message.clone()
                    })
                    .collect(),
            },
            6 => Command::UpdateMessages {
                queue,
                selection,
                update: Update {
                    hide_ms: Some(pick(5_000)),
                    ttl_ms: None,
                },
                wait_ms: 0,
                detail: Detail::None,
            },
            7 => Command::UpdateMessages {
                queue,
                selection,
                update: Update {
                    hide_ms: None,
                    ttl_ms: Some(pick(50_000)),
                },
                wait_ms: 0,
                detail: Detail::None,
            },
            8 | 9 => Command::DeleteMessages {
                queue,
                selection,
                wait_ms: 0,
                detail: Detail::None,
            },
            10 => Command::DeleteMessage {
                queue,
                id: id.into(),
                claim: None,
                detail: Detail::None,
            },
            _ => match pick(40) {
                0 => Command::DeleteQueues {
                    account: queue.account,
                    page: Page::default(),
                },
                1 => Command::PutSettings {
                    queue,
                    settings: Settings {
                        max_attempts: Some(2),
                        dead_letter: Some("dead".into()),
                        ..Settings::default()
                    },
                },
                2 => Command::ClearSettings { queue },
                3 => Command::PutSettings {
                    queue,
                    settings: Settings {
                        order: Order::Lifo,
                        ..Settings::default()
                    },
                },
                4..=8 => {
                    let from = self::queue(pick(5));
                    let Some(piece) = export(&mut node, at, from, pick(3_000)) else {
                        continue;
                    };
                    Command::Import {
                        queue,
                        piece: piece.into(),
                    }
                }
                _ => Command::GetMessage {
                    queue,
                    id: id.into(),
                    detail: Detail::All,
                },
            },
        };
        node.submit(at, command);
        if pick(3) == 0 {
            while let Some(batch) = node.poll_batch() {
                dropped += batch.drops.len();
                let sequence = batch.sequence;
                disk.store(batch);
                if pick(4) != 0 {
                    node.handle_durable(sequence);
                }
            }
            node.handle_durable(u64::MAX);
            while node.poll_reply().is_some() {}
            if step % 10 == 0 {
                let digest = node.digest();
                let (restored, report) = Node::restore(config(), at, &mut disk.clone())
                    .unwrap_or_else(|error| panic!("step {step}: {error}"));
                assert_eq!(restored.digest(), digest, "step {step}");
                assert_eq!(report.messages, node.stats().messages, "step {step}");
                let (a, b) = (restored.stats(), node.stats());
                assert_eq!(
                    (a.hidden, a.bytes, a.queues, a.accounts),
                    (b.hidden, b.bytes, b.queues, b.accounts),
                    "step {step}"
                );
                if pick(3) == 0 {
                    node = restored;
                }
            }
        }
    }
    assert!(dropped > 10, "only {dropped} drops");
    assert!(
        disk.blobs.len() < 3_000,
        "{} blobs are kept",
        disk.blobs.len()
    );
}
