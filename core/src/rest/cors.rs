//! What a page of another origin may do: nothing, unless the configuration names its origin.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use super::response::Response;
use super::{Request, RestConfig};

/// The origin that the request comes from, if it is permitted.
pub(super) fn permitted_origin(request: &Request<'_>, config: &RestConfig) -> Option<Box<str>> {
    let permitted = config.cors_origin.as_deref()?;
    let origin = request.origin?;
    (permitted == "*" || permitted == origin).then(|| permitted.into())
}

/// True if a browser asks what a page may do.
pub(super) fn is_preflight(request: &Request<'_>) -> bool {
    request.method == "OPTIONS"
        && request.origin.is_some()
        && request.access_control_request_method.is_some()
}

/// The answer to a preflight, before [`grant`].
pub(super) fn preflight(allowed_methods: &'static str, permitted: bool) -> Response {
    let mut response = Response::empty(204);
    if permitted {
        response.headers.push((
            "Access-Control-Allow-Methods",
            Cow::Borrowed(allowed_methods),
        ));
        response.headers.push((
            "Access-Control-Allow-Headers",
            Cow::Borrowed("Content-Type"),
        ));
        response
            .headers
            .push(("Access-Control-Max-Age", Cow::Borrowed("600")));
    }
    response
}

/// Lets pages of `origin` read the response.
pub(super) fn grant(response: &mut Response, origin: &str) {
    response
        .headers
        .push(("Access-Control-Allow-Origin", Cow::Owned(origin.into())));
    response.headers.push((
        "Access-Control-Expose-Headers",
        Cow::Borrowed("Allow, Burrow-More, Retry-After"),
    ));
    response.headers.push(("Vary", Cow::Borrowed("Origin")));
}
