//! More messages than one list shows, on all servers that a queue may be on.
//!
//! A marker has a meaning on the server that showed its message and on no other: there it is
//! an id that nobody knows, and a list begins anew. So each server has a marker of its own.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::options::{Listing, ms};
use crate::queue::{Queue, TURN_MS};
use crate::transport::Message;

/// Messages of a page, unless told.
const PAGE: u64 = 1_000;

/// The messages of a queue in pages, on one server after the other.
#[derive(Debug)]
pub struct Pages {
    queue: Queue,
    listing: Listing,
    /// Where each server begins.
    first_marker: Option<String>,
    server: usize,
    /// A server had something.
    is_found: bool,
    missing: Option<Error>,
    /// Why a server was passed over.
    failure: Option<Error>,
}

impl Pages {
    pub(crate) fn new(queue: Queue, mut listing: Listing) -> Self {
        listing.limit.get_or_insert(PAGE);
        listing.wait = Duration::ZERO;
        Self {
            queue,
            first_marker: listing.marker.clone(),
            listing,
            server: 0,
            is_found: false,
            missing: None,
            failure: None,
        }
    }

    /// The next page; `None` behind the last.
    ///
    /// # Errors
    /// `NotFound` if there was nothing at all. A server that cannot be reached is told in the
    /// end, when the others have shown what they have.
    pub async fn next(&mut self) -> Result<Option<Vec<Message>>, Error> {
        loop {
            let page = {
                let servers = self.queue.servers();
                let Some(server) = servers.get(self.server) else {
                    break;
                };
                let until = self.queue.client.until(0);
                self.queue.page(server, &self.listing, until).await
            };
            match page {
                Ok(messages) => {
                    self.is_found = true;
                    self.listing.marker = messages.last().map(|last| last.id.clone());
                    return Ok(Some(messages));
                }
                Err(error @ Error::NotFound(_)) => self.missing = Some(error),
                Err(error @ (Error::NotDone(_) | Error::OutcomeUnknown(_))) => {
                    self.failure = Some(error);
                }
                Err(error) => return Err(error),
            }
            self.server += 1;
            self.listing.marker.clone_from(&self.first_marker);
        }
        match (self.failure.take(), self.missing.take()) {
            (Some(failure), _) => Err(failure),
            (None, Some(missing)) if !self.is_found => Err(missing),
            _ => Ok(None),
        }
    }
}

/// The messages of a queue as they come, on all its servers.
#[derive(Debug)]
pub struct Follow {
    queue: Queue,
    listing: Listing,
    /// What each server showed last.
    markers: Vec<Option<String>>,
}

impl Follow {
    pub(crate) fn new(queue: Queue, mut listing: Listing) -> Self {
        listing.limit.get_or_insert(PAGE);
        let markers = vec![listing.marker.take(); queue.servers().len()];
        Self {
            queue,
            listing,
            markers,
        }
    }

    /// The next messages, at most so many, waited for as long as the listing says.
    ///
    /// # Errors
    /// `NotFound` if none came in time. One that cannot be reached is told only where it is
    /// the only server. After any error the next messages may come all the same.
    pub async fn next(&mut self, limit: u64) -> Result<Vec<Message>, Error> {
        let waited = Instant::now() + self.listing.wait;
        let until = self.queue.client.until(ms(self.listing.wait));
        let limit = self.listing.limit.unwrap_or(PAGE).min(limit);
        if self.markers.len() == 1 {
            return self.look(0, limit, self.listing.wait, until).await;
        }
        loop {
            let mut outcome = Err(crate::client::unexpected());
            for server in 0..self.markers.len() {
                let until = crate::client::part(until, self.markers.len() - server);
                match self.look(server, limit, Duration::ZERO, until).await {
                    Err(
                        error @ (Error::NotFound(_) | Error::NotDone(_) | Error::OutcomeUnknown(_)),
                    ) => {
                        if !matches!(outcome, Err(Error::NotFound(_))) {
                            outcome = Err(error);
                        }
                    }
                    outcome => return outcome,
                }
            }
            let left = waited.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return outcome;
            }
            let turn = left.min(Duration::from_millis(TURN_MS));
            match self.look(0, limit, turn, until).await {
                Err(Error::NotFound(_)) => {}
                Err(Error::NotDone(_) | Error::OutcomeUnknown(_)) => sleep(turn).await,
                outcome => return outcome,
            }
        }
    }

    async fn look(
        &mut self,
        server: usize,
        limit: u64,
        wait: Duration,
        until: Instant,
    ) -> Result<Vec<Message>, Error> {
        let listing = Listing {
            marker: self.markers.get(server).cloned().flatten(),
            limit: Some(limit),
            wait,
            ..self.listing.clone()
        };
        let messages = {
            let servers = self.queue.servers();
            let server = servers.get(server).ok_or_else(crate::client::unexpected)?;
            self.queue.page(server, &listing, until).await?
        };
        if let (Some(marker), Some(last)) = (self.markers.get_mut(server), messages.last()) {
            *marker = Some(last.id.clone());
        }
        Ok(messages)
    }
}
