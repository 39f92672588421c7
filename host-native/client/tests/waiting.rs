//! Calls that wait stand in nobody's way, and an extension never comes after a release.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burrow_client::{
    Answer, Calling, Claiming, Client, Message, Messages, Queue, Settle, Taking, Transport,
};
use burrow_core::{Command, SettleAction};
use tokio::sync::Notify;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(30);

fn queue(server: Arc<dyn Transport>) -> Queue {
    let builder = Client::builder().transport("server", server);
    builder.build().unwrap().queue("a", "q")
}

/// Answers what waits for messages never, and all else at once.
#[derive(Debug, Default)]
struct Empty {
    waiting: AtomicUsize,
}

impl Transport for Empty {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        if command.wait_ms() > 0 {
            self.waiting.fetch_add(1, SeqCst);
            return Box::pin(std::future::pending());
        }
        Box::pin(async { Ok(Answer::Done) })
    }
}

#[tokio::test]
async fn an_acknowledgement_does_not_stand_behind_those_who_wait() {
    let server = Arc::new(Empty::default());
    let queue = queue(server.clone());
    let taking = Taking {
        limit: 1,
        wait: LONG,
    };
    let waiting: Vec<_> = (0..1_000)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.claim(taking, LONG).await })
        })
        .collect();
    while server.waiting.load(SeqCst) < 150 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        let ack = queue.settle("m", Some("2f".parse().unwrap()), Settle::Ack);
        assert_eq!(ack.await, Ok(()));
        tokio::task::yield_now().await;
    }
    assert!(server.waiting.load(SeqCst) < 250, "never all places");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Counts the calls that are under way, and how many there were at a time.
#[derive(Debug, Default)]
struct Busy {
    present: AtomicUsize,
    most: AtomicUsize,
}

impl Transport for Busy {
    fn call<'a>(&'a self, _: &'a Command<'a>) -> Calling<'a> {
        Box::pin(async {
            let present = self.present.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(present, SeqCst);
            tokio::task::yield_now().await;
            self.present.fetch_sub(1, SeqCst);
            Ok(Answer::Messages(Messages::default()))
        })
    }
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_allowed() {
    let server = Arc::new(Busy::default());
    let builder = Client::builder().transport("server", server.clone());
    let client = builder.max_in_flight(8).build().unwrap();
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let queue = client.queue("a", "q");
            let wait = if number % 2 == 0 {
                LONG
            } else {
                Duration::ZERO
            };
            tokio::spawn(async move { queue.pop(Taking { limit: 1, wait }).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(Messages::default()));
    }
    assert_eq!(server.most.load(SeqCst), 8);
}

/// Gives one message to claim, and answers an extension when it is told to.
#[derive(Debug, Default)]
struct Slow {
    log: Mutex<Vec<&'static str>>,
    extends: Notify,
    goes_on: Notify,
}

impl Slow {
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

impl Transport for Slow {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        Box::pin(async move {
            match command {
                Command::UpdateMessages { .. } => Ok(Answer::Messages(Messages {
                    list: vec![Message {
                        id: "m".to_owned(),
                        claim: Some("2f".parse().unwrap()),
                        ..Message::default()
                    }],
                    has_more: false,
                })),
                Command::Settle { settlements, .. } => {
                    assert!(matches!(settlements[0].action, SettleAction::Update(_)));
                    self.extends.notify_one();
                    self.goes_on.notified().await;
                    self.note("extended");
                    Ok(Answer::Settled(vec![Ok(())]))
                }
                _ => {
                    self.note("released");
                    Ok(Answer::Done)
                }
            }
        })
    }
}

#[tokio::test]
async fn a_release_waits_for_the_extension_that_was_sent() {
    let server = Arc::new(Slow::default());
    let mut claims = queue(server.clone()).claims(Claiming {
        hide: Duration::from_millis(3),
        ..Claiming::default()
    });
    let held = claims.next().await.unwrap();
    server.extends.notified().await;
    let releasing = tokio::spawn(held.release(LONG));
    // Time for the release to be sent, if it were to be.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    server.note("answered");
    server.goes_on.notify_one();
    assert_eq!(releasing.await.unwrap(), Ok(Vec::new()));
    let log = server.log.lock().unwrap().clone();
    assert_eq!(log, ["answered", "extended", "released"]);
}

/// Its server answers no extension, and the client would wait for that for long.
#[tokio::test(start_paused = true)]
async fn who_holds_a_claim_hears_when_its_time_is_over_although_nothing_is_answered() {
    let builder = Client::builder().transport("server", Arc::new(Slow::default()));
    let queue = builder
        .deadline(100 * LONG)
        .build()
        .unwrap()
        .queue("a", "q");
    let claiming = Claiming {
        hide: LONG,
        ..Claiming::default()
    };
    let held = queue.claims(claiming).next().await.unwrap();
    let claimed = queue.claim_stream(claiming).next().await.unwrap().unwrap();
    let began = Instant::now();
    held.lost().await;
    claimed.lost().await;
    assert!(began.elapsed() < LONG + Duration::from_secs(1));
}

#[test]
fn servers_have_names_of_their_own_and_weights_in_bounds() {
    let build = |servers: &[&str]| {
        let mut builder = Client::builder();
        for server in servers {
            builder = builder.server(server)?;
        }
        builder.build().map(drop)
    };
    assert_eq!(
        build(&["a=burrow://h:1@3", "burrow://h:1", "http://h:1"]),
        Ok(())
    );
    for bad in [
        &["burrow://h:1@0"][..],
        &["=http://h:1"],
        &["a=http://h:1", "a=http://h:2"],
        &["h:1=http://h:1", "burrow://h:1"],
    ] {
        assert!(build(bad).is_err(), "{bad:?}");
    }
    for bad in ["h:1", "ftp://h:1", "htp://h", ""] {
        let error = build(&[bad]).unwrap_err().to_string();
        assert!(
            error.contains("http://") && error.contains("burrow://"),
            "{error}"
        );
    }
}
