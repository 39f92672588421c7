//! Burrow as a JavaScript package: the machine as a class, driven by `index.js`.

mod commands;
mod outcome;
mod settings;
mod stored;

use std::collections::BTreeMap;

use burrow_core::rest::{ClockRequest, Request, Response};
use burrow_core::service::{Handled, Outcome, Service};
use burrow_core::{Command, Node, Ticket, Timestamp};
use js_sys::{Array, BigInt, Function, Object};
use wasm_bindgen::prelude::*;

/// A service whose tickets are plain numbers, which JavaScript can hold. It does nothing by itself.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Machine {
    service: Service,
    numbers: BTreeMap<Ticket, u32>,
    tickets: BTreeMap<u32, Ticket>,
    last_number: u32,
}

/// A request, as far as the front-end reads it.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct HttpRequest {
    method: String,
    target: String,
    content_type: Option<String>,
    origin: Option<String>,
    access_control_request_method: Option<String>,
    body: Vec<u8>,
}

#[wasm_bindgen]
impl HttpRequest {
    #[wasm_bindgen(constructor)]
    pub fn new(
        method: String,
        target: String,
        content_type: Option<String>,
        origin: Option<String>,
        access_control_request_method: Option<String>,
        body: Vec<u8>,
    ) -> Self {
        Self {
            method,
            target,
            content_type,
            origin,
            access_control_request_method,
            body,
        }
    }
}

#[wasm_bindgen]
impl Machine {
    /// A machine with what `read` gives for each of the ascending `sequences`.
    ///
    /// # Errors
    /// An `Error` that says which setting is unknown, or what is wrong with the stored bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(
        settings: &Object,
        now: f64,
        sequences: Vec<f64>,
        read: Function,
    ) -> Result<Machine, JsError> {
        let (config, rest) = settings::read(settings)?;
        let now = if rest.manual_clock {
            Timestamp::MANUAL_START
        } else {
            instant(now)
        };
        let mut stored = stored::Stored::new(&sequences, read);
        let (node, _) = Node::restore(config, now, &mut stored)?;
        Ok(Self {
            service: Service::new(node, rest),
            numbers: BTreeMap::new(),
            tickets: BTreeMap::new(),
            last_number: 0,
        })
    }

    /// The answer to a request, or the number under which it comes from [`poll`](Self::poll).
    /// A request to a manual clock is done here.
    pub fn handle(&mut self, now: f64, request: &HttpRequest) -> JsValue {
        let request = Request {
            method: &request.method,
            target: &request.target,
            content_type: request.content_type.as_deref(),
            origin: request.origin.as_deref(),
            access_control_request_method: request.access_control_request_method.as_deref(),
            body: &request.body,
        };
        match self.service.handle(instant(now), &request) {
            Handled::Answered(response) => outcome::response(&response).into(),
            Handled::Pending(ticket) => self.number(ticket).into(),
            Handled::Clock(request) => outcome::response(&self.clock(request)).into(),
        }
    }

    /// The next answer that may leave, as `[number, outcome]`: a response is an object with a
    /// `status`, a refusal one with a `code`, all else is the reply.
    pub fn poll(&mut self) -> Option<Array> {
        loop {
            let (ticket, outcome) = self.service.poll()?;
            let Some(number) = self.numbers.remove(&ticket) else {
                continue;
            };
            self.tickets.remove(&number);
            let outcome = match outcome {
                Outcome::Response(response) => outcome::response(&response).into(),
                Outcome::Reply(Ok(reply)) => outcome::reply(&reply),
                Outcome::Reply(Err(refusal)) => outcome::refusal(&refusal).into(),
            };
            return Some(Array::of2(&number.into(), &outcome));
        }
    }

    /// What must be stored next: `{ sequence, blob, drops }`, drops as pairs of first and last.
    #[wasm_bindgen(js_name = pollBatch)]
    pub fn poll_batch(&mut self) -> Option<Object> {
        let batch = self.service.node_mut().poll_batch()?;
        Some(stored::batch(&batch))
    }

    #[wasm_bindgen(js_name = handleDurable)]
    pub fn handle_durable(&mut self, sequence: f64) {
        self.service.node_mut().handle_durable(whole(sequence));
    }

    /// The client went away.
    pub fn cancel(&mut self, number: u32) {
        if let Some(ticket) = self.tickets.remove(&number) {
            self.numbers.remove(&ticket);
            self.service.cancel(ticket);
        }
    }

    pub fn deadline(&self) -> Option<f64> {
        self.service.node().deadline().map(millis)
    }

    #[wasm_bindgen(js_name = handleDeadline)]
    pub fn handle_deadline(&mut self, now: f64) {
        self.service.node_mut().handle_deadline(instant(now));
    }

    /// Moves a manual clock on.
    pub fn advance(&mut self, span_ms: f64) {
        let until = self.service.node().now().after_ms(whole(span_ms));
        self.service.node_mut().advance_to(until);
    }

    pub fn now(&self) -> f64 {
        millis(self.service.node().now())
    }

    pub fn digest(&self) -> BigInt {
        self.service.node().digest().into()
    }

    pub fn stats(&self) -> Object {
        outcome::stats(&self.service.node().stats())
    }

    /// The response for callers whose change could not be stored.
    #[wasm_bindgen(js_name = outcomeUnknown)]
    pub fn outcome_unknown() -> Object {
        outcome::response(&Response::outcome_unknown())
    }
}

impl Machine {
    fn submit(&mut self, now: f64, command: Command<'_>) -> u32 {
        let ticket = self.service.submit(instant(now), command);
        self.number(ticket)
    }

    fn number(&mut self, ticket: Ticket) -> u32 {
        // One that is still waiting after all other numbers were used keeps its own.
        loop {
            self.last_number = self.last_number.wrapping_add(1);
            if !self.tickets.contains_key(&self.last_number) {
                break;
            }
        }
        self.numbers.insert(ticket, self.last_number);
        self.tickets.insert(self.last_number, ticket);
        self.last_number
    }

    fn clock(&mut self, request: ClockRequest) -> Response {
        let node = self.service.node_mut();
        let until = node.now().after_ms(request.advance_ms);
        node.advance_to(until);
        request.respond(node.now(), node.digest(), node.stats().waiters)
    }
}

/// Instants stay far below 2^53, up to which JavaScript's numbers are whole.
fn millis(instant: Timestamp) -> f64 {
    instant.as_millis() as f64
}

fn instant(number: f64) -> Timestamp {
    Timestamp::from_millis(whole(number))
}

/// A conversion from a number saturates: what is negative or no number is 0.
fn whole(number: f64) -> u64 {
    number as u64
}
