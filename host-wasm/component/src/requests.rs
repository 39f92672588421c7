//! The exported interface `requests`.

use burrow_core::rest::Request;

use crate::Plugin;
use crate::bindings::burrow::queue::types as wit;
use crate::bindings::exports::burrow::queue::requests::{Answer, Guest};
use crate::convert;
use crate::host::{self, Called};

impl Guest for Plugin {
    fn handle(request: wit::Request) -> Answer {
        let header = |name: &str| {
            let found = request
                .headers
                .iter()
                .find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let read = Request {
            method: &request.method,
            target: &request.target,
            content_type: header("content-type"),
            origin: header("origin"),
            access_control_request_method: header("access-control-request-method"),
            body: &request.body,
        };
        let called = host::with(|host| Ok(host.request(&read)))
            .unwrap_or_else(|error| Called::Done(convert::failed_response(&error)));
        match called {
            Called::Done(response) => Answer::Response(convert::response(response)),
            Called::Waits(ticket) => Answer::Pending(ticket),
        }
    }
}
