//! The client over the wire protocol, on servers that answer as they are told, rightly and wrongly.

use std::time::Duration;

use burrow_client::{Client, Error, Put, Queue, Taking};
use burrow_core::wire::{self, Event, Failure, Offer, Session};
use burrow_core::{Command, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Server {
    listener: TcpListener,
    queue: Queue,
}

/// A server that nobody serves yet, and a queue of a client of it.
async fn server(deadline: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("burrow://{}", listener.local_addr().unwrap());
    let builder = Client::builder().deadline(deadline).server(&url).unwrap();
    let queue = builder.build().unwrap().queue("a", "q");
    Server { listener, queue }
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(700);

/// The server's side of a connection.
struct Peer {
    stream: TcpStream,
    session: Session,
    out: Vec<u8>,
}

impl Peer {
    async fn accept(listener: &TcpListener, offer: Offer) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self {
            stream,
            session: Session::new(offer),
            out: Vec::new(),
        }
    }

    /// The next request: its id, and the command as its debug text.
    async fn request(&mut self) -> (u64, String) {
        loop {
            match self.session.next(&mut self.out) {
                Some(Event::Submit { id, command }) => return (id, format!("{command:?}")),
                Some(Event::Answered) => {}
                Some(other) => panic!("{other:?}"),
                None => {
                    self.flush().await;
                    assert_ne!(self.receive().await, 0, "the client has left");
                }
            }
        }
    }

    async fn cancelled(&mut self) -> u64 {
        loop {
            match self.session.next(&mut self.out) {
                Some(Event::Cancel { id }) => return id,
                Some(other) => panic!("{other:?}"),
                None => assert_ne!(self.receive().await, 0, "the client has left"),
            }
        }
    }

    async fn receive(&mut self) -> usize {
        let received = self.session.received();
        received.reserve(4096);
        self.stream.read_buf(received).await.unwrap()
    }

    async fn answer(&mut self, id: u64, outcome: Result<Reply, Failure>) {
        self.session.answer(id, &outcome, &mut self.out);
        self.flush().await;
    }

    async fn flush(&mut self) {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(&out).await.unwrap();
    }
}

fn created() -> Result<Reply, Failure> {
    Ok(Reply::Put { created: true })
}

#[tokio::test]
async fn calls_share_a_connection_and_answers_come_in_any_order() {
    let Server { listener, queue } = server(LONG).await;
    let served = async {
        let mut peer = Peer::accept(&listener, Offer::default()).await;
        let (one, two) = (peer.request().await, peer.request().await);
        peer.answer(two.0, created()).await;
        let refusal = burrow_core::Refusal::ClaimLost;
        peer.answer(one.0, Err(Failure::Refused(refusal))).await;
        peer
    };
    let calls = async {
        tokio::join!(
            queue.put(Put::new("1").id("1")),
            queue.put(Put::new("2").id("2"))
        )
    };
    let ((one, two), _peer) = tokio::join!(calls, served);
    assert_eq!(one, Err(Error::ClaimLost));
    assert_eq!(two.as_deref(), Ok("2"));
}

#[tokio::test]
async fn no_more_are_in_flight_than_the_server_offers() {
    let Server { listener, queue } = server(LONG).await;
    let served = async {
        let offer = Offer {
            max_in_flight: 1,
            ..Offer::default()
        };
        let mut peer = Peer::accept(&listener, offer).await;
        // The session would fail a second one.
        for _ in 0..20 {
            let (id, _) = peer.request().await;
            peer.answer(id, created()).await;
        }
        peer
    };
    let calls = async {
        let puts: Vec<_> = (0..20)
            .map(|number| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.put(Put::new("x").id(number.to_string())).await })
            })
            .collect();
        for put in puts {
            put.await.unwrap().unwrap();
        }
    };
    tokio::join!(calls, served);
}

#[tokio::test]
async fn those_who_wait_have_connections_of_their_own() {
    let Server { listener, queue } = server(LONG).await;
    let offer = Offer {
        max_in_flight: 2,
        ..Offer::default()
    };
    let taking = Taking {
        limit: 1,
        wait: LONG,
    };
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.claim(taking, LONG).await })
        })
        .collect();
    let mut first = Peer::accept(&listener, offer).await;
    let (one, _) = first.request().await;
    first.request().await;
    let mut second = Peer::accept(&listener, offer).await;
    second.request().await;
    let put = tokio::spawn(async move { queue.put(Put::new("x")).await });
    let mut main = Peer::accept(&listener, offer).await;
    let (id, _) = main.request().await;
    main.answer(id, created()).await;
    put.await.unwrap().unwrap();
    let refusal = burrow_core::Refusal::ClaimLost;
    first.answer(one, Err(Failure::Refused(refusal))).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_request_back() {
    let Server { listener, queue } = server(LONG).await;
    let taking = Taking {
        limit: 1,
        wait: LONG,
    };
    let other = queue.clone();
    let claim = tokio::spawn(async move { other.claim(taking, LONG).await });
    let mut peer = Peer::accept(&listener, Offer::default()).await;
    let (id, _) = peer.request().await;
    claim.abort();
    assert_eq!(peer.cancelled().await, id);
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_anew_for_what_may_be_repeated() {
    let Server { listener, queue } = server(LONG).await;
    let served = async {
        let mut peer = Peer::accept(&listener, Offer::default()).await;
        let (_, first) = peer.request().await;
        drop(peer);
        let mut peer = Peer::accept(&listener, Offer::default()).await;
        let (id, second) = peer.request().await;
        assert_eq!(first, second, "the same put, with its id");
        peer.answer(id, created()).await;
        // A pop may have been carried out.
        peer.request().await;
        drop(peer);
    };
    let calls = async {
        queue.put(Put::new("x")).await.unwrap();
        queue.pop(Taking::default()).await
    };
    let (popped, ()) = tokio::join!(calls, served);
    let Err(Error::OutcomeUnknown(text)) = popped else {
        panic!("{popped:?}");
    };
    assert!(text.contains("closed the connection"), "{text}");
}

#[tokio::test]
async fn nobody_there_is_told_once_the_time_is_over() {
    let Server { listener, queue } = server(SHORT).await;
    drop(listener);
    let outcome = queue.pop(Taking::default()).await;
    assert!(matches!(outcome, Err(Error::NotDone(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_when_the_time_is_over() {
    let Server { listener, queue } = server(SHORT).await;
    let (outcome, peer) = tokio::join!(queue.pop(Taking::default()), listener.accept());
    assert!(outcome.is_err(), "{outcome:?}");
    drop(peer);
}

#[tokio::test]
async fn what_is_too_large_for_the_server_is_not_sent() {
    let Server { listener, queue } = server(LONG).await;
    let offer = Offer {
        max_frame_bytes: wire::LEAST_FRAME_BYTES,
        ..Offer::default()
    };
    let served = async {
        let mut peer = Peer::accept(&listener, offer).await;
        let (id, command) = peer.request().await;
        assert!(command.contains("small"), "{command}");
        peer.answer(id, created()).await;
    };
    let calls = async {
        let large = queue.put(Put::new(vec![0; 100_000]).id("large")).await;
        queue.put(Put::new("x").id("small")).await.unwrap();
        large
    };
    let (large, ()) = tokio::join!(calls, served);
    let Err(Error::Invalid(text)) = large else {
        panic!("{large:?}");
    };
    assert!(text.contains("65536"), "{text}");
}

#[tokio::test]
async fn noise_ends_the_connection_and_never_the_client() {
    let greeting = |rest: &[u8]| {
        let mut bytes = Vec::new();
        let mut session = Session::new(Offer::default());
        wire::encode_hello(session.received());
        let _ = session.next(&mut bytes);
        bytes.extend_from_slice(rest);
        bytes
    };
    let mut unasked = Vec::new();
    wire::encode_outcome(&mut unasked, 77, &created());
    let noises = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"BURROW\n\0\x09".to_vec(),
        greeting(&[0xff; 64]),
        greeting(&[3, 0, 0, 0, 17, 1, 99]),
        greeting(&[0, 0, 0, 0]),
        greeting(&unasked),
    ];
    for noise in noises {
        let Server { listener, queue } = server(SHORT).await;
        let served = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.write_all(&noise).await;
                let mut unread = [0; 256];
                let _ = stream.read(&mut unread).await;
            }
        });
        let outcome = queue.pop(Taking::default()).await;
        assert!(outcome.is_err(), "{outcome:?}");
        served.abort();
    }
}

#[tokio::test]
async fn the_machines_own_reply_can_be_had() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server =
        burrow_client::Wire::new(&format!("burrow://{}", listener.local_addr().unwrap())).unwrap();
    let command = Command::GetSettings {
        queue: burrow_core::QueueName {
            account: "a".into(),
            queue: "q".into(),
        },
    };
    let served = async {
        let mut peer = Peer::accept(&listener, Offer::default()).await;
        let (id, _) = peer.request().await;
        peer.answer(id, Ok(Reply::Done)).await;
    };
    let (reply, ()) = tokio::join!(server.execute(&command), served);
    assert_eq!(reply, Ok(Reply::Done));
}
