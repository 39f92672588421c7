//! What many wait for is given to a few of them at a time.

use burrow_core::*;

const BODY_BYTES: usize = 1_000_000;

fn node() -> Node {
    let mut config = Config::default();
    config.journal.enabled = false;
    config.limits.max_answer_bytes = 1;
    Node::new(config)
}

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn put(node: &mut Node, now: Timestamp) {
    let message = NewMessage {
        id: Some("m".into()),
        body: vec![b'x'; BODY_BYTES].into(),
        ..NewMessage::default()
    };
    let queue = queue();
    node.submit(now, Command::Put { queue, message });
    assert!(matches!(
        node.poll_reply(),
        Some((_, Ok(Reply::Put { .. })))
    ));
}

fn look(node: &mut Node, detail: Detail, wait_ms: u64) {
    let list = Command::ListMessages {
        queue: queue(),
        selection: Selection::default(),
        wait_ms,
        detail,
    };
    node.submit(at(1), list);
}

/// How many are told something, and how many that there is nothing.
fn told(node: &mut Node) -> (usize, usize) {
    let outcomes: Vec<_> = std::iter::from_fn(|| node.poll_reply()).collect();
    let found = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
    (found.clone().count(), outcomes.len() - found.count())
}

#[test]
fn what_many_wait_for_is_given_to_some_in_each_millisecond() {
    let mut node = node();
    (0..12).for_each(|_| look(&mut node, Detail::All, 1_000));
    put(&mut node, at(10));
    assert_eq!((told(&mut node), node.deadline()), ((5, 0), Some(at(11))));
    // Nobody else is served out of turn.
    node.handle_deadline(at(10));
    assert_eq!(told(&mut node), (0, 0));
    node.handle_deadline(at(11));
    assert_eq!((told(&mut node), node.deadline()), ((5, 0), Some(at(12))));
    node.handle_deadline(at(12));
    assert_eq!(told(&mut node), (2, 0));
    assert_eq!(node.stats().waiters, 0);
    // What holds no bodies is no burden.
    (0..100).for_each(|_| look(&mut node, Detail::Id, 1_000));
    assert_eq!(told(&mut node), (100, 0));
}

#[test]
fn no_more_is_given_while_nobody_takes_it() {
    let mut node = node();
    (0..12).for_each(|_| look(&mut node, Detail::All, 1_000));
    put(&mut node, at(10));
    node.handle_deadline(at(20));
    node.handle_deadline(at(30));
    // Only the end of the waiting is due meanwhile.
    assert_eq!(
        (node.stats().replies, node.deadline()),
        (5, Some(at(1_001)))
    );
    assert_eq!(told(&mut node), (5, 0));
    assert!(node.deadline().is_some_and(|deadline| deadline <= at(31)));
    node.handle_deadline(at(31));
    assert_eq!(told(&mut node), (5, 0));
}

#[test]
fn who_waits_longer_than_the_message_is_there_gets_nothing() {
    let mut node = node();
    (0..6).for_each(|_| look(&mut node, Detail::All, 1_000));
    put(&mut node, at(10));
    assert_eq!(told(&mut node), (5, 0));
    let (id, claim, detail) = ("m".into(), None, Detail::None);
    let queue = queue();
    let delete = Command::DeleteMessage {
        queue,
        id,
        claim,
        detail,
    };
    node.submit(at(10), delete);
    assert_eq!(told(&mut node), (1, 0));
    node.handle_deadline(at(11));
    assert_eq!((told(&mut node), node.stats().waiters), ((0, 0), 1));
    node.handle_deadline(at(1_001));
    assert_eq!(told(&mut node), (0, 1));
}

#[test]
fn who_comes_while_others_are_put_off_waits_behind_them() {
    let mut node = node();
    let claim = |node: &mut Node, wait_ms| {
        let claim = Command::UpdateMessages {
            queue: queue(),
            selection: Selection {
                limit: Some(1),
                ..Selection::default()
            },
            update: Update {
                hide_ms: Some(60_000),
                ttl_ms: None,
            },
            wait_ms,
            detail: Detail::All,
        };
        node.submit(at(10), claim)
    };
    let served = |node: &mut Node| -> Vec<Ticket> {
        let outcomes = std::iter::from_fn(|| node.poll_reply());
        outcomes
            .filter(|(_, outcome)| matches!(outcome, Ok(Reply::Messages(_))))
            .map(|(ticket, _)| ticket)
            .collect()
    };
    let early: Vec<Ticket> = (0..7).map(|_| claim(&mut node, 1_000)).collect();
    let messages = (0..9).map(|_| NewMessage {
        body: vec![b'x'; BODY_BYTES].into(),
        ..NewMessage::default()
    });
    let (queue, messages) = (queue(), messages.collect());
    node.submit(at(10), Command::PutBatch { queue, messages });
    assert_eq!(served(&mut node), early[..5]);

    let late = claim(&mut node, 1_000);
    assert_eq!(served(&mut node), []);
    // Who does not wait gets what is there.
    let hasty = claim(&mut node, 0);
    assert_eq!(served(&mut node), [hasty]);
    node.handle_deadline(at(11));
    assert_eq!(served(&mut node), [early[5], early[6], late]);
}
