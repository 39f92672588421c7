//! The client's stream of claimed messages, with the real server, whose clock stands still.

use std::time::Duration;

use burrow_client::{Claiming, Client, Error, Listing, Message, Put, Queue};
use burrow_tests::conformance::{Host as _, Request, ServerHost};
use burrow_tests::process::{Launch, Server};

/// Short, as the client's time is real; the server's only passes when it is told.
const HIDE: Duration = Duration::from_millis(900);

struct Fixture {
    queue: Queue,
    server: Server,
}

impl Fixture {
    /// A queue with messages of these ids.
    async fn with(ids: &[&str]) -> Self {
        let launch = Launch::new(env!("CARGO_BIN_EXE_burrow")).memory();
        let launch = launch.argument("--clock=manual");
        let launch = launch.argument("--listen-wire=127.0.0.1:0");
        let server = launch.start().expect("the server starts");
        // Over HTTP times are in whole seconds.
        let url = format!("burrow://{}", server.wire_address().expect("an address"));
        let queue = Client::connect(&url).unwrap().queue("shop", "jobs");
        let puts = ids.iter().map(|id| Put::new("work").id(*id)).collect();
        queue.put_batch(puts).await.unwrap();
        Self { queue, server }
    }

    fn advance(&self, span: Duration) {
        let mut http = ServerHost::new(self.server.address());
        let call = http.send(&Request {
            method: "POST".into(),
            target: format!("/clock?advance={}ms", span.as_millis()),
            ..Request::default()
        });
        assert_eq!(http.finish(call.unwrap()).unwrap().status, 200);
    }

    async fn messages(&self) -> Vec<Message> {
        let all = Listing {
            hidden: true,
            ..Listing::default()
        };
        match self.queue.list(all).await {
            Ok(messages) => messages.list,
            Err(Error::NotFound(_)) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until the messages are as they should be.
    async fn until(&self, is_so: impl Fn(&[Message]) -> bool) {
        let waiting = async {
            while !is_so(&self.messages().await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        waited.expect("it comes about");
    }
}

fn ahead(batch: u64) -> Claiming {
    Claiming {
        batch,
        hide: HIDE,
        ..Claiming::default()
    }
}

fn hidden(messages: &[Message]) -> usize {
    messages
        .iter()
        .filter(|message| message.hide_ms > 0)
        .count()
}

#[tokio::test]
async fn messages_come_one_by_one_and_go_when_acknowledged() {
    let fixture = Fixture::with(&["1", "2", "3"]).await;
    let mut stream = fixture.queue.claim_stream(ahead(2));
    for id in ["1", "2", "3"] {
        let claimed = stream.next().await.expect("a message").unwrap();
        assert_eq!(claimed.message().id, id);
        claimed.ack().await.unwrap();
    }
    assert_eq!(fixture.messages().await, []);
    // One that comes later ends the wait.
    fixture.queue.put(Put::new("more").id("4")).await.unwrap();
    let claimed = stream.next().await.expect("a message").unwrap();
    assert_eq!(claimed.message().id, "4");
}

#[tokio::test]
async fn no_more_is_claimed_ahead_than_allowed_and_the_rest_is_released() {
    let fixture = Fixture::with(&["1", "2", "3", "4", "5"]).await;
    let mut stream = fixture.queue.claim_stream(ahead(2));
    let first = stream.next().await.expect("a message").unwrap();
    // The one that is held, and two.
    fixture.until(|messages| hidden(messages) == 3).await;
    // Time for more, if it were to come.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(hidden(&fixture.messages().await), 3);
    drop(stream);
    fixture.until(|messages| hidden(messages) == 1).await;
    drop(first);
    fixture.until(|messages| hidden(messages) == 0).await;
}

#[tokio::test]
async fn a_claim_is_extended_while_it_is_held() {
    let fixture = Fixture::with(&["1", "2"]).await;
    let mut stream = fixture.queue.claim_stream(ahead(1));
    let held = stream.next().await.expect("a message").unwrap();
    // The second was not taken from the stream, and is kept as well.
    fixture.until(|messages| hidden(messages) == 2).await;
    for _ in 0..3 {
        fixture.advance(HIDE * 2 / 3);
        let hide_ms = u64::try_from(HIDE.as_millis()).unwrap();
        let is_extended = |message: &Message| message.hide_ms == hide_ms;
        fixture.until(|all| all.iter().all(is_extended)).await;
    }
    held.release(Duration::from_secs(5)).await.unwrap();
    // Nothing extends it any more.
    tokio::time::sleep(HIDE).await;
    let released = fixture.queue.get("1").await.unwrap();
    assert_eq!(released.hide_ms, 5_000);
}

#[tokio::test]
async fn whoever_holds_a_claim_learns_that_it_is_lost() {
    let fixture = Fixture::with(&["1"]).await;
    let mut stream = fixture.queue.claim_stream(ahead(1));
    let held = stream.next().await.expect("a message").unwrap();
    // Somebody else takes its place.
    fixture.queue.put(Put::new("new").id("1")).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(60), held.lost()).await;
    waited.expect("the holder is told");
    assert!(matches!(held.ack().await, Err(Error::ClaimLost)));
}
