//! What goes wrong, here or in the runtime.

use std::fmt;

use wasm_bindgen::{JsCast as _, JsValue};
use worker::js_sys;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What was thrown, or a text that says what is wrong. It is no more than a number, as nearly every call may
/// fail.
#[derive(Debug)]
pub(crate) struct Error(JsValue);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = || self.0.dyn_ref().map(js_sys::Error::message);
        let text = self.0.as_string().or_else(|| message().map(String::from));
        f.write_str(text.as_deref().unwrap_or("what was thrown is no error"))
    }
}

impl From<JsValue> for Error {
    fn from(thrown: JsValue) -> Self {
        Self(thrown)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self(JsValue::from_str(text))
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// For what throws it.
impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        match error.0.as_string() {
            Some(text) => js_sys::Error::new(&text).into(),
            None => error.0,
        }
    }
}
