//! The wire protocol on a WebSocket to the Worker: order, sleep, and what should not be sent.

use std::io::Write as _;
use std::time::Duration;

use burrow_core::wire::{self, Answer, Failure, Offer};
use burrow_core::{Command, Field, NewMessage, Page, Problem, QueueName, Refusal, Reply};
use burrow_tests::conformance::{Host as _, Request, ServerHost};
use burrow_tests::web_socket::WebSocket;
use burrow_tests::wire_client::{Wire, claim, list, matched, put};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Worker, batch};

/// The runtime gives an object up after ten seconds without anything to do.
const SLEEPS_AFTER: Duration = Duration::from_secs(11);

fn connect(worker: &Worker) -> Wire<WebSocket> {
    Wire::web_socket(&worker.server)
}

/// Waits until so many requests wait in the queues.
fn until_waiting(worker: &mut Worker, requests: u64) {
    let mut looks = 0..10_000;
    while worker.counter("waiting") != requests {
        assert!(looks.next().is_some(), "{}", worker.server.logs());
    }
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_build_without_the_protocol_has_no_such_path() {
    let mut worker = Worker::start(&[]);
    let answer = worker.call("GET", "/wire", b"");
    assert_eq!((answer.status, answer.text().as_str()), (404, "Not found"));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn commands_go_and_answers_come_as_they_are_ready() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let wait = client.submit(&claim(600_000));
    until_waiting(&mut worker, 1);
    // The one that waits keeps nobody.
    let other = Command::ListAccounts {
        page: Page::default(),
    };
    assert_eq!(client.call(&other), Err(Refusal::AccountNotFound.into()));
    let written = client.submit(&put("1", b"job"));
    let mut answers = [client.next().unwrap(), client.next().unwrap()];
    answers.sort_by_key(|answer| match answer {
        Answer::Outcome { id, .. } => *id,
        other => panic!("{other:?}"),
    });
    let [Answer::Outcome { id, outcome }, second] = &answers else {
        panic!("{answers:?}")
    };
    assert_eq!((*id, matched(outcome)), (wait, 1));
    let outcome = Ok(Reply::Put { created: true });
    let id = written;
    assert_eq!(*second, Answer::Outcome { id, outcome });
    let names = Ok(Reply::Names(vec!["shop".into()].into()));
    assert_eq!(client.call(&other), names);
    // HTTP and the wire have the same queues.
    let ids = worker.expect(200, "GET", "/v1.0/shop/jobs?match_hidden=true", b"");
    assert_eq!(ids.as_array().map(Vec::len), Some(1), "{ids}");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn commands_of_a_queue_are_carried_out_in_order() {
    let worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let large = vec![b'x'; 1 << 20];
    let mut frames = Vec::new();
    // The first one makes the queue, which takes a while, and large ones take longer than small ones.
    for id in 1..=40 {
        let body: &[u8] = if id % 8 == 1 { &large } else { b"" };
        wire::encode_request(&mut frames, id, &put("same", body), u32::MAX).unwrap();
    }
    client.stream.write_all(&frames).unwrap();
    client.last_id = 40;
    for _ in 1..=40 {
        match client.next() {
            Some(Answer::Outcome { id, outcome }) => {
                assert_eq!(outcome, Ok(Reply::Put { created: id == 1 }), "{id}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        client.call(&put("large", &large)),
        Ok(Reply::Put { created: true })
    );
    let Ok(Reply::Messages(messages)) = client.call(&list(0)) else {
        panic!("it was put")
    };
    assert!(messages.iter().any(|message| message.body == large));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_frame_as_long_as_a_request_goes_through() {
    let worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let body = vec![b'x'; 1_000_000];
    let message = || NewMessage {
        body: body.as_slice().into(),
        ..NewMessage::default()
    };
    let queue = QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    };
    let messages = (0..8).map(|_| message()).collect();
    let ids = client.call(&Command::PutBatch { queue, messages });
    assert!(ids.is_ok(), "{ids:?}");
    // An answer as long as it may be.
    let shown = client.call(&list(0));
    assert!(matched(&shown) > 3, "{}", matched(&shown));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_request_that_is_cancelled_takes_nothing() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let wait = client.submit(&claim(600_000));
    client.cancel(wait);
    let outcome = Err(Failure::Cancelled);
    assert_eq!(client.next(), Some(Answer::Outcome { id: wait, outcome }));
    until_waiting(&mut worker, 0);
    client.call(&put("1", b"job")).unwrap();
    // Nothing of that id is under way any more.
    client.cancel(wait);
    assert_eq!(matched(&client.call(&claim(0))), 1);
}

/// Whoever claims is told when letters have arrived. Until then the claim stands already.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_claim_behind_letters_is_told_or_undone() {
    const LETTERS: usize = 8;
    let mut worker = Worker::start_with_wire(&[]);
    let settings = br#"{"max_attempts":1,"dead_letter":"dead"}"#;
    worker.expect(204, "PUT", "/v1.0/shop/jobs?settings", settings);
    let letters = batch(LETTERS, &"x".repeat(500_000));
    let mut client = connect(&worker);
    let (mut told, mut undone) = (0, 0);
    for round in 0..40 {
        worker.expect(201, "PUT", "/v1.0/shop/jobs", &letters);
        worker.expect(204, "POST", "/v1.0/shop/jobs?hide=3600", b"");
        worker.expect(201, "PUT", "/v1.0/shop/jobs/job", b"");
        let free = "/v1.0/shop/jobs?hide=0&match_hidden=true&limit=8";
        worker.expect(204, "POST", free, b"");
        // The claim gives the letters up. It is cancelled at ever later instants.
        let claimed = client.submit(&claim(0));
        let mut outcome = (0..round).find_map(|_| outcome_before_pong(&mut client));
        if outcome.is_none() {
            client.cancel(claimed);
            outcome = match client.next() {
                Some(Answer::Outcome { outcome, .. }) => Some(outcome),
                other => panic!("{other:?}"),
            };
        }
        let again = worker.call("POST", "/v1.0/shop/jobs?hide=3600&detail=id", b"");
        match outcome {
            Some(Err(Failure::Cancelled)) => {
                assert_eq!(again.status, 200, "it stays claimed, in round {round}");
                undone += 1;
            }
            Some(outcome) => {
                assert_eq!((matched(&outcome), again.status), (1, 404));
                told += 1;
            }
            None => panic!("it is not answered"),
        }
        worker.expect(204, "DELETE", "/v1.0/shop/jobs?match_hidden=true", b"");
        worker.expect(204, "DELETE", "/v1.0/shop/dead", b"");
    }
    println!("{told} told, {undone} undone");
}

/// Lets a ping go to and fro. Gives the outcome that comes meanwhile.
fn outcome_before_pong(client: &mut Wire<WebSocket>) -> Option<Result<Reply, Failure>> {
    let mut ping = Vec::new();
    wire::encode_ping(&mut ping, 1);
    client.stream.write_all(&ping).unwrap();
    let mut told = None;
    loop {
        match client.next() {
            Some(Answer::Pong { .. }) => return told,
            Some(Answer::Outcome { outcome, .. }) => told = Some(outcome),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn long_answers_that_are_asked_for_together_are_bounded() {
    const LISTS: u64 = 64;
    let mut worker = Worker::start_with_wire(&[]);
    let bodies = batch(5, &"x".repeat(1_000_000));
    worker.expect(201, "PUT", "/v1.0/shop/jobs", &bodies);
    let mut client = connect(&worker);
    let mut frames = Vec::new();
    for id in 1..=LISTS {
        wire::encode_request(&mut frames, id, &list(0), u32::MAX).unwrap();
    }
    client.stream.write_all(&frames).unwrap();
    client.last_id = LISTS;
    let (mut shown, mut busy) = (0, 0);
    for _ in 0..LISTS {
        match client.next() {
            Some(Answer::Outcome { outcome, .. }) => match outcome {
                Ok(Reply::Messages(_)) => shown += 1,
                Err(Failure::Busy) => busy += 1,
                Err(Failure::Refused(Refusal::Exhausted { .. })) => {}
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert!(shown > 0, "{busy} of {LISTS} were not passed on");
    assert!(busy >= 48, "only {busy} were not passed on");
    let bytes = worker.counter("most_bytes");
    println!("{shown} shown, {busy} not passed on, {bytes} bytes at most");
    assert!(bytes < 128_000_000, "{bytes} bytes");
    // There is room again.
    assert!(matched(&client.call(&list(0))) > 3);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn whoever_leaves_gets_nothing_that_others_wait_for() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut leaver = connect(&worker);
    leaver.submit(&claim(600_000));
    let mut torn = connect(&worker);
    torn.submit(&claim(600_000));
    until_waiting(&mut worker, 2);
    leaver.stream.send(Message::Close(None)).unwrap();
    assert_eq!(leaver.next(), None);
    drop(torn);
    until_waiting(&mut worker, 0);
    let mut stayer = connect(&worker);
    stayer.call(&put("1", b"job")).unwrap();
    assert_eq!(matched(&stayer.call(&claim(0))), 1);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_connection_sleeps_and_goes_on_where_it_was() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    client.call(&put("1", b"job")).unwrap();
    assert_eq!(worker.counter("gateways"), 1);
    // Nothing tells from outside that an object was given up, so it is given the time.
    let mut tries = 0..6;
    while worker.counter("gateways") == 1 {
        assert!(tries.next().is_some(), "it does not sleep");
        std::thread::sleep(SLEEPS_AFTER);
        assert_eq!(matched(&client.call(&list(0))), 1);
    }
    // It knows which ids there were.
    client.last_id -= 1;
    client.submit(&list(0));
    client.assert_goodbye(Failure::Protocol);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_connection_that_waits_does_not_sleep() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let id = client.submit(&claim(600_000));
    until_waiting(&mut worker, 1);
    std::thread::sleep(SLEEPS_AFTER);
    worker.expect(201, "PUT", "/v1.0/shop/jobs/1", b"job");
    match client.next() {
        Some(Answer::Outcome { id: told, outcome }) => {
            assert_eq!((told, matched(&outcome)), (id, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(worker.counter("gateways"), 1);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn more_than_was_offered_is_refused() {
    let worker =
        Worker::start_with_wire(&[("MAX_IN_FLIGHT", "16"), ("MAX_REQUEST_BYTES", "100000")]);
    let mut client = Wire::silent_web_socket(&worker.server);
    let offer = Offer {
        max_frame_bytes: 100_000,
        max_in_flight: 16,
        max_batch_messages: 10_000,
    };
    assert_eq!(client.greet(), offer);
    let waits: Vec<u64> = (0..16).map(|_| client.submit(&claim(600_000))).collect();
    let maximum = 16;
    assert_eq!(
        client.call(&list(0)),
        Err(Failure::TooManyInFlight { maximum })
    );
    for id in waits {
        client.cancel(id);
        let outcome = Err(Failure::Cancelled);
        assert_eq!(client.next(), Some(Answer::Outcome { id, outcome }));
    }
    // The longest frame, far from a command: only the request fails.
    client.last_id += 1;
    let mut whole = offer.max_frame_bytes.to_le_bytes().to_vec();
    wire::encode_cancel(&mut whole, client.last_id);
    let head = whole.split_off(8);
    whole.truncate(4);
    whole.push(1);
    whole.extend_from_slice(&head[1..]);
    whole.resize(offer.max_message_bytes(), 0);
    client.stream.write_all(&whole).unwrap();
    match client.next() {
        Some(Answer::Outcome {
            outcome: Err(_), ..
        }) => {}
        other => panic!("{other:?}"),
    }
    whole.push(0);
    client.stream.write_all(&whole).unwrap();
    assert_eq!(client.closed().map(|told| told.0), Some(CloseCode::Size));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn what_should_not_be_sent_ends_the_connection_and_nothing_else() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut steady = connect(&worker);
    steady.call(&put("1", b"job")).unwrap();

    let mut texting = connect(&worker);
    texting.submit(&claim(600_000));
    until_waiting(&mut worker, 0);
    texting.next();
    texting.submit(&claim(600_000));
    until_waiting(&mut worker, 1);
    texting.stream.send(Message::text("hello")).unwrap();
    let reason = "The wire protocol is in binary messages".to_owned();
    assert_eq!(texting.closed(), Some((CloseCode::Unsupported, reason)));
    until_waiting(&mut worker, 0);

    let mut cut = connect(&worker);
    let mut frame = Vec::new();
    wire::encode_request(&mut frame, 1, &list(0), u32::MAX).unwrap();
    cut.stream.write_all(&frame[..frame.len() - 1]).unwrap();
    cut.assert_goodbye(Failure::Protocol);

    let mut foreign = Wire::silent_web_socket(&worker.server);
    foreign.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(foreign.next(), None);

    let mut backwards = connect(&worker);
    backwards.last_id = 6;
    backwards.call(&list(0)).unwrap_err();
    backwards.last_id = 6;
    backwards.submit(&list(0));
    backwards.assert_goodbye(Failure::Protocol);

    // Requests that cannot be read, and pings: a few bytes each, to be answered with many.
    for kind in [1, 3] {
        let mut swarm = connect(&worker);
        let mut frames = Vec::new();
        for id in 1..1_000_000 {
            let start = frames.len();
            wire::encode_ping(&mut frames, id);
            frames[start + 4] = kind;
        }
        swarm.stream.write_all(&frames).unwrap();
        let said = std::iter::from_fn(|| swarm.next()).last();
        assert_eq!(said, Some(Answer::Goodbye(Failure::Busy)));
    }

    steady.call(&list(0)).unwrap_err();
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn names_that_cannot_be_are_refused() {
    let mut worker = Worker::start_with_wire(&[]);
    let mut client = connect(&worker);
    let long = "ü".repeat(20_000);
    for (account, queue, field) in [
        ("", "q", Field::Account),
        ("a", "", Field::Queue),
        (&long, "q", Field::Account),
        ("a", &long, Field::Queue),
    ] {
        let queue = QueueName {
            account: account.into(),
            queue: queue.into(),
        };
        let settings = burrow_core::Settings::default();
        let refused = client.call(&Command::PutSettings { queue, settings });
        let Err(Failure::Refused(Refusal::Invalid {
            field: told,
            problem,
        })) = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!(told, field);
        assert!(
            matches!(problem, Problem::Empty | Problem::TooLong { .. }),
            "{problem:?}"
        );
    }
    let page = Page::default();
    for account in ["", &long] {
        let account = account.into();
        let refused = client.call(&Command::ListQueues {
            account,
            page: page.clone(),
        });
        assert!(
            matches!(refused, Err(Failure::Refused(Refusal::Invalid { .. }))),
            "{refused:?}"
        );
    }
    worker.expect(404, "GET", "/v1.0", b"");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn who_does_not_ask_for_a_web_socket_is_told_to_and_pages_are_asked_for() {
    let mut worker = Worker::start_with_wire(&[("CORS_ORIGIN", "http://a")]);
    let plain = worker.call("GET", "/wire", b"");
    assert_eq!(plain.status, 426, "{}", plain.text());
    assert_eq!(worker.call("POST", "/wire", b"").status, 426);
    let mut host = ServerHost::new(worker.server.address());
    for (origin, status) in [("http://b", 403), ("http://a", 426)] {
        let page = Request {
            method: "GET".into(),
            target: "/wire".into(),
            headers: vec![("Origin".into(), origin.into())],
            ..Request::default()
        };
        let call = host.send(&page).unwrap();
        assert_eq!(host.finish(call).unwrap().status, status, "{origin}");
    }
}
