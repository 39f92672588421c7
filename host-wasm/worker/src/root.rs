//! The object that knows all accounts, and the clock if it is moved by hand.

use std::rc::Rc;

use burrow_core::Timestamp;
use burrow_core::rest::{Routed, route};
use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::Promise;
use worker::web_sys::{Request, Response};
use worker::worker_sys::DurableObjectState;

use crate::error::{Error, Result};
use crate::http::{Described, respond};
use crate::names::{Below, Names};
use crate::places::{self, ASK, About};
use crate::promise::promise;
use crate::sql::{execute, has_table, number, query, whole};
use crate::variables::Variables;

/// See the [module](self).
#[wasm_bindgen]
pub struct Root(Rc<Directory>);

#[wasm_bindgen]
impl Root {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> std::result::Result<Self, JsValue> {
        let names = Names::new(&state)?;
        Ok(Self(Rc::new(Directory { names, env })))
    }

    pub fn fetch(&self, request: Request) -> Promise {
        let directory = self.0.clone();
        promise(async move { directory.fetch(request).await })
    }
}

struct Directory {
    names: Names,
    env: Env,
}

impl Directory {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let about = About::of(&request.headers())?;
        match request.headers().get(ASK)? {
            #[cfg(feature = "wire")]
            Some(question) if question == crate::wire::COMMAND => {
                crate::wire::list(&self.names, &self.below(&about), &request).await
            }
            Some(question) => places::tell(self.asked(&question, &about).await),
            None => self.answer(&request, &about).await,
        }
    }

    async fn asked(&self, question: &str, about: &About) -> Result<String> {
        match question {
            "register" => self.names.add(&about.account, None).await?,
            "forget" => self.names.drop(&about.account, None).await?,
            "now" => return Ok(self.now()?.as_millis().to_string()),
            _ => return Err(Error::from("this is nothing to ask the list of accounts")),
        }
        Ok(String::new())
    }

    fn now(&self) -> Result<Timestamp> {
        let sql = &self.names.sql;
        if !has_table(sql, "clock")? {
            return Ok(Timestamp::MANUAL_START);
        }
        let rows = query(sql, "SELECT now FROM clock", &[])?;
        let row = rows.first().ok_or("the clock is missing")?;
        let now_ms = whole(row, 0)?;
        Ok(Timestamp::from_millis(now_ms))
    }

    async fn answer(&self, request: &Request, about: &About) -> Result<Response> {
        let described = Described::of(request);
        let rest = &Variables::of(&self.env)?.settings.rest;
        let mut below = self.below(about);
        if let Routed::Clock(clock) = route(&described.with_body(&[]), rest) {
            let now = self.move_clock(clock.advance_ms)?;
            let about = About {
                now_ms: Some(now.as_millis()),
                ..About::default()
            };
            below.about = &about;
            let mut held = self.names.advance(&below).await?;
            if clock.advance_ms > 0 {
                // A queue that was asked early may have been sent dead letters since.
                held = self.names.advance(&below).await?;
            }
            return respond(clock.respond(now, held.digest, held.waiters));
        }
        self.names.list(&below, request).await
    }

    fn below<'a>(&'a self, about: &'a About) -> Below<'a> {
        Below {
            env: &self.env,
            about,
            are_accounts: true,
        }
    }

    fn move_clock(&self, by_ms: u64) -> Result<Timestamp> {
        let now_ms = self.now()?.as_millis().saturating_add(by_ms);
        if by_ms > 0 {
            let sql = &self.names.sql;
            let create =
                "CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY, now INTEGER NOT NULL)";
            execute(sql, create, &[])?;
            let set = "INSERT OR REPLACE INTO clock VALUES (1, ?)";
            execute(sql, set, &[number(now_ms)?])?;
        }
        Ok(Timestamp::from_millis(now_ms))
    }
}
