//! Queues that all servers have a part of.
//!
//! A message is put on the server that its id says, so equal ids meet. Whoever takes
//! messages begins with another server each time. The order is each server's own; lists go
//! through the servers one after another.
//!
//! A message may lie elsewhere than its id says: it was put when there were other servers,
//! or came as a dead letter. So what is asked for by id and not found is looked for on all.

use burrow_core::{Command, IdList, NewMessage, QueueName, QueueStats, Refusal, Reply, Settlement};

use super::merge::{call_all, is_missing, more_exact, together};
use super::router::Router;
use super::task::Ending;
use crate::desk::{Failure, Outcome};

/// The position where an export goes on has the number of its server above so many bits.
const POSITION_BITS: u32 = 56;

impl Router {
    pub(super) async fn carry_out_spread(&self, command: Command<'_>, ending: &Ending) -> Outcome {
        match command {
            Command::ListMessages { .. }
            | Command::UpdateMessages { .. }
            | Command::DeleteMessages { .. } => self.search(command, ending).await,
            Command::Put { queue, message } => {
                let id = message.id.as_deref().unwrap_or_default();
                let place = self.place(&queue, id);
                self.call(place, &Command::Put { queue, message }).await
            }
            Command::PutBatch { queue, messages } => self.put_batch(queue, messages).await,
            Command::GetMessage {
                ref queue, ref id, ..
            }
            | Command::UpdateMessage {
                ref queue, ref id, ..
            }
            | Command::DeleteMessage {
                ref queue, ref id, ..
            } => self.by_id(&self.preference(queue, id), &command).await,
            Command::Settle { queue, settlements } => self.settle(queue, settlements).await,
            Command::GetStats { .. } => self.stats(&command).await,
            Command::GetSettings { .. } => {
                let all: Vec<usize> = (0..self.links().len()).collect();
                self.by_id(&all, &command).await
            }
            Command::PutSettings { .. } | Command::ClearSettings { .. } => {
                self.require_all()?;
                let done = call_all(self.links(), |_| Some(command.clone())).await;
                together(done).map(|_| Reply::Done)
            }
            Command::Export {
                queue,
                after,
                max_bytes,
            } => self.export(queue, after, max_bytes).await,
            // The others find what it brings, wherever that is.
            Command::Import { ref queue, .. } => self.home(queue)?.call(&command).await,
            Command::ListAccounts { .. }
            | Command::DeleteAccounts { .. }
            | Command::ListQueues { .. }
            | Command::DeleteQueues { .. } => Err(Failure::OutcomeUnknown),
        }
    }

    pub(super) async fn call(&self, link: usize, command: &Command<'_>) -> Outcome {
        match self.links().get(link) {
            Some(link) => link.call(command).await,
            None => Err(Failure::Unreachable),
        }
    }

    /// Asks each server in turn until one has it.
    async fn by_id(&self, order: &[usize], command: &Command<'_>) -> Outcome {
        let mut missing = None;
        for link in order {
            match self.call(*link, command).await {
                Err(Failure::Refused(refusal)) if is_missing(&refusal) => {
                    missing = more_exact(missing, refusal);
                }
                outcome => return outcome,
            }
        }
        Err(missing.unwrap_or(Refusal::QueueNotFound).into())
    }

    /// What all servers have together.
    async fn stats(&self, command: &Command<'_>) -> Outcome {
        self.require_all()?;
        let told = call_all(self.links(), |_| Some(command.clone())).await;
        let mut stats = QueueStats::default();
        for reply in together(told)? {
            let Reply::Stats(own) = reply else {
                return Err(Failure::OutcomeUnknown);
            };
            stats.messages = stats.messages.saturating_add(own.messages);
            stats.hidden = stats.hidden.saturating_add(own.hidden);
            stats.bytes = stats.bytes.saturating_add(own.bytes);
        }
        Ok(Reply::Stats(stats))
    }

    /// Each server's part of the batch is one atomic step. The proxy gives the ids that the
    /// messages do not have, as they say where a message is.
    async fn put_batch(&self, queue: QueueName<'_>, mut messages: Vec<NewMessage<'_>>) -> Outcome {
        let mut ids = IdList::default();
        for message in &mut messages {
            let id = message
                .id
                .get_or_insert_with(|| format!("{:032x}", fastrand::u128(..)).into());
            ids.push(id);
        }
        let places = ids.iter().map(|id| self.place(&queue, id));
        let parts = self.split(places.zip(messages).collect())?;
        if parts.iter().all(Vec::is_empty) {
            let messages = Vec::new();
            return self.call(0, &Command::PutBatch { queue, messages }).await;
        }
        let put = call_all(self.links(), |number| {
            let messages = parts.get(number).filter(|part| !part.is_empty())?;
            Some(Command::PutBatch {
                queue: queue.clone(),
                messages: messages.clone(),
            })
        });
        together(put.await).map(|_| Reply::PutBatch(ids))
    }

    /// Each settlement goes to the server that its id says, and on to the others while it
    /// is not found.
    pub(super) async fn settle(
        &self,
        queue: QueueName<'_>,
        settlements: Vec<Settlement<'_>>,
    ) -> Outcome {
        let orders: Vec<Vec<usize>> = settlements
            .iter()
            .map(|settlement| self.preference(&queue, &settlement.id))
            .collect();
        let mut results: Vec<Result<(), Refusal>> = settlements
            .iter()
            .map(|_| Err(Refusal::QueueNotFound))
            .collect();
        for round in 0..self.links().len() {
            let open = settlements.iter().enumerate().filter(|(number, _)| {
                let result = results.get(*number);
                result.is_some_and(|result| result.as_ref().is_err_and(is_missing))
            });
            let placed = open.map(|(number, settlement)| {
                let order = orders.get(number).and_then(|order| order.get(round));
                (
                    order.copied().unwrap_or_default(),
                    (number, settlement.clone()),
                )
            });
            // What was settled before cannot be told any more if the rest fails.
            let partly = |failure| match round {
                0 => failure,
                _ => Failure::OutcomeUnknown,
            };
            let parts = self.split(placed.collect()).map_err(partly)?;
            let asked: Vec<_> = parts.iter().filter(|part| !part.is_empty()).collect();
            if asked.is_empty() {
                break;
            }
            let settled = call_all(self.links(), |number| {
                let part = parts.get(number).filter(|part| !part.is_empty())?;
                Some(Command::Settle {
                    queue: queue.clone(),
                    settlements: part.iter().map(|(_, item)| item.clone()).collect(),
                })
            });
            let replies = together(settled.await).map_err(partly)?;
            for (part, reply) in asked.into_iter().zip(replies) {
                let Reply::Settled(own) = reply else {
                    return Err(Failure::OutcomeUnknown);
                };
                for ((number, _), result) in part.iter().zip(own) {
                    let Some(place) = results.get_mut(*number) else {
                        continue;
                    };
                    *place = match (round, std::mem::replace(place, Ok(())), result) {
                        (1.., Err(one), Err(other)) if is_missing(&other) => {
                            more_exact(Some(one), other).map_or(Ok(()), Err)
                        }
                        (_, _, result) => result,
                    };
                }
            }
        }
        Ok(Reply::Settled(results))
    }

    /// What each server gets; an error if one of them cannot get it.
    fn split<T>(&self, items: Vec<(usize, T)>) -> Result<Vec<Vec<T>>, Failure> {
        let mut parts: Vec<Vec<T>> = self.links().iter().map(|_| Vec::new()).collect();
        for (link, item) in items {
            let part = parts.get_mut(link).ok_or(Failure::Unreachable)?;
            part.push(item);
        }
        let is_lost = |(part, link): (&Vec<T>, &std::sync::Arc<super::link::Link>)| {
            !part.is_empty() && !link.is_up()
        };
        match parts.iter().zip(self.links()).any(is_lost) {
            true => Err(Failure::Unreachable),
            false => Ok(parts),
        }
    }

    /// One server after another, each from its beginning.
    async fn export(&self, queue: QueueName<'_>, after: Option<u64>, max_bytes: u64) -> Outcome {
        let position = |after: u64| after & ((1 << POSITION_BITS) - 1);
        let from = after.map_or(0, |after| after >> POSITION_BITS);
        let mut link = usize::try_from(from).map_err(|_| Failure::Unreachable)?;
        // Behind its number alone a server begins.
        let mut after = after.map(position).filter(|position| *position > 0);
        let mut missing = None;
        loop {
            let command = Command::Export {
                queue: queue.clone(),
                after,
                max_bytes,
            };
            let is_last = link + 1 >= self.links().len();
            match self.call(link, &command).await {
                Ok(Reply::Exported { piece, next }) => {
                    let at = |link: usize, position: u64| {
                        let number = u64::try_from(link).ok()?;
                        let fits = position >> POSITION_BITS == 0 && number < 1 << 8;
                        fits.then_some(number << POSITION_BITS | position)
                    };
                    let next = match next {
                        Some(next) => Some(at(link, next).ok_or(Failure::OutcomeUnknown)?),
                        None if is_last => None,
                        None => at(link + 1, 0),
                    };
                    return Ok(Reply::Exported { piece, next });
                }
                Err(Failure::Refused(refusal)) if is_missing(&refusal) && !is_last => {
                    missing = more_exact(missing, refusal);
                }
                Err(Failure::Refused(refusal)) if is_missing(&refusal) => {
                    return Err(more_exact(missing, refusal)
                        .unwrap_or(Refusal::QueueNotFound)
                        .into());
                }
                outcome => return outcome,
            }
            (link, after) = (link + 1, None);
        }
    }
}
