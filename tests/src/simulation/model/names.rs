//! Accounts and queues by their names.

use std::rc::Rc;

use burrow_core::{ENTRY_BYTES, Page, Refusal};

use super::{Expected, Model, Name, Outcome};

impl Model {
    pub(super) fn list_accounts(&self, page: &Page<'_>) -> Outcome {
        let names = self
            .state
            .queues
            .iter()
            .map(|queue| queue.name.account.clone());
        self.page_of(names, page).ok_or(Refusal::AccountNotFound)
    }

    /// The first names that are asked for, until the answer is full.
    fn page_of(&self, names: impl Iterator<Item = Rc<str>>, page: &Page<'_>) -> Option<Expected> {
        let mut names: Vec<_> = names
            .filter(|name| page.marker.as_ref().is_none_or(|marker| **name > **marker))
            .collect();
        names.sort();
        names.dedup();
        names.truncate(page.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        }));
        let mut bytes = 0;
        let fits = |name: &&Rc<str>| {
            let is_full = bytes >= self.config.limits.max_answer_bytes;
            bytes += ENTRY_BYTES + name.len() as u64;
            !is_full
        };
        let shown = names.iter().take_while(fits).count();
        let has_more = shown < names.len();
        names.truncate(shown);
        (!names.is_empty()).then_some(Expected::Names(names, has_more))
    }

    pub(super) fn delete_accounts(&mut self, page: &Page<'_>) -> Outcome {
        let listed = self.list_accounts(page)?;
        if let Expected::Names(names, _) = &listed {
            self.delete_queues_where(|name| names.contains(&name.account));
        }
        Ok(listed)
    }

    pub(super) fn list_queues(&self, account: &str, page: &Page<'_>) -> Outcome {
        if !self.state.account_exists(account) {
            return Err(Refusal::AccountNotFound);
        }
        let names = self.state.queues.iter().map(|queue| &queue.name);
        let names = names
            .filter(|name| &*name.account == account)
            .map(|name| name.queue.clone());
        self.page_of(names, page).ok_or(Refusal::QueueNotFound)
    }

    pub(super) fn delete_queues(&mut self, account: &str, page: &Page<'_>) -> Outcome {
        let listed = self.list_queues(account, page)?;
        if let Expected::Names(names, _) = &listed {
            self.delete_queues_where(|name| {
                &*name.account == account && names.contains(&name.queue)
            });
        }
        Ok(listed)
    }

    fn delete_queues_where(&mut self, gone: impl Fn(&Name) -> bool) {
        for index in 0..self.state.queues.len() {
            if gone(&self.state.queues[index].name) {
                self.state.remove(index, |_| true);
                self.set_settings(index, None);
            }
        }
    }
}
