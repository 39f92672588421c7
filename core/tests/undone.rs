//! A claim whose client left before the answer did not happen.

use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

/// Lets the node store what it has, and gives the replies.
fn settle(node: &mut Node) -> Vec<Result<Reply, Refusal>> {
    while let Some(batch) = node.poll_batch() {
        node.handle_durable(batch.sequence);
    }
    std::iter::from_fn(|| node.poll_reply())
        .map(|(_, outcome)| outcome)
        .collect()
}

/// A node with messages that live for so many milliseconds each.
fn node(ttls_ms: &[u64]) -> Node {
    let mut node = Node::new(Config::default());
    for (number, &ttl_ms) in ttls_ms.iter().enumerate() {
        let message = NewMessage {
            id: Some(format!("m{number}").into()),
            ttl_ms: Some(ttl_ms),
            ..NewMessage::default()
        };
        let queue = queue();
        node.submit(NOW, Command::Put { queue, message });
    }
    settle(&mut node);
    node
}

fn claim(ttl_ms: u64) -> Command<'static> {
    Command::UpdateMessages {
        queue: queue(),
        selection: Selection::default(),
        update: Update {
            ttl_ms: Some(ttl_ms),
            hide_ms: Some(30_000),
        },
        wait_ms: 0,
        detail: Detail::All,
    }
}

/// Id and remaining time of each message.
fn times(node: &mut Node, at: Timestamp) -> Vec<(String, u64)> {
    let command = Command::ListMessages {
        queue: queue(),
        selection: Selection::default(),
        wait_ms: 0,
        detail: Detail::All,
    };
    node.submit(at, command);
    match settle(node).pop() {
        Some(Ok(Reply::Messages(list))) => {
            let messages = list.iter();
            messages
                .map(|message| (message.id.to_owned(), message.ttl_ms))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_cancelled_claim_takes_no_time_from_its_messages() {
    let mut node = node(&[0, 600_000, 90_000, 600_000]);
    let before = times(&mut node, NOW);
    let ticket = node.submit(NOW, claim(5_000));
    node.cancel(ticket);
    assert_eq!(times(&mut node, NOW), before);
    assert_eq!(times(&mut node, NOW.after_ms(5_000)).len(), 4);
}

#[test]
fn a_cancelled_claim_gives_no_time_to_its_messages() {
    let mut node = node(&[1_000, 600_000]);
    let ticket = node.submit(NOW, claim(0));
    // Nobody has come for the answer when the first one's time is over.
    node.handle_deadline(NOW.after_ms(2_000));
    node.cancel(ticket);
    let left = times(&mut node, NOW.after_ms(2_000));
    assert_eq!(left, [("m1".to_owned(), 598_000)]);
}

#[test]
fn what_was_given_another_time_since_the_claim_keeps_it() {
    let mut node = node(&[600_000, 600_000]);
    let ticket = node.submit(NOW, claim(5_000));
    let update = Update {
        ttl_ms: Some(70_000),
        hide_ms: None,
    };
    let update = Command::UpdateMessage {
        queue: queue(),
        id: "m0".into(),
        update,
        claim: None,
        detail: Detail::None,
    };
    node.submit(NOW, update);
    node.cancel(ticket);
    let times = times(&mut node, NOW);
    assert_eq!(
        times,
        [("m0".to_owned(), 70_000), ("m1".to_owned(), 600_000)]
    );
}
