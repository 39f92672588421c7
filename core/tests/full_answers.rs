//! An answer that ends because it is full says so.

use burrow_core::rest::{Request, RestConfig};
use burrow_core::service::{Handled, Outcome, Service};
use burrow_core::wire::{self, Answer, Decoder};
use burrow_core::*;

const NOW: Timestamp = Timestamp::from_millis(1);

fn service() -> Service {
    let mut config = Config::default();
    config.journal.enabled = false;
    // Two messages with an id of one byte.
    config.limits.max_answer_bytes = 130;
    let rest = RestConfig::from(&config.limits);
    Service::new(Node::new(config), rest)
}

fn ask(service: &mut Service, method: &str, target: &str) -> rest::Response {
    let request = Request {
        method,
        target,
        ..Request::default()
    };
    match service.handle(NOW, &request) {
        Handled::Answered(response) => response,
        _ => service.poll_response().expect("nothing waits").1,
    }
}

#[test]
fn a_list_that_is_full_says_that_there_is_more() {
    let mut service = service();
    for id in 1..=5 {
        ask(&mut service, "PUT", &format!("/v1.0/a/q/{id}"));
    }
    let mut cut = |target: &str, body: &str| {
        let response = ask(&mut service, "GET", target);
        assert_eq!(String::from_utf8_lossy(&response.body), body, "{target}");
        response.header("Burrow-More") == Some("true")
    };
    assert!(cut("/v1.0/a/q?detail=id", r#"["1","2"]"#));
    assert!(cut("/v1.0/a/q?detail=id&limit=3", r#"["1","2"]"#));
    assert!(cut("/v1.0/a/q?detail=id&marker=2", r#"["3","4"]"#));
    assert!(!cut("/v1.0/a/q?detail=id&limit=2", r#"["1","2"]"#));
    assert!(!cut("/v1.0/a/q?detail=id&marker=3", r#"["4","5"]"#));
    assert!(!cut("/v1.0/a/q?detail=id&marker=4", r#"["5"]"#));
    assert!(!cut("/v1.0/a/q?detail=none", ""));
    let response = ask(&mut service, "POST", "/v1.0/a/q?hide=60&detail=id");
    assert_eq!(response.header("Burrow-More"), Some("true"));
    let response = ask(&mut service, "DELETE", "/v1.0/a/q?detail=id");
    assert_eq!(response.header("Burrow-More"), Some("true"));
    let response = ask(&mut service, "DELETE", "/v1.0/a/q?detail=id");
    assert_eq!(response.header("Burrow-More"), None);
}

#[test]
fn the_wire_protocol_tells_it_too() {
    let mut service = service();
    for id in 1..=3 {
        ask(&mut service, "PUT", &format!("/v1.0/a/q/{id}"));
    }
    for (marker, has_more) in [(None, true), (Some("1".into()), false)] {
        let command = Command::ListMessages {
            queue: QueueName {
                account: "a".into(),
                queue: "q".into(),
            },
            selection: Selection {
                marker,
                ..Selection::default()
            },
            wait_ms: 0,
            detail: Detail::Id,
        };
        service.submit(NOW, command);
        let Some((_, Outcome::Reply(outcome))) = service.poll() else {
            panic!("nothing waits");
        };
        let outcome = outcome.map_err(wire::Failure::Refused);
        let mut bytes = Vec::new();
        wire::encode_outcome(&mut bytes, 1, &outcome);
        let mut decoder = Decoder::new(u32::MAX);
        decoder.received().extend_from_slice(&bytes);
        let frame = decoder.next_frame().expect("it is sound");
        let decoded = wire::decode_answer(&frame.expect("it is whole"));
        assert_eq!(
            decoded,
            Ok(Answer::Outcome {
                id: 1,
                outcome: outcome.clone()
            })
        );
        let Ok(Reply::Messages(list)) = outcome else {
            panic!("it is there: {outcome:?}");
        };
        assert_eq!((list.matched(), list.has_more()), (2, has_more));
    }
}

#[test]
fn a_list_of_names_that_is_full_says_it_too() {
    let mut service = service();
    for queue in 1..=5 {
        ask(&mut service, "PUT", &format!("/v1.0/a/{queue}/m"));
    }
    let mut cut = |method: &str, target: &str, status: u16, body: &str| {
        let response = ask(&mut service, method, target);
        assert_eq!(response.status, status, "{target}");
        assert_eq!(String::from_utf8_lossy(&response.body), body, "{target}");
        response.header("Burrow-More") == Some("true")
    };
    assert!(cut("GET", "/v1.0/a", 200, r#"["1","2"]"#));
    assert!(cut("GET", "/v1.0/a?limit=3", 200, r#"["1","2"]"#));
    assert!(!cut("GET", "/v1.0/a?limit=2", 200, r#"["1","2"]"#));
    assert!(!cut("GET", "/v1.0/a?marker=3", 200, r#"["4","5"]"#));
    assert!(cut("GET", "/v1.0/a?detail=none", 204, ""));
    assert!(!cut("GET", "/v1.0", 200, r#"["a"]"#));
    assert!(
        cut("DELETE", "/v1.0/a", 204, ""),
        "no more than are told are gone"
    );
    assert!(!cut("GET", "/v1.0/a?marker=2&limit=2", 200, r#"["3","4"]"#));
    assert!(cut("DELETE", "/v1.0/a?detail=id", 200, r#"["3","4"]"#));
    assert!(!cut("DELETE", "/v1.0/a?detail=id", 200, r#"["5"]"#));
}

#[test]
fn a_full_list_of_names_is_read_as_it_was_written() {
    for has_more in [false, true] {
        let names = NameList::new(vec!["a".into(), "b".into()], has_more);
        let outcome = Ok(Reply::Names(names));
        let mut bytes = Vec::new();
        wire::encode_outcome(&mut bytes, 1, &outcome);
        let code = if has_more { 12 } else { 1 };
        assert_eq!(
            bytes,
            *[b"\x08\0\0\0\x11\x01", &[code][..], b"\x02\x01a\x01b"].concat()
        );
        let mut decoder = Decoder::new(u32::MAX);
        decoder.received().extend_from_slice(&bytes);
        let frame = decoder.next_frame().expect("it is sound");
        let decoded = wire::decode_answer(&frame.expect("it is whole"));
        assert_eq!(decoded, Ok(Answer::Outcome { id: 1, outcome }));
    }
}
