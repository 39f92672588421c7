//! What a proxy makes of a server's outcome before it is told.
//!
//! A server knows only its own queues. One that has none of an account says that there is no
//! such account, though there may be on another server. And a claim that was answered while it
//! was taken back is nobody's: it is given back.

use std::sync::Arc;

use burrow_core::{
    Command, MessageList, Page, QueueName, Refusal, Reply, SettleAction, Settlement, Update,
};
use tokio::runtime::Handle;

use super::link::Link;
use super::merge::call_all;
use super::router::{Router, is_claim};
use crate::desk::{Failure, Outcome, Recipient, Relay};

struct Watching {
    router: Arc<Router>,
    link: Arc<Link>,
    /// The account's name and the queue's, and where the one ends.
    names: Box<str>,
    account_bytes: usize,
    is_claim: bool,
    /// `None` once the command was taken back.
    recipient: Option<Recipient>,
}

impl Watching {
    fn queue(&self) -> QueueName<'_> {
        let (account, queue) = self
            .names
            .split_at_checked(self.account_bytes)
            .unwrap_or_default();
        QueueName {
            account: account.into(),
            queue: queue.into(),
        }
    }
}

impl Relay for Watching {
    fn tell(mut self: Box<Self>, outcome: Outcome) {
        let Some(recipient) = self.recipient.take() else {
            if let (true, Ok(Reply::Messages(list))) = (self.is_claim, outcome) {
                spawn(async move { self.router.give_back(&self.queue(), &list).await });
            }
            return;
        };
        if !is_account_missing(&outcome) {
            return recipient.tell(outcome);
        }
        spawn(async move {
            let queue = self.queue();
            let exact = self.router.exact(&queue.account, &self.link, outcome);
            recipient.tell(exact.await);
        });
    }

    fn take_back(&mut self) -> bool {
        self.recipient.take().is_some()
    }

    fn is_full(&self) -> bool {
        self.recipient.as_ref().is_some_and(Recipient::is_full)
    }
}

/// Outcomes are told by the tasks of connections; when their runtime is gone, so is everybody
/// who might want to know.
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

impl Router {
    /// The recipient, behind a relay if the command's outcome may need one.
    pub(super) fn watched(
        self: &Arc<Self>,
        command: &Command<'_>,
        link: &Arc<Link>,
        recipient: Recipient,
    ) -> Recipient {
        let is_claim = is_claim(command);
        // To put something is to make the account.
        let is_put = matches!(
            command,
            Command::Put { .. } | Command::PutBatch { .. } | Command::Import { .. }
        );
        let may_miss = self.links().len() > 1 && !is_put;
        let (true, Some(queue)) = (is_claim || may_miss, command.queue()) else {
            return recipient;
        };
        let (account, queue) = (&*queue.account, &*queue.queue);
        let mut names = String::with_capacity(account.len() + queue.len());
        names.push_str(account);
        names.push_str(queue);
        Recipient::Relay(Box::new(Watching {
            router: Arc::clone(self),
            link: Arc::clone(link),
            names: names.into(),
            account_bytes: account.len(),
            is_claim,
            recipient: Some(recipient),
        }))
    }

    /// The outcome of one server as it would be if it had all queues of the account.
    pub(super) async fn exact(
        &self,
        account: &str,
        asked: &Arc<Link>,
        outcome: Outcome,
    ) -> Outcome {
        if self.links().len() == 1 || !is_account_missing(&outcome) {
            return outcome;
        }
        let told = call_all(self.links(), |number| {
            let is_other = !Arc::ptr_eq(self.links().get(number)?, asked);
            is_other.then(|| Command::ListQueues {
                account: account.into(),
                page: Page {
                    limit: Some(1),
                    ..Page::default()
                },
            })
        });
        let is_elsewhere = told
            .await
            .iter()
            .any(|outcome| matches!(outcome, Ok(Reply::Names(names)) if !names.is_empty()));
        match is_elsewhere {
            true => with_account(outcome),
            false => outcome,
        }
    }

    /// Releases the messages that a claim has given and nobody has got. Where that fails they
    /// come back when their time is over.
    pub(super) async fn give_back(&self, queue: &QueueName<'_>, list: &MessageList) {
        let settlements: Vec<Settlement<'_>> = list
            .iter()
            .filter(|message| message.claim.is_some())
            .map(|message| Settlement {
                id: message.id.into(),
                claim: message.claim,
                action: SettleAction::Update(Update {
                    hide_ms: Some(0),
                    ..Update::default()
                }),
            })
            .collect();
        if settlements.is_empty() {
            return;
        }
        let given = match (self.is_spread(queue), self.home(queue)) {
            (true, _) => self.settle(queue.clone(), settlements).await,
            (false, Ok(home)) => {
                let queue = queue.clone();
                home.call(&Command::Settle { queue, settlements }).await
            }
            (false, Err(failure)) => Err(failure),
        };
        if let Err(error) = given {
            tracing::debug!(%error, "claims that nobody got stand until their time is over");
        }
    }
}

fn is_account_missing(outcome: &Outcome) -> bool {
    match outcome {
        Err(Failure::Refused(Refusal::AccountNotFound)) => true,
        Ok(Reply::Settled(results)) => results.contains(&Err(Refusal::AccountNotFound)),
        _ => false,
    }
}

/// The outcome if there is such an account.
fn with_account(outcome: Outcome) -> Outcome {
    match outcome {
        Err(Failure::Refused(Refusal::AccountNotFound)) => Err(Refusal::QueueNotFound.into()),
        Ok(Reply::Settled(mut results)) => {
            for result in &mut results {
                if *result == Err(Refusal::AccountNotFound) {
                    *result = Err(Refusal::QueueNotFound);
                }
            }
            Ok(Reply::Settled(results))
        }
        outcome => outcome,
    }
}
