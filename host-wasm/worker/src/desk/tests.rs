use super::*;
use burrow_core::Update;
use burrow_core::journal::LoadError;

struct Nothing;

impl Load for Nothing {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(Vec::new())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        Err(LoadError(format!("no blob {sequence}")))
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_000);
const PIECE_BYTES: u64 = 1 << 20;

/// A desk whose queue gives a message up at its second claim.
struct Queue(Desk);

impl Queue {
    fn new(settings: Settings) -> Self {
        let desk = Desk::restore(settings, name("a", "q"), NOW, &mut Nothing).unwrap();
        let mut queue = Self(desk);
        let body = br#"{"max_attempts":1,"dead_letter":"dead"}"#;
        queue.call("PUT", "/v1.0/a/q?settings", body, 204);
        queue
    }

    fn call(&mut self, method: &'static str, target: &str, body: &[u8], status: u16) {
        let request = Request {
            method,
            target,
            body,
            ..Request::default()
        };
        let room = Room {
            stores: true,
            shows: true,
        };
        let Handled::Pending { number, .. } = self.0.handle(NOW, &request, room) else {
            panic!("{target} is answered by the node")
        };
        self.store();
        match self.0.poll() {
            Some(Next::Respond(answered, response)) => {
                assert_eq!((answered, response.status), (number, status), "{target}");
            }
            other => panic!("{target}: {other:?}"),
        }
    }

    fn store(&mut self) {
        while let Some(batch) = self.0.poll_batch() {
            self.0.handle_durable(batch.sequence);
        }
    }

    fn give_up(&mut self, id: &str, body: &[u8]) {
        let message = format!("/v1.0/a/q/{id}");
        self.call("PUT", &message, body, 201);
        self.call("POST", "/v1.0/a/q?limit=1&hide=60", b"", 204);
        self.call("POST", &format!("{message}?hide=0"), b"", 204);
        self.call("POST", "/v1.0/a/q?limit=1&hide=60", b"", 404);
    }

    fn next_letters(&mut self) -> Option<Vec<u8>> {
        self.store();
        let Letters { queue, piece } = self.0.next_letters(NOW, PIECE_BYTES).unwrap()?;
        assert_eq!(&*queue, "dead");
        self.store();
        Some(piece)
    }

    fn has_dead_letters(&mut self) -> bool {
        self.store();
        self.0.has_dead_letters(NOW).unwrap()
    }
}

fn holds(piece: &[u8], text: &str) -> bool {
    let mut windows = piece.windows(text.len());
    windows.any(|window| window == text.as_bytes())
}

#[test]
fn what_is_given_up_while_letters_are_sent_is_sent_next() {
    let mut queue = Queue::new(Settings::default());
    queue.give_up("1", b"first");
    let sent = queue.next_letters().unwrap();
    queue.give_up("2", b"second");
    // The same letter once more: it is another message by now.
    queue.give_up("1", b"third");
    assert_eq!(queue.next_letters().unwrap(), sent, "it has not arrived");
    queue.0.drop_sent(NOW, "dead");
    let next = queue.next_letters().unwrap();
    let told = ["first", "second", "third"].map(|body| holds(&next, body));
    assert_eq!(told, [false, true, true]);
    queue.0.drop_sent(NOW, "dead");
    assert_eq!(queue.next_letters(), None);
    assert!(!queue.has_dead_letters());
}

#[test]
fn more_letters_than_go_in_one_step_are_sent_in_several() {
    let mut settings = Settings::default();
    settings.set("MAX_BATCH_MESSAGES", "3").unwrap();
    let mut queue = Queue::new(settings);
    for id in 0..10 {
        queue.give_up(&id.to_string(), b"letter");
    }
    let mut pieces = 0;
    while queue.next_letters().is_some() {
        queue.0.drop_sent(NOW, "dead");
        pieces += 1;
    }
    assert!((4..=10).contains(&pieces), "{pieces} pieces");
    assert!(!queue.has_dead_letters());
}

#[test]
fn nothing_is_told_of_what_is_not_stored() {
    let mut queue = Queue::new(Settings::default());
    assert_eq!(queue.0.exists(NOW), Ok(true));
    queue.0.delete(NOW, name("a", "q"), None);
    queue.0.import(NOW, b"no piece");
    assert_eq!(queue.0.exists(NOW), Ok(true));
    let request = Request {
        method: "PUT",
        target: "/v1.0/a/q/1",
        ..Request::default()
    };
    let room = Room {
        stores: true,
        shows: true,
    };
    queue.0.handle(NOW, &request, room);
    assert_eq!(queue.0.exists(NOW), Err(Unstored));
    assert_eq!(queue.0.remove(NOW), Err(Unstored));
    assert_eq!(queue.0.has_dead_letters(NOW), Err(Unstored));
    queue.store();
    assert_eq!(queue.0.exists(NOW), Ok(true));
}

#[test]
fn what_there_is_no_room_for_is_refused() {
    let mut queue = Queue::new(Settings::default());
    let room = Room {
        stores: false,
        shows: false,
    };
    for (method, target, is_refused) in [
        ("PUT", "/v1.0/a/q/1", true),
        ("GET", "/v1.0/a/q", true),
        ("POST", "/v1.0/a/q?hide=60&detail=all", true),
        ("GET", "/v1.0/a/q?detail=id", false),
        ("POST", "/v1.0/a/q?hide=60&detail=id", false),
        ("DELETE", "/v1.0/a/q/1", false),
    ] {
        let request = Request {
            method,
            target,
            ..Request::default()
        };
        let refused = match queue.0.handle(NOW, &request, room) {
            Handled::Answered(response) => response.status == 429,
            Handled::Pending { .. } => false,
        };
        assert_eq!(refused, is_refused, "{method} {target}");
    }
}

#[test]
fn what_is_decided_cannot_be_taken_back() {
    let mut queue = Queue::new(Settings::default());
    queue.call("PUT", "/v1.0/a/q/1", b"job", 201);
    let room = Room {
        stores: true,
        shows: true,
    };
    let claim = |wait_ms| Command::UpdateMessages {
        queue: name("a", "q"),
        selection: Selection::default(),
        update: Update {
            hide_ms: Some(60_000),
            ttl_ms: None,
        },
        wait_ms,
        detail: Detail::Id,
    };
    let asked = |queue: &mut Queue, wait_ms| queue.0.carry_out(NOW, claim(wait_ms), room).unwrap();
    // Nobody was told of the first: its claim is undone. The second finds the message.
    let undone = asked(&mut queue, 0);
    assert!(queue.0.cancel(undone));
    let told = asked(&mut queue, 0);
    queue.store();
    // It is known, but not asked for yet.
    queue.0.exists(NOW).unwrap();
    assert!(!queue.0.cancel(told));
    match queue.0.poll() {
        Some(Next::Reply(number, Ok(Reply::Messages(messages)))) => {
            assert_eq!((number, messages.matched()), (told, 1));
        }
        other => panic!("{other:?}"),
    }
    // Its answer waits until letters have arrived.
    assert!(!queue.0.cancel(told));
    let waits = asked(&mut queue, 60_000);
    queue.store();
    assert!(queue.0.cancel(waits));
    assert!(!queue.0.cancel(waits));
    assert!(queue.0.poll().is_none());
}

#[test]
fn what_nobody_asks_for_any_more_is_forgotten() {
    let mut queue = Queue::new(Settings::default());
    queue.0.delete(NOW, name("a", "q"), None);
    queue.0.submit(
        NOW,
        Command::ClearSettings {
            queue: name("a", "q"),
        },
        Form::Done,
    );
    queue.store();
    while queue.0.poll().is_some() {}
    let number = queue.0.submit(
        NOW,
        Command::GetSettings {
            queue: name("a", "q"),
        },
        Form::Reply,
    );
    queue.store();
    let asks = queue.0.poll();
    assert!(
        matches!(asks, Some(Next::AskAccount(asked)) if asked == number),
        "{asks:?}"
    );
    assert!(queue.0.cancel(number));
    assert!(queue.0.doubtful.is_empty());
    assert!(queue.0.decide(number, true).is_none());
}

#[test]
fn what_may_be_shown_at_once_is_known_before() {
    let list = |limit, wait_ms, detail| Command::ListMessages {
        queue: name("a", "q"),
        selection: Selection {
            limit,
            ..Selection::default()
        },
        wait_ms,
        detail,
    };
    assert_eq!(shown_at_once(&list(None, 0, Detail::All)), u64::MAX);
    assert_eq!(shown_at_once(&list(Some(3), 0, Detail::Body)), 3);
    assert_eq!(shown_at_once(&list(None, 0, Detail::Attributes)), 0);
    assert_eq!(shown_at_once(&list(None, 1, Detail::Body)), 0);
    let settings = Command::GetSettings {
        queue: name("a", "q"),
    };
    assert_eq!(shown_at_once(&settings), 0);
}
