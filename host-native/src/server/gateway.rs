//! One request: from hyper to the front-end, to the desk, and back.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::routing::any;
use burrow_core::rest::{self, ClockRequest, Plan, Routed, WIRE_PATH};
use burrow_core::{Command, Reply};
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, EXPECT, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use tower::Service;

use super::body::{self, BodyError};
use super::peer::{InService, Peer};
use super::response::{self, Content, text, to_http};
use super::{ManualTime, Shared, upgrade};
use crate::desk::{Desk, Failure, Health};

const HEALTH_PATH: &str = "/healthz";
/// The paths of the pages that are not the front-end's.
pub(super) const SERVER_PAGES: [&str; 2] = [HEALTH_PATH, WIRE_PATH];

/// There is nobody to answer any more. The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the client left while it waited")]
    WhileWaiting,
    #[error("the client broke off: {0}")]
    InBody(hyper::Error),
}

/// The server's own pages, by path. Each request has what it needs among its extensions.
pub(super) fn pages() -> Router {
    Router::new()
        .route(HEALTH_PATH, any(health))
        .route(WIRE_PATH, any(upgrade::accept))
}

/// Answers a request of a connection. What is not a page of the server's own goes straight
/// to the front-end: a router would put each request, each answer and both bodies into
/// boxes, which costs about as much as all the rest.
pub(super) async fn handle(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Content>, Gone> {
    let _in_service = InService::new(&peer);
    if request.version() == Version::HTTP_2 {
        peer.activity.has_pings.store(true, Relaxed);
    }
    if SERVER_PAGES.contains(&request.uri().path()) {
        return Ok(page(&shared, &peer, request).await);
    }
    let (parts, body) = request.into_parts();
    let answer = match body::collect(body, &shared).await {
        Ok(body) => respond(&shared, &peer, &parts, &body).await?,
        Err(error) => refuse_body(error, &shared, &parts)?,
    };
    tracing::trace!(method = %parts.method, uri = %parts.uri, status = answer.status, "answered");
    Ok(to_http(answer, &peer).map(Content::Answer))
}

async fn page(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    mut request: Request<Incoming>,
) -> Response<Content> {
    request.extensions_mut().insert(Arc::clone(shared));
    request.extensions_mut().insert(Arc::clone(peer));
    let Ok(response) = shared.pages.clone().call(request).await;
    response.map(Content::Page)
}

async fn health(
    Extension(shared): Extension<Arc<Shared>>,
    Extension(peer): Extension<Arc<Peer>>,
    method: Method,
) -> Response<Body> {
    to_http(health_answer(&shared.desk, &method), &peer).map(Body::new)
}

async fn respond(
    shared: &Shared,
    peer: &Peer,
    parts: &Parts,
    body: &[u8],
) -> Result<rest::Response, Gone> {
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let Ok(request) = rest_request(parts, target, body) else {
        return Ok(text(400, "A header is not UTF-8"));
    };
    match rest::route(&request, &shared.rest) {
        Routed::Respond(answer) => Ok(answer),
        Routed::Submit(command, plan) => submit(shared, peer, command, &plan).await,
        Routed::Clock(request) => Ok(move_clock(shared, request)),
    }
}

async fn submit(
    shared: &Shared,
    peer: &Peer,
    command: Command<'_>,
    plan: &Plan,
) -> Result<rest::Response, Gone> {
    if shared.stopping.load(SeqCst) {
        return Ok(rest::Response::stopping());
    }
    let outcome = if command.wait_ms() > 0 {
        // HTTP/1 gives no other sign that a client has left. What is waited for must go to
        // somebody who is there, so a client that closes its sending side counts as gone.
        tokio::select! {
            biased;
            _ = peer.closed() => return Err(Gone::WhileWaiting),
            outcome = shared.desk.execute(command) => outcome,
        }
    } else {
        shared.desk.execute(command).await
    };
    Ok(render(plan, outcome))
}

pub(super) fn move_clock(shared: &Shared, request: ClockRequest) -> rest::Response {
    let Some(ManualTime { engine, clock }) = &shared.manual_time else {
        return request.is_asked_elsewhere();
    };
    match engine.advance(clock, request.advance_ms) {
        Ok(told) => request.respond(told.now, told.digest, told.waiters),
        Err(failure) => render_failure(failure),
    }
}

pub(super) fn render(plan: &Plan, outcome: Result<Reply, Failure>) -> rest::Response {
    match outcome {
        Ok(reply) => plan.respond(Ok(reply)),
        Err(Failure::Refused(refusal)) => plan.respond(Err(refusal)),
        Err(failure) => render_failure(failure),
    }
}

fn render_failure(failure: Failure) -> rest::Response {
    match failure {
        Failure::Refused(_) | Failure::OutcomeUnknown => rest::Response::outcome_unknown(),
        Failure::NotStored => rest::Response::not_stored(),
        Failure::Stopping => rest::Response::stopping(),
        Failure::Unreachable => {
            response::busy("The queue's server cannot be reached: nothing was done")
        }
        Failure::Busy => response::busy("Too much is under way: nothing was done"),
        Failure::CommandTooLarge { maximum_bytes } => rest::Response::body_too_large(maximum_bytes),
    }
}

fn rest_request<'a>(
    parts: &'a Parts,
    target: &'a str,
    body: &'a [u8],
) -> Result<rest::Request<'a>, std::str::Utf8Error> {
    let mut request = rest::Request {
        method: parts.method.as_str(),
        target,
        body,
        ..rest::Request::default()
    };
    // Most requests have few headers and none of these: one pass is cheaper than three searches.
    for (name, value) in &parts.headers {
        let wanted = match *name {
            CONTENT_TYPE => &mut request.content_type,
            ORIGIN => &mut request.origin,
            ACCESS_CONTROL_REQUEST_METHOD => &mut request.access_control_request_method,
            _ => continue,
        };
        if wanted.is_none() {
            *wanted = Some(std::str::from_utf8(value.as_bytes())?);
        }
    }
    Ok(request)
}

fn refuse_body(error: BodyError, shared: &Shared, parts: &Parts) -> Result<rest::Response, Gone> {
    match error {
        BodyError::TooLarge(rest_of_body) => {
            // A client that asks before it sends is told not to.
            if !parts.headers.contains_key(EXPECT) {
                body::discard(rest_of_body, shared.settings.body_timeout.duration());
            }
            Ok(rest::Response::body_too_large(
                shared.settings.max_request_bytes.0,
            ))
        }
        BodyError::TooSlow => Ok(text(408, "The request body did not arrive in time")),
        BodyError::NoRoom => Ok(response::busy(
            "Too many request bodies at a time: nothing was done",
        )),
        BodyError::Broken(error) => Err(Gone::InBody(error)),
    }
}

fn health_answer(desk: &Desk, method: &Method) -> rest::Response {
    let mut answer = match (method, desk.health()) {
        (&Method::GET | &Method::HEAD, Health::Serving) => rest::Response::healthy(),
        (&Method::GET | &Method::HEAD, Health::NotStoring { reason }) => {
            response::busy(&format!("Not storing: {reason}"))
        }
        (&Method::GET | &Method::HEAD, Health::Stopping | Health::Stopped { .. }) => {
            rest::Response::stopping()
        }
        _ => method_not_allowed(),
    };
    answer.head = method == Method::HEAD;
    answer
}

fn method_not_allowed() -> rest::Response {
    let mut answer = text(405, "Method not allowed");
    answer.headers.push(("Allow", "GET, HEAD".into()));
    answer
}
