//! The queues by typed calls.

use crate::error::CallError;
use crate::queue::{Answer, Queue};
use crate::{
    Detail, Messages, Names, NewMessage, Page, Piece, QueueName, Selection, Settings, Settlement,
    Times,
};

/// The calls. Each fails with [`Refused`](CallError::Refused) if the queue says no, and with
/// another [`CallError`] if its instance ended.
#[allow(clippy::missing_errors_doc)]
impl Queue {
    /// Creates a message, whose id must be given, or replaces the one with the same id. False
    /// if it was replaced.
    pub fn put(&mut self, queue: &QueueName, message: &NewMessage) -> Result<bool, CallError> {
        self.fits(sizes(queue).chain(of_message(message)))?;
        self.call(|plugin, store| plugin.burrow_queue_queues().call_put(store, queue, message))
    }

    /// As [`put`](Self::put) for each message in turn, all of it or nothing. Gives their ids;
    /// those that were not given are made up.
    pub fn put_batch(
        &mut self,
        queue: &QueueName,
        messages: &[NewMessage],
    ) -> Result<Vec<String>, CallError> {
        self.fits(sizes(queue).chain(messages.iter().flat_map(of_message)))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_put_batch(store, queue, messages)
        })
    }

    /// Hides the visible messages that match for `hide_ms`, counts an attempt of each and
    /// gives it a claim. If there is none, it waits for one up to `wait_ms`.
    pub fn claim(
        &mut self,
        queue: &QueueName,
        selection: &Selection,
        hide_ms: u64,
        wait_ms: u64,
        detail: Detail,
    ) -> Result<Answer, CallError> {
        self.fits(sizes(queue).chain(of_text(&selection.marker)))?;
        let answer = self.call(|plugin, store| {
            let queues = plugin.burrow_queue_queues();
            queues.call_claim(store, queue, selection, hide_ms, wait_ms, detail)
        })?;
        Ok(self.answer(answer))
    }

    /// Hides a claimed message for `hide_ms` from now.
    pub fn extend(
        &mut self,
        queue: &QueueName,
        id: &str,
        claim: u64,
        hide_ms: u64,
    ) -> Result<(), CallError> {
        self.fits(sizes(queue).chain([id.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_extend(store, queue, id, claim, hide_ms)
        })
    }

    /// Gives a claimed message back: it is visible at once.
    pub fn release(&mut self, queue: &QueueName, id: &str, claim: u64) -> Result<(), CallError> {
        self.fits(sizes(queue).chain([id.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_release(store, queue, id, claim)
        })
    }

    /// Acknowledges: removes a message. If a claim is given, it must be the current one.
    pub fn ack(
        &mut self,
        queue: &QueueName,
        id: &str,
        claim: Option<u64>,
    ) -> Result<(), CallError> {
        self.fits(sizes(queue).chain([id.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_ack(store, queue, id, claim)
        })
    }

    /// Acknowledges, extends or releases many, each with a result of its own.
    pub fn settle(
        &mut self,
        queue: &QueueName,
        settlements: &[Settlement],
    ) -> Result<Vec<Result<(), crate::Refusal>>, CallError> {
        let ids = settlements.iter().map(|settlement| settlement.id.len());
        self.fits(sizes(queue).chain(ids))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_settle(store, queue, settlements)
        })
    }

    /// Removes messages and gives them. If there is none, it waits for one up to `wait_ms`.
    pub fn pop(
        &mut self,
        queue: &QueueName,
        selection: &Selection,
        wait_ms: u64,
        detail: Detail,
    ) -> Result<Answer, CallError> {
        self.fits(sizes(queue).chain(of_text(&selection.marker)))?;
        let answer = self.call(|plugin, store| {
            let queues = plugin.burrow_queue_queues();
            queues.call_pop(store, queue, selection, wait_ms, detail)
        })?;
        Ok(self.answer(answer))
    }

    /// Looks at messages. If there is none, it waits for one up to `wait_ms`.
    pub fn list(
        &mut self,
        queue: &QueueName,
        selection: &Selection,
        wait_ms: u64,
        detail: Detail,
    ) -> Result<Answer, CallError> {
        self.fits(sizes(queue).chain(of_text(&selection.marker)))?;
        let answer = self.call(|plugin, store| {
            let queues = plugin.burrow_queue_queues();
            queues.call_list(store, queue, selection, wait_ms, detail)
        })?;
        Ok(self.answer(answer))
    }

    /// One message, hidden or not.
    pub fn get(
        &mut self,
        queue: &QueueName,
        id: &str,
        detail: Detail,
    ) -> Result<Messages, CallError> {
        self.fits(sizes(queue).chain([id.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_get(store, queue, id, detail)
        })
    }

    /// New times for one message, hidden or not. If a claim is given, it must be the current
    /// one.
    pub fn update(
        &mut self,
        queue: &QueueName,
        id: &str,
        claim: Option<u64>,
        times: Times,
    ) -> Result<(), CallError> {
        self.fits(sizes(queue).chain([id.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_update(store, queue, id, claim, times)
        })
    }

    /// The settings of a queue; the empty ones if it has none.
    pub fn settings(&mut self, queue: &QueueName) -> Result<Settings, CallError> {
        self.fits(sizes(queue))?;
        self.call(|plugin, store| plugin.burrow_queue_queues().call_get_settings(store, queue))
    }

    /// Gives a queue settings in place of those it had.
    pub fn put_settings(
        &mut self,
        queue: &QueueName,
        settings: &Settings,
    ) -> Result<(), CallError> {
        self.fits(sizes(queue).chain(of_text(&settings.dead_letter)))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_put_settings(store, queue, settings)
        })
    }

    /// Takes the settings of a queue away, if it has any.
    pub fn clear_settings(&mut self, queue: &QueueName) -> Result<(), CallError> {
        self.fits(sizes(queue))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_clear_settings(store, queue)
        })
    }

    /// The names of accounts.
    pub fn list_accounts(&mut self, page: &Page) -> Result<Names, CallError> {
        self.fits(of_text(&page.marker))?;
        self.call(|plugin, store| plugin.burrow_queue_queues().call_list_accounts(store, page))
    }

    /// Removes accounts with all that is in them. Gives their names.
    pub fn delete_accounts(&mut self, page: &Page) -> Result<Names, CallError> {
        self.fits(of_text(&page.marker))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_delete_accounts(store, page)
        })
    }

    /// The names of an account's queues.
    pub fn list_queues(&mut self, account: &str, page: &Page) -> Result<Names, CallError> {
        self.fits(of_text(&page.marker).chain([account.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_list_queues(store, account, page)
        })
    }

    /// Removes queues with all that is in them. Gives their names.
    pub fn delete_queues(&mut self, account: &str, page: &Page) -> Result<Names, CallError> {
        self.fits(of_text(&page.marker).chain([account.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_delete_queues(store, account, page)
        })
    }

    /// A piece of a queue of about `max_bytes`, from the beginning or from the `next` of the
    /// piece before.
    pub fn export_piece(
        &mut self,
        queue: &QueueName,
        after: Option<u64>,
        max_bytes: u64,
    ) -> Result<Piece, CallError> {
        self.fits(sizes(queue))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_export_piece(store, queue, after, max_bytes)
        })
    }

    /// Puts the messages of a piece behind those of the queue. Gives how many. To import a piece
    /// twice does no harm.
    pub fn import_piece(&mut self, queue: &QueueName, bytes: &[u8]) -> Result<u64, CallError> {
        self.fits(sizes(queue).chain([bytes.len()]))?;
        self.call(|plugin, store| {
            plugin
                .burrow_queue_queues()
                .call_import_piece(store, queue, bytes)
        })
    }
}

fn sizes(queue: &QueueName) -> impl Iterator<Item = usize> {
    [queue.account.len(), queue.queue.len()].into_iter()
}

fn of_text(text: &Option<String>) -> impl Iterator<Item = usize> {
    text.iter().map(String::len)
}

fn of_message(message: &NewMessage) -> impl Iterator<Item = usize> {
    let texts = of_text(&message.id).chain(of_text(&message.content_type));
    texts.chain([message.body.len()])
}
