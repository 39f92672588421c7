//! Calls that wait, typed and by request, on either clock.

use std::thread;
use std::time::Duration;

use burrow_embed::{
    Answer, CallError, Detail, Handled, MemoryStorage, NodeLimits, Outcome, Page, QueueConfig,
    QueueName, Refusal, Request, Selection, Settings, Times,
};

use crate::support::{done, first, jobs, manual, message, plugin};

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_claim_waits_for_a_message() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let wait = queue.claim(&jobs(), &first(1), 30_000, 60_000, Detail::All);
    let Answer::Pending(ticket) = wait.unwrap() else {
        panic!("there is nothing to claim");
    };
    assert_eq!(queue.completed().unwrap(), []);
    assert_eq!(queue.take(ticket).unwrap(), None);

    queue.put(&jobs(), &message(1, "work")).unwrap();
    assert_eq!(queue.completed().unwrap(), [ticket]);
    let Some(Outcome::Messages(Ok(claimed))) = queue.take(ticket).unwrap() else {
        panic!("it is claimed");
    };
    assert_eq!(queue.take(ticket).unwrap(), None);
    let message = &claimed.entries[0];
    assert_eq!((message.id.as_str(), message.attempts), ("1", 1));

    let claim = message.claim.unwrap();
    queue.extend(&jobs(), "1", claim, 90_000).unwrap();
    queue.advance(Duration::from_secs(60)).unwrap();
    queue.release(&jobs(), "1", claim).unwrap();
    let again = done(queue.claim(&jobs(), &first(1), 1, 0, Detail::All).unwrap());
    assert_eq!(again[0].attempts, 2);
    let late = queue.ack(&jobs(), "1", Some(claim)).unwrap_err();
    assert_eq!(late, CallError::Refused(Refusal::ClaimLost));
    queue.ack(&jobs(), "1", again[0].claim).unwrap();
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_manual_clock_moves_when_told_and_a_wait_ends() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let request = |method: &str, target: &str| Request {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let waiting = queue
        .handle(&request("GET", "/v1.0/shop/jobs?wait=20"))
        .unwrap();
    let Handled::Pending(ticket) = waiting else {
        panic!("there is nothing to get");
    };
    assert_eq!(
        queue.deadline().unwrap().unwrap().as_millis(),
        1_000_000_020_000
    );
    let moved = queue
        .handle(&request("POST", "/clock?advance=20s"))
        .unwrap();
    let Handled::Response(clock) = moved else {
        panic!("a clock does not wait");
    };
    assert_eq!(
        String::from_utf8(clock.body).unwrap(),
        r#"{"now_ms":1000000020000,"digest":"0000000000000000","waiting":0}"#
    );
    let Some(Outcome::Response(response)) = queue.take(ticket).unwrap() else {
        panic!("its time is over");
    };
    assert_eq!(response.status, 404);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_clock_that_runs_ends_a_wait_by_ticks() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), QueueConfig::default())
        .unwrap();
    let wait = queue.pop(&jobs(), &first(1), 50, Detail::All).unwrap();
    let Answer::Pending(ticket) = wait else {
        panic!("there is nothing to pop");
    };
    queue.tick().unwrap();
    assert_eq!(queue.take(ticket).unwrap(), None, "a tick that is early");
    thread::sleep(Duration::from_millis(80));
    queue.tick().unwrap();
    let taken = queue.take(ticket).unwrap();
    assert!(
        matches!(
            taken,
            Some(Outcome::Messages(Err(Refusal::MessageNotFound
                | Refusal::QueueNotFound
                | Refusal::AccountNotFound)))
        ),
        "{taken:?}"
    );
    let refused = queue.advance(Duration::from_secs(1)).unwrap_err();
    assert!(matches!(refused, CallError::Refused(Refusal::Invalid(_))));
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn settings_and_names_are_there_as_typed_calls() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let settings = Settings {
        max_attempts: Some(1),
        dead_letter: Some("failed".into()),
        ..Settings::default()
    };
    queue.put_settings(&jobs(), &settings).unwrap();
    assert_eq!(queue.settings(&jobs()).unwrap(), settings);
    let accounts = queue.list_accounts(&Page::default()).unwrap();
    assert_eq!(accounts.names, ["shop"]);

    assert!(queue.put(&jobs(), &message(1, "x")).unwrap());
    assert!(!queue.put(&jobs(), &message(1, "y")).unwrap());
    queue.claim(&jobs(), &first(1), 1, 0, Detail::None).unwrap();
    let visible = Times {
        hide_ms: Some(0),
        ttl_ms: None,
    };
    queue.update(&jobs(), "1", None, visible).unwrap();
    queue
        .claim(&jobs(), &first(1), 1, 0, Detail::None)
        .unwrap_err();
    assert_eq!(
        queue.list_queues("shop", &Page::default()).unwrap().names,
        ["failed", "jobs"]
    );

    queue.clear_settings(&jobs()).unwrap();
    assert_eq!(
        queue.list_queues("shop", &Page::default()).unwrap().names,
        ["failed"]
    );
    queue.delete_queues("shop", &Page::default()).unwrap();
    let none = queue.delete_accounts(&Page::default()).unwrap_err();
    assert_eq!(none, CallError::Refused(Refusal::AccountNotFound));
    assert_eq!(queue.stats().unwrap().messages, 0);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_list_that_is_full_says_that_there_is_more() {
    let config = QueueConfig {
        node: NodeLimits {
            max_answer_bytes: Some(1),
            ..NodeLimits::default()
        },
        ..manual()
    };
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), config)
        .unwrap();
    for id in ["1", "2"] {
        queue.put(&jobs(), &message(id, "x")).unwrap();
    }
    let failed = QueueName {
        queue: "failed".into(),
        ..jobs()
    };
    queue.put(&failed, &message(1, "x")).unwrap();

    let names = queue.list_queues("shop", &Page::default()).unwrap();
    assert_eq!(
        (&*names.names, names.has_more),
        (&["failed".into()][..], true)
    );
    let behind = Page {
        marker: names.names.last().cloned(),
        limit: None,
    };
    let names = queue.delete_queues("shop", &behind).unwrap();
    assert_eq!(
        (&*names.names, names.has_more),
        (&["jobs".into()][..], false)
    );

    queue.put(&failed, &message(2, "x")).unwrap();
    let mut pop = || {
        let popped = queue.pop(&failed, &Selection::default(), 0, Detail::Id);
        let Answer::Done(popped) = popped.unwrap() else {
            panic!("there is something to pop");
        };
        (popped.entries[0].id.clone(), popped.has_more)
    };
    assert_eq!(pop(), ("1".into(), true));
    assert_eq!(pop(), ("2".into(), false));
}
