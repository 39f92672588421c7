//! The object that knows the queues of an account.

use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use crate::names::{Below, Names};
use crate::places::{self, ADVANCE, ASK, About, IS_ALIVE, REMOVE};
use crate::wire;

/// See the [module](self).
#[durable_object(fetch)]
pub struct Account {
    names: Names,
    env: Env,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Self {
            names: Names::new(&state),
            env,
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let about = About::of(request.headers())?;
        match request.headers().get(ASK)? {
            Some(question) if question == wire::COMMAND => {
                wire::list(&self.names, &self.below(&about), request).await
            }
            Some(question) => places::tell(self.asked(&question, &about).await),
            None => self.names.list(&self.below(&about), &request).await,
        }
    }
}

impl Account {
    async fn asked(&self, question: &str, about: &About) -> Result<String> {
        let (below, queue) = (self.below(about), &about.queue);
        match question {
            "register" => {
                let tell_root = self.tell_root(question, about);
                self.names.add(queue, tell_root).await?;
                Ok(String::new())
            }
            "forget" => {
                let tell_root = self.tell_root(question, about);
                self.names.drop(queue, tell_root).await?;
                Ok(String::new())
            }
            "has-other" => Ok(self.names.any(&below, Some(queue)).await?.to_string()),
            IS_ALIVE => Ok(self.names.any(&below, None).await?.to_string()),
            REMOVE => Ok(self.names.remove_all(&below).await?.to_string()),
            ADVANCE => Ok(self.names.advance(&below).await?.to_string()),
            _ => Err(Error::from("this is nothing to ask an account")),
        }
    }

    async fn tell_root(&self, what: &str, about: &About) -> Result<()> {
        let root = places::root(&self.env)?;
        root.ask(what, about, &[]).await.map(drop)
    }

    fn below<'a>(&'a self, about: &'a About) -> Below<'a> {
        Below {
            env: &self.env,
            about,
            are_accounts: false,
        }
    }
}
