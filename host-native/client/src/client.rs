//! The client: servers, deadlines, trying again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burrow_core::{Command, Effect, Page, QueueName};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::Error;
use crate::options::ms;
use crate::queue::Queue;
use crate::rest::Trust;
use crate::retry::{after_unknown, may_retry, pause};
use crate::servers::{Server, preference};
use crate::transport::{Answer, Transport};

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
    /// Places for calls that wait: not all, so that what is answered soon never stands behind
    /// them.
    waiting: Semaphore,
    /// What the ids that this client gives begin with.
    origin: u64,
    given: AtomicU64,
    tell: Option<Tell>,
}

type OnFirstFailure = dyn Fn(&Error, Duration) + Send + Sync;

/// Whom to tell that a call is tried again.
struct Tell(Box<OnFirstFailure>);

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// How a client is made.
#[derive(Debug)]
pub struct Builder {
    servers: Vec<Server>,
    failover: usize,
    deadline: Duration,
    max_in_flight: usize,
    trust: Trust,
    tell: Option<Tell>,
}

impl Builder {
    /// Whose certificates are good, for the servers that are added from here on.
    #[cfg(feature = "tls")]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Adds a server, as `http://127.0.0.1:8080`; or, by the wire protocol, as
    /// `burrow://127.0.0.1:8081` or `burrow+unix:///run/burrow.sock`. Of several servers each has
    /// a name, which is what queues are hashed with, and a weight, as for a proxy:
    /// `east=http://10.0.0.1:8080@3`. The weight is 1 unless given. The name is, unless given, the
    /// address that a proxy would be told (`10.0.0.1:8081`, `unix:/run/burrow.sock`), or the URL
    /// over HTTP. All that put and take must be told the same names and weights.
    pub fn server(mut self, server: &str) -> Result<Self, Error> {
        self.servers.push(Server::read(server, &self.trust)?);
        Ok(self)
    }

    /// Adds a server of weight 1 that is reached in some other way.
    pub fn transport(mut self, name: &str, transport: Arc<dyn Transport>) -> Self {
        self.servers.push(Server {
            name: name.to_owned(),
            weight: 1,
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

    /// Calls at a time; further ones wait their turn. 256 unless told. Those that wait for
    /// messages have three quarters of that.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Has `tell` called when a call has failed for the first time and is tried again: with the
    /// reason, and the time for which it goes on.
    pub fn on_first_failure(
        mut self,
        tell: impl Fn(&Error, Duration) + Send + Sync + 'static,
    ) -> Self {
        self.tell = Some(Tell(Box::new(tell)));
        self
    }

    /// The client.
    ///
    /// # Errors
    /// `Invalid` if there is no server, or two have the same name.
    pub fn build(self) -> Result<Client, Error> {
        if self.servers.is_empty() {
            return Err(Error::Invalid("no server is given".to_owned()));
        }
        for (number, server) in self.servers.iter().enumerate() {
            let others = self.servers.iter().skip(number + 1);
            if others.into_iter().any(|other| other.name == server.name) {
                let text = format!("two servers have the name {}", server.name);
                return Err(Error::Invalid(text));
            }
        }
        let places = self.max_in_flight;
        Ok(Client {
            inner: Arc::new(Inner {
                servers: self.servers,
                failover: self.failover,
                deadline: self.deadline,
                in_flight: Semaphore::new(places),
                waiting: Semaphore::new((places - (places / 4).max(1)).max(1)),
                origin: fastrand::u64(..),
                given: AtomicU64::new(0),
                tell: self.tell,
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
            tell: None,
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
        self.names(|page| Command::ListAccounts { page }).await
    }

    /// The queues of an account on all servers, in order.
    pub async fn queues(&self, account: &str) -> Result<Vec<String>, Error> {
        let account = Cow::Borrowed(account);
        self.names(|page| Command::ListQueues {
            account: account.clone(),
            page,
        })
        .await
    }

    /// Removes all queues of an account with their messages and settings; tells their names.
    pub async fn purge_account(&self, account: &str) -> Result<Vec<String>, Error> {
        let account = Cow::Borrowed(account);
        self.names(|page| Command::DeleteQueues {
            account: account.clone(),
            page,
        })
        .await
    }

    /// The names of all servers, answer by answer: each has a bound.
    async fn names<'c>(
        &self,
        command: impl Fn(Page<'static>) -> Command<'c>,
    ) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        let mut missing = None;
        let until = self.until(0);
        for server in &self.inner.servers {
            let mut page = Page::default();
            loop {
                match self.call(&[server], &command(page), until).await {
                    Ok(Answer::Names { names, has_more }) => {
                        page = Page {
                            marker: names.last().cloned().map(Cow::Owned),
                            limit: None,
                        };
                        all.extend(names);
                        if has_more && page.marker.is_some() {
                            continue;
                        }
                    }
                    Ok(_) => return Err(unexpected()),
                    Err(error @ Error::NotFound(_)) => missing = Some(error),
                    Err(error) => return Err(error),
                }
                break;
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

    /// When a call that begins now, and asks the server to wait so long, must be over.
    pub(crate) fn until(&self, wait_ms: u64) -> Instant {
        let now = Instant::now();
        let span = self
            .inner
            .deadline
            .checked_add(Duration::from_millis(wait_ms));
        // Further away than can be told is never.
        let far = now + Duration::from_secs(1 << 32);
        span.and_then(|span| now.checked_add(span)).unwrap_or(far)
    }

    /// Makes a call on the first server that takes it, again and again until its time is over.
    pub(crate) async fn call(
        &self,
        servers: &[&Server],
        command: &Command<'_>,
        until: Instant,
    ) -> Result<Answer, Error> {
        self.call_again(servers, command, until, None).await
    }

    /// The same after a try on one of them whose outcome may be unknown.
    pub(crate) async fn call_again(
        &self,
        servers: &[&Server],
        command: &Command<'_>,
        until: Instant,
        mut unknown: Option<Error>,
    ) -> Result<Answer, Error> {
        let _place = self.place(command, until).await?;
        let mut command = Cow::Borrowed(command);
        for attempt in 0.. {
            let mut last = unexpected();
            for (index, server) in servers.iter().enumerate() {
                // One that hangs leaves time for the others.
                let until = part(until, servers.len() - index);
                let outcome = self.attempt(server, &command, until).await;
                // What another server does not find tells nothing of what this one did.
                let is_unknown = unknown.is_some() && servers.len() == 1;
                let Err(error) = &outcome else {
                    return settle(&command, outcome, is_unknown);
                };
                if !may_retry(error, &command) {
                    return settle(&command, outcome, is_unknown);
                }
                last = error.clone();
                if matches!(error, Error::OutcomeUnknown(_)) {
                    unknown = Some(error.clone());
                }
            }
            let pause = pause(attempt);
            if Instant::now() + pause >= until {
                // What the last try did not do an earlier one may have done.
                return Err(unknown.unwrap_or(last));
            }
            if let (0, Some(Tell(tell))) = (attempt, &self.inner.tell) {
                tell(&last, until.saturating_duration_since(Instant::now()));
            }
            sleep(pause).await;
            if command.wait_ms() > 0 {
                // It waits for what is left of its time: else it would wait when its call must be over.
                let left = until.saturating_duration_since(Instant::now());
                let left = left.saturating_sub(self.inner.deadline);
                command.to_mut().set_wait_ms(ms(left));
            }
        }
        Err(unexpected())
    }

    /// Makes a call on one server once.
    pub(crate) async fn ask(
        &self,
        server: &Server,
        command: &Command<'_>,
        until: Instant,
    ) -> Result<Answer, Error> {
        let _place = self.place(command, until).await?;
        self.attempt(server, command, until).await
    }

    /// A place among the calls under way. Calls that wait for messages have places of their
    /// own besides: nobody's acknowledgement stands behind them.
    async fn place(
        &self,
        command: &Command<'_>,
        until: Instant,
    ) -> Result<impl Sized + use<'_>, Error> {
        let taking = async {
            let waiting: Option<SemaphorePermit<'_>> = match command.wait_ms() {
                0 => None,
                _ => Some(self.inner.waiting.acquire().await?),
            };
            Ok::<_, AcquireError>((waiting, self.inner.in_flight.acquire().await?))
        };
        match timeout_at(until, taking).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Error::NotDone("too many calls are under way".to_owned())),
        }
    }

    async fn attempt(
        &self,
        server: &Server,
        command: &Command<'_>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let outcome = timeout_at(deadline, server.transport.call(command)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let text = format!("{}: no answer in time", server.name);
            Err(Error::OutcomeUnknown(text))
        });
        outcome.map_err(|error| match error {
            // To look changes nothing.
            Error::OutcomeUnknown(text) if command.effect() == Effect::None => Error::NotDone(text),
            error => error,
        })
    }
}

/// When the next of so many parts of the time that is left is over.
pub(crate) fn part(until: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
    now + until.saturating_duration_since(now) / parts
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
