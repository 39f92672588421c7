//! The object that knows the queues of an account.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::Promise;
use worker::web_sys::{Request, Response};
use worker::worker_sys::DurableObjectState;

use crate::error::{Error, Result};
use crate::names::{Below, Names};
use crate::places::{self, ADVANCE, ASK, About, IS_ALIVE, REMOVE};
use crate::promise::promise;

/// See the [module](self).
#[wasm_bindgen]
pub struct Account(Rc<Directory>);

#[wasm_bindgen]
impl Account {
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
            None => self.names.list(&self.below(&about), &request).await,
        }
    }

    async fn asked(&self, question: &str, about: &About) -> Result<String> {
        let (below, queue) = (self.below(about), &about.queue);
        match question {
            "register" => {
                self.names.add(queue, Some(&below)).await?;
                Ok(String::new())
            }
            "forget" => {
                self.names.drop(queue, Some(&below)).await?;
                Ok(String::new())
            }
            "has-other" => Ok(self.names.any(&below, Some(queue)).await?.to_string()),
            IS_ALIVE => Ok(self.names.any(&below, None).await?.to_string()),
            REMOVE => Ok(self.names.remove_all(&below).await?.to_string()),
            ADVANCE => Ok(self.names.advance(&below).await?.to_text()),
            _ => Err(Error::from("this is nothing to ask an account")),
        }
    }

    fn below<'a>(&'a self, about: &'a About) -> Below<'a> {
        Below {
            env: &self.env,
            about,
            are_accounts: false,
        }
    }
}
