//! What goes wrong, here or in the runtime.

use std::fmt;

use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What was thrown, or a text that says what is wrong. It is no more than a number, as nearly every call may
/// fail.
#[derive(Debug)]
pub(crate) struct Error(JsValue);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With the name of its kind, without which many a message means nothing.
        let told = || self.0.dyn_ref().map(js_sys::Error::to_string);
        let text = self.0.as_string().or_else(|| told().map(String::from));
        f.write_str(text.as_deref().unwrap_or("what was thrown is no error"))
    }
}

/// What the runtime gave, as what it has to be; if it is not, `otherwise` says so.
pub(crate) fn expect<T: JsCast>(given: JsValue, otherwise: &str) -> Result<T> {
    given.dyn_into().map_err(|_| Error::from(otherwise))
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
