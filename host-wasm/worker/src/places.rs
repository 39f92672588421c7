//! Which object has what, and what objects ask each other.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use worker::js_sys::Uint8Array;
use worker::{Env, Error, Headers, Method, Request, RequestInit, Response, Result, Stub};

/// The instant that a request is made at, where the clock is manual.
pub(crate) const NOW: &str = "Burrow-Now";
/// The names that a request's target has, percent-encoded.
pub(crate) const ACCOUNT: &str = "Burrow-Account";
pub(crate) const QUEUE: &str = "Burrow-Queue";
/// What one object asks another. Clients' requests are freed of it.
pub(crate) const ASK: &str = "Burrow-Ask";

/// Objects are known by names in which only these stand for themselves.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

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
            let name = percent_decode_str(&encoded).decode_utf8();
            Ok(name
                .map_err(|_| Error::from("a name is no text"))?
                .into_owned())
        };
        Ok(Self {
            account: name(ACCOUNT)?,
            queue: name(QUEUE)?,
            now_ms: headers.get(NOW)?.and_then(|now| now.parse().ok()),
        })
    }

    pub(crate) fn write_to(&self, headers: &Headers) -> Result<()> {
        headers.set(ACCOUNT, &encode(&self.account))?;
        headers.set(QUEUE, &encode(&self.queue))?;
        match self.now_ms {
            Some(now_ms) => headers.set(NOW, &now_ms.to_string()),
            None => headers.delete(NOW),
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

pub(crate) fn root(env: &Env) -> Result<Stub> {
    env.durable_object("ROOT")?.get_by_name("root")
}

pub(crate) fn account(env: &Env, account: &str) -> Result<Stub> {
    env.durable_object("ACCOUNTS")?
        .get_by_name(&encode(account))
}

pub(crate) fn queue(env: &Env, account: &str, queue: &str) -> Result<Stub> {
    let name = format!("{}/{}", encode(account), encode(queue));
    env.durable_object("QUEUES")?.get_by_name(&name)
}

/// Asks an object, and gives its answer: a text.
pub(crate) async fn ask(stub: Stub, question: &str, about: &About, body: &[u8]) -> Result<String> {
    let headers = Headers::new();
    headers.set(ASK, question)?;
    about.write_to(&headers)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_headers(headers);
    if !body.is_empty() {
        init.with_body(Some(Uint8Array::from(body).into()));
    }
    let request = Request::new_with_init("http://object/", &init)?;
    let mut answer = stub.fetch_with_request(request).await?;
    match answer.status_code() {
        200 => answer.text().await,
        _ => Err(Error::from(answer.text().await?)),
    }
}

/// The answer to what was asked.
pub(crate) fn tell(answer: Result<String>) -> Result<Response> {
    match answer {
        Ok(text) => Response::ok(text),
        Err(error) => Response::error(error.to_string(), 500),
    }
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}
