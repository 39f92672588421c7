//! The runtime's requests and responses, and the core's.

use burrow_core::rest;
use wasm_bindgen::prelude::*;
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{ReadableStream, ReadableStreamDefaultReader, Request, Response};

use crate::error::{Result, expect};
use crate::memory::{Lent, in_use, outside, reserve};
use crate::runtime;

/// What an HTTP request is to the core.
pub(crate) struct Described(String);

impl Described {
    pub(crate) fn of(request: &Request) -> Self {
        Self(runtime::describe(request))
    }

    /// As the script that hands a request over has described it.
    pub(crate) fn from_lines(lines: String) -> Self {
        Self(lines)
    }

    pub(crate) fn with_body<'a>(&'a self, body: &'a [u8]) -> rest::Request<'a> {
        let mut rest = self.0.as_str();
        let mut next = || {
            let end = rest.bytes().position(|byte| byte == b'\n');
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            rest = rest.get(line.len() + 1..).unwrap_or_default();
            line
        };
        let (method, url) = (next(), next());
        let mut header = || Some(next()).filter(|value| *value != "\0");
        rest::Request {
            method,
            target: target_of(url),
            content_type: header(),
            origin: header(),
            access_control_request_method: header(),
            body,
        }
    }

    /// Path and query, as the client sent them.
    pub(crate) fn target(&self) -> &str {
        self.with_body(&[]).target
    }

    /// True if it may make a queue.
    pub(crate) fn is_put(&self) -> bool {
        self.with_body(&[]).method == "PUT"
    }
}

/// Path and query of a URL.
pub(crate) fn target_of(url: &str) -> &str {
    // The third slash, behind those of `https://`.
    let mut slashes = (0..).zip(url.bytes()).filter(|(_, byte)| *byte == b'/');
    let path = slashes.nth(2).and_then(|(at, _)| url.get(at..));
    path.unwrap_or("/")
}

/// Bodies that are larger are counted for as long as the runtime has them.
const SMALL_BYTES: usize = 64 << 10;
/// A body is there as the runtime has it and as the module does, and what becomes of it is there in the
/// node, in the journal's open blob, and as the row that the runtime writes.
const BODIES_OF_A_BODY: usize = 4;

/// The body of a request.
pub(crate) enum Body {
    /// With what it counts for beside its own bytes.
    Whole(Vec<u8>, [Lent; 2]),
    /// It has more bytes than these.
    TooLarge(u64),
    NoRoom,
}

/// The response as the runtime sends it.
pub(crate) fn respond(response: rest::Response) -> Result<Response> {
    let mut headers = String::new();
    for (name, value) in &response.headers {
        add(&mut headers, name, value);
    }
    let body = response.body;
    if response.head || body.is_empty() {
        if response.head && !body.is_empty() {
            add(&mut headers, "Content-Length", &body.len().to_string());
        }
        return Ok(runtime::respond(
            response.status,
            &headers,
            &JsValue::UNDEFINED,
        )?);
    }
    with_body(response.status, &headers, &body)
}

/// One header more for [`with_body`].
pub(crate) fn add(headers: &mut String, name: &str, value: &str) {
    for line in [name, "\n", value, "\n"] {
        headers.push_str(line);
    }
}

/// A response with a body, which counts until it was read if it is large.
pub(crate) fn with_body(status: u16, headers: &str, body: &[u8]) -> Result<Response> {
    let body: JsValue = match body.len() {
        ..=SMALL_BYTES => Uint8Array::from(body).into(),
        _ => counted(body).into(),
    };
    Ok(runtime::respond(status, headers, &body)?)
}

pub(crate) fn text(status: u16, text: &str) -> Result<Response> {
    Ok(runtime::respond(status, "", &JsValue::from_str(text))?)
}

/// A stream of the bytes, which count as in use until they were read.
fn counted(bytes: &[u8]) -> ReadableStream {
    let lent = outside(bytes.len());
    let done = Closure::once_into_js(move || drop(lent));
    runtime::streamed(&Uint8Array::from(bytes), &done)
}

/// The body, whatever it is.
pub(crate) async fn bytes(request: &Request) -> Result<Vec<u8>> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// What a body counts for beside the module's own copy, which counts by itself.
pub(crate) fn lend(bytes: usize) -> [Lent; 2] {
    let others = (BODIES_OF_A_BODY - 2).saturating_mul(bytes);
    [outside(bytes), reserve(others)]
}

/// The body, if it is not larger than allowed and there is room for it below so many bytes in use.
pub(crate) async fn read_body(
    request: &Request,
    maximum_bytes: u64,
    room_bytes: usize,
) -> Result<Body> {
    let Some(stream) = request.body() else {
        return Ok(Body::Whole(Vec::new(), lend(0)));
    };
    let has_room = |bytes: usize| {
        bytes <= SMALL_BYTES || in_use() + BODIES_OF_A_BODY.saturating_mul(bytes) <= room_bytes
    };
    let length = request.headers().get("Content-Length")?;
    let length = length.map(|length| length.parse().unwrap_or(u64::MAX));
    if length.is_some_and(|length| length > maximum_bytes) {
        return Ok(Body::TooLarge(maximum_bytes));
    }
    let length = length.and_then(|length| usize::try_from(length).ok());
    if let Some(length) = length.filter(|length| has_room(*length)) {
        let lent = lend(length);
        return Ok(Body::Whole(bytes(request).await?, lent));
    }
    let reader = ReadableStreamDefaultReader::new(&stream)?;
    let mut whole = Vec::new();
    let mut lent = None;
    let mut bytes = 0;
    // What there is no room for is read and forgotten: who still sends hears no answer.
    let mut is_kept = length.is_none();
    loop {
        let read = JsFuture::from(reader.read()).await?;
        let piece = Reflect::get(&read, &JsValue::from_str("value"))?;
        if piece.is_undefined() {
            break;
        }
        let piece: Uint8Array = expect(piece, "no bytes came")?;
        bytes += piece.length() as usize;
        if bytes as u64 > maximum_bytes {
            return Ok(Body::TooLarge(maximum_bytes));
        }
        drop(lent.take());
        is_kept &= has_room(bytes);
        if is_kept {
            lent = Some(lend(bytes));
            whole.extend_from_slice(&piece.to_vec());
        } else {
            whole = Vec::new();
        }
    }
    Ok(match (is_kept, lent) {
        (true, Some(lent)) => Body::Whole(whole, lent),
        (true, None) => Body::Whole(whole, lend(0)),
        (false, _) => Body::NoRoom,
    })
}
