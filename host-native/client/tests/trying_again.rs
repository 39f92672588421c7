//! What is tried again and what is not, on servers that answer as they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burrow_client::{
    Answer, Calling, Client, Error, Message, Messages, Put, Queue, Settle, Taking, Transport,
};
use burrow_core::Command;

type Outcome = Result<Answer, Error>;

/// Gives these outcomes, then the last again and again, and notes the commands.
#[derive(Debug)]
struct Told {
    outcomes: Mutex<VecDeque<Outcome>>,
    calls: Mutex<Vec<String>>,
}

impl Transport for Told {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        self.calls.lock().unwrap().push(format!("{command:?}"));
        let mut outcomes = self.outcomes.lock().unwrap();
        let outcome = match outcomes.len() {
            1 => outcomes[0].clone(),
            _ => outcomes.pop_front().expect("an outcome"),
        };
        Box::pin(async { outcome })
    }
}

fn told(outcomes: impl IntoIterator<Item = Outcome>) -> Arc<Told> {
    Arc::new(Told {
        outcomes: Mutex::new(outcomes.into_iter().collect()),
        calls: Mutex::default(),
    })
}

fn calls(server: &Told) -> Vec<String> {
    server.calls.lock().unwrap().clone()
}

fn unknown() -> Outcome {
    Err(Error::OutcomeUnknown("cut off".to_owned()))
}

fn not_done() -> Outcome {
    Err(Error::NotDone("down".to_owned()))
}

fn missing() -> Outcome {
    Err(Error::NotFound("Message not found".to_owned()))
}

/// A queue that may be on any of the servers.
fn queue(servers: &[Arc<Told>]) -> Queue {
    let builder = Client::builder().deadline(Duration::from_millis(500));
    let builder = builder.failover(servers.len());
    let add = |builder: burrow_client::Builder, (number, server): (usize, &Arc<Told>)| {
        builder.transport(&number.to_string(), server.clone())
    };
    let builder = servers.iter().enumerate().fold(builder, add);
    builder.build().unwrap().queue("a", "q")
}

#[tokio::test]
async fn a_put_is_repeated_with_its_id_and_a_pop_is_not() {
    let server = told([unknown(), not_done(), Ok(Answer::Put { created: false })]);
    let id = queue(std::slice::from_ref(&server))
        .put(Put::new("x"))
        .await
        .unwrap();
    let calls_of_put = calls(&server);
    assert_eq!(calls_of_put.len(), 3);
    assert!(calls_of_put.iter().all(|call| call.contains(&id)));

    let server = told([
        not_done(),
        unknown(),
        Ok(Answer::Messages(Messages::default())),
    ]);
    let popped = queue(std::slice::from_ref(&server))
        .pop(Taking::default())
        .await;
    assert!(
        matches!(popped, Err(Error::OutcomeUnknown(_))),
        "{popped:?}"
    );
    assert_eq!(calls(&server).len(), 2);
}

#[tokio::test]
async fn an_acknowledgement_that_may_have_happened_has_when_nothing_is_left() {
    let claim = Some("2f".parse().unwrap());
    let repeated = queue(&[told([unknown(), missing()])]);
    assert_eq!(repeated.settle("m", claim, Settle::Ack).await, Ok(()));
    let first = queue(&[told([missing()])]);
    assert!(first.settle("m", claim, Settle::Ack).await.is_err());

    // Also where it is looked for on several servers, of which one had it.
    for had_it in [0, 1] {
        let mut servers = [told([missing()]), told([missing()])];
        servers[had_it] = told([unknown(), missing()]);
        let settled = queue(&servers).settle("m", claim, Settle::Ack).await;
        assert_eq!(settled, Ok(()));
        servers[had_it] = told([unknown(), not_done()]);
        let settled = queue(&servers).settle("m", claim, Settle::Ack).await;
        assert!(
            matches!(settled, Err(Error::OutcomeUnknown(_))),
            "{settled:?}"
        );
    }
}

#[tokio::test]
async fn who_asked_is_told_once_that_a_call_is_tried_again() {
    let server = told([not_done(), not_done(), unknown(), Ok(Answer::Done)]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let client = Client::builder()
        .transport("server", server.clone())
        .deadline(Duration::from_secs(60))
        .on_first_failure(move |error, left| {
            hearing.lock().unwrap().push((error.clone(), left));
        })
        .build()
        .unwrap();
    let settled = client.queue("a", "q").clear_settings().await;
    assert_eq!((settled, calls(&server).len()), (Ok(()), 4));
    let heard = heard.lock().unwrap();
    let [(error, left)] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(Err(error.clone()), not_done());
    assert!(*left <= Duration::from_secs(60) && *left > Duration::from_secs(1));
}

#[tokio::test]
async fn the_deadline_ends_all_tries() {
    let server = told([not_done()]);
    let outcome = queue(std::slice::from_ref(&server))
        .put(Put::new("x"))
        .await;
    assert!(matches!(outcome, Err(Error::NotDone(_))));
    assert!(calls(&server).len() > 1);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_told_to_be_undone_when_the_time_is_over() {
    let outcomes = || [unknown(), not_done()];
    let put = queue(&[told(outcomes())]).put(Put::new("x")).await;
    assert!(matches!(put, Err(Error::OutcomeUnknown(_))), "{put:?}");
    // To look changes nothing.
    for outcomes in [vec![unknown(), not_done()], vec![unknown()]] {
        let looked = queue(&[told(outcomes)]).get("m").await;
        assert!(matches!(looked, Err(Error::NotDone(_))), "{looked:?}");
    }
}

#[tokio::test]
async fn others_stand_in_for_a_server_that_is_down() {
    let messages = Messages {
        list: vec![Message::default()],
        has_more: false,
    };
    for down in [0, 1] {
        let servers = |outcome: Outcome| {
            let mut servers = [told([outcome.clone()]), told([outcome])];
            servers[down] = told([not_done()]);
            servers
        };
        let put = queue(&servers(Ok(Answer::Put { created: true })));
        assert!(put.put(Put::new("x")).await.is_ok());
        let found = queue(&servers(Ok(Answer::Messages(messages.clone()))));
        assert_eq!(found.pop(Taking::default()).await, Ok(messages.clone()));
        let popped = queue(&servers(missing())).pop(Taking::default()).await;
        assert!(matches!(popped, Err(Error::NotFound(_))), "{popped:?}");
    }
}
