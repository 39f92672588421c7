//! The client at an address where something else than a server listens, or a server that goes.

use std::time::Duration;

use burrow_client::{Client, Error, Put, Queue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A queue of a client that has a minute to try again.
async fn queue(scheme: &str) -> (TcpListener, Queue) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let builder = Client::builder().deadline(Duration::from_secs(60));
    let client = builder.server(&url).unwrap().build().unwrap();
    (listener, client.queue("a", "q"))
}

/// Takes a connection, hears something, and says these bytes before it closes.
async fn say(listener: &TcpListener, bytes: &[u8]) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = [0; 4096];
    assert_ne!(stream.read(&mut heard).await.unwrap(), 0);
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn once(scheme: &str, bytes: &[u8]) -> [Error; 2] {
    let (listener, queue) = queue(scheme).await;
    let (looked, ()) = tokio::join!(queue.get("m"), say(&listener, bytes));
    let (put, ()) = tokio::join!(queue.put(Put::new("x")), say(&listener, bytes));
    [looked.unwrap_err(), put.unwrap_err()]
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
const OTHER_VERSION: &[u8] = b"BURROW\n\0\x09";

#[tokio::test]
async fn who_does_not_speak_http_is_asked_once() {
    for bytes in [OTHER_VERSION, b"SSH-2.0-OpenSSH\r\n", b"\0"] {
        for error in once("http", bytes).await {
            let Error::Foreign(text) = error else {
                panic!("{error:?}");
            };
            assert!(text.contains("does not speak HTTP"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_or_is_garbled_for_once_is_asked_again() {
    let created = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (listener, queue) = queue("http").await;
    for broken in [b"", OTHER_VERSION] {
        let serving = async {
            say(&listener, broken).await;
            say(&listener, created).await;
        };
        let (put, ()) = tokio::join!(queue.put(Put::new("x")), serving);
        assert!(put.is_ok(), "{put:?}");
    }
}

#[tokio::test]
async fn who_does_not_speak_the_wire_protocol_is_asked_once() {
    for (bytes, problem) in [
        (HTTP, "does not speak the Burrow protocol"),
        (OTHER_VERSION, "version"),
    ] {
        for error in once("burrow", bytes).await {
            let Error::Foreign(text) = error else {
                panic!("{error:?}");
            };
            assert!(text.contains(problem), "{text}");
        }
    }
}
