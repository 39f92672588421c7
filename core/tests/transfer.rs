//! A queue that moves to another node is there what it was here.

use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn name(queue: &'static str) -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: queue.into(),
    }
}

fn node() -> Node {
    let mut config = Config::default();
    config.journal.enabled = false;
    Node::new(config)
}

fn ask(node: &mut Node, at: Timestamp, command: Command<'_>) -> Result<Reply, Refusal> {
    let ticket = node.submit(at, command);
    let (answered, outcome) = node.poll_reply().expect("nothing here waits");
    assert_eq!(answered, ticket);
    outcome
}

fn export(node: &mut Node, max_bytes: u64) -> Vec<Vec<u8>> {
    let (mut pieces, mut after) = (Vec::new(), None);
    loop {
        let command = Command::Export {
            queue: name("q"),
            after,
            max_bytes,
        };
        let Ok(Reply::Exported { piece, next }) = ask(node, NOW, command) else {
            panic!("the queue is there");
        };
        pieces.push(piece);
        if next.is_none() {
            return pieces;
        }
        after = next;
    }
}

fn import(node: &mut Node, at: Timestamp, piece: &[u8]) -> Result<Reply, Refusal> {
    let command = Command::Import {
        queue: name("q"),
        piece: piece.into(),
    };
    ask(node, at, command)
}

/// A queue with claims, delays, replaced and typed messages, and settings.
fn eventful() -> Node {
    let mut node = node();
    let settings = Settings {
        max_attempts: Some(5),
        dead_letter: Some("dead".into()),
        order: Order::Lifo,
        ..Settings::default()
    };
    let command = Command::PutSettings {
        queue: name("q"),
        settings,
    };
    ask(&mut node, NOW, command).expect("settings are taken");
    for number in 0..3_000u64 {
        let message = NewMessage {
            id: Some(format!("m{}", number % 2_500).into()),
            body: vec![number as u8; number as usize % 50].into(),
            content_type: (number % 7 == 0).then(|| "image/png".into()),
            ttl_ms: Some([0, 600_000, 5_000][number as usize % 3]),
            hide_ms: (number % 11 == 0).then_some(90_000),
        };
        let queue = name("q");
        ask(&mut node, NOW, Command::Put { queue, message }).expect("there is room");
    }
    for limit in [400, 300, 200] {
        let command = Command::UpdateMessages {
            queue: name("q"),
            selection: Selection {
                limit: Some(limit),
                ..Selection::default()
            },
            update: Update {
                ttl_ms: None,
                hide_ms: Some(limit * 10),
            },
            wait_ms: 0,
            detail: Detail::None,
        };
        ask(&mut node, NOW, command).expect("there is something to claim");
    }
    node
}

#[test]
fn pieces_hold_everything_however_small_they_are() {
    let mut from = eventful();
    for max_bytes in [1, 1_000, 100_000, u64::MAX] {
        let pieces = export(&mut from, max_bytes);
        let mut to = node();
        for piece in &pieces {
            import(&mut to, NOW, piece).expect("it is a piece");
        }
        assert_eq!(to.digest(), from.digest(), "{max_bytes} bytes a piece");
        for piece in &pieces {
            import(&mut to, NOW, piece).expect("it is a piece");
        }
        assert_eq!(to.digest(), from.digest(), "twice is once");
    }
}

#[test]
fn what_expires_on_the_way_is_left_out_and_what_ends_hiding_is_visible() {
    let mut from = eventful();
    let pieces = export(&mut from, u64::MAX);
    let late = NOW.after_ms(6_000);
    let mut to = node();
    for piece in &pieces {
        import(&mut to, late, piece).expect("it is a piece");
    }
    from.handle_deadline(late);
    assert!(from.stats().hidden < 300, "claims have ended");
    assert_eq!(to.digest(), from.digest());
    assert_eq!(to.stats().hidden, from.stats().hidden);
}

#[test]
fn a_token_is_still_good_after_the_move_and_a_later_claim_makes_it_stale() {
    let mut from = eventful();
    let claim = |hide_ms| Command::UpdateMessages {
        queue: name("q"),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: Update {
            ttl_ms: None,
            hide_ms: Some(hide_ms),
        },
        wait_ms: 0,
        detail: Detail::Attributes,
    };
    let Ok(Reply::Messages(claimed)) = ask(&mut from, NOW, claim(1_000)) else {
        panic!("there is something to claim");
    };
    let first = claimed.iter().next().expect("one was claimed");
    let (id, token) = (first.id.to_owned(), first.claim.expect("with a token"));
    let mut to = node();
    for piece in export(&mut from, 10_000) {
        import(&mut to, NOW, &piece).expect("it is a piece");
    }
    let extend = |token| Command::UpdateMessage {
        queue: name("q"),
        id: id.clone().into(),
        update: Update {
            ttl_ms: None,
            hide_ms: Some(1_000),
        },
        claim: Some(token),
        detail: Detail::None,
    };
    ask(&mut to, NOW, extend(token)).expect("the claim has moved along");
    let Ok(Reply::Messages(claimed)) = ask(&mut to, NOW.after_ms(2_000), claim(1_000)) else {
        panic!("there is something to claim");
    };
    let again = claimed.iter().find(|message| message.id == id);
    let other = again.and_then(|message| message.claim);
    assert_ne!(other, Some(token), "tokens are not given twice");
}

#[test]
fn damaged_pieces_and_limits_are_refused_and_change_nothing() {
    let pieces = export(&mut eventful(), u64::MAX);
    let piece = &pieces[0];
    let mut to = node();
    let unreadable = Refusal::Invalid {
        field: Field::Piece,
        problem: Problem::Unreadable,
    };
    for cut in [0, 3, 4, 8, piece.len() - 1] {
        assert_eq!(import(&mut to, NOW, &piece[..cut]), Err(unreadable.clone()));
    }
    for at in (0..piece.len()).step_by(101) {
        let mut damaged = piece.clone();
        damaged[at] ^= 0x10;
        assert_eq!(import(&mut to, NOW, &damaged), Err(unreadable.clone()));
    }
    assert_eq!(to.stats().queues, 0);

    let mut config = Config::default();
    config.journal.enabled = false;
    config.limits.max_queue_messages = 100;
    let mut small = Node::new(config);
    let refused = import(&mut small, NOW, piece);
    let limit = LimitName::QueueMessages;
    assert_eq!(
        refused,
        Err(Refusal::TooLarge {
            limit,
            maximum: 100
        })
    );
    assert_eq!(small.stats().queues, 0);
}
