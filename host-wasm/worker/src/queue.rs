//! The object of a queue: what clients ask, what other objects ask, and the alarm.

use std::rc::Rc;

use burrow_core::rest;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use worker::web_sys::AbortSignal;
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use crate::desk::Handled;
use crate::http::{Described, read_body, respond};
use crate::memory::used_bytes;
use crate::object::{Key, Object, Told};
use crate::places::{self, ADVANCE, ASK, About, IS_ALIVE, REMOVE};
use crate::spent;
use crate::wire::{self, Calls};

/// Above this the isolate takes no more messages.
pub(crate) const MEMORY_BYTES: usize = 88 << 20;
/// The client has closed the request. Nobody reads it.
const LEFT: u16 = 499;

/// See the [module](self).
#[durable_object(alarm)]
pub struct Queue(Rc<Object>, Calls);

impl DurableObject for Queue {
    fn new(state: State, env: Env) -> Self {
        Self(Rc::new(Object::new(state, env)), Calls::default())
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let about = About::of(request.headers())?;
        if let Some(question) = request.headers().get(ASK)? {
            return match question.as_str() {
                wire::COMMAND => self.1.carry_out(&self.0, &about, request).await,
                wire::CANCEL => self.1.cancel(&self.0, &request).await,
                _ => places::tell(asked(&self.0, &question, &about, request).await),
            };
        }
        let maximum_bytes = self.0.variables()?.max_request_bytes;
        let Some(body) = read_body(&mut request, maximum_bytes).await? else {
            return respond(rest::Response::body_too_large(maximum_bytes));
        };
        answer(&self.0, &about, &request, &body)
            .await
            .unwrap_or_else(|error| {
                self.0.fail(&error);
                respond(rest::Response::outcome_unknown())
            })
    }

    async fn alarm(&self) -> Result<Response> {
        let object = &self.0;
        object.alarm_at_ms.set(None);
        object.open(None).await?;
        let due = object.now(None, |held, now| held.desk.handle_deadline(now));
        if due.is_some() {
            object.work().await;
            object.leave_if_idle().await?;
        }
        Response::empty()
    }
}

/// The answer to a client. An error says that the node cannot be relied on.
async fn answer(
    object: &Rc<Object>,
    about: &About,
    request: &Request,
    body: &[u8],
) -> Result<Result<Response>> {
    let described = Described::of(request)?;
    let creates = described.is_put() || object.variables()?.manual_clock();
    let handled = object.with(about, creates, |held, now| {
        let has_room = used_bytes() < MEMORY_BYTES;
        let handled = held.desk.handle(now, &described.with_body(body), has_room);
        (held.epoch, handled)
    });
    let (epoch, number) = match handled.await? {
        (_, Handled::Answered(response)) => return Ok(respond(response)),
        (epoch, Handled::Pending(number)) => (epoch, number),
    };
    let leaving = Leaving::of(request.inner().signal())?;
    let told = expect(object, (epoch, number), Some(leaving)).await;
    Ok(match told {
        Some(Told::Response(response)) => respond(response),
        Some(Told::Outcome(_) | Told::Done(_) | Told::Left) => {
            Response::empty().map(|response| response.with_status(LEFT))
        }
        None => respond(rest::Response::outcome_unknown()),
    })
}

async fn asked(
    object: &Rc<Object>,
    question: &str,
    about: &About,
    mut request: Request,
) -> Result<String> {
    match question {
        "take" => {
            let piece = request.bytes().await?;
            take(object, about, &piece).await
        }
        IS_ALIVE => {
            let alive = object.with(about, false, |held, now| held.desk.exists(now));
            Ok(alive.await?.to_string())
        }
        REMOVE => {
            let removed = object.with(about, false, |held, now| held.desk.remove(now));
            let removed = removed.await?;
            object.work().await;
            Ok(removed.to_string())
        }
        ADVANCE => {
            let advance = object.with(about, false, |held, now| held.desk.advance_to(now));
            advance.await?;
            object.work().await;
            let digest = object.with(about, false, |held, _| held.desk.node().digest());
            Ok(digest.await?.to_string())
        }
        _ => Err(Error::from("this is nothing to ask a queue")),
    }
}

/// Takes messages that another queue has given up.
async fn take(object: &Rc<Object>, about: &About, piece: &[u8]) -> Result<String> {
    let imported = object.with(about, true, |held, now| {
        (used_bytes() < MEMORY_BYTES).then(|| (held.epoch, held.desk.import(now, piece)))
    });
    let Some(key) = imported.await? else {
        return Ok(false.to_string());
    };
    let told = expect(object, key, None);
    // Not as part of the work under way, which may wait for the very object that asks.
    if let Err(error) = object.store() {
        object.fail(&error);
    }
    let deliveries = object.collect();
    object.deliver(deliveries);
    Ok(matches!(told.await, Some(Told::Done(true))).to_string())
}

/// Waits until something can be said of a request: nothing if the node was lost. If the client leaves
/// before, its request is cancelled.
pub(crate) fn expect(
    object: &Rc<Object>,
    key: Key,
    leaving: Option<Leaving>,
) -> impl Future<Output = Option<Told>> {
    let (sender, told) = oneshot::channel();
    object.pending.borrow_mut().push((key, sender));
    let waiting = spent::wait();
    let object = object.clone();
    async move {
        let _waiting = waiting;
        let Some(mut leaving) = leaving else {
            return told.await.ok();
        };
        if let Either::Left((told, _)) = select(told, &mut leaving.heard).await {
            return told.ok();
        }
        object.take_pending(key);
        if object.epoch() == Some(key.0) {
            object.now(None, |held, _| held.desk.cancel(key.1));
        }
        Some(Told::Left)
    }
}

/// Hears that the client leaves, for as long as it is kept.
pub(crate) struct Leaving {
    signal: AbortSignal,
    heard: oneshot::Receiver<()>,
    listener: Closure<dyn FnMut()>,
}

impl Leaving {
    pub(crate) fn of(signal: AbortSignal) -> Result<Self> {
        let (sender, heard) = oneshot::channel();
        let mut sender = Some(sender);
        let mut leave = move || {
            if let Some(sender) = sender.take() {
                // Whoever is answered already does not hear it.
                sender.send(()).ok();
            }
        };
        if signal.aborted() {
            leave();
        }
        let listener = Closure::new(leave);
        signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref())?;
        Ok(Self {
            signal,
            heard,
            listener,
        })
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
