//! What was claimed too often moves, and nothing gets lost on the way.

use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn name(queue: &'static str) -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: queue.into(),
    }
}

/// A node whose queues `q` and `r` give up after one claim.
fn node(config: Config) -> Node {
    let mut node = Node::new(Config {
        journal: JournalConfig {
            enabled: false,
            ..JournalConfig::default()
        },
        ..config
    });
    for queue in ["q", "r"] {
        let settings = Settings {
            max_attempts: Some(1),
            dead_letter: Some("dead".into()),
            ..Settings::default()
        };
        let queue = name(queue);
        ask(&mut node, NOW, Command::PutSettings { queue, settings }).expect("they are taken");
    }
    node
}

fn ask(node: &mut Node, at: Timestamp, command: Command<'_>) -> Result<Reply, Refusal> {
    let ticket = node.submit(at, command);
    let (answered, outcome) = node.poll_reply().expect("nothing here waits");
    assert_eq!(answered, ticket);
    outcome
}

fn put(node: &mut Node, queue: &'static str, id: &str, body: &[u8]) {
    let message = NewMessage {
        id: Some(id.into()),
        body: body.into(),
        ttl_ms: Some(0),
        ..NewMessage::default()
    };
    let queue = name(queue);
    ask(node, NOW, Command::Put { queue, message }).expect("there is room");
}

fn claim(limit: Option<u64>, queue: &'static str, hide_ms: u64) -> Command<'static> {
    Command::UpdateMessages {
        queue: name(queue),
        selection: Selection {
            limit,
            ..Selection::default()
        },
        update: Update {
            ttl_ms: None,
            hide_ms: Some(hide_ms),
        },
        wait_ms: 0,
        detail: Detail::Id,
    }
}

/// Has all messages of the queue claimed for the time being, which is over at the instant given.
fn exhaust(node: &mut Node, at: Timestamp, queue: &'static str) -> Timestamp {
    ask(node, at, claim(None, queue, 1)).expect("there is something to claim");
    at.after_ms(1)
}

fn list(node: &mut Node, at: Timestamp, queue: &'static str) -> Vec<(String, Vec<u8>)> {
    let command = Command::ListMessages {
        queue: name(queue),
        selection: Selection::default(),
        wait_ms: 0,
        detail: Detail::Body,
    };
    match ask(node, at, command) {
        Ok(Reply::Messages(list)) => {
            let messages = list.iter();
            messages
                .map(|message| (message.id.to_owned(), message.body.to_vec()))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn export(node: &mut Node, at: Timestamp) -> Vec<u8> {
    let command = Command::Export {
        queue: name("dead"),
        after: None,
        max_bytes: u64::MAX,
    };
    match ask(node, at, command) {
        Ok(Reply::Exported { piece, next: None }) => piece,
        other => panic!("no piece: {other:?}"),
    }
}

fn import(node: &mut Node, at: Timestamp, piece: &[u8]) {
    let command = Command::Import {
        queue: name("dead"),
        piece: piece.into(),
    };
    ask(node, at, command).expect("it is a piece");
}

#[test]
fn a_dead_letter_takes_the_place_of_no_other() {
    let mut node = node(Config::default());
    put(&mut node, "q", "1", b"of q");
    put(&mut node, "r", "1", b"of r");
    let at = exhaust(&mut node, NOW, "q");
    let at = exhaust(&mut node, at, "r");
    for queue in ["q", "r"] {
        let claimed = ask(&mut node, at, claim(Some(1), queue, 1));
        assert_eq!(claimed, Err(Refusal::MessageNotFound));
    }
    let dead = list(&mut node, at, "dead");
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert_eq!(dead[0], ("1".to_owned(), b"of q".to_vec()));
    assert!(dead[1].0.starts_with("1-"), "{dead:?}");
    assert_eq!(dead[1].1, b"of r");
}

/// So do those that other nodes send, however often each is sent, and although all but their queues is alike.
#[test]
fn a_dead_letter_that_arrives_twice_is_there_once() {
    let mut from = node(Config::default());
    let mut other = node(Config::default());
    let mut to = node(Config::default());
    put(&mut to, "dead", "1", b"in the way");
    for (node, queue) in [(&mut from, "q"), (&mut other, "r")] {
        put(node, queue, "1", b"letter");
        let at = exhaust(node, NOW, queue);
        assert!(ask(node, at, claim(Some(1), queue, 1)).is_err());
    }
    let at = NOW.after_ms(5);
    let pieces = [export(&mut from, at), export(&mut other, at)];
    for piece in pieces.iter().chain(&pieces) {
        import(&mut to, at, piece);
    }
    let bodies: Vec<_> = list(&mut to, at, "dead")
        .into_iter()
        .map(|(_, body)| body)
        .collect();
    assert_eq!(bodies, [b"in the way".as_slice(), b"letter", b"letter"]);
}

/// A proxy claims a letter where it lies and sends it by itself.
#[test]
fn a_letter_that_is_sent_by_itself_keeps_its_time_and_takes_the_place_of_no_other() {
    let mut from = node(Config::default());
    let message = NewMessage {
        id: Some("1".into()),
        body: b"sent".into(),
        content_type: Some("text/plain".into()),
        ttl_ms: Some(5_000),
        hide_ms: None,
    };
    let queue = name("dead");
    ask(&mut from, NOW, Command::Put { queue, message }).expect("there is room");
    let mut to = node(Config::default());
    put(&mut to, "dead", "1", b"in the way");
    let mut claim = claim(None, "dead", 1_000);
    if let Command::UpdateMessages { detail, .. } = &mut claim {
        *detail = Detail::All;
    }
    let Ok(Reply::Messages(claimed)) = ask(&mut from, NOW, claim) else {
        panic!("it is there");
    };
    let claimed = claimed.iter().next().expect("it is there");
    let piece = journal::dead_letter(&claimed, "one").expect("it is claimed");
    // This node's clock shows another time.
    let late = NOW.after_ms(1_000_000);
    import(&mut to, late, &piece);
    import(&mut to, late, &piece);
    let alike = journal::dead_letter(&claimed, "other").expect("it is claimed");
    import(&mut to, late, &alike);
    let ids = |node: &mut Node, at| list(node, at, "dead").len();
    assert_eq!(ids(&mut to, late.after_ms(4_999)), 3);
    assert_eq!(ids(&mut to, late.after_ms(5_000)), 1);
}

#[test]
fn one_claim_moves_only_so_many_and_the_others_follow() {
    let mut node = node(Config {
        burials_at_once: 10,
        ..Config::default()
    });
    for number in 0..35 {
        put(&mut node, "q", &format!("m{number}"), b"x");
    }
    let at = exhaust(&mut node, NOW, "q");
    put(&mut node, "q", "live", b"x");
    let Ok(Reply::Messages(claimed)) = ask(&mut node, at, claim(Some(1), "q", 1_000)) else {
        panic!("what can be claimed is claimed");
    };
    let ids: Vec<_> = claimed.iter().map(|message| message.id).collect();
    assert_eq!(ids, ["live"]);
    assert_eq!(list(&mut node, at, "dead").len(), 10);
    // In the same instant nobody can claim them, and none moves.
    let claimed = ask(&mut node, at, claim(None, "q", 1_000));
    assert_eq!(claimed, Err(Refusal::MessageNotFound));
    assert_eq!(list(&mut node, at, "dead").len(), 10);
    for dead in [20, 30, 35] {
        let due = node.deadline().expect("more are to move");
        node.handle_deadline(due);
        assert_eq!(list(&mut node, due, "dead").len(), dead);
    }
    let due = node.deadline();
    assert!(due.is_none_or(|due| due >= NOW.after_ms(1_000)), "{due:?}");
}

/// A process that stood still for minutes does not make up for all that in one call.
#[test]
fn a_host_that_comes_late_is_told_that_more_is_due_at_once() {
    const EACH: usize = 10;
    const CALL: usize = EACH * BURIAL_INSTANTS;
    let mut node = node(Config {
        burials_at_once: EACH as u64,
        ..Config::default()
    });
    for number in 0..EACH + 2 * CALL + 5 {
        put(&mut node, "q", &format!("m{number}"), b"x");
    }
    let at = exhaust(&mut node, NOW, "q");
    assert!(ask(&mut node, at, claim(Some(1), "q", 1)).is_err());
    let moved = |node: &Node, left: u64| {
        let (count, late) = (node.stats().messages, node.deadline());
        assert_eq!(count, (EACH + 2 * CALL + 5) as u64, "none gets lost");
        assert_eq!(late.is_some_and(|due| due <= at.after_ms(60_000)), left > 0);
    };
    let late = at.after_ms(60_000);
    node.handle_deadline(late);
    moved(&node, 2);
    // A command is a call, too.
    assert_eq!(list(&mut node, late, "dead").len(), EACH + 2 * CALL);
    moved(&node, 1);
    let claimed = ask(&mut node, late, claim(None, "q", 1_000));
    assert_eq!(
        claimed,
        Err(Refusal::MessageNotFound),
        "nobody can claim them"
    );
    moved(&node, 0);
    assert_eq!(list(&mut node, late, "dead").len(), EACH + 2 * CALL + 5);
}

#[test]
fn one_claim_moves_only_so_many_bytes() {
    let mut node = node(Config::default());
    let body = vec![0; BURIAL_BYTES as usize * 2 / 5];
    for id in ["1", "2", "3", "4", "5"] {
        put(&mut node, "q", id, &body);
    }
    let at = exhaust(&mut node, NOW, "q");
    assert!(ask(&mut node, at, claim(Some(1), "q", 1)).is_err());
    assert_eq!(
        list(&mut node, at, "dead").len(),
        3,
        "until there is enough"
    );
    let much_later = at.after_ms(60_000);
    assert_eq!(list(&mut node, much_later, "dead").len(), 5);
}

/// Whoever waits for hidden messages too gets one that is hidden while it is about to move.
#[test]
fn what_is_hidden_before_it_moves_is_found_by_who_waits() {
    let mut node = node(Config {
        burials_at_once: 1,
        ..Config::default()
    });
    for id in ["1", "2", "3"] {
        put(&mut node, "q", id, b"");
    }
    let now = exhaust(&mut node, NOW, "q");
    let mut waiting = claim(None, "q", 1000);
    if let Command::UpdateMessages {
        selection, wait_ms, ..
    } = &mut waiting
    {
        (selection.match_hidden, *wait_ms) = (true, 100);
    }
    let waiting = node.submit(now, waiting);
    assert_eq!(node.poll_reply(), None, "all have had their attempts");
    let hide = Command::UpdateMessage {
        queue: name("q"),
        id: "3".into(),
        update: Update {
            ttl_ms: None,
            hide_ms: Some(5000),
        },
        claim: None,
        detail: Detail::None,
    };
    let hidden = node.submit(now, hide);
    let mut told = std::iter::from_fn(|| node.poll_reply());
    assert!(matches!(told.next(), Some((ticket, Ok(_))) if ticket == hidden));
    match told.next() {
        Some((ticket, Ok(Reply::Messages(list)))) if ticket == waiting => {
            assert_eq!(list.matched(), 1);
        }
        other => panic!("{other:?}"),
    }
}
