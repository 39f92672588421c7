//! From HTTP to the wire protocol: what a request for a WebSocket is answered that does not get one.

use alloc::borrow::Cow;
use alloc::format;

use super::{Response, RestConfig};

/// Where the wire protocol begins, on a WebSocket.
pub const WIRE_PATH: &str = "/wire";

/// Browsers let every page connect, and tell where it comes from: it is for the server to say
/// no.
pub fn refuse_page(origin: Option<&[u8]>, config: &RestConfig) -> Option<Response> {
    let is_permitted = match (origin, config.cors_origin.as_deref()) {
        (None, _) | (Some(_), Some("*")) => true,
        (Some(origin), Some(permitted)) => origin == permitted.as_bytes(),
        (Some(_), None) => false,
    };
    (!is_permitted).then(|| {
        Response::text(
            403,
            "Pages of this origin are not permitted: see the setting cors_origin",
        )
    })
}

/// The answer to a request that does not ask for a WebSocket, or not as it should.
pub fn needs_web_socket(problem: Option<&str>) -> Response {
    const NEEDS: &str = "The wire protocol needs a WebSocket";
    let mut response = match problem {
        Some(problem) => Response::text(426, format!("{NEEDS}: {problem}")),
        None => Response::text(426, NEEDS),
    };
    for (name, value) in [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")] {
        response.headers.push((name, Cow::Borrowed(value)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_permitted_origin_get_one() {
        let config = |origin: Option<&str>| RestConfig {
            cors_origin: origin.map(Into::into),
            ..RestConfig::default()
        };
        let page: Option<&[u8]> = Some(b"https://a");
        for (origin, permitted, is_refused) in [
            (None, None, false),
            (page, None, true),
            (page, Some("https://b"), true),
            (page, Some("https://a"), false),
            (page, Some("*"), false),
        ] {
            let refused = refuse_page(origin, &config(permitted));
            assert_eq!(refused.is_some(), is_refused, "{permitted:?}");
        }
    }

    #[test]
    fn whoever_asks_for_none_hears_what_is_needed() {
        let response = needs_web_socket(Some("no key"));
        assert_eq!(response.status, 426);
        assert_eq!(
            response.body,
            b"The wire protocol needs a WebSocket: no key"
        );
        assert_eq!(response.header("Upgrade"), Some("websocket"));
    }
}
