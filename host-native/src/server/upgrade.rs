//! From HTTP to the wire protocol: a request for a WebSocket, and what goes on after it.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use burrow_core::rest;
use http::header::ORIGIN;
use http::{HeaderValue, Request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::Shared;
use super::peer::Peer;
use super::response::to_http;
use super::stream::PeerStream;
use super::wire::{self, WebSocket};

/// Answers a request to go on in the wire protocol.
pub(super) async fn accept(
    Extension(shared): Extension<Arc<Shared>>,
    Extension(peer): Extension<Arc<Peer>>,
    mut request: Request<Body>,
) -> Response {
    if let Some(refusal) = refuse(&shared, &request) {
        return to_http(refusal, &peer).map(Body::new);
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    match (upgrade, create_response_with_body(&request, Body::empty)) {
        (Some(upgrade), Ok(response)) => {
            *peer.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
            response
        }
        (_, outcome) => {
            let problem = outcome.err().map(|error| error.to_string());
            let answer = rest::needs_web_socket(problem.as_deref());
            to_http(answer, &peer).map(Body::new)
        }
    }
}

/// Goes on in the wire protocol, if the last request was for that.
pub(super) async fn go_on(peer: &Arc<Peer>, shared: &Arc<Shared>) {
    let upgrade = peer
        .upgrade
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(upgrade) = upgrade else { return };
    let Ok(upgraded) = upgrade.await else { return };
    // It was made of nothing else.
    let Ok(parts) = upgraded.downcast::<TokioIo<PeerStream>>() else {
        return;
    };
    let longest = wire::offer(shared).max_message_bytes();
    let stream = parts.io.into_inner();
    let socket = WebSocket::new(stream, parts.read_buf.into(), longest).await;
    wire::run(socket, Arc::clone(&peer.activity), Arc::clone(shared)).await;
}

fn refuse(shared: &Shared, request: &Request<Body>) -> Option<rest::Response> {
    if shared.stopping.load(SeqCst) {
        return Some(rest::Response::stopping());
    }
    let origin = request.headers().get(ORIGIN);
    rest::refuse_page(origin.map(HeaderValue::as_bytes), &shared.rest)
}
