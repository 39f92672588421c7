//! REST v1.0 over HTTP/1.1, on connections that are kept.

mod answer;
mod request;
#[cfg_attr(not(feature = "tls"), path = "plain.rs")]
mod tls;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use burrow_core::Command;
use bytes::Bytes;
use http::uri::{Authority, InvalidUri};
use http::{HeaderName, HeaderValue, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::Error;
use crate::transport::{Answer, Calling, Transport};
use tls::Connector;
pub use tls::Trust;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Well below the time after which servers close a connection without a request: one that
/// is closed while a request goes out leaves its outcome unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// No answer is larger; what claims to be is not one.
const MOST_ANSWER_BYTES: usize = 2 << 30;

/// A server, over HTTP.
#[derive(Debug)]
pub struct Rest {
    base: String,
    client: Client<Connector, Full<Bytes>>,
    /// It has answered, so that noise later on tells nothing of what it has done.
    speaks_http: AtomicBool,
}

impl Rest {
    /// The server whose URLs begin so, as `http://127.0.0.1:8080`. Connects when called.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::trusting(url, &Trust::default())
    }

    /// As [`new`](Self::new), with a say in whose certificates are good.
    pub fn trusting(url: &str, trust: &Trust) -> Result<Self, Error> {
        let base = url.trim_end_matches('/');
        let bad = |reason: &str| Error::Invalid(format!("{url}: {reason}"));
        let (_, behind) = base.split_once(':').unwrap_or_default();
        if behind.trim_start_matches('/').is_empty() {
            return Err(bad("no host is named"));
        }
        let parsed: Result<Uri, InvalidUri> = base.parse();
        let uri = parsed.map_err(|error| bad(&format!("not a URL: {error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => return Err(bad("made without the feature tls")),
            _ => return Err(bad("a server's URL begins with http:// or https://")),
        }
        let own = uri.authority().map_or("", Authority::as_str);
        let (_, host) = own.rsplit_once('@').unwrap_or(("", own));
        match host.rsplit_once(':') {
            Some(("", _)) => return Err(bad("no host is named")),
            Some((_, port)) if !port.ends_with(']') && port.parse::<u16>().is_err() => {
                let text = format!("the port {port:?} is no number from 0 to 65535");
                return Err(bad(&text));
            }
            _ => {}
        }
        if uri.query().is_some() {
            return Err(bad("a server's URL has no query"));
        }
        // Once more in front of the rest it would be an account, and what is there another queue.
        if uri.path().ends_with("/v1.0") {
            return Err(bad(
                "leave out /v1.0 at the end: it is added to each request",
            ));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(tls::connector(plain(), trust)?);
        Ok(Self {
            base: base.to_owned(),
            client,
            speaks_http: AtomicBool::new(false),
        })
    }

    async fn exchange(&self, command: &Command<'_>) -> Result<Answer, Error> {
        let request = request::write(&self.base, command)?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| self.broken(&error))?;
        self.speaks_http.store(true, Relaxed);
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| {
            Error::OutcomeUnknown(format!("{}: the answer broke off: {error}", self.base))
        })?;
        answer::read(command, &head, &body.to_bytes())
    }

    fn broken(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let text = format!("{}: {}", self.base, innermost(error));
        let hyper_error = std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<hyper::Error>());
        // A request that was cancelled was still waiting for its connection.
        if error.is_connect() || hyper_error.is_some_and(hyper::Error::is_canceled) {
            Error::NotDone(text)
        } else if hyper_error.is_some_and(is_no_http) && !self.speaks_http.load(Relaxed) {
            Error::Foreign(format!("{}: the other end does not speak HTTP", self.base))
        } else {
            Error::OutcomeUnknown(text)
        }
    }
}

impl Transport for Rest {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        Box::pin(self.exchange(command))
    }
}

/// True of an answer that no HTTP server gives.
fn is_no_http(error: &hyper::Error) -> bool {
    error.is_parse() && !error.is_parse_status()
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn plain() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    http
}

const NEXT_PIECE: HeaderName = HeaderName::from_static("burrow-next");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        for (url, problem) in [
            ("http://", "no host is named"),
            ("http://:8080", "no host is named"),
            ("http://a:", r#"the port "" is no number"#),
            ("http://a:80x", r#"the port "80x" is no number"#),
            ("http://a:99999", r#"the port "99999" is no number"#),
            ("http://a b", "invalid uri character"),
            ("http://a?x=1", "has no query"),
            ("ftp://a", "begins with http://"),
            ("http://a:80/v1.0", "leave out /v1.0 at the end"),
            ("http://a/x/v1.0/", "leave out /v1.0 at the end"),
        ] {
            let error = Rest::new(url).unwrap_err().to_string();
            assert!(error.starts_with(url) && error.contains(problem), "{error}");
        }
        for url in [
            "http://a",
            "http://a:80/",
            "http://[::1]",
            "http://[::1]:80",
            "http://u@a:80/x",
            "http://a/v1.0/x",
            "http://a/xv1.0",
            "http://v1.0",
        ] {
            assert!(Rest::new(url).is_ok(), "{url}");
        }
    }
}
