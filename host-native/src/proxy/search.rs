//! Looking for messages of a queue that all servers have a part of, and taking them.

use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use burrow_core::{Command, Detail, MessageList, QueueName, Refusal, Reply, Selection};
use tokio::time::{Instant, timeout_at};

use super::link::Link;
use super::merge::{is_missing, more_exact};
use super::router::{Router, is_claim};
use super::task::Ending;
use crate::desk::{Failure, Outcome, Waiting};

/// What was found, or what is missing.
type Found = Result<Result<MessageList, Refusal>, Failure>;

impl Router {
    /// Lists, updates, claims and pops.
    ///
    /// Nobody waits with a command that takes: two servers might answer at the same time,
    /// and what the second took would be lost. What waits is a list, on all servers; when
    /// one of them has something, that is tried to be taken.
    pub(super) async fn search(&self, command: Command<'_>, ending: &Ending) -> Outcome {
        let Some(parts) = Parts::of(&command) else {
            return Err(Failure::OutcomeUnknown);
        };
        let until = Instant::now() + Duration::from_millis(parts.wait_ms);
        let dead_letter = match (is_claim(&command), self.links().first()) {
            (true, Some(link)) => self.dead_letter(parts.queue, link).await,
            _ => None,
        };
        loop {
            // What one server gave is in hand while another one is asked.
            let busy = (!parts.is_list).then(|| ending.busy());
            let found = match parts.is_list {
                true => self.list(&command, &parts).await,
                false => self.take(&command, &parts).await,
            };
            if let Some(dead_letter) = &dead_letter {
                for link in self.links().iter().filter(|link| link.is_up()) {
                    self.forward(link, dead_letter).await;
                }
            }
            let missing = match found? {
                Ok(list) => return Ok(Reply::Messages(list)),
                Err(missing) => missing,
            };
            drop(busy);
            if !self.something_comes(&parts, until).await {
                return Err(missing.into());
            }
        }
    }

    /// Goes through the servers in order, from that of the marker on.
    async fn list(&self, command: &Command<'_>, parts: &Parts<'_>) -> Found {
        self.require_all()?;
        let from = self.marker_place(parts).unwrap_or_default();
        let (mut all, mut missing) = (MessageList::default(), None);
        let mut left = parts.selection.limit;
        for link in from..self.links().len() {
            let selection = Selection {
                limit: left,
                ..self.selection_for(parts, link)
            };
            let list = match self.call(link, &parts.with(command, selection, 0)).await {
                Ok(Reply::Messages(list)) => list,
                Err(Failure::Refused(refusal)) if is_missing(&refusal) => {
                    missing = more_exact(missing, refusal);
                    continue;
                }
                Err(failure) => return Err(failure),
                Ok(_) => return Err(Failure::OutcomeUnknown),
            };
            left = left.map(|left| left.saturating_sub(list.matched()));
            let last = list.iter().last().map(|last| last.id.to_owned());
            all.append(list);
            let is_enough = left == Some(0) && parts.selection.limit != Some(0);
            if is_enough || self.has_more(link, parts, last).await? {
                break;
            }
        }
        Ok(found(all, missing))
    }

    /// Whether the server has more behind the last that it showed: then its answer was as
    /// large as it may be, and who goes on behind that must not have seen another server's.
    async fn has_more(
        &self,
        link: usize,
        parts: &Parts<'_>,
        last: Option<String>,
    ) -> Result<bool, Failure> {
        let is_last_link = link + 1 >= self.links().len();
        let Some(last) = last.filter(|_| !is_last_link) else {
            return Ok(false);
        };
        let list = Command::ListMessages {
            queue: parts.queue.clone(),
            selection: Selection {
                marker: Some(last.into()),
                limit: Some(1),
                match_hidden: parts.selection.match_hidden,
            },
            wait_ms: 0,
            detail: Detail::None,
        };
        match self.call(link, &list).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused(refusal)) if is_missing(&refusal) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Takes from each server its share, and what is missing then from those that may have
    /// more. Whoever comes next begins with the next server.
    async fn take(&self, command: &Command<'_>, parts: &Parts<'_>) -> Found {
        let count = self.links().len();
        let turn = self.turn.fetch_add(1, Relaxed);
        let all = (0..count).map(|number| turn.wrapping_add(number) % count);
        let is_up = |number: &usize| self.links().get(*number).is_some_and(|link| link.is_up());
        let Some(limit) = parts.selection.limit.filter(|limit| *limit > 0) else {
            // All of it is wanted: a part would look like all.
            self.require_all()?;
            let asked: Vec<_> = all.map(|link| (link, parts.selection.limit)).collect();
            return self.draw(command, parts, &asked).await.into_found();
        };
        let order: Vec<usize> = all.filter(is_up).collect();
        let mut drawn = Drawn::default();
        let shares = shares(limit, &order);
        drawn.add(self.draw(command, parts, &shares).await);
        for (link, share) in shares {
            let left = limit.saturating_sub(drawn.list.matched());
            if left == 0 {
                break;
            }
            // Who had less than its share has no more.
            if drawn.has_more(link, share) {
                drawn.add(self.draw(command, parts, &[(link, Some(left))]).await);
            }
        }
        if order.is_empty() {
            return Err(Failure::Unreachable);
        }
        drawn.into_found()
    }

    /// Asks these servers at once for so many each.
    async fn draw(
        &self,
        command: &Command<'_>,
        parts: &Parts<'_>,
        asked: &[(usize, Option<u64>)],
    ) -> Drawn {
        let start = |&(number, limit): &(usize, Option<u64>)| {
            // Nothing is asked of a server that has no share, and it may have something.
            (limit != Some(0) || parts.selection.limit == Some(0)).then(|| {
                let selection = Selection {
                    limit,
                    ..self.selection_for(parts, number)
                };
                let link = self.links().get(number).ok_or(Failure::Unreachable)?;
                link.start(&parts.with(command, selection, 0))
            })
        };
        let started: Vec<_> = asked.iter().map(start).collect();
        let mut drawn = Drawn::default();
        for (&(number, _), waiting) in asked.iter().zip(started) {
            let outcome = match waiting {
                None => continue,
                Some(Ok(waiting)) => waiting.await,
                Some(Err(failure)) => Err(failure),
            };
            drawn.take(number, outcome);
        }
        drawn
    }

    /// Waits until a server has something that matches, or is back and may have. False when the
    /// time is over.
    async fn something_comes(&self, parts: &Parts<'_>, until: Instant) -> bool {
        let from = match parts.is_list {
            true => self.marker_place(parts).unwrap_or_default(),
            false => 0,
        };
        let left = until.saturating_duration_since(Instant::now());
        let wait_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        if wait_ms == 0 {
            return false;
        }
        let links = self.links().iter().enumerate().skip(from);
        let mut waiting: Vec<_> = links
            .map(|(number, link)| {
                let list = Command::ListMessages {
                    queue: parts.queue.clone(),
                    selection: Selection {
                        limit: Some(1),
                        ..self.selection_for(parts, number)
                    },
                    wait_ms,
                    detail: Detail::None,
                };
                let waiting = link.start(&list);
                Box::pin(comes(link, waiting))
            })
            .collect();
        let comes = poll_fn(|cx| {
            let mut comes = false;
            waiting.retain_mut(|one| match one.as_mut().poll(cx) {
                Poll::Ready(own) => {
                    comes |= own;
                    false
                }
                Poll::Pending => true,
            });
            match comes || waiting.is_empty() {
                true => Poll::Ready(comes),
                false => Poll::Pending,
            }
        });
        timeout_at(until, comes).await.unwrap_or(false)
    }

    /// The server on which the marker has a meaning.
    fn marker_place(&self, parts: &Parts<'_>) -> Option<usize> {
        let marker = parts.selection.marker.as_ref()?;
        Some(self.place(parts.queue, marker))
    }

    fn selection_for<'p>(&self, parts: &Parts<'p>, link: usize) -> Selection<'p> {
        let mut selection = parts.selection.clone();
        if self.marker_place(parts) != Some(link) {
            selection.marker = None;
        }
        selection
    }
}

/// Whether there is something on the server: false if the wait for it ended without.
async fn comes(link: &Link, waiting: Result<Waiting, Failure>) -> bool {
    let outcome = match waiting {
        Ok(waiting) => waiting.await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(_) => true,
        Err(Failure::Refused(_)) => false,
        Err(_) => {
            link.back().await;
            true
        }
    }
}

/// So many for each, as even as can be; the first have one more.
fn shares(limit: u64, order: &[usize]) -> Vec<(usize, Option<u64>)> {
    let count = (order.len() as u64).max(1);
    let share = |number: u64| limit / count + u64::from(number < limit % count);
    (0..)
        .zip(order)
        .map(|(number, link)| (*link, Some(share(number))))
        .collect()
}

/// The parts of a command that looks for messages.
struct Parts<'p> {
    queue: &'p QueueName<'p>,
    selection: &'p Selection<'p>,
    wait_ms: u64,
    is_list: bool,
}

impl<'p> Parts<'p> {
    fn of(command: &'p Command<'p>) -> Option<Self> {
        let (Command::ListMessages {
            queue,
            selection,
            wait_ms,
            ..
        }
        | Command::UpdateMessages {
            queue,
            selection,
            wait_ms,
            ..
        }
        | Command::DeleteMessages {
            queue,
            selection,
            wait_ms,
            ..
        }) = command
        else {
            return None;
        };
        Some(Self {
            queue,
            selection,
            wait_ms: *wait_ms,
            is_list: matches!(command, Command::ListMessages { .. }),
        })
    }

    /// The command with these instead of its own.
    fn with<'c>(&self, command: &Command<'c>, own: Selection<'c>, own_wait_ms: u64) -> Command<'c> {
        let mut command = command.clone();
        if let Command::ListMessages {
            selection, wait_ms, ..
        }
        | Command::UpdateMessages {
            selection, wait_ms, ..
        }
        | Command::DeleteMessages {
            selection, wait_ms, ..
        } = &mut command
        {
            (*selection, *wait_ms) = (own, own_wait_ms);
        }
        command
    }
}

/// What servers gave.
#[derive(Default)]
struct Drawn {
    list: MessageList,
    /// How many each gave.
    counts: Vec<(usize, u64)>,
    missing: Option<Refusal>,
    failure: Option<Failure>,
}

impl Drawn {
    fn take(&mut self, link: usize, outcome: Outcome) {
        match outcome {
            Ok(Reply::Messages(list)) => {
                self.counts.push((link, list.matched()));
                self.list.append(list);
            }
            Err(Failure::Refused(refusal)) if is_missing(&refusal) => {
                self.counts.push((link, 0));
                self.missing = more_exact(self.missing.take(), refusal);
            }
            Ok(_) => self.failure = Some(Failure::OutcomeUnknown),
            Err(failure) => {
                self.counts.push((link, 0));
                self.failure = Some(match self.failure.take() {
                    Some(Failure::OutcomeUnknown) => Failure::OutcomeUnknown,
                    _ => failure,
                });
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.list.append(other.list);
        self.counts.extend(other.counts);
        self.missing = match (self.missing.take(), other.missing) {
            (one, Some(other)) => more_exact(one, other),
            (one, None) => one,
        };
        self.failure = self.failure.take().or(other.failure);
    }

    fn has_more(&self, link: usize, share: Option<u64>) -> bool {
        let given = self.counts.iter().find(|(own, _)| *own == link);
        given.is_none_or(|(_, count)| Some(*count) >= share && *count > 0)
    }

    /// What was given counts, whatever became of the rest: nobody else will be given it.
    fn into_found(self) -> Found {
        match self.failure {
            Some(failure) if self.list.matched() == 0 => Err(failure),
            _ => Ok(found(self.list, self.missing)),
        }
    }
}

fn found(list: MessageList, missing: Option<Refusal>) -> Result<MessageList, Refusal> {
    match list.matched() {
        0 => Err(missing.unwrap_or(Refusal::QueueNotFound)),
        _ => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_all_of_it() {
        let of = |limit| -> Vec<u64> {
            let shares = shares(limit, &[2, 0, 1]);
            shares.into_iter().filter_map(|(_, share)| share).collect()
        };
        assert_eq!(of(1), [1, 0, 0]);
        assert_eq!(of(7), [3, 2, 2]);
        assert_eq!(of(9), [3, 3, 3]);
        assert!(shares(5, &[]).is_empty());
    }
}
