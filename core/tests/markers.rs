//! The places of removed messages in the journal: written once, and kept as long as needed.

use std::collections::BTreeMap;

use burrow_core::journal::{Batch, Load, LoadError};
use burrow_core::*;

#[derive(Default)]
struct Disk {
    blobs: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    fn store(&mut self, node: &mut Node) {
        while let Some(Batch {
            sequence,
            blob,
            drops,
        }) = node.poll_batch()
        {
            for range in drops {
                self.blobs.retain(|sequence, _| !range.contains(sequence));
            }
            self.blobs.insert(sequence, blob);
            node.handle_durable(sequence);
        }
        while node.poll_reply().is_some() {}
    }

    fn bytes(&self) -> usize {
        self.blobs.values().map(Vec::len).sum()
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
    Config {
        default_ttl_ms: 0,
        journal: JournalConfig {
            checkpoint_bytes: 10_000,
            extent_bytes: 1_000,
            ..JournalConfig::default()
        },
        ..Config::default()
    }
}

fn queue(name: &str) -> QueueName<'_> {
    QueueName {
        account: "a".into(),
        queue: name.into(),
    }
}

fn put(node: &mut Node, at: u64, name: &str, id: &str) {
    let message = NewMessage {
        id: Some(id.into()),
        body: b"body".into(),
        ..NewMessage::default()
    };
    let queue = queue(name);
    node.submit(Timestamp::from_millis(at), Command::Put { queue, message });
}

fn live(node: &mut Node, at: u64, name: &str, id: &str) {
    put(node, at, name, id);
    let command = Command::DeleteMessage {
        queue: queue(name),
        id: id.into(),
        claim: None,
        detail: Detail::None,
    };
    node.submit(Timestamp::from_millis(at), command);
}

/// Ids of the quiet queue behind a message that is gone.
fn behind(node: &mut Node, disk: &mut Disk, at: u64, marker: &str) -> Vec<String> {
    disk.store(node);
    let command = Command::ListMessages {
        queue: queue("quiet"),
        selection: Selection {
            marker: Some(marker.into()),
            ..Selection::default()
        },
        wait_ms: 0,
        detail: Detail::Id,
    };
    node.submit(Timestamp::from_millis(at), command);
    match node.poll_reply() {
        Some((_, Ok(Reply::Messages(list)))) => {
            list.iter().map(|message| message.id.to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn markers_are_written_once_and_go_with_their_time() {
    const LIVES: usize = 50_000;
    let (mut node, mut disk) = (Node::new(config()), Disk::default());
    put(&mut node, 1, "quiet", "before");
    live(&mut node, 1, "quiet", "gone");
    put(&mut node, 1, "quiet", "after");
    let mut at = 1;
    let mut largest = 0;
    // At first nothing is forgotten, then all but the last of each queue.
    for (round, step_ms) in [(0, 0), (1, 2_000)] {
        for number in 0..LIVES {
            at += step_ms;
            live(&mut node, at, "busy", &format!("{round}-{number}"));
            if number % 50 == 0 {
                disk.store(&mut node);
                largest = largest.max(disk.bytes());
            }
            if number % 10_000 == 9_999 {
                disk.store(&mut node);
                let now = Timestamp::from_millis(at);
                (node, _) = Node::restore(config(), now, &mut disk).unwrap();
                let ids = behind(&mut node, &mut disk, at, "gone");
                assert_eq!(ids, ["after"], "in round {round} after {number} lives");
            }
        }
    }
    // Ten bytes each, in blobs that are half of something else, and what is not told by a
    // checkpoint yet.
    assert!(
        (LIVES * 10..LIVES * 14).contains(&largest),
        "{largest} bytes: markers are written again and again"
    );
    let left = disk.bytes();
    assert!(left < 400_000, "{left} bytes are kept for old markers");
}
