//! What goes on while others are at work. The functions that the runtime knows differ only behind a pointer: what
//! runs them is compiled once.

use std::pin::Pin;

use wasm_bindgen::JsValue;
use worker::js_sys::Promise;
use worker::wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::error::Result;

type Running<T> = Pin<Box<dyn Future<Output = T>>>;

/// Lets something run, and promises its outcome.
pub(crate) fn promise<T: Into<JsValue>>(
    outcome: impl Future<Output = Result<T>> + 'static,
) -> Promise {
    let running: Running<std::result::Result<JsValue, JsValue>> =
        Box::pin(async move { Ok(outcome.await?.into()) });
    future_to_promise(running)
}

/// Lets something run by itself.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    let running: Running<()> = Box::pin(task);
    spawn_local(running);
}
