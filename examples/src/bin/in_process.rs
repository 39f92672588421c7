//! A queue inside a program: no server, no storage, and a clock that you control.
//!
//! `cargo run -p burrow-examples --bin in_process`

use burrow_core::{
    ClaimToken, Command, Config, Detail, JournalConfig, MessageList, MessageRef, NewMessage, Node,
    QueueName, Refusal, Reply, Selection, Timestamp, Update,
};

fn main() {
    // Without a journal the node forgets everything when it goes, and answers at once.
    let journal = JournalConfig {
        enabled: false,
        ..JournalConfig::default()
    };
    let mut node = Node::new(Config {
        journal,
        ..Config::default()
    });

    // The node reads no clock. Whatever you say is its present; a test can leap.
    let start = Timestamp::from_millis(0);
    for (id, body) in [("1", "send the invoice"), ("2", "send the reminder")] {
        let message = NewMessage {
            id: Some(id.into()),
            body: body.as_bytes().into(),
            ..NewMessage::default()
        };
        let reply = ask(
            &mut node,
            start,
            Command::Put {
                queue: jobs(),
                message,
            },
        );
        println!("put {id}: {reply:?}");
    }

    // To claim is to hide: for 30 s nobody else gets the message.
    let late = claim(&mut node, start);
    claim(&mut node, start);
    claim(&mut node, start);

    // The worker did not come back: after 30 s the message is there for the next one.
    let later = start.after_ms(30_000);
    let current = claim(&mut node, later);

    // Whoever comes late has lost its claim, and cannot remove what another works on.
    for claim in [late, current] {
        let done = Command::DeleteMessage {
            queue: jobs(),
            id: "1".into(),
            claim,
            detail: Detail::None,
        };
        match ask(&mut node, later, done) {
            Ok(_) => println!("acknowledged"),
            Err(refusal) => println!("not acknowledged: {refusal}"),
        }
    }

    // The other message is claimed as well, so there is nothing to take at the moment.
    claim(&mut node, later);

    // A command may wait for a message. The node says when it wants to be called next.
    let wait = Command::DeleteMessages {
        queue: jobs(),
        selection: one(),
        wait_ms: 60_000,
        detail: Detail::All,
    };
    node.submit(later, wait);
    while let Some(due) = node.deadline() {
        node.handle_deadline(due);
        if let Some((_, outcome)) = node.poll_reply() {
            for message in messages(outcome).iter() {
                println!("after {} ms: {}", due.since_ms(later), show(&message));
            }
            break;
        }
    }
}

/// Carries out a command that does not wait.
fn ask(node: &mut Node, now: Timestamp, command: Command<'_>) -> Result<Reply, Refusal> {
    node.submit(now, command);
    let (_, outcome) = node
        .poll_reply()
        .expect("without a journal the answer is there at once");
    outcome
}

/// Claims the first visible message for 30 s and gives the proof of the claim.
fn claim(node: &mut Node, now: Timestamp) -> Option<ClaimToken> {
    let update = Update {
        hide_ms: Some(30_000),
        ..Update::default()
    };
    let claim = Command::UpdateMessages {
        queue: jobs(),
        selection: one(),
        update,
        wait_ms: 0,
        detail: Detail::All,
    };
    let list = messages(ask(node, now, claim));
    let Some(message) = list.iter().next() else {
        println!("nothing to claim");
        return None;
    };
    println!("claimed {}", show(&message));
    message.claim
}

fn messages(outcome: Result<Reply, Refusal>) -> MessageList {
    match outcome {
        Ok(Reply::Messages(list)) => list,
        _ => MessageList::default(),
    }
}

fn show(message: &MessageRef<'_>) -> String {
    format!(
        "{} (attempt {}): {}",
        message.id,
        message.attempts,
        String::from_utf8_lossy(message.body)
    )
}

fn one() -> Selection<'static> {
    Selection {
        limit: Some(1),
        ..Selection::default()
    }
}

fn jobs() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}
