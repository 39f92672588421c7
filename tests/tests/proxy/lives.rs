//! Whole lives of messages over the wire, while one of three servers is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use burrow_core::wire::Failure;
use burrow_core::{
    ClaimToken, Command, Detail, NewMessage, QueueName, Refusal, Reply, Selection, Update,
};
use burrow_tests::conformance::WireHost;

use super::support::Cluster;

const QUEUES: usize = 9;
/// Between the first round and the last the server is away and comes back.
const ROUNDS: u32 = 3;
/// Lives in each.
const LIVES: u32 = 30;

/// What is known of the messages of one queue.
#[derive(Default)]
struct Known {
    put: BTreeSet<String>,
    /// Acknowledged, or perhaps so.
    gone: BTreeSet<String>,
    perhaps_gone: BTreeSet<String>,
    failures: usize,
}

/// One who puts, claims and acknowledges in one queue.
struct Owner {
    wire: WireHost,
    queue: QueueName<'static>,
    known: Known,
    next_id: u32,
}

impl Owner {
    fn call(&mut self, command: &Command<'_>) -> Result<Reply, Failure> {
        let outcome = self.wire.call(command).expect("the proxy stays");
        match &outcome {
            Err(Failure::Unreachable | Failure::OutcomeUnknown | Failure::NotStored) => {
                self.known.failures += 1;
                thread::sleep(Duration::from_millis(2));
            }
            Err(Failure::Refused(Refusal::MessageNotFound | Refusal::QueueNotFound))
            | Err(Failure::Refused(Refusal::AccountNotFound))
            | Ok(_) => {}
            Err(failure) => panic!("{}: {failure}", self.queue.queue),
        }
        outcome
    }

    /// A message from its first to its last, if nothing comes in between.
    fn live(&mut self) {
        self.next_id += 1;
        let id = format!("{:06}", self.next_id);
        let put = Command::Put {
            queue: self.queue.clone(),
            message: NewMessage {
                id: Some(id.clone().into()),
                ttl_ms: Some(0),
                ..NewMessage::default()
            },
        };
        if self.call(&put).is_ok() {
            self.known.put.insert(id);
        }
        let claim = Command::UpdateMessages {
            queue: self.queue.clone(),
            selection: Selection {
                limit: Some(1),
                ..Selection::default()
            },
            update: Update {
                hide_ms: Some(50),
                ..Update::default()
            },
            wait_ms: 100,
            detail: Detail::All,
        };
        let Ok(Reply::Messages(claimed)) = self.call(&claim) else {
            return;
        };
        for message in claimed.iter() {
            assert!(!self.known.gone.contains(message.id), "{}", message.id);
            self.acknowledge(message.id, message.claim);
        }
    }

    fn acknowledge(&mut self, id: &str, claim: Option<ClaimToken>) {
        let ack = Command::DeleteMessage {
            queue: self.queue.clone(),
            id: id.into(),
            claim,
            detail: Detail::None,
        };
        match self.call(&ack) {
            Ok(_) => self.known.gone.insert(id.to_owned()),
            Err(Failure::OutcomeUnknown) => self.known.perhaps_gone.insert(id.to_owned()),
            Err(_) => false,
        };
    }
}

#[test]
fn lives_over_the_wire_outlive_a_killed_server() {
    let mut cluster = Cluster::start(3, &[]);
    let allowed = Arc::new(AtomicU32::new(1));
    let lived: Vec<Arc<AtomicU32>> = (0..QUEUES).map(|_| Arc::default()).collect();
    let has_ended = Arc::new(AtomicBool::new(false));
    let owners: Vec<_> = lived
        .iter()
        .enumerate()
        .map(|(number, lived)| {
            let mut owner = Owner {
                wire: cluster.wire(),
                queue: QueueName {
                    account: "lives".into(),
                    queue: format!("q{number}").into(),
                },
                known: Known::default(),
                next_id: 0,
            };
            let (lived, allowed) = (Arc::clone(lived), Arc::clone(&allowed));
            let has_ended = Arc::clone(&has_ended);
            thread::spawn(move || {
                while !has_ended.load(SeqCst) {
                    if lived.load(SeqCst) >= allowed.load(SeqCst) * LIVES {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    owner.live();
                    lived.fetch_add(1, SeqCst);
                }
                owner
            })
        })
        .collect();
    let wait = |round: u32| {
        while lived.iter().any(|lived| lived.load(SeqCst) < round * LIVES) {
            assert!(!owners.iter().any(|owner| owner.is_finished()));
            thread::sleep(Duration::from_millis(1));
        }
    };
    for round in 1..=ROUNDS {
        match round {
            2 => cluster.kill(1),
            3 => {
                cluster.restart(1);
                // The proxy has it back.
                while cluster.client().get("/v1.0").status == 503 {}
            }
            _ => {}
        }
        allowed.store(round, SeqCst);
        wait(round);
    }
    has_ended.store(true, SeqCst);
    let owners: Vec<Owner> = owners
        .into_iter()
        .map(|owner| owner.join().expect("every answer was right"))
        .collect();
    let hit = cluster.client_of(1).ids("/v1.0/lives");
    let mut client = cluster.client();
    let mut failed = 0;
    for owner in owners {
        let queue = &owner.queue.queue;
        let target = format!("/v1.0/lives/{queue}?detail=id&match_hidden=true");
        let stored: BTreeSet<String> = client.ids(&target).into_iter().collect();
        let known = owner.known;
        let is_kept = |id: &&String| !known.gone.contains(*id) && !known.perhaps_gone.contains(*id);
        let lost: Vec<_> = known.put.iter().filter(is_kept).collect();
        let lost: Vec<_> = lost.iter().filter(|id| !stored.contains(**id)).collect();
        assert!(lost.is_empty(), "{queue}: {lost:?}");
        let back: Vec<_> = known.gone.intersection(&stored).collect();
        assert!(back.is_empty(), "{queue}: {back:?}");
        if hit.iter().any(|name| **name == **queue) {
            failed += known.failures;
        } else if known.failures > 0 {
            // A queue whose messages are all gone is not there; which server it is on shows
            // when it has one again.
            let put = client.ask("PUT", &format!("/v1.0/lives/{queue}/probe"), "x");
            assert_eq!(put.status, 201);
            let place = cluster.client_of(1).ids("/v1.0/lives");
            assert!(
                place.iter().any(|name| **name == **queue),
                "{queue} was disturbed"
            );
            failed += known.failures;
        }
    }
    assert!(failed > 0, "no queue was on the server that was killed");
}
