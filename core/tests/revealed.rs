//! What one waiter makes visible goes to those that wait behind it, in the order in which they came.

use burrow_core::*;

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

fn put_hidden(node: &mut Node, id: &'static str) {
    let message = NewMessage {
        id: Some(id.into()),
        hide_ms: Some(60_000),
        ..NewMessage::default()
    };
    let queue = queue();
    node.submit(Timestamp::from_millis(1), Command::Put { queue, message });
}

fn behind_the_first(match_hidden: bool) -> Selection<'static> {
    Selection {
        marker: Some("first".into()),
        limit: Some(1),
        match_hidden,
    }
}

fn update(selection: Selection<'static>, hide_ms: u64) -> Command<'static> {
    Command::UpdateMessages {
        queue: queue(),
        selection,
        update: Update {
            hide_ms: Some(hide_ms),
            ttl_ms: None,
        },
        wait_ms: 1_000,
        detail: Detail::None,
    }
}

#[test]
fn one_with_a_marker_comes_before_a_later_claim() {
    let mut config = Config::default();
    config.journal.enabled = false;
    let mut node = Node::new(config);
    let now = Timestamp::from_millis(1);
    put_hidden(&mut node, "first");
    assert!(matches!(node.poll_reply(), Some((_, Ok(_)))));

    let reveals = node.submit(now, update(behind_the_first(true), 0));
    let pop = Command::DeleteMessages {
        queue: queue(),
        selection: behind_the_first(false),
        wait_ms: 1_000,
        detail: Detail::None,
    };
    let pops = node.submit(now, pop);
    node.submit(now, update(Selection::default(), 5_000));
    assert_eq!(node.poll_reply(), None, "there is nothing for any of them");

    put_hidden(&mut node, "second");
    let mut served: Vec<Ticket> = Vec::new();
    while let Some((ticket, reply)) = node.poll_reply() {
        if matches!(reply, Ok(Reply::Messages(_))) {
            served.push(ticket);
        }
    }
    assert_eq!(served, [reveals, pops]);
    assert_eq!(node.stats().waiters, 1, "the claim waits on");
}
