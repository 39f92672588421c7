//! The object that knows the queues of an account.

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use crate::names::{Names, find};
use crate::places::{self, ASK, About, YES};

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
            Some(question) => places::tell(self.asked(&question, &about).await),
            None => {
                let act = async |queue: &str, question: &str| {
                    self.ask_whether(question, &about, queue).await
                };
                let exists = async || self.has_other(&about, None).await;
                self.names.list(&self.env, &request, act, exists).await
            }
        }
    }
}

impl Account {
    async fn asked(&self, question: &str, about: &About) -> Result<String> {
        let queue = &about.queue;
        match question {
            "register" => {
                let tell_root = self.tell_root("register", about);
                self.names.add(queue, tell_root).await?;
                Ok(String::new())
            }
            "forget" => {
                let tell_root = self.tell_root("forget", about);
                self.names.drop(queue, tell_root).await?;
                Ok(String::new())
            }
            "has-other" => Ok(self.has_other(about, Some(queue)).await?.to_string()),
            "is-alive" => Ok(self.has_other(about, None).await?.to_string()),
            "remove" => {
                let names = self.names.all()?;
                let removed = find(&names, usize::MAX, async |queue| {
                    self.ask_whether("remove", about, queue).await
                });
                Ok((!removed.await?.is_empty()).to_string())
            }
            _ => {
                let advance = async |queue: &str| self.ask_queue("advance", about, queue).await;
                Ok(self.names.digests(advance).await?.to_string())
            }
        }
    }

    async fn tell_root(&self, what: &str, about: &About) -> Result<()> {
        let root = places::root(&self.env)?;
        root.ask(what, about, &[]).await.map(drop)
    }

    async fn ask_queue(&self, question: &str, about: &About, queue: &str) -> Result<String> {
        let object = places::queue(&self.env, &about.account, queue)?;
        object.ask(question, &about.with_queue(queue), &[]).await
    }

    async fn ask_whether(&self, question: &str, about: &About, queue: &str) -> Result<bool> {
        Ok(self.ask_queue(question, about, queue).await? == YES)
    }

    /// True if there is a queue, other than this one.
    async fn has_other(&self, about: &About, but: Option<&str>) -> Result<bool> {
        let mut names = self.names.all()?;
        names.retain(|name| Some(name.as_str()) != but);
        let found = find(&names, 1, async |queue| {
            self.ask_whether("is-alive", about, queue).await
        });
        Ok(!found.await?.is_empty())
    }
}
