//! HTTP responses, and those that a host gives by itself.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

pub(super) const JSON: &str = "application/json; charset=UTF-8";
pub(super) const TEXT: &str = "text/plain; charset=UTF-8";
pub(super) const BYTES: &str = "application/octet-stream";

/// An HTTP response. The host adds `Content-Length` and what its transport needs.
///
/// The functions that make one are for what only a host can know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Vec<u8>,
    /// The answer to a `HEAD`: the host sends the length of `body`, but not `body`.
    pub head: bool,
}

impl Response {
    /// The server works.
    pub fn healthy() -> Self {
        Self::text(200, "ok")
    }

    /// The storage did not take the change, and the change did not happen.
    pub fn not_stored() -> Self {
        Self::unavailable("Not stored: the change did not happen")
    }

    /// The storage failed in a way that leaves open whether the change will be there.
    pub fn outcome_unknown() -> Self {
        Self::unavailable("Outcome unknown: the change may or may not have happened")
    }

    /// The server stops, and the request was not carried out.
    pub fn stopping() -> Self {
        Self::unavailable("The server is stopping: nothing was done")
    }

    /// The request's body is larger than the host takes.
    pub fn body_too_large(maximum_bytes: u64) -> Self {
        Self::text(
            413,
            format!("The request body is larger than {maximum_bytes} bytes"),
        )
    }

    /// The host has no memory left for the request: nothing was done.
    pub fn no_room() -> Self {
        Self::text(429, "No more room: too much is under way").retry_later()
    }

    /// The value of a header, if the response has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self::with_body(status, TEXT, text.into().into_owned().into_bytes())
    }

    pub(super) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::text(400, text)
    }

    pub(super) fn json(status: u16, body: Vec<u8>) -> Self {
        Self::with_body(status, JSON, body)
    }

    pub(super) fn with_body(
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        body: Vec<u8>,
    ) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", content_type.into())],
            body,
            head: false,
        }
    }

    /// Tells the client that it may try again, and when.
    pub(super) fn retry_later(mut self) -> Self {
        self.headers.push(("Retry-After", Cow::Borrowed("1")));
        self
    }

    fn unavailable(text: &'static str) -> Self {
        Self::text(503, text).retry_later()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_a_host_says_what_happened_and_when_to_retry() {
        for response in [
            Response::not_stored(),
            Response::outcome_unknown(),
            Response::stopping(),
        ] {
            assert_eq!(response.status, 503);
            assert_eq!(response.header("retry-after"), Some("1"));
            assert_eq!(response.header("Content-Type"), Some(TEXT));
            assert!(!response.body.is_empty());
        }
        let too_large = Response::body_too_large(7);
        assert_eq!(
            (too_large.status, too_large.header("Retry-After")),
            (413, None)
        );
        assert_eq!(too_large.body, b"The request body is larger than 7 bytes");
        assert_eq!(Response::healthy().status, 200);
    }
}
