//! The runtime's requests and responses, and the core's.

use burrow_core::rest;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Headers, Request, Response, ResponseBuilder, Result, web_sys};

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
            method: request.inner().method(),
            target: target_of(&request.inner().url()),
            content_type: headers.get("Content-Type")?,
            origin: headers.get("Origin")?,
            asks: headers.get("Access-Control-Request-Method")?,
        })
    }

    /// True if it may make a queue.
    pub(crate) fn is_put(&self) -> bool {
        self.method == "PUT"
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
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind_scheme
        .find('/')
        .and_then(|at| behind_scheme.get(at..))
        .unwrap_or("/")
        .to_owned()
}

/// The response as the runtime sends it.
pub(crate) fn respond(response: rest::Response) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in &response.headers {
        headers.append(name, value)?;
    }
    let builder = ResponseBuilder::new().with_status(response.status);
    if response.body.is_empty() {
        return Ok(builder.with_headers(headers).empty());
    }
    if response.head {
        headers.set("Content-Length", &response.body.len().to_string())?;
        return Ok(builder.with_headers(headers).empty());
    }
    Ok(builder.with_headers(headers).fixed(response.body))
}

/// The body, or nothing if it is larger than allowed.
pub(crate) async fn read_body(
    request: &mut Request,
    maximum_bytes: u64,
) -> Result<Option<Vec<u8>>> {
    let Some(stream) = request.inner().body() else {
        return Ok(Some(Vec::new()));
    };
    if let Some(length) = request.headers().get("Content-Length")? {
        let length = length.parse().unwrap_or(u64::MAX);
        return match length <= maximum_bytes {
            true => request.bytes().await.map(Some),
            false => Ok(None),
        };
    }
    let reader = web_sys::ReadableStreamDefaultReader::new(&stream)?;
    let mut whole = Vec::new();
    loop {
        let read = JsFuture::from(reader.read()).await?;
        let piece = Reflect::get(&read, &JsValue::from_str("value"))?;
        if piece.is_undefined() {
            return Ok(Some(whole));
        }
        let piece: Uint8Array = piece.dyn_into()?;
        if whole.len() as u64 + u64::from(piece.length()) > maximum_bytes {
            return Ok(None);
        }
        whole.extend_from_slice(&piece.to_vec());
    }
}
