//! What comes together is answered as what comes one by one.

use std::io::Write;

use burrow_core::wire::{self, Answer};
use burrow_core::{Command, Detail, NewMessage, QueueName, Selection, Update};
use burrow_tests::process::Server;

use crate::WIRE;
use crate::client::Wire;
use crate::support::{Client, launch, request};

const REQUESTS: usize = 400;

/// In memory, where each is answered at once, and with a folder, where none is. Time stands
/// still, as answers tell how long a message lives.
fn on_each_server(test: impl Fn(&Server)) {
    let folder = tempfile::tempdir().unwrap();
    for launch in [launch().memory(), launch().data(folder.path())] {
        let launch = launch.argument(WIRE).argument("--clock=manual");
        test(&launch.start().expect("the server starts"));
    }
}

/// Most are about one message, and meet each other; some are not.
fn http_request(account: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    let message = format!("/v1.0/{account}/q/{}", random.u8(..12));
    match random.u8(..16) {
        0..5 => request("PUT", &message, format!("{}", random.u8(..))),
        5..8 => request("POST", &format!("{message}?hide=60"), ""),
        8..10 => request("POST", &format!("{message}?hide=0"), ""),
        10..13 => request("DELETE", &message, ""),
        13 => request("GET", &format!("/v1.0/{account}/q?detail=body"), ""),
        14 => request("PUT", &format!("{message}?ttl=soon"), ""),
        _ => request("GET", &format!("{message}?detail=body"), ""),
    }
}

#[test]
fn pipelined_http_is_answered_as_one_by_one() {
    on_each_server(|server| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let requests = |account: &str| -> Vec<Vec<u8>> {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..REQUESTS)
                .map(|_| http_request(account, &mut random))
                .collect()
        };
        let mut slow = Client::connect(server.address());
        let one_by_one = requests("slow").into_iter().map(|request| {
            slow.send(request);
            slow.answer()
        });
        let one_by_one: Vec<_> = one_by_one
            .map(|answer| (answer.status, answer.body))
            .collect();
        let mut fast = Client::connect(server.address());
        fast.send(requests("fast").concat());
        for (number, expected) in one_by_one.into_iter().enumerate() {
            let answer = fast.answer();
            assert_eq!((answer.status, answer.body), expected, "{number}");
        }
    });
}

fn command(account: &'static str, random: &mut fastrand::Rng) -> Command<'static> {
    let queue = QueueName {
        account: account.into(),
        queue: "q".into(),
    };
    let id = random.u8(..12).to_string();
    let detail = match random.u8(..4) {
        0 => Detail::Body,
        _ => Detail::None,
    };
    match random.u8(..14) {
        0..5 => Command::Put {
            queue,
            message: NewMessage {
                id: Some(id.into()),
                body: random.u8(..).to_string().into_bytes().into(),
                ..NewMessage::default()
            },
        },
        5..9 => Command::UpdateMessage {
            queue,
            id: id.into(),
            update: Update {
                hide_ms: Some(60_000 * random.u64(..2)),
                ..Update::default()
            },
            claim: None,
            detail,
        },
        9..12 => Command::DeleteMessage {
            queue,
            id: id.into(),
            claim: None,
            detail,
        },
        12 => Command::ListMessages {
            queue,
            selection: Selection::default(),
            wait_ms: 0,
            detail: Detail::Body,
        },
        // Has no id, and is refused.
        _ => Command::Put {
            queue,
            message: NewMessage::default(),
        },
    }
}

#[test]
fn the_wire_in_flight_is_answered_as_one_by_one() {
    on_each_server(|server| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let commands = |account| -> Vec<Command<'static>> {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..REQUESTS)
                .map(|_| command(account, &mut random))
                .collect()
        };
        let mut slow = Wire::connect(server);
        let one_by_one: Vec<_> = commands("slow")
            .iter()
            .map(|command| slow.call(command))
            .collect();
        let mut fast = Wire::connect(server);
        let mut frames = Vec::new();
        for (id, command) in (1..).zip(&commands("fast")) {
            wire::encode_request(&mut frames, id, command, u32::MAX).unwrap();
            // Between them stands what is no command.
            if id % 37 == 0 {
                wire::encode_ping(&mut frames, id);
            }
        }
        fast.stream.write_all(&frames).unwrap();
        let mut outcomes = vec![None; REQUESTS];
        while outcomes.iter().any(Option::is_none) {
            match fast.next() {
                Some(Answer::Outcome { id, outcome }) => {
                    let before = outcomes[id as usize - 1].replace(outcome);
                    assert_eq!(before, None, "{id} is answered twice");
                }
                Some(Answer::Pong { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        for (number, (outcome, expected)) in outcomes.into_iter().zip(one_by_one).enumerate() {
            assert_eq!(outcome, Some(expected), "{number}");
        }
    });
}
