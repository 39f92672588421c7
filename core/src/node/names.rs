//! Listing and deleting whole accounts and queues.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Node, check};
use crate::command::Page;
use crate::config::ENTRY_BYTES;
use crate::journal::change::Change;
use crate::refusal::{Field, Refusal};
use crate::reply::{NameList, Reply};

type Names = Result<NameList, Refusal>;

impl Node {
    pub(super) fn account_names(&self, page: &Page<'_>) -> Names {
        check::limit(page.limit)?;
        let names = self
            .state
            .accounts
            .iter_behind(page.marker.as_deref())
            .map(|(name, _)| name);
        let names = self.list(names, page);
        if names.is_empty() {
            Err(Refusal::AccountNotFound)
        } else {
            Ok(names)
        }
    }

    pub(super) fn queue_names(&self, account: &str, page: &Page<'_>) -> Names {
        check::name(Field::Account, account)?;
        check::limit(page.limit)?;
        let account = self
            .state
            .account(account)
            .ok_or(Refusal::AccountNotFound)?;
        let names = account
            .queues
            .iter_behind(page.marker.as_deref())
            .map(|(name, _)| name);
        let names = self.list(names, page);
        if names.is_empty() {
            Err(Refusal::QueueNotFound)
        } else {
            Ok(names)
        }
    }

    pub(super) fn delete_accounts(&mut self, page: &Page<'_>) -> Result<Reply, Refusal> {
        let names = self.account_names(page)?;
        for name in names.iter() {
            let queues: Vec<u32> = self
                .state
                .account(name)
                .iter()
                .flat_map(|account| account.queues.iter_behind(None).map(|(_, queue)| queue))
                .collect();
            self.close_all(queues);
        }
        Ok(Reply::Names(names))
    }

    pub(super) fn delete_queues(
        &mut self,
        account: &str,
        page: &Page<'_>,
    ) -> Result<Reply, Refusal> {
        let names = self.queue_names(account, page)?;
        let queues = names
            .iter()
            .filter_map(|name| self.state.find_queue(account, name))
            .collect();
        self.close_all(queues);
        Ok(Reply::Names(names))
    }

    /// The first of these names: as many as are asked for, and as fit into an answer.
    fn list<'n>(&self, mut names: impl Iterator<Item = &'n Box<str>>, page: &Page<'_>) -> NameList {
        let limit = at_most(page);
        let mut listed = Vec::new();
        let mut bytes = 0;
        while listed.len() < limit && bytes < self.config.limits.max_answer_bytes {
            let Some(name) = names.next() else { break };
            bytes += ENTRY_BYTES + name.len() as u64;
            listed.push(name.clone());
        }
        let has_more = listed.len() < limit && names.next().is_some();
        NameList::new(listed, has_more)
    }

    fn close_all(&mut self, queues: Vec<u32>) {
        for queue in queues {
            let number = self.state.queue(queue).number;
            self.woken.remove(&number);
            self.burials.forget(number);
            self.apply(&Change::QueueClosed { queue });
        }
    }
}

fn at_most(page: &Page<'_>) -> usize {
    page.limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
