//! Many requests in flight, more than a server takes of its proxy at a time.

use std::io::Write as _;

use burrow_core::wire::{self, Answer, Failure};
use burrow_core::{Command, Detail, NewMessage, QueueName, Reply, Selection, Update};
use burrow_tests::wire_client::Wire;

use super::support::Cluster;

/// The fewest that a server can be told to take, and a clock that stands: answers say how long a
/// message lives.
const SERVER: [&str; 2] = ["--max-in-flight=16", "--clock=manual"];
const TAKEN: u64 = 16;

fn queue(account: &'static str) -> QueueName<'static> {
    QueueName {
        account: account.into(),
        queue: "q".into(),
    }
}

fn put(account: &'static str, id: String, body: String) -> Command<'static> {
    Command::Put {
        queue: queue(account),
        message: NewMessage {
            id: Some(id.into()),
            body: body.into_bytes().into(),
            ..NewMessage::default()
        },
    }
}

/// They meet each other: what one finds follows from those before.
fn command(account: &'static str, random: &mut fastrand::Rng) -> Command<'static> {
    let id = random.u8(..8).to_string();
    let detail = match random.bool() {
        true => Detail::Body,
        false => Detail::None,
    };
    match random.u8(..8) {
        0..3 => put(account, id, random.u16(..).to_string()),
        3..5 => Command::DeleteMessage {
            queue: queue(account),
            id: id.into(),
            claim: None,
            detail,
        },
        5..7 => Command::UpdateMessage {
            queue: queue(account),
            id: id.into(),
            update: Update {
                hide_ms: Some(60_000 * random.u64(..2)),
                ..Update::default()
            },
            claim: None,
            detail,
        },
        _ => Command::ListMessages {
            queue: queue(account),
            selection: Selection::default(),
            wait_ms: 0,
            detail,
        },
    }
}

/// The outcomes of so many requests, each told once.
fn outcomes(wire: &mut Wire<std::net::TcpStream>, count: usize) -> Vec<Result<Reply, Failure>> {
    let mut outcomes = vec![None; count];
    while outcomes.iter().any(Option::is_none) {
        let Some(Answer::Outcome { id, outcome }) = wire.next() else {
            panic!("something else than an outcome");
        };
        let before = outcomes[id as usize - 1].replace(outcome);
        assert_eq!(before, None, "{id} is answered twice");
    }
    outcomes.into_iter().flatten().collect()
}

#[test]
fn they_are_answered_as_one_by_one() {
    for servers in [1, 3] {
        let cluster = Cluster::of_servers(servers, &SERVER, &[]);
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let commands = |account| -> Vec<Command<'static>> {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..500).map(|_| command(account, &mut random)).collect()
        };
        let mut slow = Wire::connect(&cluster.proxy);
        let one_by_one: Vec<_> = commands("slow")
            .iter()
            .map(|command| slow.call(command))
            .collect();
        let mut fast = Wire::connect(&cluster.proxy);
        let mut frames = Vec::new();
        for (id, command) in (1..).zip(&commands("fast")) {
            wire::encode_request(&mut frames, id, command, u32::MAX).expect("it is small");
        }
        fast.stream.write_all(&frames).expect("it is read");
        let outcomes = outcomes(&mut fast, one_by_one.len());
        for (number, (outcome, expected)) in outcomes.into_iter().zip(one_by_one).enumerate() {
            assert_eq!(outcome, expected, "{number}");
        }
    }
}

#[test]
fn what_is_taken_back_before_its_server_has_it_does_not_happen() {
    const COUNT: u64 = 400;
    let cluster = Cluster::of_servers(1, &SERVER, &[]);
    let mut wire = Wire::connect(&cluster.proxy);
    assert!(wire.call(&put("a", "0".to_owned(), String::new())).is_ok());
    cluster.servers[0].pause();

    let mut frames = Vec::new();
    for id in 2..=COUNT {
        let put = put("a", id.to_string(), format!("body {id}"));
        wire::encode_request(&mut frames, id, &put, u32::MAX).expect("it is small");
    }
    // Most of them, and in no order.
    let mut ids: Vec<u64> = (2 + TAKEN..=COUNT).filter(|id| id % 5 > 0).collect();
    fastrand::shuffle(&mut ids);
    ids.iter()
        .for_each(|id| wire::encode_cancel(&mut frames, *id));
    wire.stream.write_all(&frames).expect("it is read");
    let mut taken_back = Vec::new();
    while taken_back.len() < ids.len() {
        match wire.next() {
            Some(Answer::Outcome { id, outcome }) => {
                assert_eq!(outcome, Err(Failure::Cancelled), "{id}");
                taken_back.push(id);
            }
            other => panic!("{other:?}"),
        }
    }
    taken_back.sort_unstable();
    ids.sort_unstable();
    assert_eq!(taken_back, ids);

    cluster.servers[0].resume();
    for _ in ids.len() as u64..COUNT - 1 {
        match wire.next() {
            Some(Answer::Outcome { id, outcome }) => {
                assert!(outcome.is_ok(), "{id}: {outcome:?}");
                assert!(ids.binary_search(&id).is_err(), "{id} is answered twice");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut client = cluster.client();
    for id in 2..=COUNT {
        let message = client.get(&format!("/v1.0/a/q/{id}?detail=body"));
        match ids.binary_search(&id) {
            Ok(_) => assert_eq!(message.status, 404, "{id}"),
            Err(_) => assert_eq!(message.body, format!("body {id}").into_bytes()),
        }
    }
}
