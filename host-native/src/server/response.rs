//! From the front-end's answer to hyper's.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use burrow_core::rest;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::peer::{InAnswer, Peer};

/// The body of an answer, in one piece.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Bytes,
    _under_way: Option<InAnswer>,
}

/// The body of an answer, or of a page of the server's own.
#[derive(Debug)]
pub(super) enum Content {
    Answer(Answer),
    Page(axum::body::Body),
}

/// An answer of a few words.
pub(super) fn text(status: u16, text: &str) -> rest::Response {
    let content_type = ("Content-Type", Cow::Borrowed("text/plain; charset=UTF-8"));
    rest::Response {
        status,
        headers: vec![content_type],
        body: text.into(),
        head: false,
    }
}

/// An answer that asks the client to try again.
pub(super) fn busy(reason: &str) -> rest::Response {
    let mut answer = text(503, reason);
    answer.headers.push(("Retry-After", Cow::Borrowed("1")));
    answer
}

/// Puts an answer into hyper's form.
pub(super) fn to_http(answer: rest::Response, peer: &Arc<Peer>) -> http::Response<Answer> {
    let rest::Response {
        status,
        headers,
        body,
        head,
    } = answer;
    let length = body.len();
    let bytes = if head {
        Bytes::new()
    } else {
        Bytes::from(body)
    };
    let under_way = (!bytes.is_empty()).then(|| InAnswer::new(peer));
    let mut response = http::Response::new(Answer {
        bytes,
        _under_way: under_way,
    });
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // What no header can hold is left out.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), header_value(value))
        {
            response.headers_mut().append(name, value);
        }
    }
    if head && length > 0 {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn header_value(value: Cow<'static, str>) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    match value {
        Cow::Borrowed(text) => HeaderValue::from_str(text),
        Cow::Owned(text) => HeaderValue::from_maybe_shared(Bytes::from(text)),
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Answer(answer) => Pin::new(answer)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Page(page) => Pin::new(page).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Answer(answer) => answer.is_end_stream(),
            Self::Page(page) => page.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Answer(answer) => answer.size_hint(),
            Self::Page(page) => page.size_hint(),
        }
    }
}
