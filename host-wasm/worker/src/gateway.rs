//! The objects that hold WebSockets, on which the wire protocol is spoken. They sleep while nothing is
//! under way: all that must outlive that is attached to each socket.

use std::cell::RefCell;
use std::rc::Rc;

use burrow_core::rest::{needs_web_socket, refuse_page};
use burrow_core::wire::{LEAST_FRAME_BYTES, LEAST_IN_FLIGHT, Offer, Session};
use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::{Math, Promise, Uint8Array};
use worker::web_sys::{Request, Response, ResponseInit, WebSocket};
use worker::worker_sys::ext::ResponseInitExt as _;
use worker::worker_sys::{DurableObjectState, WebSocketPair};

use crate::connection::Connection;
use crate::error::Result;
use crate::http::{respond, text};
use crate::places::{self, About};
use crate::promise::promise;
use crate::spent;
use crate::variables::Variables;

/// So many objects share the connections. Each is paid for while a request of one of its connections
/// is under way.
const GATEWAYS: f64 = 8.0;
/// Connections of each.
const MAX_CONNECTIONS: usize = 4_096;
/// The runtime takes no longer messages.
const MAX_MESSAGE_BYTES: u64 = 32 << 20;
const LENGTH_BYTES: u64 = 4;

/// Close codes: text, a message that is longer than was offered, and what is not the client's fault.
const UNSUPPORTED: u16 = 1003;
const TOO_LARGE: u16 = 1009;
const INTERNAL: u16 = 1011;

/// Finds a gateway for a client that asks for a WebSocket.
pub(crate) async fn connect(request: &Request, env: &Env) -> Result<Response> {
    let headers = request.headers();
    let origin = headers.get("Origin")?;
    let upgrade = headers.get("Upgrade")?.unwrap_or_default();
    let is_asked_for = request.method() == "GET" && upgrade.eq_ignore_ascii_case("websocket");
    let rest = &Variables::of(env)?.settings.rest;
    let refused = match refuse_page(origin.as_deref().map(str::as_bytes), rest) {
        None if is_asked_for => {
            let number = (Math::random() * GATEWAYS) as u32;
            return places::gateway(env, number)?.answer(request).await;
        }
        None => needs_web_socket(None),
        Some(refused) => refused,
    };
    respond(refused)
}

/// See the [module](self).
#[wasm_bindgen]
pub struct Gateway(Rc<Own>);

#[wasm_bindgen]
impl Gateway {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        spent::count_gateway();
        Self(Rc::new(Own {
            state,
            env,
            busy: RefCell::default(),
        }))
    }

    pub fn fetch(&self) -> Promise {
        let own = self.0.clone();
        promise(async move { own.connect() })
    }

    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn web_socket_message(&self, socket: WebSocket, message: JsValue) -> Promise {
        let own = self.0.clone();
        promise(async move { own.hear(&socket, &message).await.map(|()| JsValue::NULL) })
    }

    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn web_socket_close(&self, socket: WebSocket) -> Promise {
        // One that is closed on both sides hears nothing.
        socket.close().ok();
        self.web_socket_error(socket)
    }

    #[wasm_bindgen(js_name = webSocketError)]
    pub fn web_socket_error(&self, socket: WebSocket) -> Promise {
        let own = self.0.clone();
        promise(async move {
            own.leave(&socket).await;
            Ok(JsValue::NULL)
        })
    }
}

struct Own {
    state: DurableObjectState,
    env: Env,
    /// Those with something under way, few enough to be searched.
    busy: RefCell<Vec<Rc<Connection>>>,
}

impl Own {
    /// Takes a connection.
    fn connect(&self) -> Result<Response> {
        if self.state.get_websockets()?.len() >= MAX_CONNECTIONS {
            return text(503, "Too many connections");
        }
        let variables = Variables::of(&self.env)?;
        let in_u32 = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let longest = variables
            .max_request_bytes
            .min(MAX_MESSAGE_BYTES - LENGTH_BYTES);
        let offer = Offer {
            max_frame_bytes: in_u32(longest).max(LEAST_FRAME_BYTES),
            max_in_flight: in_u32(variables.max_in_flight).max(LEAST_IN_FLIGHT),
            max_batch_messages: variables.settings.rest.max_batch_messages,
        };
        let mut pair = WebSocketPair::new()?;
        let server = pair.server()?;
        self.state.accept_websocket(&server)?;
        Connection::new(server, Math::random().to_bits(), Session::new(offer)).keep();
        let mut init = ResponseInit::new();
        init.set_status(101);
        init.websocket(&pair.client()?)?;
        Ok(Response::new_with_opt_str_and_init(None, &init)?)
    }

    /// Takes a message.
    async fn hear(&self, socket: &WebSocket, message: &JsValue) -> Result<()> {
        if message.is_string() {
            let reason = "The wire protocol is in binary messages";
            return self.refuse(socket, UNSUPPORTED, reason).await;
        }
        let message = Uint8Array::new(message).to_vec();
        // Before anything of the connection is looked at, which another message may change.
        let Ok(now_ms) = self.now_ms().await else {
            let reason = "The clock cannot be asked";
            return self.refuse(socket, INTERNAL, reason).await;
        };
        let Some(connection) = self.connection(socket) else {
            return Ok(());
        };
        if message.len() > connection.max_message_bytes() {
            return self
                .refuse(socket, TOO_LARGE, "The message is too long")
                .await;
        }
        connection.hear(&self.env, message, now_ms).await;
        if connection.is_idle() {
            self.take(connection.number);
        }
        Ok(())
    }

    fn connection(&self, socket: &WebSocket) -> Option<Rc<Connection>> {
        let number = Connection::number_of(socket)?;
        let mut busy = self.busy.borrow_mut();
        if let Some(connection) = busy.iter().find(|own| own.number == number) {
            return Some(connection.clone());
        }
        let connection = Rc::new(Connection::wake(socket)?);
        busy.push(connection.clone());
        Some(connection)
    }

    async fn leave(&self, socket: &WebSocket) {
        let number = Connection::number_of(socket);
        if let Some(connection) = number.and_then(|number| self.take(number)) {
            connection.leave().await;
        }
    }

    fn take(&self, number: u64) -> Option<Rc<Connection>> {
        let mut busy = self.busy.borrow_mut();
        let place = busy.iter().position(|own| own.number == number)?;
        Some(busy.swap_remove(place))
    }

    /// Closes what does not speak as it should.
    async fn refuse(&self, socket: &WebSocket, code: u16, reason: &str) -> Result<()> {
        socket.close_with_code_and_reason(code, reason).ok();
        self.leave(socket).await;
        Ok(())
    }

    /// The instant, where the clock is moved by hand.
    async fn now_ms(&self) -> Result<Option<u64>> {
        if !Variables::of(&self.env)?.manual_clock() {
            return Ok(None);
        }
        let root = places::root(&self.env)?;
        let now = root.ask("now", &About::default(), &[]).await?;
        Ok(now.parse().ok())
    }
}
