//! Many servers as one: each queue lives on one of them, and the proxy knows which.
//!
//! The proxy holds no state that matters: where a queue is follows from its name and from the
//! servers' names and weights, so proxies that are told the same agree, and one that is
//! started anew is as good as the one before. A command about one queue goes to its server
//! as it is, and is never sent twice.

mod backlog;
mod connection;
mod lane;
mod letters;
mod link;
mod merge;
mod relay;
mod router;
mod search;
mod spread;
mod task;

use std::sync::Arc;

use burrow_core::Command;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::config::ProxySettings;
use crate::desk::{Backend, Desk, Failure, Health, Recipient, Submitted};
use connection::Checks;
use link::{Bounds, Link};
use router::Router;

/// Servers that are kept connected. They are let go when the proxy's desk is stopped.
pub struct Proxy {
    router: Arc<Router>,
    health: watch::Sender<Health>,
    keepers: Vec<AbortHandle>,
}

impl Proxy {
    /// Begins to connect the servers, and returns when that was tried once with each. Must be
    /// called in a tokio runtime with I/O and time.
    pub async fn start(settings: &ProxySettings) -> Arc<Self> {
        let bounds = Bounds {
            checks: Checks {
                interval: settings.servers.check_interval.duration(),
                timeout: settings.servers.check_timeout.duration(),
            },
            max_unsent_bytes: settings.servers.max_unsent_bytes.as_usize(),
            max_waiters: settings.servers.max_waiters,
        };
        let specs = settings.servers.server.iter().cloned();
        let links: Vec<_> = specs
            .map(|spec| Arc::new(Link::new(spec, bounds)))
            .collect();
        let mut watched: Vec<_> = links.iter().map(|link| link.watch()).collect();
        let mut keepers: Vec<_> = links
            .iter()
            .map(|link| tokio::spawn(Arc::clone(link).keep()).abort_handle())
            .collect();
        for link in &mut watched {
            // A link that is gone will not be waited for.
            let _ = link.wait_for(Option::is_some).await;
        }
        let spread = settings.servers.spread.iter().cloned();
        let router = Arc::new(Router::new(links, spread.collect()));
        let health = watch::Sender::new(router.health());
        for link in watched {
            let keeper = tokio::spawn(follow(link, Arc::clone(&router), health.clone()));
            keepers.push(keeper.abort_handle());
        }
        Arc::new(Self {
            router,
            health,
            keepers,
        })
    }

    /// Where front-ends hand in commands.
    pub fn desk(self: &Arc<Self>) -> Desk {
        Desk::new(Arc::clone(self) as _)
    }

    fn is_stopped(&self) -> bool {
        matches!(
            *self.health.borrow(),
            Health::Stopping | Health::Stopped { .. }
        )
    }

    /// Servers that can be reached now, and all of them.
    pub fn servers(&self) -> (usize, usize) {
        let links = self.router.links();
        (
            links.iter().filter(|link| link.is_up()).count(),
            links.len(),
        )
    }
}

/// Has the proxy's health follow that of a server.
async fn follow(
    mut link: watch::Receiver<Option<bool>>,
    router: Arc<Router>,
    health: watch::Sender<Health>,
) {
    while link.changed().await.is_ok() {
        health.send_if_modified(|present| {
            let is_running = matches!(present, Health::Serving | Health::NotStoring { .. });
            let now = router.health();
            let change = is_running && *present != now;
            if change {
                *present = now;
            }
            change
        });
    }
}

impl Backend for Proxy {
    fn submit(&self, command: Command<'_>, recipient: &mut dyn FnMut() -> Recipient) -> Submitted {
        match self.is_stopped() {
            true => Submitted::Answered(Err(Failure::Stopping)),
            false => self.router.submit(command, recipient),
        }
    }

    fn submit_all(
        &self,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        if !self.is_stopped() {
            return self.router.submit_all(commands, recipient, told);
        }
        for (tag, _) in commands {
            told(tag, Submitted::Answered(Err(Failure::Stopping)));
        }
    }

    /// What is about several queues goes to several servers.
    fn decides_at_once(&self) -> bool {
        false
    }

    fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn release_waiters(&self) {
        self.router.release_waiters();
    }

    fn begin_stop(&self) {
        self.health.send_replace(Health::Stopped { failure: None });
        for keeper in &self.keepers {
            keeper.abort();
        }
        self.router.links().iter().for_each(|link| link.stop());
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
