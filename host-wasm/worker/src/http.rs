//! The runtime's requests and responses, and the core's.

use burrow_core::rest;
use wasm_bindgen::prelude::*;
use worker::js_sys::{Promise, Reflect, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{
    Headers, ReadableStream, ReadableStreamDefaultReader, Request, Response, ResponseInit,
};

use crate::error::{Result, expect};
use crate::memory::{Lent, in_use, outside, reserve};
use crate::promise::spawn;

/// What an HTTP request is to the core. The target is as the client sent it.
pub(crate) struct Described {
    method: String,
    pub(crate) target: String,
    content_type: Option<String>,
    origin: Option<String>,
    asks: Option<String>,
}

impl Described {
    pub(crate) fn of(request: &Request) -> Result<Self> {
        let headers = request.headers();
        Ok(Self {
            method: request.method(),
            target: target_of(&request.url()),
            content_type: headers.get("Content-Type")?,
            origin: headers.get("Origin")?,
            asks: headers.get("Access-Control-Request-Method")?,
        })
    }

    /// True if it may make a queue.
    pub(crate) fn is_put(request: &Request) -> bool {
        request.method() == "PUT"
    }

    pub(crate) fn with_body<'a>(&'a self, body: &'a [u8]) -> rest::Request<'a> {
        rest::Request {
            method: &self.method,
            target: &self.target,
            content_type: self.content_type.as_deref(),
            origin: self.origin.as_deref(),
            access_control_request_method: self.asks.as_deref(),
            body,
        }
    }
}

/// Path and query of a URL.
pub(crate) fn target_of(url: &str) -> String {
    // The third slash, behind those of `https://`.
    let mut slashes = (0..).zip(url.bytes()).filter(|(_, byte)| *byte == b'/');
    let path = slashes.nth(2).and_then(|(at, _)| url.get(at..));
    path.unwrap_or("/").to_owned()
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
    TooLarge,
    NoRoom,
}

#[wasm_bindgen]
extern "C" {
    /// A stream of which the writer hears when it was read.
    type FixedLengthStream;

    #[wasm_bindgen(constructor)]
    fn new(bytes: f64) -> FixedLengthStream;

    #[wasm_bindgen(method, getter)]
    fn readable(this: &FixedLengthStream) -> ReadableStream;

    #[wasm_bindgen(method, getter)]
    fn writable(this: &FixedLengthStream) -> Writable;

    type Writable;

    #[wasm_bindgen(method, js_name = getWriter)]
    fn writer(this: &Writable) -> Writer;

    type Writer;

    #[wasm_bindgen(method)]
    fn write(this: &Writer, bytes: &Uint8Array) -> Promise;

    #[wasm_bindgen(method)]
    fn close(this: &Writer) -> Promise;
}

/// The response as the runtime sends it.
pub(crate) fn respond(response: rest::Response) -> Result<Response> {
    let headers = Headers::new()?;
    for (name, value) in &response.headers {
        headers.append(name, value)?;
    }
    if response.head && !response.body.is_empty() {
        headers.set("Content-Length", &response.body.len().to_string())?;
    }
    let init = ResponseInit::new();
    init.set_status(response.status);
    init.set_headers(&headers);
    if response.head || response.body.is_empty() {
        return Ok(Response::new_with_opt_str_and_init(None, &init)?);
    }
    with_body(&init, &response.body)
}

/// A response with a body, which counts until it was read if it is large.
pub(crate) fn with_body(init: &ResponseInit, body: &[u8]) -> Result<Response> {
    Ok(if body.len() <= SMALL_BYTES {
        let body = Uint8Array::from(body);
        Response::new_with_opt_buffer_source_and_init(Some(&body), init)?
    } else {
        Response::new_with_opt_readable_stream_and_init(Some(&counted(body)), init)?
    })
}

pub(crate) fn text(status: u16, text: &str) -> Result<Response> {
    let init = ResponseInit::new();
    init.set_status(status);
    Ok(Response::new_with_opt_str_and_init(Some(text), &init)?)
}

/// A stream of the bytes, which count as in use until they were read.
fn counted(bytes: &[u8]) -> ReadableStream {
    let lent = outside(bytes.len());
    let stream = FixedLengthStream::new(bytes.len() as f64);
    let (bytes, writer) = (Uint8Array::from(bytes), stream.writable().writer());
    spawn(async move {
        let _lent = lent;
        // Whoever has left reads nothing of it.
        if JsFuture::from(writer.write(&bytes)).await.is_ok() {
            JsFuture::from(writer.close()).await.ok();
        }
    });
    stream.readable()
}

/// The body, whatever it is.
pub(crate) async fn bytes(request: &Request) -> Result<Vec<u8>> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// The body, if it is not larger than allowed and there is room for it below so many bytes in use.
pub(crate) async fn read_body(
    request: &Request,
    maximum_bytes: u64,
    room_bytes: usize,
) -> Result<Body> {
    let Some(stream) = request.body() else {
        return Ok(Body::Whole(Vec::new(), [outside(0), reserve(0)]));
    };
    let has_room = |bytes: usize| {
        bytes <= SMALL_BYTES || in_use() + BODIES_OF_A_BODY.saturating_mul(bytes) <= room_bytes
    };
    // The module's own copy counts by itself.
    let lend = |bytes: usize| {
        let others = (BODIES_OF_A_BODY - 2).saturating_mul(bytes);
        [outside(bytes), reserve(others)]
    };
    let length = request.headers().get("Content-Length")?;
    let length = length.map(|length| length.parse().unwrap_or(u64::MAX));
    if length.is_some_and(|length| length > maximum_bytes) {
        return Ok(Body::TooLarge);
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
            return Ok(Body::TooLarge);
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
