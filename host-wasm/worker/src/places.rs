//! Which object has what, and what objects ask each other.

use std::borrow::Cow;

use burrow_core::rest;
use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::{Promise, Uint8Array, decode_uri_component, encode_uri_component};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, Request, RequestInit, Response};
use worker::worker_sys::DurableObjectNamespace;

use crate::error::{Error, Result, expect};
use crate::http;
use crate::spent;

/// The instant that a request is made at, where the clock is manual.
pub(crate) const NOW: &str = "Burrow-Now";
/// The names that a request's target has, percent-encoded.
pub(crate) const ACCOUNT: &str = "Burrow-Account";
pub(crate) const QUEUE: &str = "Burrow-Queue";
/// Who has asked for a command of the wire protocol.
pub(crate) const CALLER: &str = "Burrow-Caller";
/// How long the answer to it is, which the runtime does not tell.
#[cfg(feature = "wire")]
pub(crate) const BYTES: &str = "Burrow-Bytes";
/// What one object asks another. Clients' requests are freed of it.
pub(crate) const ASK: &str = "Burrow-Ask";

/// What is asked of all objects, from the directories down to the queues.
pub(crate) const IS_ALIVE: &str = "is-alive";
pub(crate) const REMOVE: &str = "remove";
pub(crate) const ADVANCE: &str = "advance";
/// The answer to what is true.
pub(crate) const YES: &str = "true";

/// The names and the instant that go along with what is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) account: String,
    pub(crate) queue: String,
    pub(crate) now_ms: Option<u64>,
}

impl About {
    pub(crate) fn of(headers: &Headers) -> Result<Self> {
        let name = |header| -> Result<String> {
            let encoded = headers.get(header)?.unwrap_or_default();
            Ok(String::from(decode_uri_component(&encoded)?))
        };
        Ok(Self {
            account: name(ACCOUNT)?,
            queue: name(QUEUE)?,
            now_ms: headers.get(NOW)?.and_then(|now| now.parse().ok()),
        })
    }

    /// The same by what a client has asked of a queue.
    pub(crate) fn of_queue(target: &str, now_ms: Option<u64>) -> Option<Self> {
        let rest::Place::Queue(name) = rest::place(target) else {
            return None;
        };
        Some(Self {
            account: name.account.into_owned(),
            queue: name.queue.into_owned(),
            now_ms,
        })
    }

    pub(crate) fn write_to(&self, headers: &Headers) -> Result<()> {
        headers.set(ACCOUNT, &encode(&self.account))?;
        headers.set(QUEUE, &encode(&self.queue))?;
        match self.now_ms {
            Some(now_ms) => headers.set(NOW, &now_ms.to_string()),
            None => headers.delete(NOW),
        }?;
        Ok(())
    }

    /// The same of another account.
    pub(crate) fn with_account(&self, account: &str) -> Self {
        Self {
            account: account.to_owned(),
            ..self.clone()
        }
    }

    /// The same of another queue of the account.
    pub(crate) fn with_queue(&self, queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            ..self.clone()
        }
    }
}

pub(crate) fn root(env: &Env) -> Result<Place> {
    named(bindings(env).root(), "ROOT", "root")
}

pub(crate) fn account(env: &Env, account: &str) -> Result<Place> {
    named(bindings(env).accounts(), "ACCOUNTS", &encode(account))
}

pub(crate) fn queue(env: &Env, account: &str, queue: &str) -> Result<Place> {
    let name = format!("{}/{}", encode(account), encode(queue));
    named(bindings(env).queues(), "QUEUES", &name)
}

/// One of the objects that hold WebSockets. Which one makes no difference.
#[cfg(feature = "wire")]
pub(crate) fn gateway(env: &Env, number: u32) -> Result<Place> {
    named(bindings(env).gateways(), "GATEWAYS", &number.to_string())
}

fn bindings(env: &Env) -> &Bindings {
    env.unchecked_ref()
}

fn named(namespace: JsValue, binding: &str, name: &str) -> Result<Place> {
    if !namespace.is_object() {
        return Err(Error::from(format!("there is no binding {binding}")));
    }
    let namespace: DurableObjectNamespace = namespace.unchecked_into();
    Ok(namespace.get_by_name(name)?.unchecked_into())
}

#[wasm_bindgen]
extern "C" {
    /// The environment's, which are there if the configuration is right.
    type Bindings;

    #[wasm_bindgen(method, getter, js_name = ROOT)]
    fn root(this: &Bindings) -> JsValue;

    #[wasm_bindgen(method, getter, js_name = ACCOUNTS)]
    fn accounts(this: &Bindings) -> JsValue;

    #[wasm_bindgen(method, getter, js_name = QUEUES)]
    fn queues(this: &Bindings) -> JsValue;

    #[cfg(feature = "wire")]
    #[wasm_bindgen(method, getter, js_name = GATEWAYS)]
    fn gateways(this: &Bindings) -> JsValue;

    /// An object that can be spoken to. What it answers is passed on as it is.
    pub(crate) type Place;

    #[wasm_bindgen(method)]
    pub(crate) fn fetch(this: &Place, request: &Request) -> Promise;
}

impl Place {
    pub(crate) async fn answer(&self, request: &Request) -> Result<Response> {
        expect(
            JsFuture::from(self.fetch(request)).await?,
            "no response came",
        )
    }

    /// Asks another object something, and gives what it tells.
    pub(crate) async fn ask(&self, question: &str, about: &About, body: &[u8]) -> Result<String> {
        self.begin(question, about, body)?.told().await
    }

    /// Asks, without waiting for what is told.
    pub(crate) fn begin(&self, question: &str, about: &About, body: &[u8]) -> Result<Asked> {
        let answer = self.begin_for(None, question, about, body)?;
        Ok(Asked(JsFuture::from(answer)))
    }

    /// Asks for somebody. What is asked of the same place arrives in this order; the answer is a promise.
    pub(crate) fn begin_for(
        &self,
        caller: Option<&str>,
        question: &str,
        about: &About,
        body: &[u8],
    ) -> Result<Promise> {
        spent::count_question();
        let headers = Headers::new()?;
        headers.set(ASK, question)?;
        if let Some(caller) = caller {
            headers.set(CALLER, caller)?;
        }
        about.write_to(&headers)?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers_headers(&headers);
        if !body.is_empty() {
            init.set_body_opt_u8_array(Some(&Uint8Array::from(body)));
        }
        let request = Request::new_with_str_and_init("http://object/", &init)?;
        Ok(self.fetch(&request))
    }

    /// The same for what is true or not.
    pub(crate) async fn ask_whether(&self, question: &str, about: &About) -> Result<bool> {
        Ok(self.ask(question, about, &[]).await? == YES)
    }
}

/// A question that is under way.
pub(crate) struct Asked(JsFuture);

impl Asked {
    pub(crate) async fn told(self) -> Result<String> {
        let answer: Response = expect(self.0.await?, "no response came")?;
        let text = JsFuture::from(answer.text()?).await?;
        let text = text.as_string().unwrap_or_default();
        match answer.status() {
            200 => Ok(text),
            _ => Err(Error::from(text)),
        }
    }
}

/// The answer to what was asked.
pub(crate) fn tell(answer: Result<String>) -> Result<Response> {
    match answer {
        Ok(text) => http::text(200, &text),
        Err(error) => http::text(500, &error.text()),
    }
}

/// Objects are known by names that are encoded so, as are names in headers.
fn encode(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match name.bytes().all(is_plain) {
        true => name.into(),
        false => String::from(encode_uri_component(name)).into(),
    }
}
