//! The object of a queue: what clients ask, what other objects ask, and the alarm.

use std::rc::Rc;

use burrow_core::rest;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;
use worker::web_sys::{AbortSignal, Request, Response};
use worker::worker_sys::DurableObjectState;
use worker::{Env, console_error};

use crate::desk::{Desk, Handled, Room};
use crate::error::{Error, Result};
use crate::http::{self, Body, Described, read_body, respond};
use crate::memory::{Lent, MESSAGES_BELOW, REQUESTS_BELOW, in_use, reserve};
use crate::names::Contents;
use crate::object::{Held, Key, Object, Told, make_room};
use crate::places::{self, ADVANCE, ASK, About, IS_ALIVE, REMOVE};
use crate::promise::promise;
use crate::spent;
#[cfg(feature = "wire")]
use crate::wire::{self, Calls};

/// What is shown is there as a list, with room to grow, as a body, likewise, and as the runtime has it.
const ANSWERS_OF_AN_ANSWER: usize = 5;
/// The client has closed the request. Nobody reads it.
const LEFT: u16 = 499;

/// See the [module](self).
#[wasm_bindgen]
pub struct Queue(Rc<Own>);

#[wasm_bindgen]
impl Queue {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self(Rc::new(Own {
            object: Rc::new(Object::new(state, env)),
            #[cfg(feature = "wire")]
            calls: Calls::default(),
        }))
    }

    pub fn fetch(&self, request: Request) -> Promise {
        let own = self.0.clone();
        promise(async move { own.fetch(request).await })
    }

    pub fn alarm(&self) -> Promise {
        let object = self.0.object.clone();
        promise(async move { alarm(&object).await.map(|()| JsValue::UNDEFINED) })
    }
}

struct Own {
    object: Rc<Object>,
    #[cfg(feature = "wire")]
    calls: Calls,
}

impl Own {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let object = &self.object;
        let about = About::of(&request.headers())?;
        if let Some(question) = request.headers().get(ASK)? {
            return match question.as_str() {
                #[cfg(feature = "wire")]
                wire::COMMAND => self.calls.carry_out(object, &about, &request).await,
                #[cfg(feature = "wire")]
                wire::CANCEL => self.calls.cancel(object, &request).await,
                _ => places::tell(asked(object, &question, &about, &request).await),
            };
        }
        let maximum_bytes = object.variables()?.max_request_bytes;
        if object.epoch().is_none() && !make_room() {
            return respond(rest::Response::no_room());
        }
        let room_bytes = match Described::is_put(&request) {
            true => MESSAGES_BELOW,
            false => REQUESTS_BELOW,
        };
        let (body, _lent) = match read_body(&request, maximum_bytes, room_bytes).await? {
            Body::Whole(body, lent) => (body, lent),
            Body::TooLarge => return respond(rest::Response::body_too_large(maximum_bytes)),
            Body::NoRoom => return respond(rest::Response::no_room()),
        };
        answer(object, &about, &request, &body)
            .await
            .unwrap_or_else(|error| {
                object.fail(&error);
                respond(rest::Response::outcome_unknown())
            })
    }
}

async fn alarm(object: &Rc<Object>) -> Result<()> {
    object.alarm_at_ms.set(None);
    let woken = wake(object).await;
    if let Err(error) = &woken {
        console_error!("burrow: an alarm is repeated after {error}");
    }
    if woken.is_err() || object.epoch().is_none() && object.is_stored.get() {
        object.set_alarm_again().await?;
    }
    Ok(())
}

/// Lets happen what is due, and leaves if there is nothing left.
async fn wake(object: &Rc<Object>) -> Result<()> {
    object.open(None).await?;
    object.forward_again.set(false);
    let due = object.now(None, |held, now| held.desk.handle_deadline(now));
    if due.is_some() {
        object.work().await;
        object.leave_if_idle().await?;
    }
    Ok(())
}

/// The answer to a client. An error says that the node cannot be relied on.
async fn answer(
    object: &Rc<Object>,
    about: &About,
    request: &Request,
    body: &[u8],
) -> Result<Result<Response>> {
    let described = Described::of(request)?;
    let creates = Described::is_put(request) || object.variables()?.manual_clock();
    let max_answer_bytes = object.variables()?.settings.node.limits.max_answer_bytes;
    object.ready(about, creates).await?;
    let handled = object.now(about.now_ms, |held, now| {
        within_room(held, max_answer_bytes, |desk, room| {
            desk.handle(now, &described.with_body(body), room)
        })
    });
    let (epoch, number, _reserved) = match handled.ok_or("the queue is gone")? {
        (_, Handled::Answered(response), _) => return Ok(respond(response)),
        (epoch, Handled::Pending(number), reserved) => (epoch, number, reserved),
    };
    let leaving = Leaving::of(request.signal())?;
    let told = expect(object, (epoch, number), Some(leaving)).await;
    Ok(match told {
        Some(Told::Response(response)) => respond(response),
        Some(Told::Outcome(_) | Told::Done(_) | Told::Left) => http::text(LEFT, ""),
        None => respond(rest::Response::outcome_unknown()),
    })
}

/// Tells the desk what there is room for, and speaks for what becomes of that. Gives also the epoch.
pub(crate) fn within_room<T>(
    held: &mut Held,
    max_answer_bytes: u64,
    take: impl FnOnce(&mut Desk, Room) -> T,
) -> (u64, T, Lent) {
    let answer_bytes = max_answer_bytes.min(held.desk.node().stats().bytes) as usize;
    let room = Room {
        stores: in_use() < MESSAGES_BELOW,
        shows: in_use() + ANSWERS_OF_AN_ANSWER * answer_bytes < REQUESTS_BELOW,
    };
    let before = held.desk.node().unstored_bytes();
    let taken = take(&mut held.desk, room);
    let grown = held.desk.node().unstored_bytes().saturating_sub(before) as usize;
    (
        held.epoch,
        taken,
        reserve((ANSWERS_OF_AN_ANSWER - 1) * grown),
    )
}

async fn asked(
    object: &Rc<Object>,
    question: &str,
    about: &About,
    request: &Request,
) -> Result<String> {
    match question {
        "take" => {
            let piece = http::bytes(request).await?;
            take(object, about, &piece).await
        }
        IS_ALIVE => {
            object.ready(about, false).await?;
            Ok(object.ask_stored(about.now_ms, Desk::exists)?.to_string())
        }
        REMOVE => {
            object.ready(about, false).await?;
            let removed = object.ask_stored(about.now_ms, Desk::remove)?;
            object.work().await;
            Ok(removed.to_string())
        }
        ADVANCE => {
            object.ready(about, false).await?;
            object.now(about.now_ms, |held, now| held.desk.advance_to(now));
            object.work().await;
            object.ready(about, false).await?;
            let held = object.now(None, |held, _| Contents::of(held.desk.node()));
            Ok(held.ok_or("the queue is gone")?.to_text())
        }
        _ => Err(Error::from("this is nothing to ask a queue")),
    }
}

/// Takes messages that another queue has given up.
async fn take(object: &Rc<Object>, about: &About, piece: &[u8]) -> Result<String> {
    object.ready(about, true).await?;
    let has_room = in_use() < MESSAGES_BELOW;
    let imported = object.now(about.now_ms, |held, now| {
        has_room.then(|| (held.epoch, held.desk.import(now, piece)))
    });
    let Some(key) = imported.flatten() else {
        return Ok(false.to_string());
    };
    let told = expect(object, key, None);
    if let Err(error) = object.settle() {
        object.fail(&error);
    }
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
        object.cancel(key);
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
