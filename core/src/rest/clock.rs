//! `/clock`: time in the user's hand.
//!
//! `GET /clock` tells the instant, the digest of what the node holds and how many commands wait
//! there; `POST /clock?advance=30s` moves time on, lets everything that is due happen, in order,
//! and tells the same afterwards. Only a host with a manual clock has this path.

use alloc::borrow::Cow;
use alloc::format;

use super::Request;
use super::percent::{cut, decode_query};
use super::response::Response;
use super::seconds::parse_ms;
use crate::time::{MAX_SPAN_MS, Timestamp};

const PATH: &str = "/clock";

/// What a request asks of a manual clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRequest {
    /// Milliseconds by which time is to move on first.
    pub advance_ms: u64,
    pub(super) head: bool,
}

impl ClockRequest {
    /// The answer: the node's instant, its [digest](crate::Node::digest), and the commands that
    /// [wait](crate::Stats::waiters), as they are after the advance.
    pub fn respond(&self, now: Timestamp, digest: u64, waiters: u64) -> Response {
        let body = format!(
            r#"{{"now_ms":{},"digest":"{digest:016x}","waiting":{waiters}}}"#,
            now.as_millis()
        );
        let mut response = Response::json(200, body.into_bytes());
        response.head = self.head;
        response
    }

    /// The answer of a host that has no clock of its own, because it stands before others.
    pub fn is_asked_elsewhere(&self) -> Response {
        let mut response = Response::text(
            404,
            "Not found: a proxy has no clock; each server's is at its own address, if it was started with --clock manual",
        );
        response.head = self.head;
        response
    }
}

/// The answer where the clock is not manual.
pub(super) fn moves_by_itself() -> Response {
    Response::text(
        404,
        "Not found: this clock moves by itself; start with burrow serve --clock manual, the Worker with CLOCK=manual",
    )
}

/// Reads a request to `/clock`; `None` if it is to another path.
pub(super) fn read(request: &Request<'_>) -> Option<Result<ClockRequest, Response>> {
    let (path, query) = cut(request.target, b'?');
    if path != PATH {
        return None;
    }
    let head = request.method == "HEAD";
    let read = match request.method {
        "GET" | "HEAD" => Ok(0),
        "POST" => advance(query.unwrap_or_default()),
        _ => {
            let mut response = Response::text(405, "Method not allowed");
            response
                .headers
                .push(("Allow", Cow::Borrowed("GET, HEAD, POST")));
            Err(response)
        }
    };
    Some(read.map(|advance_ms| ClockRequest { advance_ms, head }))
}

fn advance(query: &str) -> Result<u64, Response> {
    let (mut left, mut value) = (Some(query), None);
    while let Some(pairs) = left {
        let (pair, behind) = cut(pairs, b'&');
        if let ("advance", Some(given)) = cut(pair, b'=') {
            value = Some(given);
        }
        left = behind;
    }
    let span = value.and_then(|value| decode_query(value).ok());
    span.and_then(|span| span_ms(&span))
        .filter(|&span_ms| span_ms <= MAX_SPAN_MS)
        .ok_or_else(|| {
            Response::bad_request(
                "advance is not a span of time such as 250ms, 30s, 1.5s, 10m, 2h or 7d",
            )
        })
}

/// A span with its unit; without one it is seconds, as everywhere in this protocol.
fn span_ms(text: &str) -> Option<u64> {
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let with_unit = units
        .iter()
        .find_map(|&(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let (number, scale) = with_unit.unwrap_or((text, 1000));
    // Thousandths of the unit, which is what decimal seconds are as well.
    let thousandths = parse_ms(number)?.checked_mul(scale)?;
    thousandths
        .is_multiple_of(1000)
        .then_some(thousandths / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_are_exact() {
        for (text, span) in [
            ("30s", 30_000),
            ("30", 30_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("10m", 600_000),
            ("0.5h", 1_800_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(span_ms(text), Some(span), "{text}");
        }
        for text in [
            "",
            "s",
            "-1s",
            "1.5ms",
            "1w",
            "1 s",
            "1e3s",
            "99999999999999999999s",
        ] {
            assert_eq!(span_ms(text), None, "{text}");
        }
    }
}
