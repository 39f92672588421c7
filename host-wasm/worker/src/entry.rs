//! The Worker: finds the object that a request belongs to, and passes it on as it came.

use burrow_core::rest::{Place, WIRE_PATH, place};
use worker::{Context, Env, Request, Response, Result, event, web_sys};

use crate::directory::{self, Read};
use crate::gateway;
use crate::http::{Described, respond, target_of};
use crate::places::{self, ASK, About};
use crate::spent;
use crate::variables::Variables;

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> Result<web_sys::Response> {
    let variables = Variables::of(&env)?;
    let target = target_of(&request.inner().url());
    let path = target.split('?').next().unwrap_or_default();
    if path == "/healthz" {
        let described = Described::of(&request)?;
        return Ok(respond(directory::health(&described.with_body(&[])))?.into());
    }
    if path == WIRE_PATH {
        return gateway::connect(&request, &env).await;
    }
    if variables.counters && target == "/counters" {
        return Ok(Response::ok(spent::to_json())?.into());
    }
    let mut about = About::default();
    let object = match place(&target) {
        Place::Queue(name) => {
            about.account = name.account.into_owned();
            about.queue = name.queue.into_owned();
            places::queue(&env, &about.account, &about.queue)?
        }
        Place::Account(name) => {
            about.account = name.into_owned();
            places::account(&env, &about.account)?
        }
        Place::Root => {
            let described = Described::of(&request)?;
            let rest = &variables.settings.rest;
            match directory::read(&described.with_body(&[]), rest) {
                Read::Answered(response) => return Ok(respond(response)?.into()),
                Read::Wanted(_) => places::root(&env)?,
            }
        }
    };
    if variables.manual_clock() {
        let now = places::root(&env)?.ask("now", &about, &[]).await?;
        about.now_ms = now.parse().ok();
    }
    // A copy, whose headers can be changed; the body and the signal go along.
    let copy = web_sys::Request::new_with_request(request.inner())?;
    let headers = worker::Headers(copy.headers());
    headers.delete(ASK)?;
    about.write_to(&headers)?;
    object.answer(&copy).await
}
