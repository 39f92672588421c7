//! The client: servers, deadlines, trying again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burrow_core::{Command, Effect, Page, QueueName};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::Error;
use crate::queue::Queue;
use crate::rest::{Rest, Trust};
use crate::retry::{after_unknown, may_retry, pause};
use crate::servers::{Server, preference};
use crate::transport::{Answer, Transport};
use crate::wire::Wire;

const DEADLINE: Duration = Duration::from_secs(30);
const MAX_IN_FLIGHT: usize = 256;

/// A client of one or more servers. Clones share its connections and bounds.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    servers: Vec<Server>,
    failover: usize,
    deadline: Duration,
    in_flight: Semaphore,
    /// What the ids that this client gives begin with.
    origin: u64,
    given: AtomicU64,
}

/// How a client is made.
#[derive(Debug)]
pub struct Builder {
    servers: Vec<Server>,
    failover: usize,
    deadline: Duration,
    max_in_flight: usize,
    trust: Trust,
}

impl Builder {
    /// Whose certificates are good, for the servers that are added from here on.
    #[cfg(feature = "tls")]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Adds a server, as `http://127.0.0.1:8080`; or, by the wire protocol, as
    /// `burrow://127.0.0.1:8081` or `burrow+unix:///run/burrow.sock`. Its URL is what queues are
    /// hashed with.
    pub fn server(self, url: &str) -> Result<Self, Error> {
        let transport: Arc<dyn Transport> = if Wire::is_meant(url) {
            Arc::new(Wire::new(url)?)
        } else {
            Arc::new(Rest::trusting(url, &self.trust)?)
        };
        Ok(self.transport(url.trim_end_matches('/'), transport))
    }

    /// Adds a server that is reached in some other way.
    pub fn transport(mut self, name: &str, transport: Arc<dyn Transport>) -> Self {
        self.servers.push(Server {
            name: name.to_owned(),
            transport,
        });
        self
    }

    /// How many servers a queue may be on: the one that it lives on, and those that stand in
    /// for it. 1 unless told.
    pub fn failover(mut self, servers: usize) -> Self {
        self.failover = servers.max(1);
        self
    }

    /// Time for a call with all its tries, besides what it is told to wait. 30 seconds
    /// unless told.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Calls at a time; further ones wait their turn. 256 unless told.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// `Invalid` if there is no server.
    pub fn build(self) -> Result<Client, Error> {
        if self.servers.is_empty() {
            return Err(Error::Invalid("no server is given".to_owned()));
        }
        Ok(Client {
            inner: Arc::new(Inner {
                servers: self.servers,
                failover: self.failover,
                deadline: self.deadline,
                in_flight: Semaphore::new(self.max_in_flight),
                origin: fastrand::u64(..),
                given: AtomicU64::new(0),
            }),
        })
    }
}

impl Client {
    /// A client of one server, as [`Builder::server`] takes it. Connects when it is used.
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().server(url)?.build()
    }

    /// A client with other bounds, or of several servers.
    pub fn builder() -> Builder {
        Builder {
            servers: Vec::new(),
            failover: 1,
            deadline: DEADLINE,
            max_in_flight: MAX_IN_FLIGHT,
            trust: Trust::default(),
        }
    }

    /// A queue, which need not exist.
    pub fn queue(&self, account: &str, queue: &str) -> Queue {
        Queue::new(
            self.clone(),
            QueueName {
                account: account.to_owned().into(),
                queue: queue.to_owned().into(),
            },
        )
    }

    /// The accounts of all servers, in order.
    pub async fn accounts(&self) -> Result<Vec<String>, Error> {
        let page = Page::default();
        self.names(&Command::ListAccounts { page }).await
    }

    /// The queues of an account on all servers, in order.
    pub async fn queues(&self, account: &str) -> Result<Vec<String>, Error> {
        let page = Page::default();
        let account = account.into();
        self.names(&Command::ListQueues { account, page }).await
    }

    /// Removes all queues of an account with their messages and settings; tells their names.
    pub async fn purge_account(&self, account: &str) -> Result<Vec<String>, Error> {
        let page = Page::default();
        let account = account.into();
        self.names(&Command::DeleteQueues { account, page }).await
    }

    async fn names(&self, command: &Command<'_>) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        let mut missing = None;
        for server in &self.inner.servers {
            match self.call(&[server], command, 0).await {
                Ok(Answer::Names(names)) => all.extend(names),
                Ok(_) => return Err(unexpected()),
                Err(error @ Error::NotFound(_)) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        all.sort_unstable();
        all.dedup();
        match (all.is_empty(), missing) {
            (true, Some(error)) => Err(error),
            _ => Ok(all),
        }
    }

    /// An id that no other message has.
    pub(crate) fn give_id(&self) -> String {
        let number = self.inner.given.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{number}", self.inner.origin)
    }

    /// The servers of a queue, in its own order.
    pub(crate) fn servers_of(&self, queue: &QueueName<'_>) -> Vec<&Server> {
        preference(&self.inner.servers, queue, self.inner.failover)
    }

    /// Makes a call on the first server that takes it, again and again until the deadline.
    pub(crate) async fn call(
        &self,
        servers: &[&Server],
        command: &Command<'_>,
        wait_ms: u64,
    ) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.inner.deadline + Duration::from_millis(wait_ms);
        let permit = timeout_at(deadline, self.inner.in_flight.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(Error::NotDone("too many calls are under way".to_owned()));
        };
        let mut is_unknown = false;
        for attempt in 0.. {
            let mut last = unexpected();
            for (index, server) in servers.iter().enumerate() {
                // One that hangs leaves time for the others.
                let left = deadline.saturating_duration_since(Instant::now());
                let others = u32::try_from(servers.len() - index).unwrap_or(u32::MAX);
                let until = Instant::now() + left / others;
                let outcome = self.attempt(server, command, until).await;
                let Err(error) = &outcome else {
                    return settle(command, outcome, is_unknown);
                };
                if !may_retry(error, command) {
                    return settle(command, outcome, is_unknown);
                }
                is_unknown |= matches!(error, Error::OutcomeUnknown(_));
                last = error.clone();
            }
            let pause = pause(attempt);
            if Instant::now() + pause >= deadline {
                return Err(last);
            }
            sleep(pause).await;
        }
        Err(unexpected())
    }

    /// Makes a call on one server once, in a part of the time for a whole call.
    pub(crate) async fn ask(
        &self,
        server: &Server,
        command: &Command<'_>,
        wait_ms: u64,
    ) -> Result<Answer, Error> {
        let parts = u32::try_from(self.inner.failover).unwrap_or(u32::MAX);
        let wait = Duration::from_millis(wait_ms);
        let deadline = Instant::now() + self.inner.deadline / parts + wait;
        let permit = timeout_at(deadline, self.inner.in_flight.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(Error::NotDone("too many calls are under way".to_owned()));
        };
        self.attempt(server, command, deadline).await
    }

    async fn attempt(
        &self,
        server: &Server,
        command: &Command<'_>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let outcome = timeout_at(deadline, server.transport.call(command)).await;
        outcome.unwrap_or_else(|_| {
            let text = format!("{}: no answer in time", server.name);
            Err(Error::OutcomeUnknown(text))
        })
    }
}

fn settle(
    command: &Command<'_>,
    outcome: Result<Answer, Error>,
    is_unknown: bool,
) -> Result<Answer, Error> {
    if is_unknown && command.effect() != Effect::Once {
        after_unknown(command, outcome)
    } else {
        outcome
    }
}

pub(crate) fn unexpected() -> Error {
    Error::OutcomeUnknown("the answer is not one to this call".to_owned())
}
