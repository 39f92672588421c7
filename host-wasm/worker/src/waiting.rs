//! Who waits for what becomes of a request, and how they are told.

use std::rc::Rc;

use burrow_core::rest;
use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use worker::js_sys::{Function, Promise};
use worker::web_sys::{AbortSignal, Response};

use crate::desk::{Number, Outcome};
use crate::error::Result;
use crate::http::{self, respond};
use crate::memory::Lent;
use crate::object::Object;
use crate::promise::spawn;
use crate::spent;

/// What names a request, also across restores.
pub(crate) type Key = (u64, Number);

/// The client has closed the request. Nobody reads it.
const LEFT: u16 = 499;

/// What a waiting request is told.
#[derive(Debug)]
pub(crate) enum Told {
    Response(rest::Response),
    #[cfg_attr(
        not(feature = "wire"),
        expect(dead_code, reason = "only gateways ask for it")
    )]
    Outcome(Outcome),
    /// What another object asked for was done, or not.
    Done(bool),
    /// The client has left.
    Left,
}

/// One who waits. Who is dropped untold hears that the outcome is unknown.
pub(crate) struct Waiting {
    pub(crate) key: Key,
    whom: Whom,
    _leaving: Option<Leaving>,
    _lent: Option<[Lent; 3]>,
    _counted: spent::Waiting,
}

enum Whom {
    Client(Client),
    Task(oneshot::Sender<Told>),
}

impl Waiting {
    pub(crate) fn tell(self, told: Told) {
        match self.whom {
            Whom::Client(client) => client.tell(told),
            // Whoever has left does not hear it.
            Whom::Task(task) => drop(task.send(told)),
        }
    }
}

/// A client, to whom a response is due. It costs no task of its own, as most that is asked is this.
pub(crate) struct Client(Option<Function>);

impl Client {
    /// The runtime gives the function, which takes the response, or a promise of it.
    pub(crate) fn new(answer: Function) -> Self {
        Self(Some(answer))
    }

    pub(crate) fn tell(self, told: Told) {
        self.answer(match told {
            Told::Response(response) => respond(response),
            Told::Outcome(_) | Told::Done(_) | Told::Left => http::text(LEFT, ""),
        });
    }

    pub(crate) fn answer(mut self, response: Result<Response>) {
        self.give(response);
    }

    fn give(&mut self, response: Result<Response>) {
        if let Some(answer) = self.0.take() {
            let response =
                response.map_or_else(|error| Promise::reject(&error.into()).into(), JsValue::from);
            // It only settles a promise.
            answer.call1(&JsValue::NULL, &response).ok();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.give(respond(rest::Response::outcome_unknown()));
        }
    }
}

impl Object {
    /// The client is told what becomes of its request. If it leaves before, its request is cancelled. What is lent
    /// is given back then.
    pub(crate) fn tell_client(
        self: &Rc<Self>,
        key: Key,
        client: Client,
        leaves: Option<AbortSignal>,
        lent: [Lent; 3],
    ) -> Result<()> {
        self.add(key, Whom::Client(client), leaves, Some(lent))
    }

    /// Waits until something can be said of a request: nothing if the node was lost.
    pub(crate) fn expect(
        self: &Rc<Self>,
        key: Key,
        leaves: Option<AbortSignal>,
    ) -> Result<impl Future<Output = Option<Told>> + use<>> {
        let (sender, told) = oneshot::channel();
        self.add(key, Whom::Task(sender), leaves, None)?;
        Ok(async move { told.await.ok() })
    }

    fn add(
        self: &Rc<Self>,
        key: Key,
        whom: Whom,
        leaves: Option<AbortSignal>,
        lent: Option<[Lent; 3]>,
    ) -> Result<()> {
        let waiting = Waiting {
            key,
            whom,
            _leaving: leaves
                .map(|signal| Leaving::of(signal, self, key))
                .transpose()?,
            _lent: lent,
            _counted: spent::wait(),
        };
        self.pending.borrow_mut().push(waiting);
        Ok(())
    }

    /// Takes the one who waits for the outcome of a request.
    pub(crate) fn take_pending(&self, key: Key) -> Option<Waiting> {
        let mut pending = self.pending.borrow_mut();
        let place = pending.iter().position(|own| own.key == key)?;
        Some(pending.swap_remove(place))
    }

    /// The client has left. Whoever is answered already does not hear it.
    fn leave(self: &Rc<Self>, key: Key) {
        if let Some(waiting) = self.take_pending(key) {
            self.cancel(key);
            waiting.tell(Told::Left);
        }
    }
}

/// Hears that the client leaves, for as long as it is kept.
struct Leaving {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Leaving {
    fn of(signal: AbortSignal, object: &Rc<Object>, key: Key) -> Result<Self> {
        let object = Rc::downgrade(object);
        let leave = move || {
            let object = object.clone();
            // By itself: it drops what calls it.
            spawn(async move {
                if let Some(object) = object.upgrade() {
                    object.leave(key);
                }
            });
        };
        if signal.aborted() {
            leave();
        }
        let listener = Closure::new(leave);
        signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref())?;
        Ok(Self { signal, listener })
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let listener = self.listener.as_ref().unchecked_ref();
        self.signal
            .remove_event_listener_with_callback("abort", listener)
            .ok();
    }
}
