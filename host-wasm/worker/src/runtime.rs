//! What `runtime.js` does for the module.

use wasm_bindgen::prelude::*;
use worker::js_sys::Uint8Array;
use worker::web_sys::{ReadableStream, Request, Response};

#[wasm_bindgen(module = "/runtime.js")]
extern "C" {
    pub(crate) fn describe(request: &Request) -> String;

    #[wasm_bindgen(catch)]
    pub(crate) fn respond(status: u16, headers: &str, body: &JsValue) -> Result<Response, JsValue>;

    pub(crate) fn streamed(bytes: &Uint8Array, done: &JsValue) -> ReadableStream;

    pub(crate) fn later(act: &JsValue, after_ms: f64) -> JsValue;

    pub(crate) fn complain(what: &str, error: &JsValue);
}
