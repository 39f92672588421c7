//! Any requests, in any order, to the REST front-end and the machine behind it.

use std::collections::BTreeMap;

use burrow_core::rest::{Plan, Request, Response, RestConfig, Routed, route};
use burrow_core::{Node, Ticket, Timestamp};

use crate::host::{Stored, config};

/// Holds a conversation: whatever the requests are, each gets one valid response, no limit
/// is passed, and a node restored from the journal is the same as the one that wrote it.
///
/// The input is read as steps with a NUL between them: `+250` lets 250 ms pass, `-` takes
/// away the client that has waited longest, `!` restarts the node. Anything else is a
/// request: `METHOD target content-type` on its first line, then its body.
pub fn rest(input: &[u8]) {
    let mut conversation = Conversation::new();
    for step in input.split(|byte| *byte == 0) {
        conversation.step(step);
    }
    conversation.end();
}

const JSON: &str = "application/json; charset=UTF-8";

struct Conversation {
    now: Timestamp,
    rest: RestConfig,
    node: Node,
    stored: Stored,
    waiting: BTreeMap<Ticket, Plan>,
}

impl Conversation {
    fn new() -> Self {
        let config = config();
        Self {
            now: Timestamp::from_millis(1_700_000_000_000),
            rest: RestConfig {
                manual_clock: true,
                cors_origin: Some("*".into()),
                ..RestConfig::from(&config.limits)
            },
            node: Node::new(config),
            stored: Stored::default(),
            waiting: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &[u8]) {
        match step {
            b"-" => {
                if let Some((ticket, _)) = self.waiting.pop_first() {
                    self.node.cancel(ticket);
                }
            }
            b"!" => self.restart(),
            [b'+', millis @ ..] => {
                let millis = str::from_utf8(millis)
                    .ok()
                    .and_then(|text| text.parse::<u32>().ok());
                self.now = self.now.after_ms(millis.unwrap_or(1).into());
                self.node.handle_deadline(self.now);
            }
            request => self.request(request),
        }
        self.settle();
    }

    fn request(&mut self, bytes: &[u8]) {
        let line_end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(bytes.len());
        let (line, body) = bytes.split_at(line_end);
        let line = String::from_utf8_lossy(line);
        let mut words = line.splitn(3, ' ');
        let request = Request {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            // Messages keep their content type. None has that of the server's own JSON, so
            // that whatever is answered with it can be checked.
            content_type: words.next().filter(|content_type| *content_type != JSON),
            origin: line.contains("origin").then_some("https://example.org"),
            access_control_request_method: line.contains("preflight").then_some("PUT"),
            body: body.get(1..).unwrap_or_default(),
        };
        match route(&request, &self.rest) {
            Routed::Respond(response) => check(&response),
            Routed::Clock(request) => {
                let now = self.now.after_ms(request.advance_ms);
                let waiters = self.node.stats().waiters;
                check(&request.respond(now, self.node.digest(), waiters));
            }
            Routed::Submit(command, plan) => {
                let ticket = self.node.submit(self.now, command);
                assert!(
                    self.waiting.insert(ticket, plan).is_none(),
                    "a ticket is used once"
                );
            }
        }
    }

    fn settle(&mut self) {
        self.stored.store(&mut self.node);
        while let Some((ticket, outcome)) = self.node.poll_reply() {
            let plan = self
                .waiting
                .remove(&ticket)
                .expect("a reply has a request, and only one");
            check(&plan.respond(outcome));
        }
        let (stats, limits) = (self.node.stats(), config().limits);
        assert_eq!(
            stats.waiters,
            self.waiting.len() as u64,
            "whoever does not wait has a reply"
        );
        assert!(stats.waiters <= limits.max_waiters);
        assert!(stats.messages <= limits.max_messages);
        assert!(stats.bytes <= limits.max_bytes);
        assert!(stats.queues <= limits.max_queues);
        assert!(stats.markers <= limits.max_markers);
    }

    fn restart(&mut self) {
        self.node.release_waiters();
        self.settle();
        let digest = self.node.digest();
        (self.node, _) =
            Node::restore(config(), self.now, &mut self.stored).expect("what was stored is whole");
        assert_eq!(self.node.digest(), digest);
    }

    fn end(mut self) {
        self.restart();
        assert!(self.waiting.is_empty());
    }
}

/// A response that any HTTP server can send and any client can read.
fn check(response: &Response) {
    let Response {
        status,
        headers,
        body,
        ..
    } = response;
    assert!(
        [200, 201, 204, 400, 404, 405, 409, 413, 415, 429].contains(status),
        "{status}"
    );
    for (name, value) in headers {
        assert!(
            value
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
            "{name}: {value:?}"
        );
        assert_eq!(
            headers
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                .count(),
            1,
            "{name}"
        );
    }
    let content_type = response.header("Content-Type");
    assert!(body.is_empty() || content_type.is_some());
    if content_type == Some(JSON) {
        assert!(
            serde_json::from_slice::<serde_json::Value>(body).is_ok(),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    match status {
        204 => assert!(body.is_empty() && content_type.is_none()),
        405 => assert!(response.header("Allow").is_some()),
        429 => assert!(response.header("Retry-After").is_some()),
        400.. => assert!(!body.is_empty()),
        _ => {}
    }
}
