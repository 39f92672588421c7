//! What a change takes in the journal.

use burrow_core::*;

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

#[test]
fn acknowledgements_of_one_batch_share_a_record() {
    let mut node = Node::new(Config::default());
    let now = Timestamp::from_millis(1);
    for number in 0..100 {
        let message = NewMessage {
            id: Some(format!("m{number}").into()),
            body: b"body".into(),
            ..NewMessage::default()
        };
        let queue = queue();
        node.submit(now, Command::Put { queue, message });
    }
    node.poll_batch().unwrap();
    for number in 0..100 {
        let command = Command::DeleteMessage {
            queue: queue(),
            id: format!("m{number}").into(),
            claim: None,
            detail: Detail::None,
        };
        node.submit(now, command);
    }
    let bytes = node.poll_batch().unwrap().blob.len();
    assert!(bytes < 100, "{bytes} bytes for 100 neighbours");
}
