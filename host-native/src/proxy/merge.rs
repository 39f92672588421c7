//! Commands about accounts, in which every server has a part.

use std::sync::Arc;

use burrow_core::{Command, NameList, Page, Refusal, Reply};

use super::link::Link;
use super::router::Router;
use crate::desk::{Failure, Outcome};

impl Router {
    /// Lists and deletes of accounts and queues. What is not complete is not answered: while
    /// a server cannot be reached, nobody knows what is there.
    pub(super) async fn carry_out_everywhere(&self, command: Command<'_>) -> Outcome {
        self.require_all()?;
        let (page, is_delete) = match &command {
            Command::ListAccounts { page } | Command::ListQueues { page, .. } => (page, false),
            Command::DeleteAccounts { page } | Command::DeleteQueues { page, .. } => (page, true),
            _ => return Err(Failure::OutcomeUnknown),
        };
        if is_delete && page.limit.is_some() {
            return self.delete_some(&command, page).await;
        }
        let outcomes = call_all(self.links(), |_| Some(command.clone())).await;
        merge_names(outcomes, page.limit)
    }

    /// Finds the first names of all servers, and has each server delete those that it has.
    async fn delete_some(&self, command: &Command<'_>, page: &Page<'_>) -> Outcome {
        let list = match command {
            Command::DeleteQueues { account, .. } => Command::ListQueues {
                account: account.clone(),
                page: page.clone(),
            },
            _ => Command::ListAccounts { page: page.clone() },
        };
        let outcomes = call_all(self.links(), |_| Some(list.clone())).await;
        let Reply::Names(first) = merge_names(outcomes.clone(), page.limit)? else {
            return Err(Failure::OutcomeUnknown);
        };
        let count = |outcome: Option<&Outcome>| match outcome {
            Some(Ok(Reply::Names(own))) => {
                own.iter().filter(|name| first.contains(name)).count() as u64
            }
            _ => 0,
        };
        let deleted = call_all(self.links(), |number| {
            let limit = Some(count(outcomes.get(number))).filter(|count| *count > 0)?;
            let page = Page {
                limit: Some(limit),
                ..page.clone()
            };
            Some(match command {
                Command::DeleteQueues { account, .. } => Command::DeleteQueues {
                    account: account.clone(),
                    page,
                },
                _ => Command::DeleteAccounts { page },
            })
        });
        let names = in_order(name_lists(deleted.await)?);
        Ok(Reply::Names(NameList::new(names, first.has_more())))
    }

    pub(super) fn require_all(&self) -> Result<(), Failure> {
        match self.links().iter().all(|link| link.is_up()) {
            true => Ok(()),
            false => Err(Failure::Unreachable),
        }
    }
}

/// Sends each server its command, if there is one for it, all at once, and waits for all
/// outcomes.
pub(super) async fn call_all<'c>(
    links: &[Arc<Link>],
    command: impl Fn(usize) -> Option<Command<'c>>,
) -> Vec<Outcome> {
    let started: Vec<_> = links
        .iter()
        .enumerate()
        .filter_map(|(number, link)| Some(link.start(&command(number)?)))
        .collect();
    let mut outcomes = Vec::with_capacity(started.len());
    for waiting in started {
        outcomes.push(match waiting {
            Ok(waiting) => waiting.await,
            Err(failure) => Err(failure),
        });
    }
    outcomes
}

/// One outcome of those of all parts: what one has refused is unknown as a whole if another
/// was done. A server that has nothing of it has no part.
pub(super) fn together(outcomes: Vec<Outcome>) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::new();
    let (mut missing, mut failure) = (None, None);
    for outcome in outcomes {
        match outcome {
            Ok(reply) => replies.push(reply),
            Err(Failure::Refused(refusal)) if is_missing(&refusal) => {
                missing = more_exact(missing, refusal);
            }
            Err(Failure::OutcomeUnknown) => failure = Some(Failure::OutcomeUnknown),
            Err(other) => failure = failure.or(Some(other)),
        }
    }
    match (failure, missing) {
        (Some(_), _) if !replies.is_empty() => Err(Failure::OutcomeUnknown),
        (Some(failure), _) => Err(failure),
        (None, Some(missing)) if replies.is_empty() => Err(missing.into()),
        (None, _) => Ok(replies),
    }
}

/// The first names of all servers, as many as are asked for. Where the list of a server ends
/// because it is full, the whole ends: behind its last name there may be others of it. So it is
/// with what was deleted: whoever goes on behind the last name meets all that is left, and what
/// other servers have deleted there already is not told.
fn merge_names(outcomes: Vec<Outcome>, limit: Option<u64>) -> Outcome {
    let lists = name_lists(outcomes)?;
    let full = lists.iter().filter(|own| own.has_more());
    let end = full.filter_map(|own| own.last().cloned()).min();
    let mut names = in_order(lists);
    if let Some(end) = &end {
        names.truncate(names.partition_point(|name| name <= end));
    }
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let has_more = end.is_some() && names.len() < limit;
    names.truncate(limit);
    Ok(Reply::Names(NameList::new(names, has_more)))
}

fn name_lists(outcomes: Vec<Outcome>) -> Result<Vec<NameList>, Failure> {
    let lists = together(outcomes)?.into_iter().map(|reply| match reply {
        Reply::Names(own) => Ok(own),
        _ => Err(Failure::OutcomeUnknown),
    });
    lists.collect()
}

fn in_order(lists: Vec<NameList>) -> Vec<Box<str>> {
    let mut names: Vec<_> = lists.into_iter().flatten().collect();
    names.sort_unstable();
    // An account is on every server that has a queue of it.
    names.dedup();
    names
}

pub(super) fn is_missing(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::AccountNotFound | Refusal::QueueNotFound | Refusal::MessageNotFound
    )
}

/// What is missing, as the server says it that has the most of it.
pub(super) fn more_exact(one: Option<Refusal>, other: Refusal) -> Option<Refusal> {
    let rank = |refusal: &Refusal| match refusal {
        Refusal::AccountNotFound => 0,
        Refusal::QueueNotFound => 1,
        _ => 2,
    };
    match one {
        Some(one) if rank(&one) >= rank(&other) => Some(one),
        _ => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str], has_more: bool) -> Outcome {
        let names = names.iter().map(|name| (*name).into()).collect();
        Ok(Reply::Names(NameList::new(names, has_more)))
    }

    fn names(names: &[&str]) -> Outcome {
        listed(names, false)
    }

    #[test]
    fn names_are_in_order_once_and_not_too_many() {
        let parts = || vec![names(&["b", "d"]), names(&["a", "b", "e"])];
        assert_eq!(merge_names(parts(), None), names(&["a", "b", "d", "e"]));
        assert_eq!(merge_names(parts(), Some(3)), names(&["a", "b", "d"]));
    }

    #[test]
    fn a_list_ends_with_the_first_server_whose_list_is_full() {
        let parts = || vec![listed(&["b", "d"], true), names(&["a", "c", "e"])];
        assert_eq!(
            merge_names(parts(), None),
            listed(&["a", "b", "c", "d"], true)
        );
        assert_eq!(merge_names(parts(), Some(4)), names(&["a", "b", "c", "d"]));
        let parts = || vec![listed(&["b", "d"], true), listed(&["a", "c"], true)];
        assert_eq!(merge_names(parts(), None), listed(&["a", "b", "c"], true));
    }

    #[test]
    fn nothing_is_missing_that_one_server_has() {
        let account = || Err(Refusal::AccountNotFound.into());
        let queue = || Err(Refusal::QueueNotFound.into());
        let merged = merge_names(vec![account(), names(&["a"])], None);
        assert_eq!(merged, names(&["a"]));
        assert_eq!(
            merge_names(vec![account(), queue(), account()], None),
            queue()
        );
    }

    #[test]
    fn a_part_that_failed_beside_one_that_was_done_leaves_the_whole_unknown() {
        let failed = || Err(Failure::Unreachable);
        let merged = merge_names(vec![names(&["a"]), failed()], None);
        assert_eq!(merged, Err(Failure::OutcomeUnknown));
        assert_eq!(merge_names(vec![failed(), failed()], None), failed());
        let unknown = Err(Failure::OutcomeUnknown);
        assert_eq!(merge_names(vec![failed(), unknown.clone()], None), unknown);
    }
}
