//! As many queues as the limits allow.

use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Each queue has a block of its own, and places tell only so many blocks apart.
#[test]
fn a_node_holds_as_many_queues_as_its_limits_say() {
    const QUEUES: u64 = 2_000_000;
    let mut config = Config::default();
    config.journal.enabled = false;
    config.limits.max_account_queues = config.limits.max_queues;
    assert_eq!(config.limits.max_queues, QUEUES);
    let mut node = Node::new(config);
    for number in 0..=QUEUES {
        let queue = QueueName {
            account: "a".into(),
            queue: number.to_string().into(),
        };
        let message = NewMessage {
            id: Some("m".into()),
            body: b"x".as_slice().into(),
            ..NewMessage::default()
        };
        node.submit(NOW, Command::Put { queue, message });
        let Some((_, outcome)) = node.poll_reply() else {
            panic!("no reply for {number}")
        };
        let expected = match number {
            QUEUES => Err(Refusal::Exhausted {
                limit: LimitName::NodeQueues,
                maximum: QUEUES,
            }),
            _ => Ok(Reply::Put { created: true }),
        };
        assert_eq!(outcome, expected, "{number}");
    }
}
