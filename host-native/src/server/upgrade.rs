//! From HTTP to the wire protocol: a request for a WebSocket, and what goes on after it.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use burrow_core::rest::{self, RestConfig};
use http::header::{ORIGIN, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::Shared;
use super::peer::Peer;
use super::response::{text, to_http};
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
            let reason = outcome
                .err()
                .map_or_else(String::new, |error| format!(": {error}"));
            let answer = text(426, &format!("The wire protocol needs a WebSocket{reason}"));
            let mut response = to_http(answer, &peer).map(Body::new);
            let headers = response.headers_mut();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
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
    let max_frame_bytes = wire::offer(shared).max_frame_bytes;
    let stream = parts.io.into_inner();
    let socket = WebSocket::new(stream, parts.read_buf.into(), max_frame_bytes).await;
    wire::run(socket, Arc::clone(&peer.activity), Arc::clone(shared)).await;
}

fn refuse(shared: &Shared, request: &Request<Body>) -> Option<rest::Response> {
    if shared.stopping.load(SeqCst) {
        return Some(rest::Response::stopping());
    }
    let is_permitted = is_permitted(request.headers().get(ORIGIN), &shared.rest);
    (!is_permitted).then(|| {
        text(
            StatusCode::FORBIDDEN.as_u16(),
            "Pages of this origin are not permitted: see the setting cors_origin",
        )
    })
}

/// Browsers let every page connect, and tell where it comes from: it is for the server to say
/// no.
fn is_permitted(origin: Option<&HeaderValue>, config: &RestConfig) -> bool {
    match (origin, config.cors_origin.as_deref()) {
        (None, _) | (Some(_), Some("*")) => true,
        (Some(origin), Some(permitted)) => origin.as_bytes() == permitted.as_bytes(),
        (Some(_), None) => false,
    }
}
