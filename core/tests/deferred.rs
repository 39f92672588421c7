//! Claims that are answered before they are stored.

use std::collections::BTreeMap;

use burrow_core::journal::{Load, LoadError};
use burrow_core::*;

#[derive(Clone, Default)]
struct Disk(BTreeMap<u64, Vec<u8>>);

impl Load for Disk {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.0.keys().copied().collect())
    }
    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let blob = self.0.get(&sequence).cloned();
        blob.ok_or(LoadError("no such blob".into()))
    }
}

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const DELAY_MS: u64 = 2_000;

fn config() -> Config {
    let mut config = Config::default();
    config.journal.claim_delay_ms = DELAY_MS;
    config
}

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

fn store(node: &mut Node, disk: &mut Disk) -> usize {
    let before = disk.0.len();
    while let Some(batch) = node.poll_batch() {
        disk.0.insert(batch.sequence, batch.blob);
        node.handle_durable(batch.sequence);
    }
    disk.0.len() - before
}

fn put(node: &mut Node, at: Timestamp, id: &'static str) {
    let message = NewMessage {
        id: Some(id.into()),
        ttl_ms: Some(0),
        ..NewMessage::default()
    };
    let queue = queue();
    node.submit(at, Command::Put { queue, message });
}

fn claim(node: &mut Node, at: Timestamp) -> Ticket {
    let command = Command::UpdateMessages {
        queue: queue(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: Update {
            ttl_ms: None,
            hide_ms: Some(600_000),
        },
        wait_ms: 0,
        detail: Detail::Attributes,
    };
    node.submit(at, command)
}

fn token(reply: Option<(Ticket, Result<Reply, Refusal>)>) -> ClaimToken {
    match reply {
        Some((_, Ok(Reply::Messages(list)))) => list.iter().next().unwrap().claim.unwrap(),
        other => panic!("no claim: {other:?}"),
    }
}

fn delete(node: &mut Node, at: Timestamp, id: &'static str, claim: ClaimToken) -> Ticket {
    let command = Command::DeleteMessage {
        queue: queue(),
        id: id.into(),
        claim: Some(claim),
        detail: Detail::None,
    };
    node.submit(at, command)
}

fn restored(disk: &Disk, at: Timestamp) -> Node {
    Node::restore(config(), at, &mut disk.clone())
        .expect("it can be restored")
        .0
}

/// A node with one stored message, all replies taken.
fn ready() -> (Node, Disk) {
    let (mut node, mut disk) = (Node::new(config()), Disk::default());
    put(&mut node, START, "m");
    store(&mut node, &mut disk);
    assert!(node.poll_reply().is_some(), "it is stored");
    (node, disk)
}

#[test]
fn a_life_is_stored_twice_and_not_three_times() {
    let (mut node, mut disk) = ready();
    claim(&mut node, START);
    assert_eq!(store(&mut node, &mut disk), 0);
    let claimed = token(node.poll_reply());
    delete(&mut node, START.after_ms(100), "m", claimed);
    assert!(node.poll_reply().is_none(), "a delete is stored first");
    assert_eq!(store(&mut node, &mut disk), 1);
    assert!(matches!(node.poll_reply(), Some((_, Ok(_)))));
    assert_eq!(restored(&disk, START).stats().messages, 0);
}

#[test]
fn a_claim_that_lasts_is_stored_when_its_time_has_come() {
    let (mut node, mut disk) = ready();
    claim(&mut node, START);
    let claimed = token(node.poll_reply());
    let due = START.after_ms(DELAY_MS);
    assert_eq!(node.deadline(), Some(due));
    node.handle_deadline(due);
    assert_eq!(store(&mut node, &mut disk), 1);
    assert_ne!(node.deadline(), Some(due));
    let mut node = restored(&disk, due);
    assert_eq!(node.stats().hidden, 1);
    delete(&mut node, due, "m", claimed);
    store(&mut node, &mut disk);
    assert!(matches!(node.poll_reply(), Some((_, Ok(_)))));
}

#[test]
fn a_claim_that_a_crash_undoes_is_void_even_if_the_clock_stands_still() {
    let (mut node, disk) = ready();
    claim(&mut node, START);
    let lost = token(node.poll_reply());
    let mut node = restored(&disk, START);
    assert_eq!(node.stats().hidden, 0, "the next worker gets it");
    claim(&mut node, START);
    let mut disk = disk;
    store(&mut node, &mut disk);
    let current = token(node.poll_reply());
    assert_ne!(current, lost);
    delete(&mut node, START, "m", lost);
    assert!(matches!(
        node.poll_reply(),
        Some((_, Err(Refusal::ClaimLost)))
    ));
}

#[test]
fn long_after_the_last_change_a_claim_is_stored_first() {
    let (mut node, mut disk) = ready();
    // Stamps of this time are not reserved by what is stored.
    let late = START.after_ms(60_000);
    claim(&mut node, late);
    assert!(node.poll_reply().is_none());
    assert_eq!(store(&mut node, &mut disk), 1);
    token(node.poll_reply());
    put(&mut node, late, "n");
    store(&mut node, &mut disk);
    assert!(node.poll_reply().is_some(), "it is stored");
    claim(&mut node, late.after_ms(59_999));
    token(node.poll_reply());
}

#[test]
fn a_claim_waits_for_the_message_that_it_claims() {
    let (mut node, mut disk) = ready();
    put(&mut node, START, "n");
    let first = claim(&mut node, START);
    let second = claim(&mut node, START);
    assert!(node.poll_reply().is_none(), "n is not stored yet");
    assert_eq!(store(&mut node, &mut disk), 1);
    let order: Vec<Ticket> = std::iter::from_fn(|| node.poll_reply())
        .map(|(ticket, _)| ticket)
        .collect();
    assert_eq!(order.len(), 3);
    assert!(order.ends_with(&[first, second]));
}

/// There no time is left to skip after a restart.
#[test]
fn at_the_end_of_time_nothing_is_given_twice() {
    let end = Timestamp::MAX;
    let mut disk = Disk::default();
    let mut given = BTreeMap::new();
    for life in 0..4 {
        let mut node = restored_or_new(&disk, end);
        let messages = vec![NewMessage::default()];
        let queue = queue();
        node.submit(end, Command::PutBatch { queue, messages });
        store(&mut node, &mut disk);
        let Some((_, Ok(Reply::PutBatch(ids)))) = node.poll_reply() else {
            panic!("it is stored")
        };
        assert_eq!(given.insert(format!("id {ids:?}"), life), None);
        if life > 1 {
            claim(&mut node, end);
            assert!(node.poll_reply().is_none(), "a claim is stored first");
            store(&mut node, &mut disk);
            let claimed = token(node.poll_reply());
            assert_eq!(given.insert(format!("token {claimed}"), life), None);
        }
        let command = Command::DeleteMessages {
            queue: self::queue(),
            selection: Selection {
                match_hidden: true,
                ..Selection::default()
            },
            wait_ms: 0,
            detail: Detail::None,
        };
        node.submit(end, command);
        store(&mut node, &mut disk);
    }
}

fn restored_or_new(disk: &Disk, at: Timestamp) -> Node {
    if disk.0.is_empty() {
        return Node::new(config());
    }
    restored(disk, at)
}

/// What the claims of a lost life were given is known to nobody: not to the next life, nor to
/// the one after it.
#[test]
fn tokens_of_lost_lives_are_not_given_again() {
    let (node, disk) = ready();
    drop(node);
    let mut given = std::collections::BTreeSet::new();
    for life in 0..4 {
        let at = START.after_ms(life / 2);
        let mut node = restored(&disk, at);
        claim(&mut node, at);
        // The claim is answered at once, or its life's batches, which are lost, hold it.
        let batch = node.poll_batch();
        if let Some(batch) = &batch {
            node.handle_durable(batch.sequence);
        }
        let claimed = token(node.poll_reply());
        if batch.is_none() {
            assert!(given.insert(claimed), "life {life}: {claimed}");
        }
    }
}
