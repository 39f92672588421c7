//! Batches that settle messages: each result is as if what came before it in the batch were done already.

use std::collections::BTreeSet;

use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn queue(name: &'static str) -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: name.into(),
    }
}

fn call(node: &mut Node, command: Command<'_>) -> Reply {
    node.submit(NOW, command);
    while let Some(batch) = node.poll_batch() {
        node.handle_durable(batch.sequence);
    }
    let (_, outcome) = node.poll_reply().expect("a reply");
    outcome.expect("a success")
}

fn put(node: &mut Node, name: &'static str, ids: &[String]) {
    let messages = ids.iter().map(|id| NewMessage {
        id: Some(id.into()),
        body: id.as_bytes().into(),
        ..NewMessage::default()
    });
    let messages = messages.collect();
    let queue = queue(name);
    call(node, Command::PutBatch { queue, messages });
}

fn settle(
    node: &mut Node,
    name: &'static str,
    settlements: &[(&str, SettleAction)],
) -> Vec<Result<(), Refusal>> {
    let settlements = settlements.iter().map(|(id, action)| Settlement {
        id: (*id).into(),
        claim: None,
        action: *action,
    });
    let settlements = settlements.collect();
    let queue = queue(name);
    match call(node, Command::Settle { queue, settlements }) {
        Reply::Settled(results) => results,
        other => panic!("{other:?}"),
    }
}

fn ids(node: &mut Node, name: &'static str) -> Vec<String> {
    let command = Command::ListMessages {
        queue: queue(name),
        selection: Selection {
            match_hidden: true,
            ..Selection::default()
        },
        wait_ms: 0,
        detail: Detail::Id,
    };
    match call(node, command) {
        Reply::Messages(list) => list.iter().map(|message| message.id.to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_leaves_in_a_batch_is_gone_for_the_rest_of_it() {
    let mut node = Node::new(Config::default());
    let names: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    put(&mut node, "q", &names);
    let hide = SettleAction::Update(Update {
        hide_ms: Some(1_000),
        ttl_ms: None,
    });
    let results = settle(
        &mut node,
        "q",
        &[
            ("1", SettleAction::Delete),
            ("3", SettleAction::Delete),
            ("3", SettleAction::Delete),
            ("1", hide),
            ("5", hide),
            ("0", SettleAction::Delete),
            ("none", SettleAction::Delete),
            ("5", SettleAction::Delete),
            ("5", hide),
        ],
    );
    let done: Vec<bool> = results.iter().map(Result::is_ok).collect();
    let expected = [true, true, false, false, true, true, false, true, false];
    assert_eq!(done, expected, "{results:?}");
    assert_eq!(ids(&mut node, "q"), ["2", "4"]);
}

/// So many that their index is in no near cache, where places are looked up ahead.
#[test]
fn what_was_looked_up_ahead_is_what_is_settled() {
    const MESSAGES: usize = 60_000;
    let mut node = Node::new(Config::default());
    let names: Vec<String> = (0..MESSAGES).map(|number| format!("{number:x}")).collect();
    for some in names.chunks(10_000) {
        put(&mut node, "q", some);
        put(&mut node, "other", &some[..100]);
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut left: BTreeSet<String> = names.iter().cloned().collect();
    for round in 0..200 {
        let mut asked: Vec<String> = Vec::new();
        let mut expected = Vec::new();
        for number in 0..60 {
            let id = match random.u8(..) % 8 {
                0 => format!("{round}-{number}"),
                1 if !asked.is_empty() => random.choice(&asked).unwrap().clone(),
                _ => names[random.usize(..MESSAGES)].clone(),
            };
            expected.push(match left.remove(&id) {
                true => Ok(()),
                false => Err(Refusal::MessageNotFound),
            });
            asked.push(id);
        }
        if round % 3 > 0 {
            // As they mostly come, in the queue's order or against it: many leave together.
            let mut both: Vec<_> = asked.into_iter().zip(expected).collect();
            both.sort_by_key(|(id, _)| {
                let number = i64::from_str_radix(id, 16).unwrap_or(-1);
                if round % 3 == 1 { number } else { -number }
            });
            (asked, expected) = both.into_iter().unzip();
        }
        let asked: Vec<_> = asked
            .iter()
            .map(|id| (&**id, SettleAction::Delete))
            .collect();
        assert_eq!(settle(&mut node, "q", &asked), expected, "round {round}");
    }
    let stats = node.stats();
    assert_eq!(stats.messages as usize, left.len() + 600);
}
