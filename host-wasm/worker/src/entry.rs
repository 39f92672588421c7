//! The Worker: finds the object that a request belongs to, and passes it on as it came.

use burrow_core::rest::{Place, place};
use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::Promise;
use worker::web_sys::{Request, Response};

use crate::directory::{self, Read};
use crate::error::Result;
use crate::http::{self, Described, respond, target_of};
use crate::places::{self, ASK, About};
use crate::promise::promise;
use crate::spent;
use crate::variables::Variables;

/// What the runtime calls for each request, of which is told where it goes, and whether it has the header
/// [`ASK`], as if an object had asked.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "bindings are of what is public")]
pub fn fetch(request: Request, url: &str, asks: bool, env: Env) -> Promise {
    match pass_on(&request, url, asks, &env) {
        Ok(Some(answer)) => answer,
        // If something is wrong, it is told there.
        Ok(None) | Err(_) => promise(async move { answer(&request, &env).await }),
    }
}

/// Gives a request to its queue as it is, which most can be: what that answers is the answer.
fn pass_on(request: &Request, url: &str, asks: bool, env: &Env) -> Result<Option<Promise>> {
    let is_changed = asks || Variables::of(env)?.manual_clock();
    match place(target_of(url)) {
        Place::Queue(name) if !is_changed => {
            let queue = places::queue(env, &name.account, &name.queue)?;
            Ok(Some(queue.fetch(request)))
        }
        _ => Ok(None),
    }
}

async fn answer(request: &Request, env: &Env) -> Result<Response> {
    let variables = Variables::of(env)?;
    let url = request.url();
    let target = target_of(&url);
    let end = target.bytes().position(|byte| byte == b'?');
    let path = target
        .get(..end.unwrap_or(target.len()))
        .unwrap_or_default();
    if path == "/healthz" {
        let described = Described::of(request);
        return respond(directory::health(&described.with_body(&[])));
    }
    #[cfg(feature = "wire")]
    if path == burrow_core::rest::WIRE_PATH {
        return crate::gateway::connect(request, env).await;
    }
    if variables.counters && target == "/counters" {
        return http::text(200, &spent::to_json());
    }
    let mut about = About::default();
    let object = match place(target) {
        Place::Queue(name) => {
            about.account = name.account.into_owned();
            about.queue = name.queue.into_owned();
            places::queue(env, &about.account, &about.queue)?
        }
        Place::Account(name) => {
            about.account = name.into_owned();
            places::account(env, &about.account)?
        }
        Place::Root => {
            let described = Described::of(request);
            let rest = &variables.settings.rest;
            match directory::read(&described.with_body(&[]), rest) {
                Read::Answered(response) => return respond(response),
                Read::Wanted(_) => places::root(env)?,
            }
        }
    };
    if variables.manual_clock() {
        let now = places::root(env)?.ask("now", &about, &[]).await?;
        about.now_ms = now.parse().ok();
    }
    // A copy, whose headers can be changed; the body and the signal go along.
    let copy = Request::new_with_request(request)?;
    let headers = copy.headers();
    headers.delete(ASK)?;
    about.write_to(&headers)?;
    object.answer(&copy).await
}
