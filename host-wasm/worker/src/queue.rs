//! The object of a queue: what clients ask, what other objects ask, and the alarm.

use std::rc::Rc;

use burrow_core::rest;
use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::{Function, Promise};
use worker::web_sys::{Request, Response};
use worker::worker_sys::DurableObjectState;

use crate::desk::{Desk, Handled, Room};
use crate::error::{Error, Result};
use crate::http::{self, Body, Described, lend, read_body};
use crate::memory::{Lent, MESSAGES_BELOW, REQUESTS_BELOW, in_use, reserve};
use crate::names::Contents;
use crate::object::{Held, Object, make_room};
use crate::places::{self, ADVANCE, ASK, About, IS_ALIVE, REMOVE};
use crate::promise::{promise, spawn};
use crate::waiting::{Client, Told};
#[cfg(feature = "wire")]
use crate::wire::{self, Calls};

/// What is shown is there as a list, with room to grow, as a body, likewise, and as the runtime has it.
const ANSWERS_OF_AN_ANSWER: usize = 5;

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

    /// Takes a request of a client. The response, or a promise of it, goes to `answer`. A small body is there
    /// already, any other is to be read.
    pub fn take(
        &self,
        request: Request,
        described: String,
        body: Option<Vec<u8>>,
        answer: Function,
    ) {
        let described = Described::from_lines(described);
        let client = Client::new(answer);
        let object = &self.0.object;
        if let Some(body) = body {
            let lent = lend(body.len());
            return object.take(request, described, body, lent, client);
        }
        let object = object.clone();
        spawn(async move { object.receive(request, described, client).await });
    }

    /// What another object asks.
    pub fn fetch(&self, request: Request) -> Promise {
        let own = self.0.clone();
        promise(async move { own.asked(&request).await })
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
    async fn asked(&self, request: &Request) -> Result<Response> {
        let object = &self.object;
        let about = About::of(&request.headers())?;
        let question = request.headers().get(ASK)?.unwrap_or_default();
        match question.as_str() {
            #[cfg(feature = "wire")]
            wire::COMMAND => self.calls.carry_out(object, &about, request).await,
            #[cfg(feature = "wire")]
            wire::CANCEL => self.calls.cancel(object, request).await,
            _ => places::tell(asked(object, &question, &about, request).await),
        }
    }
}

/// A request of a client with its body, and what that counts for.
struct Asked {
    request: Request,
    described: Described,
    now_ms: Option<u64>,
    body: Vec<u8>,
    lent: [Lent; 2],
}

impl Object {
    async fn receive(self: &Rc<Self>, request: Request, described: Described, client: Client) {
        let read = async {
            let room_bytes = match described.is_put() {
                true => MESSAGES_BELOW,
                false => REQUESTS_BELOW,
            };
            let maximum_bytes = self.variables()?.max_request_bytes;
            read_body(&request, maximum_bytes, room_bytes).await
        };
        match read.await {
            Ok(Body::Whole(body, lent)) => self.take(request, described, body, lent, client),
            Ok(Body::TooLarge(maximum_bytes)) => {
                client.tell(Told::Response(rest::Response::body_too_large(
                    maximum_bytes,
                )));
            }
            Ok(Body::NoRoom) => client.tell(Told::Response(rest::Response::no_room())),
            Err(error) => client.answer(Err(error)),
        }
    }

    fn take(
        self: &Rc<Self>,
        request: Request,
        described: Described,
        body: Vec<u8>,
        lent: [Lent; 2],
        client: Client,
    ) {
        let variables = match self.variables() {
            Ok(variables) => variables,
            Err(error) => return client.answer(Err(error)),
        };
        let maximum_bytes = variables.max_request_bytes;
        if body.len() as u64 > maximum_bytes {
            return client.tell(Told::Response(rest::Response::body_too_large(
                maximum_bytes,
            )));
        }
        if self.epoch().is_none() && !make_room() {
            return client.tell(Told::Response(rest::Response::no_room()));
        }
        let is_manual = variables.manual_clock();
        let creates = described.is_put() || is_manual;
        let told = is_manual.then(|| About::of(&request.headers()));
        let asked = Asked {
            now_ms: told.and_then(|about| about.ok()?.now_ms),
            request,
            described,
            body,
            lent,
        };
        if self.is_ready(creates) {
            return self.submit(asked, client);
        }
        // The script turns away targets of which the runtime makes others on the way here. Were there one
        // left, it need not name a queue any more.
        let Some(about) = About::of_queue(asked.described.target(), asked.now_ms) else {
            return client.answer(http::text(404, "Not found"));
        };
        let object = self.clone();
        spawn(async move {
            match object.ready(&about, creates).await {
                Ok(()) => object.submit(asked, client),
                Err(error) => object.fail(&error),
            }
        });
    }

    fn submit(self: &Rc<Self>, asked: Asked, client: Client) {
        let submitted = self.variables().and_then(|variables| {
            let max_answer_bytes = variables.settings.node.limits.max_answer_bytes;
            let request = asked.described.with_body(&asked.body);
            let handled = self.now(asked.now_ms, |held, now| {
                within_room(held, max_answer_bytes, |desk, room| {
                    desk.handle(now, &request, room)
                })
            });
            Ok(handled.ok_or("the queue is gone")?)
        });
        let [outside, inside] = asked.lent;
        match submitted {
            Ok((_, Handled::Answered(response), _)) => client.tell(Told::Response(response)),
            Ok((epoch, Handled::Pending { number, waits }, reserved)) => {
                // What does not wait is answered before anybody has left.
                let leaves = waits.then(|| asked.request.signal());
                let lent = [outside, inside, reserved];
                let added = self.tell_client((epoch, number), client, leaves, lent);
                if let Err(error) = added {
                    self.fail(&error);
                }
            }
            Err(error) => self.fail(&error),
        }
    }
}

async fn alarm(object: &Rc<Object>) -> Result<()> {
    object.alarm_at_ms.set(None);
    let woken = wake(object).await;
    if let Err(error) = &woken {
        error.log("an alarm is repeated after");
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
    let told = object.expect(key, None)?;
    if let Err(error) = object.settle() {
        object.fail(&error);
    }
    Ok(matches!(told.await, Some(Told::Done(true))).to_string())
}
