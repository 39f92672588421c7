//! What can be done with a queue.

use std::borrow::Cow;
use std::time::Duration;

use burrow_core::{
    ClaimToken, Command, Detail, NewMessage, QueueName, Selection, Settings, SettleAction,
    Settlement, Update,
};
use tokio::time::{Instant, sleep};

use crate::claims::{Claiming, Claims};
use crate::client::{Client, part, unexpected};
use crate::error::Error;
use crate::options::{Listing, Put, QueueStats, Settle, Taking, ms};
use crate::pages::{Follow, Pages};
use crate::retry::may_retry;
use crate::servers::Server;
use crate::stream::ClaimStream;
use crate::transport::{Answer, Message, Messages};

/// With several servers, how long a wait on one of them goes on before the others are asked.
pub(crate) const TURN_MS: u64 = 500;

/// A queue of a [`Client`].
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) client: Client,
    name: QueueName<'static>,
}

impl Queue {
    pub(crate) fn new(client: Client, name: QueueName<'static>) -> Self {
        Self { client, name }
    }

    /// Puts a message and tells its id.
    pub async fn put(&self, put: Put) -> Result<String, Error> {
        let message = self.identified(put);
        let id = message.id.clone().unwrap_or_default().into_owned();
        let queue = self.name.clone();
        self.change(&Command::Put { queue, message }).await?;
        Ok(id)
    }

    /// Puts all messages in one atomic step and tells their ids, in order.
    pub async fn put_batch(&self, puts: Vec<Put>) -> Result<Vec<String>, Error> {
        let messages = puts.into_iter().map(|put| self.identified(put)).collect();
        let queue = self.name.clone();
        match self.change(&Command::PutBatch { queue, messages }).await? {
            Answer::PutBatch(ids) => Ok(ids),
            _ => Err(unexpected()),
        }
    }

    /// Claims messages: nobody else gets them for the time of `hide`.
    pub async fn claim(&self, taking: Taking, hide: Duration) -> Result<Messages, Error> {
        self.take(taking, |selection, wait_ms| Command::UpdateMessages {
            queue: self.name.clone(),
            selection,
            update: Update {
                ttl_ms: None,
                // A claim hides: without any time it would be none.
                hide_ms: Some(ms(hide).max(1)),
            },
            wait_ms,
            detail: Detail::All,
        })
        .await
    }

    /// Claimed messages, as they come, each extended as long as it is held.
    pub fn claims(&self, claiming: Claiming) -> Claims {
        Claims::new(self.clone(), claiming)
    }

    /// Claimed messages as a stream, claimed at most `batch` ahead of what is taken from it. Each is
    /// extended as long as it is held, and released when it is dropped. Must be called within
    /// a tokio runtime.
    pub fn claim_stream(&self, claiming: Claiming) -> ClaimStream {
        ClaimStream::new(self.clone(), claiming)
    }

    /// Takes messages and removes them in one step. What is lost on the way is gone.
    pub async fn pop(&self, taking: Taking) -> Result<Messages, Error> {
        self.take(taking, |selection, wait_ms| Command::DeleteMessages {
            queue: self.name.clone(),
            selection,
            wait_ms,
            detail: Detail::All,
        })
        .await
    }

    /// Looks at messages without taking them. With several servers a marker has a meaning on
    /// the one that showed its message: use [`pages`](Self::pages) or [`follow`](Self::follow).
    pub async fn list(&self, listing: Listing) -> Result<Messages, Error> {
        self.search(listing.wait, |wait_ms| self.list_command(&listing, wait_ms))
            .await
    }

    /// All messages, in pages of `limit`, on one server after the other.
    pub fn pages(&self, listing: Listing) -> Pages {
        Pages::new(self.clone(), listing)
    }

    /// Messages as they come, on all servers of the queue.
    pub fn follow(&self, listing: Listing) -> Follow {
        Follow::new(self.clone(), listing)
    }

    /// One message, hidden or not.
    pub async fn get(&self, id: &str) -> Result<Message, Error> {
        let command = Command::GetMessage {
            queue: self.name.clone(),
            id: id.into(),
            detail: Detail::All,
        };
        match self.find(&command, self.client.until(0)).await? {
            Answer::Messages(messages) => messages.into_iter().next().ok_or_else(unexpected),
            _ => Err(unexpected()),
        }
    }

    /// Acknowledges, extends or releases one message. Without its claim whoever holds it now
    /// is overruled.
    pub async fn settle(
        &self,
        id: &str,
        claim: Option<ClaimToken>,
        settle: Settle,
    ) -> Result<(), Error> {
        let (queue, id, detail) = (self.name.clone(), id.into(), Detail::None);
        let command = match settle.action() {
            SettleAction::Delete => Command::DeleteMessage {
                queue,
                id,
                claim,
                detail,
            },
            SettleAction::Update(update) => Command::UpdateMessage {
                queue,
                id,
                update,
                claim,
                detail,
            },
        };
        self.find(&command, self.client.until(0)).await.map(drop)
    }

    /// Acknowledges, extends or releases claimed messages, each with a result of its own.
    pub async fn settle_all<'a>(
        &self,
        claimed: impl IntoIterator<Item = &'a Message>,
        settle: Settle,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let settlements: Vec<_> = claimed
            .into_iter()
            .map(|message| Settlement {
                id: message.id.as_str().into(),
                claim: message.claim,
                action: settle.action(),
            })
            .collect();
        let mut results: Vec<Result<(), Error>> = Vec::new();
        let until = self.client.until(0);
        for server in self.servers() {
            let is_open = |at: usize| match results.get(at) {
                None | Some(Err(Error::NotFound(_) | Error::ClaimLost)) => true,
                Some(_) => false,
            };
            let open: Vec<usize> = (0..settlements.len()).filter(|at| is_open(*at)).collect();
            if open.is_empty() {
                break;
            }
            let command = Command::Settle {
                queue: self.name.clone(),
                settlements: open
                    .iter()
                    .filter_map(|at| settlements.get(*at).cloned())
                    .collect(),
            };
            let told = match self.client.call(&[server], &command, until).await? {
                Answer::Settled(told) if told.len() == open.len() => told,
                _ => return Err(unexpected()),
            };
            if results.is_empty() {
                results = told;
                continue;
            }
            for (at, result) in open.into_iter().zip(told) {
                if let (Some(slot), Ok(())) = (results.get_mut(at), result) {
                    *slot = Ok(());
                }
            }
        }
        Ok(results)
    }

    /// Removes all messages, hidden ones too. Settings stay.
    pub async fn purge(&self) -> Result<(), Error> {
        let command = Command::DeleteMessages {
            queue: self.name.clone(),
            selection: Selection {
                match_hidden: true,
                ..Selection::default()
            },
            wait_ms: 0,
            detail: Detail::None,
        };
        self.everywhere(&command).await
    }

    /// The queue's settings; those of a queue without any leave everything to the server.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let queue = self.name.clone();
        match self
            .find(&Command::GetSettings { queue }, self.client.until(0))
            .await?
        {
            Answer::Settings(settings) => Ok(settings),
            _ => Err(unexpected()),
        }
    }

    /// Gives the queue these settings, in place of any it had.
    pub async fn put_settings(&self, settings: Settings) -> Result<(), Error> {
        let queue = self.name.clone();
        self.everywhere(&Command::PutSettings { queue, settings })
            .await
    }

    /// Takes the queue's settings away.
    pub async fn clear_settings(&self) -> Result<(), Error> {
        let queue = self.name.clone();
        self.everywhere(&Command::ClearSettings { queue }).await
    }

    /// How much is in the queue, on all servers that it may be on.
    pub async fn stats(&self) -> Result<QueueStats, Error> {
        let mut stats = QueueStats::default();
        let (mut is_there, mut missing) = (false, None);
        let queue = self.name.clone();
        let (command, until) = (Command::GetStats { queue }, self.client.until(0));
        for server in self.servers() {
            match self.client.call(&[server], &command, until).await {
                Ok(Answer::Stats(own)) => {
                    is_there = true;
                    stats.add(own);
                }
                Ok(_) => return Err(unexpected()),
                Err(error @ Error::NotFound(_)) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if !is_there => Err(error),
            _ => Ok(stats),
        }
    }

    /// A piece of the queue, and where the next one begins: see `burrow export`.
    pub async fn export(&self, after: Option<u64>) -> Result<(Vec<u8>, Option<u64>), Error> {
        let command = Command::Export {
            queue: self.name.clone(),
            after,
            max_bytes: 1 << 20,
        };
        match self.change(&command).await? {
            Answer::Exported { piece, next } => Ok((piece, next)),
            _ => Err(unexpected()),
        }
    }

    /// Puts an exported piece behind what is there.
    pub async fn import(&self, piece: &[u8]) -> Result<(), Error> {
        let (queue, piece) = (self.name.clone(), piece.into());
        self.change(&Command::Import { queue, piece }).await?;
        Ok(())
    }

    fn identified(&self, put: Put) -> NewMessage<'static> {
        let mut message = put.message;
        message
            .id
            .get_or_insert_with(|| self.client.give_id().into());
        message
    }

    pub(crate) fn servers(&self) -> Vec<&Server> {
        self.client.servers_of(&self.name)
    }

    /// On the first server that takes it.
    async fn change(&self, command: &Command<'_>) -> Result<Answer, Error> {
        let until = self.client.until(0);
        self.client.call(&self.servers(), command, until).await
    }

    async fn everywhere(&self, command: &Command<'_>) -> Result<(), Error> {
        let mut outcome: Option<Result<(), Error>> = None;
        let until = self.client.until(0);
        for server in self.servers() {
            match self.client.call(&[server], command, until).await {
                Ok(_) => outcome = Some(Ok(())),
                Err(error @ Error::NotFound(_)) => {
                    outcome.get_or_insert(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        outcome.unwrap_or_else(|| Err(unexpected()))
    }

    /// On each server in turn until one has it. One that cannot be reached is passed over,
    /// unless no other has it and it is about a message that may be there.
    async fn find(&self, command: &Command<'_>, until: Instant) -> Result<Answer, Error> {
        let servers = self.servers();
        if servers.len() == 1 {
            return self.client.call(&servers, command, until).await;
        }
        let mut missing: Option<Error> = None;
        let (mut down, mut unknown) = (Vec::new(), None);
        for (index, server) in servers.iter().enumerate() {
            // One that hangs leaves time for the others, and for a last try.
            let own_until = part(until, servers.len() - index + 1);
            match self.client.ask(server, command, own_until).await {
                // What a lost claim is about is somewhere, so that is the better answer.
                Err(error @ (Error::NotFound(_) | Error::ClaimLost)) => {
                    if error == Error::ClaimLost || missing.is_none() {
                        missing = Some(error);
                    }
                }
                Err(error) if may_retry(&error, command) => {
                    down.push(*server);
                    unknown = Some(error)
                        .filter(|error| matches!(error, Error::OutcomeUnknown(_)))
                        .or(unknown);
                }
                outcome => return outcome,
            }
        }
        let is_about_one = matches!(
            command,
            Command::GetMessage { .. }
                | Command::UpdateMessage { .. }
                | Command::DeleteMessage { .. }
        );
        match missing {
            Some(error) if down.is_empty() || !is_about_one => Err(error),
            _ => {
                let call = self.client.call_again(&down, command, until, unknown);
                call.await
            }
        }
    }

    async fn take<'a>(
        &self,
        taking: Taking,
        command: impl Fn(Selection<'static>, u64) -> Command<'a>,
    ) -> Result<Messages, Error> {
        let selection = Selection {
            limit: Some(taking.limit),
            ..Selection::default()
        };
        self.search(taking.wait, |wait_ms| command(selection.clone(), wait_ms))
            .await
    }

    /// Messages that match, waited for on the queue's own server, with a look at those that
    /// stand in for it in between.
    async fn search<'a>(
        &self,
        wait: Duration,
        command: impl Fn(u64) -> Command<'a>,
    ) -> Result<Messages, Error> {
        let servers = self.servers();
        let until = self.client.until(ms(wait));
        if let [only] = servers.as_slice() {
            let command = command(ms(wait));
            return messages(self.client.call(&[*only], &command, until).await?);
        }
        let waited = Instant::now() + wait;
        loop {
            match self.find(&command(0), until).await {
                Err(Error::NotFound(_)) if Instant::now() < waited => {}
                outcome => return messages(outcome?),
            }
            let left = ms(waited.saturating_duration_since(Instant::now()));
            match self.wait_a_turn(&servers, until, left, &command).await {
                Err(Error::NotFound(_)) if Instant::now() < waited => {}
                outcome => return messages(outcome?),
            }
        }
    }

    /// On the queue's own server, or, where that cannot be reached, by sleeping.
    async fn wait_a_turn<'a>(
        &self,
        servers: &[&Server],
        until: Instant,
        left_ms: u64,
        command: &impl Fn(u64) -> Command<'a>,
    ) -> Result<Answer, Error> {
        let turn_ms = left_ms.min(TURN_MS);
        let own = servers.first().ok_or_else(unexpected)?;
        let until = until.min(part(self.client.until(0), servers.len()) + wait_of(turn_ms));
        match self.client.ask(own, &command(turn_ms), until).await {
            Err(Error::NotDone(text)) => {
                sleep(wait_of(turn_ms)).await;
                Err(Error::NotFound(text))
            }
            outcome => outcome,
        }
    }

    /// A page of what one server has of the queue.
    pub(crate) async fn page(
        &self,
        server: &Server,
        listing: &Listing,
        until: Instant,
    ) -> Result<Vec<Message>, Error> {
        let command = self.list_command(listing, ms(listing.wait));
        let page = messages(self.client.call(&[server], &command, until).await?)?;
        Ok(page.list)
    }

    fn list_command(&self, listing: &Listing, wait_ms: u64) -> Command<'static> {
        Command::ListMessages {
            queue: self.name.clone(),
            selection: Selection {
                marker: listing.marker.clone().map(Cow::Owned),
                limit: listing.limit,
                match_hidden: listing.hidden,
            },
            wait_ms,
            detail: match listing.without_bodies {
                true => Detail::Attributes,
                false => Detail::All,
            },
        }
    }
}

fn messages(answer: Answer) -> Result<Messages, Error> {
    match answer {
        Answer::Messages(messages) => Ok(messages),
        _ => Err(unexpected()),
    }
}

fn wait_of(wait_ms: u64) -> Duration {
    Duration::from_millis(wait_ms)
}
