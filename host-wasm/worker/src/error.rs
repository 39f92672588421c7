//! What goes wrong, here or in the runtime.

use wasm_bindgen::prelude::*;
use worker::js_sys;

use crate::runtime;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What was thrown, or a text that says what is wrong. It is no more than a number, as nearly every call may
/// fail.
#[derive(Debug)]
pub(crate) struct Error(JsValue);

#[wasm_bindgen]
extern "C" {
    /// With the name of its kind, without which many a message means nothing.
    #[wasm_bindgen(js_name = String)]
    fn text_of(error: &JsValue) -> String;
}

impl Error {
    /// Writes it to the log, behind what it means.
    pub(crate) fn log(&self, what: &str) {
        runtime::complain(what, &self.0);
    }

    pub(crate) fn text(&self) -> String {
        text_of(&self.0)
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
