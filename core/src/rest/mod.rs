//! REST v1.0: a pure translation between HTTP requests and commands.
//!
//! A host reads a request, gives it to [`route`], submits the command it gets to its
//! [`Node`](crate::Node) and renders the reply with [`Plan::respond`]. What a host must
//! answer by itself is there as well, so that all hosts answer alike: see [`Response`].
//!
//! ```
//! use burrow_core::rest::{Request, RestConfig, Routed, route};
//!
//! let request = Request { method: "GET", target: "/", ..Request::default() };
//! let Routed::Respond(response) = route(&request, &RestConfig::default()) else {
//!     panic!("the versions are known without the machine");
//! };
//! assert_eq!(response.status, 200);
//! assert_eq!(response.body, br#"["v1.0"]"#);
//! ```

mod batch;
mod clock;
mod cors;
mod input;
mod json;
mod path;
mod percent;
mod plan;
mod query;
mod refused;
mod response;
mod router;
mod seconds;
mod settings;
mod settle;
mod upgrade;

use alloc::boxed::Box;

use crate::command::Command;
use crate::config::Limits;

pub use clock::ClockRequest;
pub use path::{Place, place};
pub use plan::Plan;
pub use response::Response;
pub use router::route;
pub use settings::{read as read_settings, write as write_settings};
pub use upgrade::{WIRE_PATH, needs_web_socket, refuse_page};

/// An HTTP request, as far as this front-end reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query as they stand in the request line, not decoded.
    pub target: &'a str,
    pub content_type: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub access_control_request_method: Option<&'a str>,
    pub body: &'a [u8],
}

/// What a host tells this front-end. Make it from the [`Limits`] of the node, so that both
/// refuse the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestConfig {
    /// The origin whose pages a browser may let use this server, `*` for all of them.
    /// `None` grants nothing.
    pub cors_origin: Option<Box<str>>,
    /// Reading of a batch or settle stops beyond so many items.
    pub max_batch_messages: u64,
    /// Milliseconds that a request may ask to wait.
    pub max_wait_ms: u64,
    /// The clock stands still until a request to `/clock` advances it.
    pub manual_clock: bool,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Routed<'a> {
    /// It is answered at once, without the machine.
    Respond(Response),
    /// Submit the command, then render its reply.
    Submit(Command<'a>, Plan),
    /// Read or advance the host's clock, then answer with [`ClockRequest::respond`]. Never
    /// asked of a host whose clock is not manual.
    Clock(ClockRequest),
}

impl From<&Limits> for RestConfig {
    fn from(limits: &Limits) -> Self {
        Self {
            cors_origin: None,
            max_batch_messages: limits.max_batch_messages,
            max_wait_ms: limits.max_wait_ms,
            manual_clock: false,
        }
    }
}

impl Default for RestConfig {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}
